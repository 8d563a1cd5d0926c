// Element types.
#pragma once
#include <cstddef>
#include <cstdint>

namespace graft {

enum class DType : uint8_t { none = 0, f64, f32, bf16, f16, i64, u8 };

inline constexpr int kDTypeCount = 7;

constexpr size_t size_of(DType dtype) {
  constexpr size_t kBytes[kDTypeCount] = {0, 8, 4, 2, 2, 8, 1};
  return kBytes[static_cast<size_t>(dtype)];
}

constexpr const char* name_of(DType dtype) {
  constexpr const char* kNames[kDTypeCount] = {"none", "f64", "f32", "bf16", "f16", "i64", "u8"};
  return kNames[static_cast<size_t>(dtype)];
}

constexpr bool is_float(DType t) { return t == DType::f64 || t == DType::f32 || t == DType::bf16 || t == DType::f16; }

// The type of per-channel vectors, statistics, losses and parameters' gradients beside elements of type t: 16 bits are
// too few to sum in.
constexpr DType vector_type(DType t) { return t == DType::f64 ? DType::f64 : DType::f32; }

template <typename T>
inline constexpr DType dtype_of = DType::none;
template <>
inline constexpr DType dtype_of<double> = DType::f64;
template <>
inline constexpr DType dtype_of<float> = DType::f32;
template <>
inline constexpr DType dtype_of<int64_t> = DType::i64;
template <>
inline constexpr DType dtype_of<uint8_t> = DType::u8;

}  // namespace graft
