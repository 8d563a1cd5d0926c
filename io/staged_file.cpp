#include "io/staged_file.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string>

#include "core/error.h"

namespace graft::io {
namespace {

constexpr const char* kMark = ".tmp-";

std::string random_suffix() {
  uint32_t bits = 0;
  if (getrandom(&bits, sizeof bits, GRND_NONBLOCK) != sizeof bits) bits = static_cast<uint32_t>(getpid());
  return fmt::format("{:08x}", bits);
}

bool is_suffix(const std::string& text) {
  return text.size() == 8 && text.find_first_not_of("0123456789abcdef") == text.npos;
}

std::filesystem::path folder_of(const std::filesystem::path& file) {
  return file.has_parent_path() ? file.parent_path() : std::filesystem::path(".");
}

// A name flushed to the disk with its folder.
bool sync_folder(const std::filesystem::path& folder) {
  const int fd = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return false;
  const bool done = ::fsync(fd) == 0 || errno == EINVAL;  // EINVAL: a file system that needs none
  ::close(fd);
  return done;
}

// Through a symbolic link the file it names is replaced, not the link.
std::filesystem::path followed(const std::filesystem::path& target) {
  std::error_code ignored;
  return std::filesystem::is_symlink(target, ignored) ? std::filesystem::weakly_canonical(target, ignored) : target;
}

}  // namespace

StagedFile::StagedFile(const std::filesystem::path& target) : target_(followed(target)) {
  std::error_code ignored;
  GRAFT_CHECK(!target_.empty() && !std::filesystem::is_directory(target_, ignored),
              "cannot write {}: it is a folder; give the name of a file", target.string());
  remove_abandoned_stages(target_);
  while (descriptor_ < 0) create();
}

// The stage is locked as long as its writer lives; one that can be locked by another belongs to nobody.
void StagedFile::create() {
  stage_ = target_.string() + kMark + random_suffix();
  const int fd = ::open(stage_.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
  if (fd < 0 && errno == EEXIST) return;
  GRAFT_CHECK(fd >= 0, "cannot write {}: {}", target_.string(), std::strerror(errno));
  // Between open and flock another writer may have taken the stage for abandoned: it holds the lock and is about to
  // remove the name, or has done so. Where locks are not supported, nothing is ever taken for abandoned.
  const bool taken = ::flock(fd, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK;
  struct stat status = {}, old = {};
  if (taken || ::fstat(fd, &status) != 0 || status.st_nlink == 0) {
    ::close(fd);
    return;
  }
  if (::stat(target_.c_str(), &old) == 0) ::fchmod(fd, old.st_mode & 0777);
  descriptor_ = fd;
}

StagedFile::~StagedFile() {
  if (!committed_) ::unlink(stage_.c_str());
  ::close(descriptor_);
}

void StagedFile::write(std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const ssize_t n = ::write(descriptor_, bytes.data(), bytes.size());
    if (n < 0 && errno == EINTR) continue;
    GRAFT_CHECK(n >= 0, "cannot write {}: {}", target_.string(), std::strerror(errno));
    bytes = bytes.subspan(static_cast<size_t>(n));
  }
}

void StagedFile::commit() {
  GRAFT_ASSERT(!committed_);
  GRAFT_CHECK(::fsync(descriptor_) == 0, "cannot write {}: {}", target_.string(), std::strerror(errno));
  GRAFT_CHECK(::rename(stage_.c_str(), target_.c_str()) == 0, "cannot write {}: {}", target_.string(),
              std::strerror(errno));
  committed_ = true;
  GRAFT_CHECK(sync_folder(folder_of(target_)), "{} is written, but its folder cannot be flushed to the disk: {}",
              target_.string(), std::strerror(errno));
}

void remove_abandoned_stages(const std::filesystem::path& target) {
  const auto file = followed(target);
  const std::string prefix = file.filename().string() + kMark;
  std::error_code error;
  for (std::filesystem::directory_iterator at(folder_of(file), error), end; !error && at != end; at.increment(error)) {
    const std::string name = at->path().filename().string();
    if (!name.starts_with(prefix) || !is_suffix(name.substr(prefix.size()))) continue;
    const int fd = ::open(at->path().c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0) continue;
    if (::flock(fd, LOCK_EX | LOCK_NB) == 0) ::unlink(at->path().c_str());
    ::close(fd);
  }
}

}  // namespace graft::io
