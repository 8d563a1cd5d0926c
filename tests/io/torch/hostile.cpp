// Files made to do harm. Each must end in an Error that says what is wrong, at once and in little memory.
#include <chrono>

#include "tests/io/torch/bytes.h"
#include "tests/io/torch/memory_meter.h"

using namespace graft;
using namespace graft::test;

namespace {

constexpr size_t kMiB = size_t{1} << 20;

// The error of the object in both containers, which must not take more than `limit` bytes of memory.
void expect_refused(const std::string& object, const std::string& message, size_t limit = 2 * kMiB) {
  const std::string data = floats({1, 2, 3, 4, 5, 6});
  for (const std::string& bytes : {zip_weights(object, data), legacy_file(object, 6, data)}) {
    const MemoryFile file(bytes);
    const MemoryMeter meter;
    const std::string error = error_of(file.path());
    CHECK(meter.peak_bytes() < limit + bytes.size());
    CHECK_THAT(error, Catch::StartsWith(file.path().string()) && Catch::Contains(message));
  }
}

std::string weights(const std::string& tensor_opcodes) { return dict(text("w") + tensor_opcodes); }

std::string repeat(const std::string& opcodes, size_t times) {
  std::string out;
  for (size_t i = 0; i < times; ++i) out += opcodes;
  return out;
}

}  // namespace

TEST_CASE("a pickle that calls os.system is refused by name and nothing runs") {
  const TempFile witness("");
  std::filesystem::remove(witness.path());
  const std::string command = tuple(text("touch " + witness.path().string()));
  const std::string refusal = "the file wants to call os.system; graft executes nothing from a weights file";
  expect_refused(global("os", "system") + command + "R", refusal);
  expect_refused(weights(global("os", "system") + command + "R"), refusal);
  expect_refused(text("os") + text("system") + "\x93" + command + "R", refusal);
  expect_refused(global("os", "system") + command + "\x81", refusal);
  CHECK_FALSE(std::filesystem::exists(witness.path()));

  expect_refused(global("builtins", "eval") + tuple(text("1")) + "R", "wants to call builtins.eval");
  expect_refused(global("torchvision.models.resnet", "ResNet") + ")\x81", "torch.save(model.state_dict()");
  expect_refused(global("torch.storage", "_load_from_bytes") + tuple(text("")) + "R", "torch.storage._load_from_bytes");
  expect_refused(
      "i"
      "os\nsystem\n",
      "opcode 0x69");                                                         // INST
  expect_refused("S'x'\n", "opcode 0x53");                                    // protocol 0
  expect_refused(global("x\x1b[31m", "y") + ")R", "wants to call x?[31m.y");  // colours for the terminal
  expect_refused(global(std::string(2000, 'x'), "y") + ")R", "a name goes on");
}

TEST_CASE("a compressed or encrypted entry is refused, a zip bomb with it") {
  const std::string bomb(1000, '\0');
  const auto error = [&](uint16_t method, uint16_t flags, uint32_t size) {
    const std::string object = pickle(weights(tensor(storage(1 << 28), 0, {1 << 28}, {1})));
    const MemoryFile file(
        zip_file({{.name = "a/data.pkl", .data = object},
                  {.name = "a/data/0", .data = bomb, .method = method, .flags = flags, .claimed_size = size}}));
    const MemoryMeter meter;
    std::string message = error_of(file.path());
    CHECK(meter.peak_bytes() < kMiB);
    return message;
  };
  CHECK_THAT(error(8, 0, 1u << 30), Catch::Contains("a/data/0 is compressed (1000 bytes for 1073741824)"));
  CHECK_THAT(error(0, 0, 1u << 30), Catch::Contains("a/data/0 is compressed"));
  CHECK_THAT(error(0, 1, 0), Catch::Contains("a/data/0 is encrypted"));
  CHECK_THAT(error(0, 0, 0), Catch::Contains("should have 268435456 elements and has 1000 bytes"));

  const MemoryFile packed(zip_file({{.name = "a/data.pkl", .data = bomb, .method = 8, .claimed_size = 1u << 31}}));
  CHECK_THAT(error_of(packed.path()), Catch::Contains("a/data.pkl is compressed"));
}

TEST_CASE("a zip directory that lies about itself is refused") {
  const std::string object = weights(tensor(storage(6), 0, {6}, {1})), data = floats({1, 2, 3, 4, 5, 6});
  for (bool zip64 : {false, true}) {
    const std::string good = zip_weights(object, data, zip64);
    REQUIRE(error_of_bytes(good).empty());
    const size_t end = good.size() - 22, record = end - 20 - 56;
    const auto patched = [&](size_t at, uint64_t value, int bytes) {
      std::string bad = good;
      bad.replace(at, static_cast<size_t>(bytes), little(value, bytes));
      const MemoryFile file(bad);
      const MemoryMeter meter;
      const std::string error = error_of(file.path());
      CHECK(meter.peak_bytes() < kMiB);
      return error;
    };
    const size_t count = zip64 ? record + 32 : end + 10, size = count + (zip64 ? 8 : 2),
                 offset = size + (zip64 ? 8 : 4);
    const int wide = zip64 ? 8 : 4, narrow = zip64 ? 8 : 2;
    CHECK_THAT(patched(count, 0xfffe, narrow), Catch::Contains("would have 65534 entries"));
    CHECK_THAT(patched(size, 0x7fffffff, wide), Catch::Contains("its directory of 2147483647 bytes"));
    CHECK_THAT(patched(offset, 0x7fffffff, wide), Catch::Contains("would lie at 2147483647"));
    if (zip64) {
      CHECK_THAT(patched(offset, ~uint64_t{0}, 8), Catch::Contains("would lie at"));
      CHECK_THAT(patched(end - 12, ~uint64_t{0}, 8), Catch::Contains("zip64 directory would lie at"));
    }
  }
  const ZipEntry entry{.name = "a/data.pkl", .data = pickle("}")};
  CHECK_THAT(error_of_bytes(zip_file({entry, entry})), Catch::Contains("two entries a/data.pkl"));
}

TEST_CASE("sizes that the file cannot hold are refused before memory is taken for them") {
  const std::string huge = "\x8d" + little(uint64_t{1} << 60, 8);
  expect_refused(huge, "a text of 1152921504606846976 bytes should follow");
  expect_refused("\x8e" + little(~uint64_t{0}, 8), "bytes should follow");
  expect_refused("\x96" + little(uint64_t{1} << 40, 8), "bytes should follow");
  expect_refused("X\xff\xff\xff\xff", "a text of 4294967295 bytes");
  expect_refused("\x8b" + little(0xfffffff0, 4), "a text of 4294967280 bytes");

  expect_refused(weights(tensor(storage(6), 0, {7}, {1})), "a tensor of shape [7]");
  expect_refused(weights(tensor(storage(6), 3, {2, 2}, {2, 1})), "offset 3 in a storage of 6");
  expect_refused(weights(tensor(storage(6), -1, {2}, {1})), "offset -1");
  expect_refused(weights(tensor(storage(6), 0, {2}, {-1})), "negative stride");
  expect_refused(weights(tensor(storage(6), 0, {-2}, {1})), "negative size");
  expect_refused(weights(tensor(storage(6), 0, {2}, {1, 1})), "1 sizes and 2 strides");
  expect_refused(weights(tensor(storage(6), 0, {int64_t{1} << 32, int64_t{1} << 32}, {0, 0})), "a tensor of shape");
  expect_refused(weights(tensor(storage(6), 0, {3, 3}, {INT64_MAX, INT64_MAX})), "a tensor of shape");
  expect_refused(weights(tensor(storage(6), INT64_MAX, {1}, {1})), "a tensor of shape");
  expect_refused(weights(tensor(storage(INT64_MAX), 0, {1}, {1})), "");
  expect_refused(weights(tensor(storage(-6), 0, {1}, {1})), "a storage of -6 elements");
  expect_refused(weights(tensor(storage(7), 0, {1}, {1})), "");
  expect_refused(weights(tensor(storage(6), 0, {int64_t{1} << 40}, {0})),
                 "tensors of more than");  // one element, shown often
  expect_refused(weights(tensor(storage(6), 0, std::vector<int64_t>(65, 1), std::vector<int64_t>(65, 1))), "65 axes");

  const std::string object = weights(tensor(storage(6), 0, {6}, {1})), data = floats({1, 2, 3, 4, 5, 6});
  CHECK(error_of_bytes(legacy_file(object, 6, data)).empty());
  CHECK_THAT(error_of_bytes(legacy_file(object, uint64_t{1} << 62, data)), Catch::Contains("should follow"));
  CHECK_THAT(error_of_bytes(legacy_file(object, 7, data)), Catch::Contains("should follow"));
  CHECK_THAT(error_of_bytes(legacy_file(object, 5, data)), Catch::Contains("missing or too short"));
}

TEST_CASE("strides of axes of one element mean nothing, whatever they are") {
  const MemoryFile file(zip_weights(weights(tensor(storage(6), 0, {1, 3, 1, 2}, {INT64_MAX, 2, INT64_MAX, 1})),
                                    floats({1, 2, 3, 4, 5, 6})));
  CHECK(read_all(*io::open_torch_file(file.path()), "w") == std::vector<float>{1, 2, 3, 4, 5, 6});
}

TEST_CASE("objects that unfold without end cost what they take in the file") {
  // t = (t, t), sixty times: 2^60 leaves.
  expect_refused(")" + repeat("2\x86", 60), "it is a tuple of 2");
  expect_refused(dict(text("a") + ")" + repeat("2\x86", 60)), "a (a tuple of 2)");
  expect_refused(
      "]q\x01h\x01"
      "a",
      "it is a list of 1");  // in itself
  expect_refused("}q\x01" + text("state_dict") + "h\x01s", "state_dict (a dict of 1)");
  expect_refused(repeat("]", 100'000) + repeat("a", 99'999), "it is a list of 1", 40 * kMiB);
  expect_refused(")" + repeat("\x85", 100'000), "it is a tuple of 1", 40 * kMiB);
  expect_refused(repeat("(", 100'000), "takes from an empty stack", 40 * kMiB);
  // OrderedDict of one long list, many times over.
  const std::string list = "](" + repeat(tuple("NN"), 1000) + "eq\x01";
  expect_refused(list + global("collections", "OrderedDict") + tuple(repeat("h\x01", 100'000)) + "R", "take more than",
                 160 * kMiB);
}

TEST_CASE("a dict that names one large dict many times is searched once") {
  const std::string pairs = repeat("KKN", 100'000);  // {75: None, …}
  const MemoryFile file(zip_weights("}(" + pairs + "uq\x01" + "}(" + repeat(text("x") + "h\x01", 100'000) + "u", ""));
  const auto start = std::chrono::steady_clock::now();
  CHECK_THAT(error_of(file.path()), Catch::Contains("holds no dict of named tensors"));
  CHECK(std::chrono::steady_clock::now() - start < std::chrono::seconds(5));
}

TEST_CASE("a pickle that only grows is stopped") {
  const MemoryFile file(legacy_file(repeat("N0", 4'000'000), 0, ""));
  const MemoryMeter meter;
  CHECK_THAT(error_of(file.path()), Catch::Contains("take more than 64 MiB"));
  CHECK(meter.peak_bytes() < kMiB);
  CHECK_THAT(error_of_bytes(legacy_file(repeat("]", 4'000'000), 0, "")), Catch::Contains("take more than 64 MiB"));
}

TEST_CASE("opcodes out of place are damage, not a crash") {
  const char* const kBad[] = {"",    "0",    "2",  "t",      "\x85", "\x86", "a",    "Na",    "e",     "(e", "s",
                              "NNs", "NNNs", "(u", "}(Nu",   "R",    "NNR",  "N)R",  "h\x07", "q\x01", "Q",  "NQ",
                              ")Q",  "b",    "Nb", "NN\x93", "(1",   "(0",   "]0)Q", "\x94",  "1",     "d",  "(Nd"};
  for (const char* opcodes : kBad) {
    INFO(opcodes);
    CHECK_FALSE(error_of_bytes(zip_weights(opcodes, "")).empty());
    CHECK_FALSE(error_of_bytes(legacy_file(opcodes, 0, "")).empty());
  }
  const auto rebuild = [](const std::string& function, const std::string& arguments) {
    return weights(global("torch._utils", function) + arguments + "R");
  };
  expect_refused(rebuild("_rebuild_tensor_v2", ")"), "without its arguments");
  expect_refused(rebuild("_rebuild_tensor_v2", tuple("N" + integer(0) + "))")), "without a storage");
  expect_refused(rebuild("_rebuild_tensor_v2", tuple(storage(6) + integer(0) + "N)")), "without a size");
  expect_refused(rebuild("_rebuild_tensor_v2", tuple(storage(6) + integer(0) + tuple("N") + ")")),
                 "size that is no number");
  expect_refused(rebuild("_rebuild_parameter", ")"), "a parameter without a tensor");
  expect_refused(weights(global("torch", "FloatStorage") + ")R"), "torch.FloatStorage is called");
  const std::string from_type = global("torch._tensor", "_rebuild_from_type_v2");
  expect_refused(weights(from_type + tuple(from_type + "N)") + "R"), "a tensor within itself");
  expect_refused(weights(from_type + ")R"), "without its arguments");
}
