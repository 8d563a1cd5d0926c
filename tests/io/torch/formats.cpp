// The files that make_files.py wrote with PyTorch: every type, kind of view and place for a state dict, in both
// containers.
#include "tests/io/torch/bytes.h"

using namespace graft;
using namespace graft::test;

namespace {

// As in make_files.py.
std::vector<float> values(int64_t count) {
  std::vector<float> out;
  for (int64_t i = 0; i < count; ++i) out.push_back(static_cast<float>(7 * i % 23 - 11) / 8);
  return out;
}

std::vector<float> pick(const std::vector<int64_t>& indices) {
  const auto all = values(64);
  std::vector<float> out;
  for (int64_t i : indices) out.push_back(all[static_cast<size_t>(i)]);
  return out;
}

}  // namespace

TEST_CASE("every element type is read from both containers") {
  const auto name = GENERATE("types.pth", "types.th");
  INFO(name);
  const auto file = io::open_torch_file(committed_file(name));
  std::vector<std::string> names;
  std::vector<DType> dtypes;
  for (const auto& entry : file->tensors()) {
    names.push_back(entry.name);
    dtypes.push_back(entry.dtype);
  }
  CHECK(names == std::vector<std::string>{"f64", "f32", "f16", "bf16", "i64", "i32", "i16", "i8", "u8", "bool",
                                          "scalar", "empty"});
  using enum DType;
  CHECK(dtypes == std::vector<DType>{f64, f32, f16, bf16, i64, i64, i64, i64, u8, u8, f32, f32});
  CHECK(file->tensors()[1].shape == std::vector<int64_t>{2, 3, 1, 2});
  CHECK(file->tensors()[10].shape.empty());
  CHECK(file->tensors()[11].shape == std::vector<int64_t>{0, 3});

  CHECK(read_all(*file, "f64") == values(5));
  CHECK(read_all(*file, "f32") == values(12));
  CHECK(read_all(*file, "f16") == values(7));
  CHECK(read_all(*file, "bf16") == values(7));
  CHECK(read_all(*file, "i64") == std::vector<float>{-3, 0x1p40f});
  CHECK(read_all(*file, "i32") == std::vector<float>{-4, 0x1p20f});
  CHECK(read_all(*file, "i16") == std::vector<float>{-5, 500});
  CHECK(read_all(*file, "i8") == std::vector<float>{-6, 100});
  CHECK(read_all(*file, "u8") == std::vector<float>{0, 255});
  CHECK(read_all(*file, "bool") == std::vector<float>{1, 0, 1});
  CHECK(read_all(*file, "scalar") == std::vector<float>{2.5});
  CHECK(read_all(*file, "empty").empty());
}

TEST_CASE("views are read in row-major order of their shape") {
  const auto name = GENERATE("views.pth", "views.th");
  INFO(name);
  const auto file = io::open_torch_file(committed_file(name));
  std::vector<int64_t> transposed, column;
  for (int64_t c = 0; c < 4; ++c)
    for (int64_t r = 0; r < 6; ++r) transposed.push_back(4 * r + c);
  for (int64_t r = 0; r < 6; ++r) column.push_back(4 * r + 2);
  CHECK(read_all(*file, "transposed") == pick(transposed));
  CHECK(read_all(*file, "column") == pick(column));
  CHECK(read_all(*file, "sliced") == pick({5, 6, 7, 13, 14, 15}));
  CHECK(read_all(*file, "expanded") == pick({0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 2, 2, 2, 2, 2}));
  CHECK(read_all(*file, "channels_last") == values(24));
  CHECK(read_all(*file, "tied_a") == values(6));
  CHECK(read_all(*file, "tied_b") == values(6));
  CHECK(read_all(*file, "parameter") == values(4));
}

TEST_CASE("any range of a view is the same range of the whole") {
  const auto file = io::open_torch_file(committed_file("views.pth"));
  for (size_t i = 0; i < file->tensors().size(); ++i) {
    const auto whole = read_all(*file, i);
    const auto count = static_cast<int64_t>(whole.size());
    for (int64_t first = 0; first <= count; ++first)
      for (int64_t n = 0; n <= count - first; ++n) {
        std::vector<float> part(static_cast<size_t>(n));
        file->read(i, first, n, part.data());
        REQUIRE(part == std::vector<float>(whole.begin() + first, whole.begin() + first + n));
      }
    CHECK_THROWS_AS(file->read(i, 0, count + 1, nullptr), Error);
    CHECK_THROWS_AS(file->read(i, -1, 1, nullptr), Error);
  }
  CHECK_THROWS_AS(file->read(file->tensors().size(), 0, 0, nullptr), Error);
}

TEST_CASE("the state dict of a checkpoint is found and loses its module prefix") {
  const auto name = GENERATE("checkpoint.pth", "checkpoint.th");
  INFO(name);
  const auto file = io::open_torch_file(committed_file(name));
  std::vector<std::string> names;
  for (const auto& entry : file->tensors()) names.push_back(entry.name);
  CHECK(names == std::vector<std::string>{"0.weight", "0.bias", "1.weight", "1.bias", "1.running_mean", "1.running_var",
                                          "1.num_batches_tracked"});
  CHECK(read_all(*file, "0.weight") == values(4));
  CHECK(read_all(*file, "0.bias") == values(2));
  CHECK(read_all(*file, "1.num_batches_tracked") == std::vector<float>{1});
}

TEST_CASE("an archive without checksums is read") {
  CHECK(read_all(*io::open_torch_file(committed_file("no_crc.pth")), "w") == values(3));
}

TEST_CASE("a zip64 archive is read") {
  const std::string object = dict(text("w") + tensor(storage(3), 0, {3}, {1}));
  const TempFile zip64(zip_weights(object, floats({1, 2, 3}), true)), zip(zip_weights(object, floats({1, 2, 3})));
  CHECK(read_all(*io::open_torch_file(zip64.path()), "w") == std::vector<float>{1, 2, 3});
  CHECK(read_all(*io::open_torch_file(zip.path()), "w") == std::vector<float>{1, 2, 3});
}

TEST_CASE("a view of a storage, as early versions wrote it, is read") {
  const std::string view = storage(6, tuple(text("view") + integer(2) + integer(3)));
  const TempFile file(legacy_file(dict(text("w") + tensor(view, 1, {2}, {1})), 6, floats({0, 1, 2, 3, 4, 5})));
  CHECK(read_all(*io::open_torch_file(file.path()), "w") == std::vector<float>{3, 4});

  const TempFile beyond(legacy_file(dict(text("w") + tensor(view, 2, {2}, {1})), 6, floats({0, 1, 2, 3, 4, 5})));
  CHECK_THAT(error_of(beyond.path()), Catch::Contains("in a storage of 3 elements"));
}

TEST_CASE("tensors of untyped storages and of classes of their own are read") {
  const std::string hooks = global("collections", "OrderedDict") + ")R";
  const std::string untyped = global("torch._utils", "_rebuild_tensor_v3") +
                              tuple(storage(12, "", "UntypedStorage") + integer(1) + integers({2}) + integers({1}) +
                                    "\x89" + hooks + global("torch", "float32")) +
                              "R";
  const std::string parameter =
      global("torch._tensor", "_rebuild_from_type_v2") +
      tuple(global("torch._utils", "_rebuild_parameter") + global("torch.nn.parameter", "Parameter") +
            tuple(untyped + "\x88" + hooks) + "}") +
      "R";
  const TempFile file(zip_weights(dict(text("a") + untyped + text("b") + parameter), floats({1, 2, 3})));
  const auto opened = io::open_torch_file(file.path());
  CHECK(opened->tensors()[0].dtype == DType::f32);
  CHECK(read_all(*opened, "a") == std::vector<float>{2, 3});
  CHECK(read_all(*opened, "b") == std::vector<float>{2, 3});
}

TEST_CASE("subnormal, infinite and odd half floats are converted exactly") {
  const std::string bits = little(0x0001, 2) + little(0x83ff, 2) + little(0x7c00, 2) + little(0xfc00, 2) +
                           little(0x7bff, 2) + little(0x8000, 2) + little(0x0400, 2);
  const TempFile file(zip_weights(dict(text("w") + tensor(storage(7, "", "HalfStorage"), 0, {7}, {1})), bits));
  const auto out = read_all(*io::open_torch_file(file.path()), "w");
  const float infinity = std::numeric_limits<float>::infinity();
  CHECK(out == std::vector<float>{0x1p-24f, -0x1.ff8p-15f, infinity, -infinity, 65504, -0.f, 0x1p-14f});
}

TEST_CASE("a state dict under another name, and the errors where there is none or more than one") {
  const std::string w = tensor(storage(1), 0, {1}, {1}), weights = dict(text("w") + w);
  const auto error = [](const std::string& object) { return error_of_bytes(zip_weights(object, floats({1}))); };

  CHECK(error(dict(text("epoch") + integer(3) + text("model") + weights)).empty());
  CHECK(error(dict(text("checkpoint") + dict(text("net") + weights))).empty());
  CHECK(error(dict(text("odd_name") + weights + text("epoch") + integer(3))).empty());
  CHECK(error(dict(text("optimizer") + weights + text("state_dict") + weights)).empty());

  CHECK_THAT(error(dict(text("a") + weights + text("b") + weights + text("epoch") + integer(3))),
             Catch::Contains("holds no dict of named tensors; it has a (a dict of 1 with tensors), b (a dict of 1 with "
                             "tensors), epoch (a number)"));
  CHECK_THAT(error(w), Catch::Contains("it is a tensor [1]"));
  CHECK_THAT(error("}"), Catch::Contains("it is an empty dict"));
  CHECK_THAT(error(dict(text("w") + w + text("w") + w)), Catch::Contains("two tensors w"));
  CHECK_THAT(error(dict(text("w") + global("torch._utils", "_rebuild_qtensor") + ")R")),
             Catch::Contains("w cannot be read: torch._utils._rebuild_qtensor"));
}

TEST_CASE("the module prefix stays when one name lacks it") {
  const std::string w = tensor(storage(1), 0, {1}, {1});
  const TempFile file(zip_weights(dict(text("module.a") + w + text("b") + w), floats({1})));
  CHECK(io::open_torch_file(file.path())->tensors()[0].name == "module.a");
}
