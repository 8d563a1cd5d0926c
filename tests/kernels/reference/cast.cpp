// Bit patterns from the definitions: bf16 is the upper half of a float, f16 has 5 bits of exponent and 10 of fraction.
#include "tests/kernels/reference/support.h"

namespace graft::test {
namespace {

TensorView bits(std::vector<uint16_t>& values, DType dtype) {
  return {values.data(), {static_cast<int64_t>(values.size())}, dtype};
}

template <typename T>
std::vector<uint16_t> encode(const std::vector<T>& numbers, DType dtype) {
  Values<T> x({static_cast<int64_t>(numbers.size())}, numbers);
  std::vector<uint16_t> y(numbers.size());
  CHECK(run(CastArgs{x, bits(y, dtype)}) == Status::ok);
  return y;
}

TEST_CASE("f16: normal, subnormal, ties to even, overflow") {
  const auto encoded = encode<double>({1, -2, 65504, 65519.99, 65520, 0x1p-14, 0x1p-24, 0x1p-25, 0x1.8p-25, 2049, 2051,
                                       -0.0, kInf, -kInf, 0x1.ffcp-15 + 0x1p-26},
                                      DType::f16);
  CHECK(encoded == std::vector<uint16_t>{0x3c00, 0xc000, 0x7bff, 0x7bff, 0x7c00, 0x0400, 0x0001, 0x0000, 0x0001, 0x6800,
                                         0x6802, 0x8000, 0x7c00, 0xfc00, 0x0400});
}

TEST_CASE("bf16: normal, ties to even, overflow, and one rounding from f64") {
  const auto encoded = encode<double>(
      {1, 1 + 0x1p-8, 1 + 0x1.8p-7, 1 + 0x1p-8 + 0x1p-40, 3.4e38, 1e39, 0x1p-133, 0x1p-134}, DType::bf16);
  // The fourth would be a tie after a first rounding to f32.
  CHECK(encoded == std::vector<uint16_t>{0x3f80, 0x3f80, 0x3f82, 0x3f81, 0x7f80, 0x7f80, 0x0001, 0x0000});
  const auto integers = encode<int64_t>({(int64_t{1} << 62) + (int64_t{1} << 54) + 1, INT64_MIN}, DType::bf16);
  CHECK(integers == std::vector<uint16_t>{0x5e81, 0xdf00});  // f64 cannot hold the first: rounded once, it is no tie
}

TEST_CASE("every 16-bit float survives the way to f64 and back") {
  for (DType dtype : {DType::f16, DType::bf16}) {
    std::vector<uint16_t> all(1 << 16), back(1 << 16);
    for (size_t i = 0; i < all.size(); ++i) all[i] = static_cast<uint16_t>(i);
    Values wide({1 << 16});
    CHECK(run(CastArgs{bits(all, dtype), wide}) == Status::ok);
    CHECK(run(CastArgs{wide, bits(back, dtype)}) == Status::ok);
    size_t different = 0;
    for (size_t i = 0; i < all.size(); ++i) {
      const bool nan = std::isnan(wide.data[i]);
      different += nan ? (back[i] & 0x7fff) <= (dtype == DType::f16 ? 0x7c00 : 0x7f80) : back[i] != all[i];
    }
    CHECK(different == 0);
  }
}

TEST_CASE("bf16 reads as the upper half of a float") {
  std::vector<uint16_t> x = {0x3f80, 0xc2c8, 0x0001, 0xff80};
  Values<float> y({4});
  CHECK(run(CastArgs{bits(x, DType::bf16), y}) == Status::ok);
  check_close(y.data, {1, -100, 0x1p-133, -kInf});
}

TEST_CASE("floats to integers: toward zero, saturating, NaN is 0") {
  Values x({7}, {2.9, -2.9, 300, kNaN, kInf, -kInf, 1e300});
  Values<uint8_t> bytes({7});
  Values<int64_t> longs({7});
  CHECK(run(CastArgs{x, bytes}) == Status::ok);
  CHECK(bytes.data == std::vector<uint8_t>{2, 0, 255, 0, 255, 0, 255});
  CHECK(run(CastArgs{x, longs}) == Status::ok);
  CHECK(longs.data == std::vector<int64_t>{2, -2, 300, 0, INT64_MAX, INT64_MIN, INT64_MAX});
}

TEST_CASE("integers keep every bit, and saturate into smaller ones") {
  Values<int64_t> x({3}, {INT64_MAX - 1, 256, -1}), same({3});
  Values<uint8_t> bytes({3});
  CHECK(run(CastArgs{x, same}) == Status::ok);
  CHECK(same.data == x.data);
  CHECK(run(CastArgs{x, bytes}) == Status::ok);
  CHECK(bytes.data == std::vector<uint8_t>{255, 255, 0});
}

TEST_CASE("fill writes its value in any type") {
  Values<float> f({2});
  Values<uint8_t> b({2});
  std::vector<uint16_t> h(2);
  CHECK(run(FillArgs{f, 0.1}) == Status::ok);
  CHECK(f.data == std::vector<float>{0.1f, 0.1f});
  CHECK(run(FillArgs{b, 3.7}) == Status::ok);
  CHECK(b.data == std::vector<uint8_t>{3, 3});
  CHECK(run(FillArgs{bits(h, DType::f16), 1}) == Status::ok);
  CHECK(h == std::vector<uint16_t>{0x3c00, 0x3c00});
}

}  // namespace
}  // namespace graft::test
