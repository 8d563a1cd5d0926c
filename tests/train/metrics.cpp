#include "train/metrics.h"

#include <catch2/catch.hpp>
#include <limits>

#include "core/error.h"

using namespace graft::train;

TEST_CASE("top_k names the largest first, equals in order, NaN last") {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  CHECK(top_k(std::vector<float>{1, 5, 3, 5}, 3) == std::vector<int64_t>{1, 3, 2});
  CHECK(top_k(std::vector<float>{nan, 1, nan, 2}, 3) == std::vector<int64_t>{3, 1, 0});
  CHECK(top_k(std::vector<float>{1, 2}, 5) == std::vector<int64_t>{1, 0});
  CHECK(top_k(std::vector<float>{}, 5).empty());
}

TEST_CASE("softmax of large logits does not overflow") {
  const auto p = softmax(std::vector<float>{1000, 1000, 0});
  CHECK(p[0] == Approx(0.5));
  CHECK(p[2] == Approx(0).margin(1e-12));
}

TEST_CASE("metrics count what was right and what was taken for what") {
  Metrics m(3);
  m.add(std::vector<float>{9, 0, 0, 0, 9, 0}, std::vector<int64_t>{0, 2}, 0.5);
  m.add(std::vector<float>{0, 1, 2}, std::vector<int64_t>{2}, 2);
  CHECK(m.images() == 3);
  CHECK(m.top1() == Approx(2.0 / 3));
  CHECK(m.top5() == 1);
  CHECK(m.loss() == Approx(1));
  CHECK(m.confusion(2, 1) == 1);
  CHECK(m.recall() == std::vector<double>{1, 0, 0.5});
  CHECK_THROWS_AS(m.add(std::vector<float>{0, 1, 2}, std::vector<int64_t>{3}, 0), graft::Error);
}
