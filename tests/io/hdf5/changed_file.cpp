// A file that is cut, rewritten or replaced while it is being read.
#include <catch2/catch.hpp>

#include "core/error.h"
#include "tests/io/hdf5/sample_file.h"

using namespace graft;
using namespace graft::test;
using Catch::Matchers::Contains;

namespace {

std::vector<float> all_of(const io::GraftFile& file, size_t index) {
  std::vector<float> values(static_cast<size_t>(file.tensors()[index].numel()));
  file.read(index, 0, file.tensors()[index].numel(), values.data());
  return values;
}

// Long enough for three chunks.
void write_large(const fs::path& path, int version) {
  io::GraftFileWriter file(path);
  add(file, "parameters", "w", {150000}, "C", ramp<float>(150000, 1, version));
  file.commit();
}

}  // namespace

TEST_CASE("a file that another one replaces is read to its end as it was") {
  const ScratchFolder scratch;
  write_sample(scratch / "sample.h5", 0);
  const io::GraftFile file(scratch / "sample.h5");
  const std::string before = contents(file);
  write_sample(scratch / "sample.h5", 1);  // written beside and renamed
  CHECK(contents(file) == before);
  CHECK(contents(io::GraftFile(scratch / "sample.h5")) != before);
}

TEST_CASE("a file that is cut or rewritten in place while it is read is an error") {
  const ScratchFolder scratch;
  write_large(scratch / "other.h5", 1);
  const std::string other = bytes_of(scratch / "other.h5");
  const auto path = scratch / "large.h5";

  const auto cut = [&] { fs::resize_file(path, 300000); };
  const auto cut_to_nothing = [&] { fs::resize_file(path, 0); };
  const auto rewrite = [&] { write_bytes(path, other); };
  const std::function<void()> changes[] = {cut, cut_to_nothing, rewrite};
  for (const auto& change : changes) {
    {  // between opening and reading
      write_large(path, 0);
      const io::GraftFile file(path);
      change();
      CHECK_THROWS_WITH(all_of(file, 0), Contains("large.h5 was c"));  // cut, changed
    }
    {  // between two chunks of a stream
      write_large(path, 0);
      const io::GraftFile file(path);
      int chunks = 0;
      const auto use = [&](int64_t, int64_t, std::span<const float>) {
        if (++chunks == 1) change();
      };
      CHECK_THROWS_WITH(file.stream(0, 0, use), Contains("large.h5 was c"));
      CHECK(chunks == 1);
    }
    {  // between two ranges, the first of which found the sum right
      write_large(path, 0);
      const io::GraftFile file(path);
      CHECK(all_of(file, 0) == ramp<float>(150000, 1));
      change();
      CHECK_THROWS_WITH(all_of(file, 0), Contains("large.h5 was c"));
    }
  }
}

TEST_CASE("a change that leaves size and time as they were is found by the sums of the chunks") {
  const ScratchFolder scratch;
  const auto path = scratch / "large.h5";
  write_large(path, 0);
  const io::GraftFile file(path);
  std::vector<float> values(1000);
  file.read(0, 5000, 1000, values.data());  // out of order: now the sums are known
  const auto time = fs::last_write_time(path);
  std::string bytes = bytes_of(path);
  const float near_the_end = ramp<float>(150000, 1)[149000];
  const size_t at = bytes.find(std::string(reinterpret_cast<const char*>(&near_the_end), sizeof near_the_end));
  REQUIRE(at != bytes.npos);
  bytes[at] ^= 1;
  write_bytes(path, bytes);
  fs::last_write_time(path, time);

  const auto right = values;
  file.read(0, 5000, 1000, values.data());  // another chunk: still right
  CHECK(values == right);
  CHECK_THROWS_WITH(file.read(0, 149000, 1000, values.data()), Contains("the sum of parameters/w is wrong"));
  const auto ignore = [](int64_t, int64_t, std::span<const float>) {};
  CHECK_THROWS_WITH(file.stream(0, 0, ignore), Contains("the sum of parameters/w is wrong"));
}
