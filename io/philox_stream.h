// Random numbers for the reader of photos: one stream for each purpose and place, so that none depends on which thread
// asks, or on what was asked before.
#pragma once
#include <cstdint>
#include <utility>
#include <vector>

#include "contract/philox.h"

namespace graft::io {

enum class RandomPurpose : uint32_t { shuffle = 1, augment = 2, split = 3 };

// Words of Philox with key = seed and counter = {position | block << 40, epoch | purpose << 32}: 2^40 positions of 2^24
// blocks, 2^32 epochs. (Masks of dropout use small numbers in the counter's upper half: purpose 0.)
class PhiloxStream {
 public:
  PhiloxStream(uint64_t seed, RandomPurpose purpose, uint64_t epoch, uint64_t position)
      : seed_(seed), low_(position), high_((epoch & 0xFFFFFFFFu) | uint64_t{static_cast<uint32_t>(purpose)} << 32) {}

  uint32_t next() {
    if (used_ == 4) {
      block_ = philox(seed_, low_, high_);
      low_ += uint64_t{1} << 40;
      used_ = 0;
    }
    return block_.word[used_++];
  }

  float unit() { return unit_float(next()); }  // [0, 1)

  // 0 .. count − 1 by multiplication (Lemire 2019, arXiv:1805.10941, without the rejection): the bias is below
  // count / 2^32. count in 1 .. 2^32.
  uint32_t below(uint64_t count) { return static_cast<uint32_t>(next() * count >> 32); }

 private:
  uint64_t seed_, low_, high_;
  PhiloxBlock block_{};
  int used_ = 4;
};

// Fisher & Yates (Durstenfeld 1964).
template <typename T>
void shuffle(std::vector<T>& items, PhiloxStream random) {
  for (size_t left = items.size(); left > 1; --left) std::swap(items[left - 1], items[random.below(left)]);
}

}  // namespace graft::io
