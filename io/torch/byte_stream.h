// Part of a file, read from its beginning to its end. Asking for more than is left is an Error, before any memory for
// it is taken.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "core/error.h"
#include "io/file.h"

namespace graft::io::torch {

class ByteStream {
 public:
  // Bytes [begin, end) of `file`, which must outlive the stream.
  ByteStream(const File& file, int64_t begin, int64_t end);

  int64_t position() const { return position_; }  // in the file
  int64_t remaining() const { return end_ - position_; }

  uint64_t take_unsigned(int bytes);  // little-endian, up to 8 bytes
  uint8_t take_byte() { return static_cast<uint8_t>(take_unsigned(1)); }
  std::string take(uint64_t bytes);
  std::string take_line();  // up to the next '\n', which is dropped
  void skip(uint64_t bytes);

  // Throws Error: "FILE is damaged: <what> (byte N)".
  template <typename... Args>
  [[noreturn]] void damaged(fmt::format_string<Args...> what, Args&&... args) const {
    fail("{} is damaged: {} (byte {})", file_->name(), fmt::format(what, std::forward<Args>(args)...), position_);
  }

  const File& file() const { return *file_; }

 private:
  void require(uint64_t bytes) const;
  void copy(std::byte* out, int64_t bytes);

  const File* file_;
  int64_t position_, end_;
  int64_t buffer_begin_ = 0;  // where buffer_ lies in the file
  std::vector<std::byte> buffer_;
};

// Text from a file, fit for a terminal: control and non-ASCII bytes become '?', and what is long is cut.
std::string printable(const std::string& text);

}  // namespace graft::io::torch
