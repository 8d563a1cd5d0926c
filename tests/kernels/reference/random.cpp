#include "contract/philox.h"
#include "tests/kernels/reference/support.h"

namespace graft::test {
namespace {

TEST_CASE("a mask is Philox's published numbers, thresholded") {
  // Random123's known answer for key 0, counter 0: 6627e8d5 e169c58d bc57ac4c 9b00dbd8, that is
  // u = 0.399, 0.881, 0.736, 0.605.
  Values<int64_t> state({2}, {0, 0});
  Values<float> y({4});
  CHECK(run(BernoulliMaskArgs{state, y, 0.5}) == Status::ok);
  CHECK(y.data == std::vector<float>{0, 2, 2, 2});
  CHECK(run(BernoulliMaskArgs{state, y, 0.75}) == Status::ok);
  CHECK(y.data == std::vector<float>{0, 4, 0, 0});
  CHECK(run(BernoulliMaskArgs{state, y, 0}) == Status::ok);
  CHECK(y.data == std::vector<float>{1, 1, 1, 1});
}

TEST_CASE("seed, offset and stream choose the numbers as the contract says") {
  Values<int64_t> state({2}, {-5, INT64_MAX});  // any bits are a seed, and the counter goes on past 2^63
  Values y({10});
  CHECK(run(BernoulliMaskArgs{state, y, 0.4, 3}) == Status::ok);
  for (uint64_t i = 0; i < 10; ++i) {
    const auto block = philox(static_cast<uint64_t>(-5), static_cast<uint64_t>(INT64_MAX) + i / 4, 3);
    CHECK(y.data[i] == (unit_float(block.word[i % 4]) >= 0.4 ? 1 / 0.6 : 0));
  }
}

TEST_CASE("the threshold is compared in double") {
  // u of word 0 is 0x6627e8 · 2^−24; a probability just above it is not rounded down to it.
  const double u = 0x6627e8 * 0x1p-24;
  Values<int64_t> state({2}, {0, 0});
  Values<float> y({1});
  CHECK(run(BernoulliMaskArgs{state, y, u}) == Status::ok);
  CHECK(y.data[0] > 0);
  CHECK(run(BernoulliMaskArgs{state, y, std::nextafter(u, 1)}) == Status::ok);
  CHECK(y.data[0] == 0);
}

TEST_CASE("a quarter is dropped and the mean stays 1") {
  Values<int64_t> state({2}, {12345, 0});
  Values y({1 << 16});
  CHECK(run(BernoulliMaskArgs{state, y, 0.25}) == Status::ok);
  double sum = 0;
  for (double v : y.data) sum += v;
  CHECK(sum / (1 << 16) == Approx(1).margin(5 * std::sqrt(1.0 / 3 / (1 << 16))));  // five standard deviations
}

}  // namespace
}  // namespace graft::test
