// What a primitive may assume of its arguments, and how it asks. Nothing here reads an element.
#pragma once
#include <cstdint>

#include "contract/primitives.h"
#include "contract/status.h"

namespace graft::reference {

// Every view well formed and with memory behind it; no output shares memory with another view, except the pairs that
// contract/primitives.h allows, which must be the same memory exactly.
bool checked(Primitive primitive, const void* args);

inline bool is_float(const TensorView& v) { return v.dtype == DType::f32 || v.dtype == DType::f64; }

// All are present, of one floating-point type.
template <typename... Views>
bool one_float_type(const TensorView& first, const Views&... rest) {
  return is_float(first) && ((rest.dtype == first.dtype) && ...);
}

inline bool is(const TensorView& v, DType dtype, const Shape& shape) { return v.dtype == dtype && v.shape == shape; }
inline bool absent_or(const TensorView& v, DType dtype, const Shape& shape) {
  return !v.present() || is(v, dtype, shape);
}

inline bool is_activation(Activation a) { return a >= Activation::none && a <= Activation::sigmoid; }

// v has a · b · c elements, each factor at least 0. (Factors may come from a hostile file: no overflow.)
inline bool has_elements(const TensorView& v, int64_t a, int64_t b, int64_t c = 1) {
  int64_t product = 0;
  if (a < 0 || b < 0 || c < 0) return false;
  if (a == 0 || b == 0 || c == 0) return v.numel() == 0;
  return !__builtin_mul_overflow(a, b, &product) && !__builtin_mul_overflow(product, c, &product) &&
         v.numel() == product;
}

// Calls compute(T{}) with T the type of the elements.
template <typename Compute>
Status for_float_type(DType dtype, Compute&& compute) {
  if (dtype == DType::f64) return compute(double{}), Status::ok;
  if (dtype == DType::f32) return compute(float{}), Status::ok;
  return Status::invalid_argument;
}

}  // namespace graft::reference
