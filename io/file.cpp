#include "io/file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "core/error.h"

namespace graft::io {

File File::open(const std::filesystem::path& path) {
  // Without O_NONBLOCK, opening a pipe waits for a writer that may never come.
  File file(path, ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  GRAFT_CHECK(file.descriptor_ >= 0, "cannot open {}: {}", path.string(), std::strerror(errno));

  struct stat status = {};
  GRAFT_CHECK(::fstat(file.descriptor_, &status) == 0, "cannot open {}: {}", path.string(), std::strerror(errno));
  GRAFT_CHECK(!S_ISDIR(status.st_mode), "{} is a directory; a file is needed here", path.string());
  GRAFT_CHECK(S_ISREG(status.st_mode), "{} is a pipe or a device; a regular file is needed here", path.string());
  file.stamp_ = file.stamp();
  return file;
}

File::File(File&& other) noexcept
    : path_(std::move(other.path_)), descriptor_(std::exchange(other.descriptor_, -1)), stamp_(other.stamp_) {}

File& File::operator=(File&& other) noexcept {
  std::swap(path_, other.path_);
  std::swap(descriptor_, other.descriptor_);
  std::swap(stamp_, other.stamp_);
  return *this;
}

File::~File() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

void File::read_at(int64_t offset, std::span<std::byte> out) const {
  const auto bytes = static_cast<int64_t>(out.size());
  GRAFT_CHECK(offset >= 0 && bytes <= size() && offset <= size() - bytes,
              "{} is damaged: {} bytes at {} are asked for, and the file has {}", name(), bytes, offset, size());
  for (size_t done = 0; done < out.size();) {
    const ssize_t got = ::pread(descriptor_, out.data() + done, out.size() - done,
                                static_cast<off_t>(offset + static_cast<int64_t>(done)));
    if (got < 0 && errno == EINTR) continue;
    GRAFT_CHECK(got >= 0, "cannot read {}: {}", name(), std::strerror(errno));
    GRAFT_CHECK(got > 0, "{} was cut while it was being read; load it again once it is complete", name());
    done += static_cast<size_t>(got);
  }
  check_unchanged();
}

void File::check_unchanged() const {
  GRAFT_CHECK(stamp() == stamp_, "{} was changed while it was being read; load it again once it is complete", name());
}

File::Stamp File::stamp() const {
  struct stat status = {};
  GRAFT_CHECK(::fstat(descriptor_, &status) == 0, "cannot read {}: {}", name(), std::strerror(errno));
  return {.size = status.st_size, .seconds = status.st_mtim.tv_sec, .nanoseconds = status.st_mtim.tv_nsec};
}

}  // namespace graft::io
