// Saving is all or nothing: whatever happens to the writer, the target is the old file or the new one.
#include <fcntl.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include <atomic>
#include <catch2/catch.hpp>
#include <csignal>
#include <functional>
#include <thread>
#include <utility>

#include "core/error.h"
#include "io/staged_file.h"
#include "tests/io/hdf5/limited_child.h"
#include "tests/io/hdf5/sample_file.h"
#include "tests/support/test_data.h"

using namespace graft;
using namespace graft::test;
using Catch::Matchers::Contains;

namespace {

std::function<void()> before_flock;

size_t files_in(const fs::path& folder) {
  return static_cast<size_t>(std::distance(fs::directory_iterator(folder), fs::directory_iterator()));
}

// 8 MB in 32 chunks; `at_chunk` is called before each.
void write_large(const fs::path& path, const std::function<void(int)>& at_chunk) {
  io::GraftFileWriter file(path);
  file.set_attribute("architecture", "large");
  int chunk = 0;
  file.add_tensor("parameters", "w", DType::f32, std::vector<int64_t>{2 << 20}, "C",
                  [&](int64_t, std::span<std::byte> out) {
                    at_chunk(chunk++);
                    std::fill(out.begin(), out.end(), std::byte{7});
                  });
  at_chunk(chunk++);
  file.commit();
  at_chunk(chunk);
}

}  // namespace

// In the place of the C library's, for all of this program.
extern "C" int flock(int fd, int operation) {
  if (const auto once = std::exchange(before_flock, nullptr)) once();
  return static_cast<int>(syscall(SYS_flock, fd, operation));
}

TEST_CASE("without commit there is nothing, and what was there stays") {
  const ScratchFolder scratch;
  {
    io::GraftFileWriter file(scratch / "m.h5");
    file.set_attribute("architecture", "x");
    CHECK(files_in(scratch.path) == 1);  // the stage
    CHECK_FALSE(fs::exists(scratch / "m.h5"));
  }
  CHECK(files_in(scratch.path) == 0);
  write_sample(scratch / "m.h5");
  const std::string before = bytes_of(scratch / "m.h5");
  CHECK_THROWS_AS(write_large(scratch / "m.h5",
                              [](int chunk) {
                                if (chunk == 5) throw Error("enough");
                              }),
                  Error);
  CHECK(bytes_of(scratch / "m.h5") == before);
  CHECK(files_in(scratch.path) == 1);
}

TEST_CASE("kill -9 at any moment of a save leaves the old file or the new one") {
  const ScratchFolder scratch;
  write_sample(scratch / "m.h5");
  const std::string before = bytes_of(scratch / "m.h5");
  write_large(scratch / "after.h5", [](int) {});
  const std::string after = bytes_of(scratch / "after.h5");
  for (int moment : {0, 1, 9, 31, 32, 33}) {
    ChildReport* report = nullptr;
    const int status = run_in_child(report, [&](ChildReport&) {
      write_large(scratch / "m.h5", [&](int chunk) {
        if (chunk == moment) raise(SIGKILL);
      });
    });
    REQUIRE(WIFSIGNALED(status));
    INFO("killed before chunk " << moment);
    CHECK(bytes_of(scratch / "m.h5") == (moment < 33 ? before : after));
  }
  CHECK(files_in(scratch.path) <= 3);  // the next save removes what the killed one left
  write_sample(scratch / "m.h5");
  CHECK(files_in(scratch.path) == 2);
}

TEST_CASE("the target is there at every moment of a save") {
  const ScratchFolder scratch;
  write_sample(scratch / "m.h5");
  std::atomic<bool> saving = true;
  std::atomic<int> looks = 0, missing = 0;
  std::thread reader([&, path = scratch / "m.h5"] {
    struct stat status;
    for (; saving; ++looks) missing += ::stat(path.c_str(), &status) != 0;
  });
  for (int i = 0; i < 20 || looks < 1000; ++i) write_sample(scratch / "m.h5");
  saving = false;
  reader.join();
  CHECK(missing == 0);
}

TEST_CASE("a stage whose writer lives is not taken for abandoned") {
  const ScratchFolder scratch;
  io::StagedFile first(scratch / "m.h5");
  {
    io::StagedFile second(scratch / "m.h5");
    REQUIRE(write(second.descriptor(), "second", 6) == 6);
    second.commit();
  }
  REQUIRE(write(first.descriptor(), "first", 5) == 5);
  first.commit();
  CHECK(bytes_of(scratch / "m.h5") == "first");
}

TEST_CASE("a stage that another writer takes for abandoned before it is locked is given up for a new one") {
  const ScratchFolder scratch;
  fs::path taken;
  int lock = -1;
  before_flock = [&] {  // the other writer is faster, and has not removed the name yet
    taken = fs::directory_iterator(scratch.path)->path();
    lock = ::open(taken.c_str(), O_RDONLY | O_CLOEXEC);
    REQUIRE(flock(lock, LOCK_EX | LOCK_NB) == 0);
  };
  io::StagedFile file(scratch / "m.h5");
  REQUIRE(lock >= 0);
  fs::remove(taken);
  ::close(lock);
  REQUIRE(write(file.descriptor(), "kept", 4) == 4);
  file.commit();
  CHECK(bytes_of(scratch / "m.h5") == "kept");
  CHECK(files_in(scratch.path) == 1);
}

TEST_CASE("a save keeps the permissions of the old file and goes through a symbolic link") {
  const ScratchFolder scratch;
  fs::create_directory(scratch / "far");
  write_bytes(scratch / "far" / "m.h5", "old");
  fs::permissions(scratch / "far" / "m.h5", fs::perms::owner_read | fs::perms::owner_write);
  fs::create_symlink("far/m.h5", scratch / "m.h5");
  write_sample(scratch / "m.h5");
  CHECK(fs::is_symlink(scratch / "m.h5"));
  CHECK(fs::status(scratch / "far" / "m.h5").permissions() == (fs::perms::owner_read | fs::perms::owner_write));
  CHECK(io::GraftFile(scratch / "m.h5").attribute("architecture") == "sample");
}

TEST_CASE("a limit of file size is a clear error and leaves the old file") {
  const ScratchFolder scratch;
  write_sample(scratch / "m.h5");
  const std::string before = bytes_of(scratch / "m.h5");
  // 0 and 100 bytes: even HDF5's first block fails; 300,000: in the second chunk; 8 MB less a bit: at the very end
  for (rlim_t limit : {rlim_t{0}, rlim_t{100}, rlim_t{300000}, rlim_t{8 << 20}}) {
    ChildReport* report = nullptr;
    const int status = run_in_child(report, [&](ChildReport&) {
      signal(SIGXFSZ, SIG_IGN);
      const rlimit size = {limit, limit};
      setrlimit(RLIMIT_FSIZE, &size);
      write_large(scratch / "m.h5", [](int) {});
    });
    INFO("limit " << limit);
    CHECK(status == 0);
    CHECK_THAT(report->problem, Contains("cannot write") && Contains("m.h5: File too large"));
    CHECK(bytes_of(scratch / "m.h5") == before);
    CHECK(files_in(scratch.path) == 1);
  }
}

TEST_CASE("no space left is a clear error and leaves the old file, and the writer can go on") {
  const ScratchFolder scratch;
  if (mount("graft", scratch.path.c_str(), "tmpfs", 0, "size=2m") != 0)
    return skip("mount", "a small file system cannot be mounted here");
  write_sample(scratch / "m.h5");
  const std::string before = bytes_of(scratch / "m.h5");
  for (int attempt = 0; attempt < 3; ++attempt) {
    CHECK_THROWS_WITH(write_large(scratch / "m.h5", [](int) {}),
                      Contains("cannot write") && Contains("m.h5: No space left on device"));
    CHECK(bytes_of(scratch / "m.h5") == before);
    CHECK(files_in(scratch.path) == 1);
  }
  write_sample(scratch / "m.h5", 1);  // HDF5 closed the failed files: it still works
  CHECK(io::GraftFile(scratch / "m.h5").tensors().size() == 8);
  umount(scratch.path.c_str());
}
