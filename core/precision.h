// What networks of f32 parameters compute in.
#pragma once
#include <cstdint>

namespace graft {

enum class Precision : int32_t {
  f32,   // everything in f32
  tf32,  // the factors of matrix products and convolutions are rounded to TF32's 11 significant bits, sums are f32
  bf16,  // weights and values between layers have 16 bits; sums, statistics and the weights that training moves have 32
};

constexpr const char* name_of(Precision p) {
  return p == Precision::f32 ? "f32" : p == Precision::tf32 ? "tf32" : p == Precision::bf16 ? "bf16" : "?";
}

}  // namespace graft
