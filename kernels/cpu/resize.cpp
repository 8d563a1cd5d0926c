// Photos to a batch: crop, antialiased resize, mirror and normalise in one pass (contract/resize_box.h says which
// pixels count). A task is a row of the result. Each of its pixels goes down its window kRows rows at a time: a weight
// along the row is made once for all of them, and the rows' sums wait in registers for theirs down the column. Nothing
// is kept between tasks, as how much that were is known to the boxes alone.
#include <cmath>
#include <limits>

#include "contract/resize_box.h"
#include "kernels/cpu/dispatch.h"

namespace graft::cpu {
namespace {

constexpr int kChannels = 3, kRows = 8;

// The weights of one output pixel along one axis.
class Taps {
 public:
  Taps(const ResizeAxis& axis, int64_t o, ResizeFilter filter)
      : first(axis.first(o)), count(static_cast<int>(axis.end(o) - first)), is_cubic_(filter == ResizeFilter::bicubic) {
    const auto unit = static_cast<float>(axis.unit());
    start_ = static_cast<float>(axis.distance(o, first)) / unit;
    step_ = static_cast<float>(2 * axis.out) / unit;
    float sum = 0;
    for (int k = 0; k < count; ++k) sum += weight(k);
    share = 1 / sum;
  }
  // 1 − |t|, or Keys 1981 with a = −½; 0 where it ends
  float weight(int k) const {
    const float t = std::abs(static_cast<float>(k) * step_ + start_);
    if (!is_cubic_) return std::max(1 - t, 0.f);
    if (t < 1) return (1.5f * t - 2.5f) * t * t + 1;
    return t < 2 ? ((-0.5f * t + 2.5f) * t - 4) * t + 2 : 0;
  }

  int64_t first;
  int count;
  float share;  // what a weight of 1 is of all

 private:
  bool is_cubic_;
  float start_, step_;
};

float clamped(float level) { return std::min(std::max(level, 0.f), 255.f); }

struct Levels {
  float of[kChannels] = {};
};

// `from`: the window's first byte. Horizontally first, clamped, then vertically.
Levels resampled(const uint8_t* from, int64_t row_bytes, const Taps& across, const Taps& down) {
  Levels level;
  for (int first = 0; first < down.count; first += kRows) {
    const int rows = std::min(kRows, down.count - first);
    const uint8_t* at = from + first * row_bytes;
    float sums[kRows][kChannels] = {};
    for (int k = 0; k < across.count; ++k) {
      const float weight = across.weight(k);
      for (int j = 0; j < rows; ++j)
        for (int c = 0; c < kChannels; ++c)
          sums[j][c] += weight * static_cast<float>(at[j * row_bytes + kChannels * k + c]);
    }
    for (int j = 0; j < rows; ++j) {
      const float weight = down.weight(first + j);
      for (int c = 0; c < kChannels; ++c) level.of[c] += weight * clamped(sums[j][c] * across.share);
    }
  }
  for (float& l : level.of) l = clamped(l * down.share);
  return level;
}

Status resize_images(CallContext& c, const ResizeImagesArgs& a) {
  c.kernel = "cpu.resize_images";
  const int64_t height = a.y.shape[1], width = a.y.shape[2];
  const auto* pixels = a.pixels.as<const uint8_t>();
  float slope[kChannels], at0[kChannels];
  for (int i = 0; i < kChannels; ++i) {
    slope[i] = static_cast<float>(1 / (255 * a.std[i]));
    at0[i] = static_cast<float>(-a.mean[i] / a.std[i]);
  }
  pool_of(c).parallel_for(a.y.shape[0] * height, [&](int64_t row, int) {
    const ResizeBox& box = a.boxes.as<const ResizeBox>()[row / height];
    float* to = a.y.as<float>() + kChannels * row * width;
    if (!box.fits(a.pixels.numel(), width, height)) {
      std::fill_n(to, kChannels * width, std::numeric_limits<float>::quiet_NaN());
      return;
    }
    const int64_t support = a.filter == ResizeFilter::bicubic ? 2 : 1, row_bytes = kChannels * box.width;
    const ResizeAxis columns{box.crop_width, box.resized_width, support};
    const Taps down({box.crop_height, box.resized_height, support}, box.y + row % height, a.filter);
    const uint8_t* crop = pixels + box.begin + row_bytes * (box.top + down.first) + kChannels * box.left;
    for (int64_t w = 0; w < width; ++w, to += kChannels) {
      const Taps across(columns, box.x + (box.mirrored != 0 ? width - 1 - w : w), a.filter);
      const Levels level = resampled(crop + kChannels * across.first, row_bytes, across, down);
      for (int i = 0; i < kChannels; ++i) to[i] = slope[i] * level.of[i] + at0[i];
    }
  });
  return Status::ok;
}

}  // namespace

// No vectors in it: one source for all instruction sets.
void enter_resize(CpuIsa, KernelTable& table) { enter<ResizeImagesArgs, resize_images>(table); }

}  // namespace graft::cpu
