// The element types of PyTorch's storages that graft can read, and their conversion to f32.
#pragma once
#include <cstddef>
#include <cstdint>

#include "contract/dtype.h"

namespace graft::io::torch {

enum class ElementType : uint8_t { unsupported, f64, f32, f16, bf16, i64, i32, i16, i8, u8, boolean };

constexpr int64_t size_of(ElementType type) {
  constexpr int64_t kBytes[] = {1, 8, 4, 2, 2, 8, 4, 2, 1, 1, 1};
  return kBytes[static_cast<size_t>(type)];
}

// The type graft shows for it: the smaller signed integers are i64, booleans (0 and 1) are u8.
constexpr DType dtype_of_element(ElementType type) {
  constexpr DType kTypes[] = {DType::none, DType::f64, DType::f32, DType::f16, DType::bf16, DType::i64,
                              DType::i64,  DType::i64, DType::i64, DType::u8,  DType::u8};
  return kTypes[static_cast<size_t>(type)];
}

// `count` little-endian elements at `in` (of any alignment), rounded to the nearest f32.
void convert_to_f32(ElementType type, const std::byte* in, int64_t count, float* out);

}  // namespace graft::io::torch
