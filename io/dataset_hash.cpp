#define XXH_INLINE_ALL
#include <fmt/format.h>
#include <xxhash.h>

#include <algorithm>
#include <memory>
#include <span>
#include <string_view>

#include "core/error.h"
#include "io/dataset.h"
#include "io/file.h"

namespace graft::io {
namespace {

class Hash {
 public:
  Hash() { XXH3_128bits_reset(&state_); }
  void bytes(const void* data, size_t count) { XXH3_128bits_update(&state_, data, count); }
  void number(uint64_t value) {
    for (int i = 0; i < 8; ++i, value >>= 8) {
      const auto low = static_cast<uint8_t>(value);
      bytes(&low, 1);
    }
  }
  void text(std::string_view value) {  // with its length: "ab", "c" is not "a", "bc"
    number(value.size());
    bytes(value.data(), value.size());
  }
  XXH128_hash_t digest() const { return XXH3_128bits_digest(&state_); }

 private:
  XXH3_state_t state_;
};

// False where the file cannot be read to its end.
bool hash_file(const std::filesystem::path& path, std::span<std::byte> buffer, Hash& hash) try {
  const File file = File::open(path);
  for (int64_t at = 0; at < file.size();) {
    const auto piece = buffer.first(static_cast<size_t>(std::min<int64_t>(file.size() - at, buffer.size())));
    file.read_at(at, piece);
    hash.bytes(piece.data(), piece.size());
    at += static_cast<int64_t>(piece.size());
  }
  return true;
} catch (const Error&) {
  return false;
}

}  // namespace

std::string content_hash(const Dataset& dataset) {
  std::vector<std::byte> buffer(size_t{1} << 18);
  Hash all;
  all.number(dataset.classes.size());
  for (const std::string& name : dataset.classes) all.text(name);
  all.number(dataset.samples.size());
  for (const Sample& sample : dataset.samples) {
    all.text(sample.file.generic_string());
    all.number(static_cast<uint64_t>(sample.label));
    auto one = std::make_unique<Hash>();
    const bool readable = hash_file(dataset.root / sample.file, buffer, *one);
    const XXH128_hash_t sum = one->digest();
    all.number(readable ? 1 : 0);
    if (!readable) continue;  // how far it could be read is chance
    all.number(sum.high64);
    all.number(sum.low64);
  }
  const XXH128_hash_t sum = all.digest();
  return fmt::format("{:016x}{:016x}", sum.high64, sum.low64);
}

}  // namespace graft::io
