// Good files with a little damage: cut at every byte, every bit flipped, mutated at random.
#include <cstring>
#include <random>

#include "tests/io/torch/bytes.h"
#include "tests/io/torch/memory_meter.h"

using namespace graft;
using namespace graft::test;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

namespace {

constexpr size_t kMiB = size_t{1} << 20;

// Values or an Error; never much memory.
void try_file(const std::string& bytes) {
  const MemoryMeter meter;
  LLVMFuzzerTestOneInput(reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size());
  if (meter.peak_bytes() > 2 * kMiB) FAIL("took " << meter.peak_bytes() << " bytes");
}

}  // namespace

TEST_CASE("a file cut at any byte is an error") {
  const auto name = GENERATE("small.pth", "small.th");
  INFO(name);
  const std::string whole = read_bytes(committed_file(name));
  REQUIRE(error_of_bytes(whole).empty());
  const MemoryFile file;
  for (size_t size = 0; size < whole.size(); ++size) {
    INFO(size);
    file.write(whole.substr(0, size));
    REQUIRE_FALSE(error_of(file.path()).empty());
  }
}

TEST_CASE("a flipped bit is an error or other values, and in an archive's weights always an error") {
  const auto name = GENERATE("small.pth", "small.th");
  INFO(name);
  const std::string good = read_bytes(committed_file(name));
  const MemoryFile reference(good);
  const auto expected = read_all(*io::open_torch_file(reference.path()), "w");
  const size_t weights = good.find(floats(expected));
  REQUIRE(weights != std::string::npos);

  const MemoryFile file;
  size_t refused = 0, unchanged = 0, changed = 0;
  for (size_t bit = 0; bit < 8 * good.size(); ++bit) {
    std::string bad = good;
    bad[bit / 8] = static_cast<char>(bad[bit / 8] ^ (1 << bit % 8));
    file.write(bad);
    const MemoryMeter meter;
    if (!error_of(file.path()).empty()) {
      ++refused;
    } else {
      const auto opened = io::open_torch_file(file.path());
      const bool same = opened->tensors()[0].name == "w" && read_all(*opened, 0) == expected;
      ++(same ? unchanged : changed);
    }
    if (meter.peak_bytes() > 2 * kMiB) FAIL("bit " << bit << " took " << meter.peak_bytes() << " bytes");
    if (std::strcmp(name, "small.pth") == 0 && bit / 8 >= weights && bit / 8 < weights + 12)
      REQUIRE_FALSE(error_of(file.path()).empty());
  }
  CHECK(refused > 0);
  CHECK(unchanged > 0);                                          // padding, and what nothing reads
  if (std::strcmp(name, "small.pth") == 0) CHECK(changed == 0);  // pickle and weights have checksums
}

TEST_CASE("each of a few thousand mutants is values or an error") {
  std::mt19937 random(1);
  for (const char* name : {"small.pth", "small.th", "views.th", "checkpoint.th"}) {
    const std::string good = read_bytes(committed_file(name));
    for (int i = 0; i < 500; ++i) {
      std::string bad = good;
      for (unsigned n = random() % 4 + 1; n > 0; --n) bad[random() % bad.size()] = static_cast<char>(random());
      try_file(bad);
    }
  }
}

// As a fuzzer would: bytes set, ranges copied, inserted and removed, lengths blown up. Checksums are left out so that
// the pickle behind them is reached.
TEST_CASE("each of many mutants is values or an error", "[.full]") {
  std::mt19937 random(2);
  const auto below = [&](size_t n) { return n == 0 ? 0 : random() % n; };
  for (const char* name : {"no_crc.pth", "small.th", "types.th", "views.th", "checkpoint.th"}) {
    const std::string good = read_bytes(committed_file(name));
    for (int i = 0; i < 20'000; ++i) {
      std::string bad = good;
      for (size_t n = below(6) + 1; n > 0 && !bad.empty(); --n) {
        const size_t at = below(bad.size()), length = std::min(below(24) + 1, bad.size() - at);
        switch (below(5)) {
          case 0:
            bad[at] = static_cast<char>(random());
            break;
          case 1:
            bad.erase(at, length);
            break;
          case 2:
            bad.insert(at, bad.substr(below(bad.size()), length));
            break;
          case 3:
            bad.replace(at, length, length, '\xff');
            break;
          default:
            bad[at] = "(.012BCGJKMNQRTUX]abcdehjlqrstu})\x80\x81\x85\x86\x87\x88\x8a\x8c\x93\x94"[below(45)];
        }
      }
      try_file(bad);
    }
  }
}
