// A file read in ranges. Weights are never mapped: a mapped file that somebody cuts kills its reader, while a read that
// comes back short is an Error with the file's name. Nothing here trusts an offset or a size that came from the file.
#pragma once
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <utility>

namespace graft::io {

class File {
 public:
  // Throws Error when `path` is missing, unreadable, a directory, or a pipe or device.
  static File open(const std::filesystem::path& path);

  File(File&& other) noexcept;
  File& operator=(File&& other) noexcept;
  ~File();

  const std::filesystem::path& path() const { return path_; }
  std::string name() const { return path_.string(); }
  int64_t size() const { return stamp_.size; }    // in bytes, when it was opened
  int descriptor() const { return descriptor_; }  // to hand on to a process that reads the same file

  // Fills `out` with the bytes from `offset` on. Throws Error when they do not all lie inside the file, or when the
  // file has changed since it was opened. Safe from several threads at once.
  void read_at(int64_t offset, std::span<std::byte> out) const;

  // Throws Error when the file was cut, extended or rewritten in place since it was opened. A file that another one
  // replaced (written beside and renamed) is still the one that was opened: that is no change.
  void check_unchanged() const;

 private:
  struct Stamp {
    int64_t size = 0, seconds = 0, nanoseconds = 0;  // size and time of the last write
    friend bool operator==(const Stamp&, const Stamp&) = default;
  };

  File(std::filesystem::path path, int descriptor) : path_(std::move(path)), descriptor_(descriptor) {}
  Stamp stamp() const;

  std::filesystem::path path_;
  int descriptor_ = -1;
  Stamp stamp_;
};

}  // namespace graft::io
