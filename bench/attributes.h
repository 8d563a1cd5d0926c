// "conv2d n=16 h=56 w=56 c=64 k=64 window=3 pad=1": an operation and what it is given. Reading an attribute makes it
// known; whoever has read all asks for complaints about the rest.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "contract/primitives.h"

namespace graft::bench {

// No extent is larger than these: to make a small case of the same kind.
struct Caps {
  int64_t batch = INT64_MAX, pixels = INT64_MAX, channels = INT64_MAX, features = INT64_MAX, count = INT64_MAX;
};

class Attributes {
 public:
  // Throws Error for a word that is no key=value and for a key given twice.
  explicit Attributes(std::string_view line, const Caps& caps = {});

  const std::string& operation() const { return operation_; }

  // A whole number of at least `least`; without a value standing for one that is not given, it must be there.
  int64_t number(const char* key, std::optional<int64_t> standing = {}, int64_t least = 1, int64_t cap = INT64_MAX);
  int64_t batch() { return number("n", {}, 1, caps_.batch); }
  int64_t channels(const char* key, int64_t multiple = 1);
  int64_t features(const char* key) { return number(key, {}, 1, caps_.features); }
  int64_t count(const char* key) { return number(key, {}, 1, caps_.count); }
  int64_t pixels(const char* key);  // never capped below what a window covers

  Extent2 extent(const char* key, int32_t standing);  // "3" or "3x5"
  Padding padding();                                  // "1" or "0,1,0,1": top, bottom, left, right
  Activation activation();
  DType dtype(const char* key, DType standing);
  bool flag(const char* key);  // "bias", or "bias=1"

  // Throws Error, with the known ones, for an attribute that nobody read.
  void expect_all_read() const;
  // The operation with all that was read and does not stand without being said, in the order of reading.
  std::string line() const;

 private:
  const std::string* value_of(std::string_view key) const;
  const std::string* find(const char* key);
  [[noreturn]] void wrong(const char* key, const std::string& value, const std::string& what) const;
  void said(const char* key, const std::string& value, bool stands);

  std::string operation_;
  Caps caps_;
  std::vector<std::pair<std::string, std::string>> given_;
  std::vector<std::string> known_;
  std::string line_;
};

}  // namespace graft::bench
