// A flipped bit anywhere in the file is an error, or changes nothing that can be read from it.
#include <fcntl.h>

#include <algorithm>
#include <numeric>
#include <random>

#include "core/error.h"
#include "tests/io/hdf5/limited_child.h"
#include "tests/io/hdf5/sample_file.h"
#include "tests/support/commit_seed.h"

using namespace graft;
using namespace graft::test;

namespace {

enum Outcome { refused, unchanged };

// Opens and reads the whole file after flipping each bit in turn.
void flip_and_read(const fs::path& path, const std::vector<size_t>& bits, io::Trust trust, ChildReport& report) {
  const std::string original = bytes_of(path);
  if (original.size() > sizeof report.marks) throw std::runtime_error("the sample is too large");
  const std::string expected = contents(io::GraftFile(path, trust));
  const int fd = open(path.c_str(), O_WRONLY | O_CLOEXEC);
  for (size_t bit : bits) {
    std::snprintf(report.doing, sizeof report.doing, "bit %zu of byte %zu", bit % 8, bit / 8);
    const char flipped = static_cast<char>(original[bit / 8] ^ (1 << bit % 8));
    if (pwrite(fd, &flipped, 1, static_cast<off_t>(bit / 8)) != 1) throw std::runtime_error("cannot write");
    Outcome outcome = refused;
    try {
      if (contents(io::GraftFile(path, trust)) != expected) throw std::runtime_error("read as something else");
      outcome = unchanged;
      report.marks[bit / 8] |= static_cast<unsigned char>(1 << bit % 8);
    } catch (const Error&) {
    } catch (const std::exception& error) {
      if (!report.problem[0])
        std::snprintf(report.problem, sizeof report.problem, "%s: %s", report.doing, error.what());
    }
    ++report.counts[outcome];
    if (pwrite(fd, &original[bit / 8], 1, static_cast<off_t>(bit / 8)) != 1) throw std::runtime_error("cannot write");
  }
  close(fd);
}

// The listed padding: zeros, fewer than 64 in a row, up to the next multiple of 64 where an object begins. Only a flip
// in there may go unseen.
void check_padding(const unsigned char* unseen, const std::string& file, bool all_bits_tried) {
  for (size_t at = 0; at < file.size(); ++at) {
    if (unseen[at] == 0) continue;
    const size_t end = std::min((at / 64 + 1) * 64, file.size());
    INFO("byte " << at);
    if (all_bits_tried) REQUIRE(unseen[at] == 0xff);
    for (size_t i = at; i < end; ++i) REQUIRE(file[i] == 0);
    if (!all_bits_tried) continue;
    for (size_t i = at; i < end; ++i) REQUIRE(unseen[i] == 0xff);
    at = end - 1;
  }
}

void check_flips(const std::vector<size_t>& bits, io::Trust trust, const fs::path& path) {
  ChildReport* report = nullptr;
  const int status = run_in_child(report, [&](ChildReport& r) { flip_and_read(path, bits, trust, r); });
  INFO("commit " << commit() << ", last at " << report->doing);
  CHECK(std::string(report->problem) == "");
  REQUIRE(status == 0);
  CHECK(report->counts[refused] + report->counts[unchanged] == static_cast<long long>(bits.size()));
  const std::string file = bytes_of(path);
  check_padding(report->marks, file, bits.size() == file.size() * 8);
  std::printf("%lld flips: %lld refused, %lld in padding\n", static_cast<long long>(bits.size()),
              report->counts[refused], report->counts[unchanged]);
}

std::vector<size_t> all_bits(const fs::path& path) {
  std::vector<size_t> bits(fs::file_size(path) * 8);
  std::iota(bits.begin(), bits.end(), size_t{0});
  return bits;
}

std::vector<size_t> drawn_bits(const fs::path& path, size_t count) {
  std::vector<size_t> all = all_bits(path), drawn;
  std::mt19937_64 random(commit_seed());
  std::sample(all.begin(), all.end(), std::back_inserter(drawn), static_cast<std::ptrdiff_t>(count), random);
  return drawn;
}

}  // namespace

TEST_CASE("every single bit flip is refused or changes nothing", "[.full]") {
  const ScratchFolder scratch;
  write_sample(scratch / "sample.h5");
  check_flips(all_bits(scratch / "sample.h5"), io::Trust::in_process, scratch / "sample.h5");
}

TEST_CASE("2,000 bit flips, drawn by commit, are refused or change nothing") {
  const ScratchFolder scratch;
  write_sample(scratch / "sample.h5");
  check_flips(drawn_bits(scratch / "sample.h5", 2000), io::Trust::in_process, scratch / "sample.h5");
}

TEST_CASE("200 bit flips through the guarded helper are refused or change nothing") {
  const ScratchFolder scratch;
  write_sample(scratch / "sample.h5");
  check_flips(drawn_bits(scratch / "sample.h5", 200), io::Trust::guarded, scratch / "sample.h5");
}
