#include "io/torch/byte_stream.h"

#include <algorithm>
#include <cstring>

namespace graft::io::torch {

namespace {
constexpr int64_t kBufferBytes = int64_t{1} << 16;
constexpr size_t kMaxLine = 1000;  // of a class name
constexpr size_t kMaxPrinted = 100;
}  // namespace

ByteStream::ByteStream(const File& file, int64_t begin, int64_t end) : file_(&file), position_(begin), end_(end) {
  GRAFT_CHECK(0 <= begin && begin <= end && end <= file.size(), "{} is damaged: a part of it would lie at {}..{} of {}",
              file.name(), begin, end, file.size());
}

void ByteStream::require(uint64_t bytes) const {
  if (bytes > static_cast<uint64_t>(remaining())) damaged("{} bytes should follow, {} are left", bytes, remaining());
}

void ByteStream::copy(std::byte* out, int64_t bytes) {
  while (bytes > 0) {
    const auto buffered = static_cast<int64_t>(buffer_.size());
    if (position_ < buffer_begin_ || position_ >= buffer_begin_ + buffered) {
      buffer_.resize(static_cast<size_t>(std::min(kBufferBytes, end_ - position_)));
      file_->read_at(position_, buffer_);
      buffer_begin_ = position_;
      continue;
    }
    const int64_t from = position_ - buffer_begin_, part = std::min(bytes, buffered - from);
    std::memcpy(out, buffer_.data() + from, static_cast<size_t>(part));
    out += part;
    position_ += part;
    bytes -= part;
  }
}

uint64_t ByteStream::take_unsigned(int bytes) {
  require(static_cast<uint64_t>(bytes));
  std::byte raw[8] = {};
  copy(raw, bytes);
  uint64_t value = 0;
  for (int i = 0; i < bytes; ++i) value |= static_cast<uint64_t>(raw[i]) << (8 * i);
  return value;
}

std::string ByteStream::take(uint64_t bytes) {
  require(bytes);
  std::string text(static_cast<size_t>(bytes), '\0');
  copy(reinterpret_cast<std::byte*>(text.data()), static_cast<int64_t>(bytes));
  return text;
}

std::string ByteStream::take_line() {
  std::string line;
  for (char c; (c = static_cast<char>(take_byte())) != '\n';) {
    if (line.size() == kMaxLine) damaged("a name goes on after {} bytes", kMaxLine);
    line += c;
  }
  return line;
}

void ByteStream::skip(uint64_t bytes) {
  require(bytes);
  position_ += static_cast<int64_t>(bytes);
}

std::string printable(const std::string& text) {
  std::string out = text.substr(0, kMaxPrinted);
  for (char& c : out)
    if (c < 0x20 || c > 0x7e) c = '?';
  return text.size() > kMaxPrinted ? out + "..." : out;
}

}  // namespace graft::io::torch
