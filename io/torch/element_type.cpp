#include "io/torch/element_type.h"

#include <bit>
#include <cmath>
#include <cstring>

#include "core/error.h"

namespace graft::io::torch {

static_assert(std::endian::native == std::endian::little, "the elements in the file are little-endian");

namespace {

template <typename T, typename Convert>
void convert(const std::byte* in, int64_t count, float* out, Convert to_float) {
  for (int64_t i = 0; i < count; ++i) {
    T value;
    std::memcpy(&value, in + i * static_cast<int64_t>(sizeof(T)), sizeof(T));
    out[i] = to_float(value);
  }
}

// IEEE 754 binary16: 1 sign, 5 exponent (bias 15), 10 fraction bits.
float float_of_f16(uint16_t bits) {
  const uint32_t sign = static_cast<uint32_t>(bits & 0x8000) << 16, exponent = bits >> 10 & 31, fraction = bits & 0x3ff;
  if (exponent == 0) {
    const float magnitude = static_cast<float>(fraction) * 0x1p-24f;  // zero and subnormals
    return sign ? -magnitude : magnitude;
  }
  return std::bit_cast<float>(sign | (exponent == 31 ? 255 : exponent - 15 + 127) << 23 | fraction << 13);
}

// bfloat16 is the upper half of an f32.
float float_of_bf16(uint16_t bits) { return std::bit_cast<float>(static_cast<uint32_t>(bits) << 16); }

template <typename T>
float float_of(T value) {
  return static_cast<float>(value);
}

}  // namespace

void convert_to_f32(ElementType type, const std::byte* in, int64_t count, float* out) {
  switch (type) {
    case ElementType::f64:
      return convert<double>(in, count, out, float_of<double>);
    case ElementType::f32:
      std::memcpy(out, in, static_cast<size_t>(count) * sizeof(float));
      return;
    case ElementType::f16:
      return convert<uint16_t>(in, count, out, float_of_f16);
    case ElementType::bf16:
      return convert<uint16_t>(in, count, out, float_of_bf16);
    case ElementType::i64:
      return convert<int64_t>(in, count, out, float_of<int64_t>);
    case ElementType::i32:
      return convert<int32_t>(in, count, out, float_of<int32_t>);
    case ElementType::i16:
      return convert<int16_t>(in, count, out, float_of<int16_t>);
    case ElementType::i8:
      return convert<int8_t>(in, count, out, float_of<int8_t>);
    case ElementType::u8:
      return convert<uint8_t>(in, count, out, float_of<uint8_t>);
    case ElementType::boolean:
      return convert<uint8_t>(in, count, out, [](uint8_t value) { return value != 0 ? 1.f : 0.f; });
    case ElementType::unsupported:
      break;
  }
  GRAFT_ASSERT(type != ElementType::unsupported);
}

}  // namespace graft::io::torch
