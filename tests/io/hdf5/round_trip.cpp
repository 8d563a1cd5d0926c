// What is written comes back, to this reader, to h5dump, and byte for byte the same each time.
#include <catch2/catch.hpp>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <nlohmann/json.hpp>
#include <regex>
#include <sstream>

#include "core/error.h"
#include "io/xxh3.h"
#include "tests/io/hdf5/sample_file.h"
#include "tests/support/test_data.h"

using namespace graft;
using namespace graft::test;
using Catch::Matchers::Contains;

TEST_CASE("XXH3 is XXH3") {
  // Vectors of the xxHash project: the empty input, and the same bytes in pieces as at once.
  CHECK(io::xxh3(std::string_view()) == 0x2d06800538d394c2ull);
  const std::string text(5000, 'x');
  io::Xxh3 pieces;
  for (size_t at = 0; at < text.size(); at += 321)
    pieces.update(std::as_bytes(std::span(text)).subspan(at, std::min<size_t>(321, text.size() - at)));
  CHECK(pieces.digest() == io::xxh3(text));
}

TEST_CASE("a file reads back as it was written") {
  const ScratchFolder scratch;
  write_sample(scratch / "sample.h5");
  for (io::Trust trust : {io::Trust::guarded, io::Trust::in_process}) {
    const io::GraftFile file(scratch / "sample.h5", trust);
    CHECK(file.attribute("architecture") == "sample");
    CHECK(file.attribute("source") == "");
    CHECK_FALSE(file.attribute("author").has_value());
    CHECK(file.text("graph") == kGraph);
    CHECK_FALSE(file.text("drawing").has_value());
    CHECK(file.strings("class_names") ==
          std::vector<std::string>{"tench", "goldfish, Carassius auratus", "", "g\u00f6tterspeise"});
    CHECK(file.text("training/state") == R"({"epoch": 3})");

    REQUIRE(file.tensors().size() == 8);
    REQUIRE(file.parameter_count() == 3);
    CHECK(file.tensors()[0].name == "conv1.weight");
    CHECK(file.tensors()[0].shape == std::vector<int64_t>{4, 3, 3, 3});
    CHECK(file.axes(0) == "OIHW");
    CHECK(file.axes(3).empty());
    CHECK(file.tensors()[1].name == "fc.bias");
    CHECK(file.tensors()[7].name == "nothing");
    CHECK(file.tensors()[7].shape == std::vector<int64_t>{0, 3});

    std::vector<float> weight(108), part(50), bias(5), counter(1), halves(4), brains(3);
    file.read(0, 0, 108, weight.data());
    CHECK(weight == ramp<float>(108, 1));
    file.read(0, 31, 50, part.data());
    CHECK(std::equal(part.begin(), part.end(), weight.begin() + 31));
    file.read(1, 0, 5, bias.data());
    CHECK(bias == ramp<float>(5, 3));
    file.read(3, 0, 1, counter.data());  // i64
    CHECK(counter[0] == 7);
    file.read(5, 0, 3, brains.data());
    CHECK(brains == std::vector<float>{1, -2, 3.140625f});
    file.read(6, 0, 4, halves.data());
    CHECK(halves == std::vector<float>{1, -2, 0x1p-24f, INFINITY});

    const io::StoredArray loss = file.read_raw("training/loss");
    CHECK(loss.dtype == DType::f64);
    CHECK(loss.as<double>()[1] == std::sin(1.0) * 1e-300);
    CHECK(file.read_raw("training/optimizer/momentum/fc.weight").shape == std::vector<int64_t>{5, 4});
    CHECK(file.list("training").size() == 4);
    CHECK(file.contains("training/sampler"));
    CHECK_THROWS_WITH(file.read_raw("training/nothing"), Contains("has no training/nothing"));
    CHECK_THROWS_WITH(file.read_raw("graph"), Contains("is a text"));
    CHECK_THROWS_WITH(file.text("class_names"), Contains("is not a text"));
    CHECK_THROWS_AS(file.read(0, 100, 9, weight.data()), Error);
    CHECK_THROWS_AS(file.read(0, -1, 1, weight.data()), Error);
    CHECK_THROWS_AS(file.read(0, 1, INT64_MAX, weight.data()), Error);
  }
}

TEST_CASE("a tensor of many chunks reads the same in ranges and as a stream") {
  const ScratchFolder scratch;
  const auto values = ramp<float>(300 * 1001, 2);  // 1.2 MB; a row of 1001 never ends where a chunk of 256 KB does
  const auto doubles = ramp<double>(70000, 1);
  {
    io::GraftFileWriter file(scratch / "large.h5");
    add(file, "parameters", "w", {300, 1001}, "OI", values);
    add(file, "parameters", "d", {7, 10000}, "OI", doubles);
    file.commit();
  }
  const io::GraftFile file(scratch / "large.h5");
  const size_t w = 1, d = 0;
  std::vector<float> part(70000);
  for (int64_t first :
       {int64_t{0}, int64_t{1}, int64_t{65535}, int64_t{65536}, int64_t{131000}, 300 * 1001 - int64_t{70000}}) {
    file.read(w, first, 70000, part.data());
    CHECK(std::equal(part.begin(), part.end(), values.begin() + first));
  }
  for (int64_t chunk_rows : {0, 1, 7, 300, 1000}) {
    std::vector<float> streamed;
    int64_t next = 0, most = 0;
    file.stream(w, chunk_rows, [&](int64_t first, int64_t rows, std::span<const float> elements) {
      REQUIRE(first == next);
      REQUIRE(elements.size() == static_cast<size_t>(rows) * 1001);
      next += rows;
      most = std::max(most, rows);
      streamed.insert(streamed.end(), elements.begin(), elements.end());
    });
    CHECK(streamed == values);
    CHECK(most == (chunk_rows == 0 ? 65 : std::min<int64_t>(chunk_rows, 300)));  // 65 rows of 4,004 bytes in 256 KB
  }
  std::vector<float> streamed;
  file.stream(d, 0,
              [&](int64_t, int64_t, std::span<const float> e) { streamed.insert(streamed.end(), e.begin(), e.end()); });
  REQUIRE(streamed.size() == doubles.size());
  CHECK(std::equal(streamed.begin(), streamed.end(), doubles.begin(),
                   [](float a, double b) { return a == static_cast<float>(b); }));
}

namespace {

// Bytes that this process has read by system calls.
int64_t bytes_read() {
  std::ifstream io("/proc/self/io");
  std::string name;
  int64_t count = 0;
  while (io >> name >> count)
    if (name == "rchar:") return count;
  FAIL("/proc/self/io has no rchar");
  return 0;
}

}  // namespace

TEST_CASE("ranges that follow one another are read once, and a wrong sum shows at the last at the latest") {
  const ScratchFolder scratch;
  const auto values = ramp<float>(300 * 1001, 2);
  {
    io::GraftFileWriter file(scratch / "large.h5");
    add(file, "parameters", "d", {70000}, "C", ramp<double>(70000, 1));
    add(file, "parameters", "w", {300, 1001}, "OI", values);
    file.commit();
  }
  const io::GraftFile file(scratch / "large.h5");
  std::vector<float> part(values.size());
  const auto in_order = [&](const io::GraftFile& from, int64_t step) {
    std::vector<float> all;
    for (int64_t first = 0; first < 300 * 1001; first += step) {
      const int64_t n = std::min<int64_t>(step, 300 * 1001 - first);
      from.read(1, first, n, part.data());
      all.insert(all.end(), part.begin(), part.begin() + n);
    }
    return all;
  };
  for (const int64_t step : {1001, 65536, 70000, 300 * 1001}) {
    const int64_t before = bytes_read();
    CHECK(in_order(file, step) == values);
    CHECK(bytes_read() - before < 300 * 1001 * 4 + 1000);
  }
  const int64_t before = bytes_read();
  for (int64_t first = 0; first < 70000; first += 700) {  // converted, in pieces of another element
    file.read(0, first, 700, part.data());
    CHECK(part[0] == static_cast<float>(std::sin(static_cast<double>(first))));
  }
  CHECK(bytes_read() - before < 70000 * 8 + 1000);

  std::string bytes = bytes_of(scratch / "large.h5");
  const size_t at = bytes.find(std::string(reinterpret_cast<const char*>(values.data()), 4004));
  REQUIRE(at != bytes.npos);
  bytes[at + 5] = static_cast<char>(bytes[at + 5] ^ 1);
  write_bytes(scratch / "bad.h5", bytes);
  const io::GraftFile bad(scratch / "bad.h5");
  CHECK_THROWS_WITH(in_order(bad, 70000), Contains("the sum of parameters/w is wrong"));
  CHECK_THROWS_WITH(bad.read(1, 200000, 10, part.data()), Contains("the sum of parameters/w is wrong"));
  bad.read(1, 0, 10, part.data());
  CHECK_THROWS_WITH(bad.read(1, 20, 10, part.data()), Contains("the sum of parameters/w is wrong"));
}

TEST_CASE("data sets begin at multiples of 64") {
  const ScratchFolder scratch;
  write_sample(scratch / "sample.h5");
  const std::string file = bytes_of(scratch / "sample.h5");
  for (int i = 0; i < 2; ++i) {  // two tensors whose bytes are easy to find
    const auto values = i == 0 ? ramp<float>(108, 1) : ramp<float>(20, .1);
    const size_t at =
        file.find(std::string(reinterpret_cast<const char*>(values.data()), values.size() * sizeof(float)));
    REQUIRE(at != file.npos);
    CHECK(at % 64 == 0);
  }
}

TEST_CASE("the same contents are the same bytes") {
  const ScratchFolder scratch;
  write_sample(scratch / "one.h5");
  std::vector<std::string> unrelated(1000, std::string(1000, '\xee'));  // memory that is not zero any more
  unrelated.clear();
  write_sample(scratch / "two.h5");
  CHECK(bytes_of(scratch / "one.h5") == bytes_of(scratch / "two.h5"));
  write_sample(scratch / "two.h5", 1);
  CHECK(bytes_of(scratch / "one.h5") != bytes_of(scratch / "two.h5"));
}

TEST_CASE("a filler gives the same file as the elements at once") {
  const ScratchFolder scratch;
  const auto values = ramp<float>(200000, 1);
  const std::vector<int64_t> shape = {200000};
  {
    io::GraftFileWriter file(scratch / "one.h5");
    add(file, "parameters", "w", shape, "C", values);
    file.commit();
  }
  {
    io::GraftFileWriter file(scratch / "two.h5");
    file.add_tensor("parameters", "w", DType::f32, shape, "C", [&](int64_t first, std::span<std::byte> chunk) {
      std::memcpy(chunk.data(), values.data() + first, chunk.size());
    });
    file.commit();
  }
  CHECK(bytes_of(scratch / "one.h5") == bytes_of(scratch / "two.h5"));
}

TEST_CASE("what cannot be written is said at once") {
  const ScratchFolder scratch;
  io::GraftFileWriter file(scratch / "bad.h5");
  const auto values = ramp<float>(4, 1);
  add(file, "parameters", "w", {4}, "C", values);
  CHECK_THROWS_WITH(add(file, "parameters", "w", {4}, "C", values), Contains("parameters/w") && Contains("exists"));
  CHECK_THROWS_WITH(add(file, "parameters", "a/b", {4}, "C", values), Contains("slash"));
  CHECK_THROWS_WITH(add(file, "parameters", "v", {5}, "C", values), Contains("16 bytes are given"));
  CHECK_THROWS_WITH(add(file, "parameters", "v\n", {4}, "C", values), Contains("cannot be the name"));
  CHECK_THROWS_WITH(file.set_text("t", std::string_view("a\0b", 3)), Contains("zero byte"));
  CHECK_THROWS_WITH(file.set_attribute("t", std::string(20000, 'x')), Contains("16384"));
  CHECK_THROWS_WITH(io::GraftFileWriter(scratch.path), Contains("is a folder"));
  CHECK_THROWS_WITH(io::GraftFileWriter(scratch / "no" / "such" / "folder.h5"), Contains("No such file"));
}

TEST_CASE("h5dump reads the file") {
  const ScratchFolder scratch;
  write_sample(scratch / "sample.h5");
  const auto dump = [&](const std::string& options) {
    const std::string command = "h5dump " + options + " '" + (scratch / "sample.h5").string() + "' 2>&1";
    std::string out;
    FILE* pipe = popen(command.c_str(), "r");
    REQUIRE(pipe);
    for (char line[512]; std::fgets(line, sizeof line, pipe);) out += line;
    return pclose(pipe) == 0 ? std::regex_replace(out, std::regex("\\s+"), " ") : "h5dump failed: " + out;
  };
  if (std::system("h5dump --version > /dev/null 2>&1") != 0) return skip("h5dump", "hdf5-tools is not installed");

  CHECK_THAT(dump("-d /parameters/fc.bias"), Contains("H5T_IEEE_F32LE") && Contains("SIMPLE { ( 5 ) / ( 5 ) }") &&
                                                 Contains("(0): 0, 2.52441, 2.72789, 0.42336, -2.27041") &&
                                                 Contains("ATTRIBUTE \"axes\"") && Contains("\"C\""));
  CHECK_THAT(dump("-d /buffers/halves"), Contains("(0): 1, -2, 5.96046e-08, inf"));
  CHECK_THAT(dump("-d /buffers/brains"), Contains("(0): 1, -2, 3.14062"));
  CHECK_THAT(dump("-d /buffers/bn1.num_batches_tracked"), Contains("H5T_STD_I64LE") && Contains("(0): 7"));
  CHECK_THAT(dump("-d /class_names"), Contains("goldfish, Carassius auratus"));
  CHECK_THAT(dump("-a /architecture"), Contains("\"sample\""));
  CHECK_THAT(dump("-pH -d /parameters/conv1.weight"), Contains("CONTIGUOUS") && Contains("FILTERS { NONE }"));
  CHECK_THAT(dump("-B"), Contains("SUPERBLOCK_VERSION 3"));
}

TEST_CASE("h5py reads the file, and finds what graft finds") {
  const ScratchFolder scratch;
  write_sample(scratch / "sample.h5");
  const char* given = std::getenv("GRAFT_PYTHON");
  const std::string command = std::string(given ? given : "/usr/bin/python3") +
                              " '" GRAFT_SOURCE_DIR "/tests/io/hdf5/read_with_h5py.py' '" +
                              (scratch / "sample.h5").string() + "'";
  std::map<std::string, nlohmann::json> found;
  FILE* pipe = popen(command.c_str(), "r");
  REQUIRE(pipe);
  std::string out;
  for (char line[512]; std::fgets(line, sizeof line, pipe);) out += line;
  const int code = WEXITSTATUS(pclose(pipe));
  if (code == 3 || code == 127) return skip("h5py", "python3-h5py is not installed");
  REQUIRE(code == 0);
  std::istringstream lines(out);
  for (std::string line; std::getline(lines, line);) {
    auto object = nlohmann::json::parse(line);
    found[object["path"].get<std::string>()] = object;
  }

  const io::GraftFile file(scratch / "sample.h5");
  CHECK(found[""]["attributes"]["graft_format"] == 1);
  CHECK(found[""]["attributes"]["architecture"] == *file.attribute("architecture"));
  CHECK(found["graph"]["values"] == nlohmann::json{*file.text("graph")});
  CHECK(found["class_names"]["values"] == nlohmann::json(*file.strings("class_names")));
  const std::map<DType, std::string> types = {{DType::f32, "float32"},
                                              {DType::f64, "float64"},
                                              {DType::f16, "float16"},
                                              {DType::i64, "int64"},
                                              {DType::u8, "uint8"}};
  REQUIRE(file.tensors().size() == 8);
  for (size_t i = 0; i < file.tensors().size(); ++i) {
    const io::TensorEntry& tensor = file.tensors()[i];
    INFO(tensor.name);
    const auto& object = found[(i < file.parameter_count() ? "parameters/" : "buffers/") + tensor.name];
    if (tensor.dtype != DType::bf16) CHECK(object["type"] == types.at(tensor.dtype));  // NumPy has no bf16
    CHECK(object["shape"] == tensor.shape);
    CHECK(object["attributes"].value("axes", "") == file.axes(i));
    std::vector<float> values(static_cast<size_t>(tensor.numel()));
    file.read(i, 0, tensor.numel(), values.data());
    REQUIRE(object["values"].size() == values.size());
    for (size_t k = 0; k < values.size(); ++k)
      CHECK(std::strtod(object["values"][k].get<std::string>().c_str(), nullptr) == static_cast<double>(values[k]));
  }
  const auto& momentum = found["training/optimizer/momentum/fc.weight"];
  CHECK(momentum["shape"] == nlohmann::json{5, 4});
  CHECK(momentum["attributes"]["xxh3"].get<uint64_t>() ==
        io::xxh3(file.read_raw("training/optimizer/momentum/fc.weight").elements));
}
