// XXH3, 64 bits (Collet, xxhash.com): the sum kept with every tensor. It finds damage, not forgery.
#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>

namespace graft::io {

uint64_t xxh3(std::span<const std::byte> bytes);
inline uint64_t xxh3(std::string_view text) { return xxh3(std::as_bytes(std::span(text))); }

// The same sum of bytes that come in pieces.
class Xxh3 {
 public:
  Xxh3();
  ~Xxh3();
  Xxh3(const Xxh3&) = delete;
  Xxh3& operator=(const Xxh3&) = delete;

  void update(std::span<const std::byte> bytes);
  uint64_t digest() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace graft::io
