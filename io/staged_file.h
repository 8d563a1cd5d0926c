// A file that is written beside its target, flushed to the disk and renamed: whoever opens the target sees the old file
// or the new one, never a half, whatever happens to the writer or the machine.
#pragma once
#include <cstddef>
#include <filesystem>
#include <span>

namespace graft::io {

class StagedFile {
 public:
  // Creates `target`.tmp-xxxxxxxx, open for reading and writing. Stages of the same target whose writers died are
  // removed. Throws Error when the folder cannot be written to or the target is a directory.
  explicit StagedFile(const std::filesystem::path& target);
  ~StagedFile();  // removes what was not committed
  StagedFile(const StagedFile&) = delete;
  StagedFile& operator=(const StagedFile&) = delete;

  int descriptor() const { return descriptor_; }
  const std::filesystem::path& target() const { return target_; }

  void write(std::span<const std::byte> bytes);  // at the end of what is written

  // Afterwards the target is the new file, also after a power cut. Throws Error when the disk refuses.
  void commit();

 private:
  void create();

  std::filesystem::path target_, stage_;
  int descriptor_ = -1;
  bool committed_ = false;
};

// Removes the stages of a target whose writers died; a new StagedFile does the same.
void remove_abandoned_stages(const std::filesystem::path& target);

}  // namespace graft::io
