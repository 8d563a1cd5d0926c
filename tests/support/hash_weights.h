// Weights and images from an integer hash, bit for bit those of tests/expectations/hashing.py:
//
//   hash(key, i) = murmur3's 32-bit finalizer of fnv1a(key) ^ (i · 0x9E3779B9)      all modulo 2³²
//   unit(key, i) = ((hash >> 8) − 2²³) / 2²³                                        exact in f32, in [−1, 1)
//
// Elements are counted in row-major order of the PyTorch shape: [K,C,R,S], [out,in], images [N,C,H,W].
#pragma once
#include <cmath>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/error.h"

namespace graft::test {

constexpr uint32_t fnv1a(std::string_view key) {
  uint32_t h = 0x811C9DC5u;
  for (const char c : key) h = (h ^ static_cast<unsigned char>(c)) * 0x01000193u;
  return h;
}

constexpr uint32_t hash(uint32_t key, uint32_t i) {
  uint32_t h = key ^ (i * 0x9E3779B9u);
  h = (h ^ (h >> 16)) * 0x85EBCA6Bu;
  h = (h ^ (h >> 13)) * 0xC2B2AE35u;
  return h ^ (h >> 16);
}

constexpr float unit(uint32_t key, uint32_t i) {
  return static_cast<float>(static_cast<int32_t>(hash(key, i) >> 8) - (1 << 23)) * 0x1p-23f;
}

// How a network's weights were made; an expectation file says it.
struct HashRecipe {
  int64_t seed = 1;
  double gain = 6;     // a weight with a fan-in has variance gain / 3 / fan_in
  std::string damped;  // the batch norms of this last name ("bn3") count a quarter: they end residual branches
};

inline bool is_damped(const HashRecipe& recipe, std::string_view name) {
  if (recipe.damped.empty()) return false;
  for (const char* kind : {".weight", ".bias"}) {
    const std::string end = recipe.damped + kind;
    if (name.ends_with(end) && (name.size() == end.size() || name[name.size() - end.size() - 1] == '.')) return true;
  }
  return false;
}

// A parameter or buffer, told by its name and rank: weights with a fan-in, batch-norm weights around 1, running
// variances in [0.5, 1.5), biases and running means in [−1/8, 1/8). Each value is rounded once.
inline std::vector<float> hashed_parameter(const HashRecipe& recipe, const std::string& name,
                                           std::span<const int64_t> shape) {
  int64_t numel = 1, fan_in = 1;
  for (size_t axis = 0; axis < shape.size(); ++axis) {
    numel *= shape[axis];
    if (axis > 0) fan_in *= shape[axis];
  }
  GRAFT_CHECK(numel >= 0 && numel <= INT64_C(1) << 32, "{}: {} elements do not fit a 32-bit hash", name, numel);

  float centre = 0, scale = 0.125f;
  if (shape.size() > 1) {
    scale = static_cast<float>(std::sqrt(recipe.gain / static_cast<double>(fan_in)));
  } else if (name.ends_with(".running_var")) {
    centre = 1, scale = 0.5f;
  } else if (name.ends_with(".weight")) {
    centre = 1, scale = 0.25f;
  }
  const float factor = is_damped(recipe, name) ? 0.25f : 1.0f;
  const uint32_t key = fnv1a(std::to_string(recipe.seed) + ":" + name);
  std::vector<float> values(static_cast<size_t>(numel));
  for (size_t i = 0; i < values.size(); ++i)
    values[i] = (centre + unit(key, static_cast<uint32_t>(i)) * scale) * factor;
  return values;
}

// Images [N,C,H,W] in [−1, 1), given as [N,H,W,C].
inline std::vector<float> hashed_images_nhwc(int64_t seed, int64_t n, int64_t c, int64_t h, int64_t w) {
  const uint32_t key = fnv1a(std::to_string(seed) + ":input");
  std::vector<float> values(static_cast<size_t>(n * c * h * w));
  uint32_t i = 0;
  for (int64_t image = 0; image < n; ++image)
    for (int64_t channel = 0; channel < c; ++channel)
      for (int64_t pixel = 0; pixel < h * w; ++pixel)
        values[static_cast<size_t>((image * h * w + pixel) * c + channel)] = unit(key, i++);
  return values;
}

}  // namespace graft::test
