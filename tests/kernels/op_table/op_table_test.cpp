#include <catch2/catch.hpp>

#include "tests/kernels/op_table/check.h"
#include "tests/kernels/op_table/register.h"

namespace graft::test {

const bool kRegistered = (register_op_table(backends_under_test()), true);

TEST_CASE("the op table has one entry for each primitive, with ordinary and refused rows") {
  REQUIRE(op_table().size() == static_cast<size_t>(kPrimitiveCount));
  for (int i = 0; i < kPrimitiveCount; ++i) {
    const OpEntry& entry = op_table()[static_cast<size_t>(i)];
    INFO(kPrimitives[i].name);
    CHECK(static_cast<int>(entry.primitive) == i);
    int ordinary = 0, refused = static_cast<int>(derived_errors(entry).size());
    for (const OpRow& row : entry.rows) ++(row.expected == Status::ok ? ordinary : refused);
    CHECK(ordinary >= 5);
    CHECK(refused >= 1);
  }
}

}  // namespace graft::test
