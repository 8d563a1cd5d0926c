// NumPy's files: what is written comes back, what NumPy writes is read, and damage is an error.
#include "io/npy.h"

#include <catch2/catch.hpp>
#include <fstream>
#include <iterator>
#include <numeric>
#include <random>
#include <string>

#include "core/error.h"
#include "tests/support/temporary_folder.h"

using namespace graft;
using namespace graft::io;
using namespace graft::test;
using Catch::Matchers::Contains;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

namespace {

// As NumPy lays a file out; the header is padded to a multiple of 64 bytes.
std::string npy(std::string header, const std::string& elements, int version = 1) {
  const size_t prefix = version == 1 ? 10 : 12;
  header.append(63 - (prefix + header.size()) % 64, ' ');
  header += '\n';
  std::string file = std::string("\x93NUMPY") + static_cast<char>(version) + '\0';
  for (size_t i = 0; i < prefix - 8; ++i) file += static_cast<char>(header.size() >> (8 * i) & 0xff);
  return file + header + elements;
}

const std::string kGood = npy("{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }", std::string(24, '\x3f'));

class OneFile {
 public:
  std::filesystem::path write(const std::string& bytes) const {
    const auto path = folder_ / "a.npy";
    std::ofstream(path, std::ios::binary) << bytes;
    return path;
  }

 private:
  TemporaryFolder folder_;
};

void try_bytes(const std::string& bytes) {
  LLVMFuzzerTestOneInput(reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size());
}

}  // namespace

TEST_CASE("an array reads back as it was written") {
  const TemporaryFolder folder;
  std::vector<float> values(2 * 3 * 5);
  std::iota(values.begin(), values.end(), 0.5f);
  NpyWriter writer(folder / "a.npy", DType::f32, std::vector<int64_t>{2, 3, 5});
  writer.append(std::span<const float>(values).first(7));
  writer.append(std::span<const float>(values).subspan(7));
  writer.commit();
  const NpyFile file(folder / "a.npy");
  CHECK(file.dtype() == DType::f32);
  CHECK(file.shape() == std::vector<int64_t>{2, 3, 5});
  std::vector<float> all(30), part(4);
  file.read(0, std::span(all));
  CHECK(all == values);
  file.read(11, std::span(part));
  CHECK(std::equal(part.begin(), part.end(), values.begin() + 11));
  std::vector<int64_t> other(30);
  CHECK_THROWS_WITH(file.read(0, std::span(other)), Contains("holds f32") && Contains("astype"));
}

TEST_CASE("the versions and types that NumPy writes are read") {
  const OneFile one;
  for (const int version : {1, 2, 3})
    CHECK(NpyFile(one.write(
                      npy("{'descr': '<i8', 'fortran_order': False, 'shape': (2,), }", std::string(16, 'x'), version)))
              .dtype() == DType::i64);
  CHECK(NpyFile(one.write(npy("{'descr': '|u1', 'fortran_order': False, 'shape': (), }", "x"))).numel() == 1);
  CHECK(NpyFile(one.write(npy("{'shape': (0, 7), 'fortran_order': False, 'descr': '<f8'}", ""))).numel() == 0);
}

TEST_CASE("a file cut at any byte, or longer by one, is an error") {
  const OneFile one;
  CHECK(NpyFile(one.write(kGood)).numel() == 6);
  for (size_t size = 0; size < kGood.size(); ++size) CHECK_THROWS_AS(NpyFile(one.write(kGood.substr(0, size))), Error);
  CHECK_THROWS_AS(NpyFile(one.write(kGood + "x")), Error);
}

TEST_CASE("shapes beyond what the file holds are an error, whatever their product") {
  const OneFile one;
  for (const char* shape : {"(4611686018427387904, 4)", "(9223372036854775807,)", "(4294967296, 4294967296)", "(-1,)",
                            "(99999999999999999999,)", "(1,1,1,1,1,1,1,1,1)"}) {
    INFO(shape);
    CHECK_THROWS_AS(
        NpyFile(one.write(npy(std::string("{'descr': '<f4', 'fortran_order': False, 'shape': ") + shape + "}", ""))),
        Error);
  }
}

TEST_CASE("every flipped bit and many mutants of a .npy file are an array or an error") {
  for (size_t bit = 0; bit < 8 * kGood.size(); ++bit) {
    std::string bad = kGood;
    bad[bit / 8] = static_cast<char>(bad[bit / 8] ^ (1 << bit % 8));
    try_bytes(bad);
  }
  std::mt19937 random(1);
  const auto below = [&](size_t n) { return n == 0 ? 0 : random() % n; };
  for (int i = 0; i < 20'000; ++i) {
    std::string bad = kGood;
    for (size_t n = below(5) + 1; n > 0 && !bad.empty(); --n) {
      const size_t at = below(bad.size()), length = std::min(below(24) + 1, bad.size() - at);
      switch (below(4)) {
        case 0:
          bad[at] = static_cast<char>(random());
          break;
        case 1:
          bad.erase(at, length);
          break;
        case 2:
          bad.insert(at, bad.substr(below(bad.size()), length));
          break;
        default:
          bad[at] = "0123456789(),'{}: <f8i4u1TrueFalse"[below(34)];
      }
    }
    try_bytes(bad);
  }
}
