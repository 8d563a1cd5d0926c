// Right and wrong: what passes as rounding and what does not.
#include "bench/correct.h"

#include <catch2/catch.hpp>
#include <cmath>

#include "tests/bench/support.h"

using namespace graft;
using namespace graft::bench;
using Catch::Matchers::Contains;
using graft::test::case_named;
using graft::test::plain_device;

TEST_CASE("every operation's own kernels are within their bounds of the reference in f64") {
  DeviceEntrant entrant(plain_device(), 1);
  for (const char* line :
       {"conv2d n=3 h=20 w=19 c=5 k=7 window=3 pad=1 bias residual act=relu",
        "depthwise_conv2d n=3 h=9 w=9 c=8 window=3", "linear n=3 in=400 out=20", "batch_norm n=3 h=9 w=9 c=80 act=relu",
        "activate n=2 h=5 w=5 c=3 act=silu", "add n=2 h=5 w=5 c=3", "scale n=2 h=5 w=5 c=3", "gate n=2 h=5 w=5 c=3",
        "max_pool n=2 h=9 w=9 c=3 window=3 pad=1", "avg_pool n=2 h=9 w=9 c=3 window=2 stride=2",
        "global_avg_pool n=2 h=9 w=9 c=3", "softmax n=7 classes=11", "softmax_cross_entropy n=7 classes=11",
        "reduce n=2 h=9 w=9 c=3", "cast n=2 h=9 w=9 c=3 from=u8 to=f32", "cast n=2 h=9 w=9 c=3",
        "to_nhwc n=2 h=9 w=7 c=3", "sgd count=20000", "adamw count=20000"})
    for (const KernelCase& c : cases_of(line, DType::f32)) {
      INFO(c.name());
      CHECK(compare_with_reference(entrant, c).empty());
      const Tensors results = entrant.enter(c)->results();
      CHECK(compare_results(c, results, results).empty());
    }
}

TEST_CASE("a thousandth of the largest number is no rounding") {
  const KernelCase c = case_named("add n=1 h=2 w=2 c=2");
  DeviceEntrant entrant(plain_device(), 1);
  const Tensors truth = entrant.enter(c)->results();
  const auto output = static_cast<size_t>(c.roles().inputs);
  double largest = 0;
  for (int64_t e = 0; e < 8; ++e) largest = std::max(largest, std::abs(element(truth[output], DType::f32, e)));
  const auto with_error = [&](double part) {
    Tensors other = truth;
    put_element(other[output], DType::f32, 7, element(truth[output], DType::f32, 7) + part * largest);
    return compare_results(c, truth, other);
  };
  CHECK(with_error(0.0005).empty());
  CHECK_THAT(with_error(0.002), Contains("output 0[7] is") && Contains("graft's is"));
  CHECK_THAT(with_error(std::nan("")), Contains("output 0[7] is nan"));
  CHECK(compare_results(c, truth, {}).empty());  // what somebody does not make is not compared
}

TEST_CASE("contents are the same for everybody, and in their ranges") {
  const KernelCase c = case_named("softmax_cross_entropy n=50 classes=10");
  const Tensors a = contents_of(c);
  CHECK(a == contents_of(c));
  for (int64_t e = 0; e < 50; ++e) {
    const double target = element(a[1], DType::i64, e);
    CHECK((target >= 0 && target < 10));
  }
  CHECK(a[3].empty());  // the loss is written, not read
}
