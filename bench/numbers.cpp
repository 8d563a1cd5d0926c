#include "bench/numbers.h"

#include <bit>
#include <cmath>
#include <cstring>
#include <limits>

namespace graft::bench {

namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN(), kInf = std::numeric_limits<double>::infinity();

template <typename T>
void put(Bytes& bytes, int64_t i, T value) {
  std::memcpy(bytes.data() + i * static_cast<int64_t>(sizeof(T)), &value, sizeof(T));
}

template <typename T>
T get(const Bytes& bytes, int64_t i) {
  T value;
  std::memcpy(&value, bytes.data() + i * static_cast<int64_t>(sizeof(T)), sizeof(T));
  return value;
}

// Significand bits, and the exponent of the smallest normal number as frexp gives it.
struct Format {
  int digits, least, largest;
};
constexpr Format kBf16{8, -125, 128}, kF16{11, -13, 16};

double rounded_to(const Format& format, double value) {
  if (!std::isfinite(value) || value == 0) return value;
  int exponent;
  std::frexp(value, &exponent);
  const int last = std::max(exponent, format.least) - format.digits;
  const double near = std::ldexp(std::nearbyint(std::ldexp(value, -last)), last);
  return std::abs(near) < std::ldexp(1, format.largest) ? near : std::copysign(kInf, value);
}

// Of a number that f16 has.
uint16_t half_bits(double value) {
  const unsigned sign = std::signbit(value) ? 0x8000u : 0u;
  const double size = std::abs(value);
  if (std::isnan(value)) return 0x7E00;
  if (std::isinf(value)) return static_cast<uint16_t>(sign | 0x7C00);
  if (size < 0x1p-14) return static_cast<uint16_t>(sign | static_cast<unsigned>(size * 0x1p24));
  int exponent;
  const double fraction = std::frexp(size, &exponent);  // in [½, 1)
  return static_cast<uint16_t>(sign | static_cast<unsigned>(exponent + 14) << 10 |
                               static_cast<unsigned>((fraction * 2 - 1) * 1024));
}

double half(uint16_t bits) {
  const int exponent = (bits >> 10) & 31, fraction = bits & 1023;
  const double size = exponent == 31  ? (fraction ? kNan : kInf)
                      : exponent == 0 ? std::ldexp(fraction, -24)
                                      : std::ldexp(1024 + fraction, exponent - 25);
  return bits >> 15 ? -size : size;
}

}  // namespace

void put_element(Bytes& bytes, DType dtype, int64_t i, double value) {
  switch (dtype) {
    case DType::none:
      return;
    case DType::f64:
      return put(bytes, i, value);
    case DType::f32:
      return put(bytes, i, static_cast<float>(value));
    case DType::bf16:
      return put(bytes, i, static_cast<uint16_t>(std::bit_cast<uint32_t>(static_cast<float>(value)) >> 16));
    case DType::f16:
      return put(bytes, i, half_bits(value));
    case DType::i64:
      return put(bytes, i, static_cast<int64_t>(value));
    case DType::u8:
      return put(bytes, i, static_cast<uint8_t>(value));
  }
}

double rounded_to(DType dtype, double value) {
  if (dtype == DType::f32) return static_cast<float>(value);
  if (dtype == DType::bf16) return rounded_to(kBf16, value);
  if (dtype == DType::f16) return rounded_to(kF16, value);
  return value;
}

double element(const Bytes& bytes, DType dtype, int64_t i) {
  switch (dtype) {
    case DType::none:
      break;
    case DType::f64:
      return get<double>(bytes, i);
    case DType::f32:
      return get<float>(bytes, i);
    case DType::bf16:
      return std::bit_cast<float>(static_cast<uint32_t>(get<uint16_t>(bytes, i)) << 16);
    case DType::f16:
      return half(get<uint16_t>(bytes, i));
    case DType::i64:
      return static_cast<double>(get<int64_t>(bytes, i));
    case DType::u8:
      return get<uint8_t>(bytes, i);
  }
  return kNan;
}

}  // namespace graft::bench
