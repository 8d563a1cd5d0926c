// Conversions between element types, rounded once.
#include <cfloat>
#include <cmath>
#include <cstring>
#include <limits>

#include "kernels/reference/checks.h"
#include "kernels/reference/primitives.h"

namespace graft::reference {

namespace {

// Holds every value of every element type exactly, i64 included; so a cast rounds once, when it is stored.
using Exact = long double;
static_assert(LDBL_MANT_DIG >= 64);

// A 16-bit float: sign, exponent, then `kFraction` bits of the significand below its leading one.
template <int kFraction>
struct Format16 {
  static constexpr int kExponent = 15 - kFraction, kBias = (1 << (kExponent - 1)) - 1, kMinExponent = 1 - kBias;
  static constexpr uint32_t kInfinity = ((1u << kExponent) - 1) << kFraction;

  static uint16_t encode(Exact value) {
    const uint32_t sign = std::signbit(value) ? 0x8000u : 0u;
    if (std::isnan(value)) return static_cast<uint16_t>(sign | kInfinity | 1u << (kFraction - 1));
    const Exact magnitude = std::fabs(value);
    if (magnitude >= std::ldexp(Exact{1}, kBias + 1)) return static_cast<uint16_t>(sign | kInfinity);
    // Multiples of the last place: normal numbers have kFraction + 1 bits, those below 2^kMinExponent fewer.
    int exponent = magnitude == 0 ? kMinExponent : std::ilogb(magnitude);
    if (exponent < kMinExponent) exponent = kMinExponent;
    const auto units = static_cast<uint32_t>(std::nearbyint(std::ldexp(magnitude, kFraction - exponent)));
    // The leading one of a normal number adds 1 to the exponent field; so does a carry, up to infinity.
    return static_cast<uint16_t>(sign | ((static_cast<uint32_t>(exponent - kMinExponent) << kFraction) + units));
  }

  static Exact decode(uint16_t bits) {
    const int field = bits >> kFraction & ((1 << kExponent) - 1), fraction = bits & ((1 << kFraction) - 1);
    Exact magnitude = std::numeric_limits<Exact>::infinity();
    if (field == (1 << kExponent) - 1) {
      if (fraction != 0) magnitude = std::numeric_limits<Exact>::quiet_NaN();
    } else if (field == 0) {
      magnitude = std::ldexp(Exact(fraction), kMinExponent - kFraction);
    } else {
      magnitude = std::ldexp(Exact(fraction + (1 << kFraction)), field - kBias - kFraction);
    }
    return (bits & 0x8000) ? -magnitude : magnitude;
  }
};
using Bf16 = Format16<7>;
using F16 = Format16<10>;

// Toward zero, saturating; NaN is 0.
template <typename Integer>
Integer to_integer(Exact value) {
  if (std::isnan(value)) return 0;
  if (value <= Exact(std::numeric_limits<Integer>::min())) return std::numeric_limits<Integer>::min();
  if (value >= Exact(std::numeric_limits<Integer>::max())) return std::numeric_limits<Integer>::max();
  return static_cast<Integer>(value);
}

Exact load(const TensorView& x, int64_t i) {
  switch (x.dtype) {
    case DType::f64:
      return x.as<double>()[i];
    case DType::f32:
      return x.as<float>()[i];
    case DType::bf16:
      return Bf16::decode(x.as<uint16_t>()[i]);
    case DType::f16:
      return F16::decode(x.as<uint16_t>()[i]);
    case DType::i64:
      return x.as<int64_t>()[i];
    case DType::u8:
      return x.as<uint8_t>()[i];
    case DType::none:
      break;
  }
  return 0;
}

void store(const TensorView& y, int64_t i, Exact value) {
  switch (y.dtype) {
    case DType::f64:
      y.as<double>()[i] = static_cast<double>(value);
      break;
    case DType::f32:
      y.as<float>()[i] = static_cast<float>(value);
      break;
    case DType::bf16:
      y.as<uint16_t>()[i] = Bf16::encode(value);
      break;
    case DType::f16:
      y.as<uint16_t>()[i] = F16::encode(value);
      break;
    case DType::i64:
      y.as<int64_t>()[i] = to_integer<int64_t>(value);
      break;
    case DType::u8:
      y.as<uint8_t>()[i] = to_integer<uint8_t>(value);
      break;
    case DType::none:
      break;
  }
}

}  // namespace

// y = value, in y's type
Status fill(const FillArgs& a) {
  if (!a.y.present()) return Status::invalid_argument;
  for (int64_t i = 0; i < a.y.numel(); ++i) store(a.y, i, a.value);
  return Status::ok;
}

// y = x in y's type
Status cast(const CastArgs& a) {
  if (!a.x.present() || !a.y.present() || a.y.shape != a.x.shape) return Status::invalid_argument;
  for (int64_t i = 0; i < a.y.numel(); ++i) store(a.y, i, load(a.x, i));
  return Status::ok;
}

}  // namespace graft::reference
