#include "tests/io/torch/bytes.h"

using namespace graft;
using namespace graft::test;

TEST_CASE("a long integer of a pickle keeps its sign") {
  const auto error_with_size = [](const std::string& size) {
    const std::string w = global("torch._utils", "_rebuild_tensor_v2") +
                          tuple(storage(5) + integer(0) + tuple(size) + integers({1}) + "\x89" +
                                global("collections", "OrderedDict") + ")R") +
                          "R";
    return error_of_bytes(zip_weights(dict(text("w") + w), floats({1, 2, 3, 4, 5})));
  };
  using std::string_literals::operator""s;
  CHECK(error_with_size("\x8a\x01\x05"s).empty());
  CHECK(error_with_size("\x8a\x02\x05\x00"s).empty());
  CHECK_THAT(error_with_size("\x8a\x01\xff"s), Catch::Contains("a negative size, -1"));
  CHECK_THAT(error_with_size("\x8a\x02\x00\x80"s), Catch::Contains("a negative size, -32768"));
}

TEST_CASE("what lies below a mark of a pickle is not taken") {
  CHECK_THAT(error_of_bytes(zip_weights("N](0", "")), Catch::Contains("takes from an empty stack"));
}
