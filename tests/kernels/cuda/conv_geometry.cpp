// The index arithmetic of convolutions, against plain division and plain search.
#include "kernels/cuda/conv_geometry.h"

#include <catch2/catch.hpp>
#include <random>
#include <set>
#include <vector>

namespace graft::test {

TEMPLATE_TEST_CASE("division by multiplication is exact for every index", "", int32_t, int64_t) {
  using Divisor = cuda::FastDivisor<TestType>;
  constexpr int kBits = Divisor::kBits;
  constexpr auto kLast = static_cast<TestType>((int64_t{1} << kBits) - 1);
  std::mt19937_64 random(1);
  const auto number = [&](int bits) { return static_cast<TestType>(random() >> (64 - bits)); };
  std::vector<TestType> divisors = {1, 2, 3, 5, 7, 9, 49, 641, 65535, 65536, 65537, kLast - 1, kLast};
  for (int i = 0; i < 1000; ++i) divisors.push_back(1 + number(1 + i % (kBits - 1)));
  for (const TestType d : divisors) {
    const Divisor by(d);
    std::vector<TestType> dividends = {0, 1, d - 1, d, kLast, kLast / d * d - 1};
    for (int i = 0; i < 100; ++i) {
      const TestType n = number(1 + i % kBits);
      dividends.insert(dividends.end(), {n, n / d * d, n / d * d - 1});  // a quotient is wrong at its border first
    }
    for (const TestType n : dividends) {
      if (n < 0 || by.quotient(n) == n / d) continue;
      FAIL(n << " / " << d << " is " << n / d << ", not " << by.quotient(n));
    }
  }
  CHECK(Divisor(0).quotient(5) == 5);  // an empty axis: no index, but no trap either
}

TEST_CASE("phases visit each pixel, and each tap that meets a window there, once") {
  int met = 0;
  for (int stride = 1; stride <= 6; ++stride)
    for (int dilation = 1; dilation <= 6; ++dilation)
      for (int pad = 0; pad <= 4; ++pad)
        for (const int taps : {1, 2, 3, 5}) {
          const int32_t pixels = 11;
          const int64_t windows = output_extent(pixels, pad, 1, taps, dilation, stride);
          if (windows < 1) continue;
          using Contribution = std::tuple<int64_t, int64_t, int64_t>;  // pixel, tap, window
          std::set<Contribution> expected, found;
          for (int64_t o = 0; o < windows; ++o)
            for (int64_t r = 0; r < taps; ++r)
              if (const int64_t h = o * stride - pad + r * dilation; 0 <= h && h < pixels) expected.insert({h, r, o});
          const auto axis = cuda::phase_axis(pixels, windows, taps, stride, pad, dilation);
          std::multiset<int64_t> visited;
          for (int32_t first = 0; first < axis.phases(); ++first) {
            const cuda::Phase phase = cuda::phase_of(axis, first);
            if (phase.taps > 0) CHECK(axis.most_taps - phase.taps <= 1);
            for (int64_t i = 0; i < phase.window.positions; ++i) {
              if (phase.first + i * stride >= pixels) continue;
              visited.insert(phase.first + i * stride);
              for (int64_t t = 0; t < phase.taps; ++t) {
                const int64_t o = i * phase.window.stride + phase.window.origin + t * phase.window.step;
                if (0 <= o && o < windows)
                  CHECK(found.insert({phase.first + i * stride, phase.first_tap + t * axis.period, o}).second);
              }
            }
          }
          INFO("stride " << stride << ", dilation " << dilation << ", pad " << pad << ", taps " << taps);
          CHECK(found == expected);
          CHECK(visited.size() == pixels);
          CHECK(std::set<int64_t>(visited.begin(), visited.end()).size() == pixels);
          met += static_cast<int>(found.size());
        }
  CHECK(met > 0);
}

TEST_CASE("axes and filters that 32 bits cannot count are refused, and none before them") {
  const auto indexed = [](const Shape& image, const Shape& weight, int32_t pad = 0, int32_t groups = 1) {
    return cuda::may_index(image, weight, {.pad = {pad, 0, pad, 0}, .groups = groups});
  };
  constexpr int64_t kMost = INT32_MAX;
  CHECK(indexed({1, kMost, kMost, 1}, {1, 1, 1, 1}));
  CHECK_FALSE(indexed({1, kMost + 1, 1, 1}, {1, 1, 1, 1}));
  CHECK_FALSE(indexed({1, 1, kMost + 1, 1}, {1, 1, 1, 1}));
  CHECK(indexed({1, kMost - 7, 1, 1}, {1, 1, 1, 1}, 7));
  CHECK_FALSE(indexed({1, kMost - 6, 1, 1}, {1, 1, 1, 1}, 7));
  CHECK(indexed({1 << 20, 9, 9, 4}, {int64_t{1} << 30, 1, 1, 4}));
  CHECK_FALSE(indexed({1, 1 << 16, 1 << 15, 1}, {1, 1 << 16, 1 << 15, 1}));     // taps and channels
  CHECK_FALSE(indexed({1, 3, 3, 4}, {int64_t{1} << 28, 3, 3, 4}));              // taps and outputs
  CHECK(indexed({1, 3, 3, 1 << 14}, {int64_t{1} << 28, 3, 3, 4}, 0, 1 << 12));  // of a group
}

}  // namespace graft::test
