// Lines of shapes: what they make, and what is said of those that make nothing.
#include "bench/attributes.h"

#include <catch2/catch.hpp>
#include <set>

#include "bench/operations.h"
#include "bench/shapes.h"
#include "tests/bench/support.h"
#include "tests/support/temporary_folder.h"

using namespace graft;
using namespace graft::bench;
using Catch::Matchers::Contains;
using graft::test::case_named;

TEST_CASE("a line makes the calls of a training step") {
  const auto cases = cases_of("conv2d n=2 h=9 w=8 c=6 k=4 groups=2 window=3x5 stride=2 pad=1,0,2,2", DType::f32);
  REQUIRE(cases.size() == 3);
  CHECK(cases[0].primitive == Primitive::conv2d);
  CHECK(cases[1].primitive == Primitive::conv2d_backward_data);
  CHECK(cases[2].primitive == Primitive::conv2d_backward_weight);
  const auto& args = *reinterpret_cast<const Conv2dArgs*>(cases[0].args.bytes);
  CHECK(args.x.shape == Shape{2, 9, 8, 6});
  CHECK(args.weight.shape == Shape{4, 3, 5, 3});
  CHECK(args.y.shape == Shape{2, 4, 4, 4});  // (9 + 1 − 3) / 2 + 1, (8 + 4 − 5) / 2 + 1
  CHECK(args.conv.pad == Padding{1, 0, 2, 2});
  CHECK(cases[2].name() == "conv2d.weight groups=2 n=2 h=9 w=8 c=6 k=4 window=3x5 stride=2 pad=1,0,2,2");
  for (const KernelCase& c : cases) CHECK(c.flops == 2.0 * (2 * 4 * 4 * 4) * (3 * 5 * 3));
  CHECK(cases[0].bytes() == 4 * (2 * 9 * 8 * 6 + 4 * 3 * 5 * 3 + 2 * 4 * 4 * 4));
}

TEST_CASE("a case is known by the same name however its line was written") {
  CHECK(case_named("max_pool  w=8 h=8\tn=1 c=4 window=2 stride=2 pad=0").name() ==
        case_named("max_pool n=1 h=8 w=8 c=4 stride=2x2 window=2x2").name());
}

TEST_CASE("what is read and written counts twice among the bytes") {
  const int64_t n = 1000, scalars = 8 + 8;
  CHECK(case_named("sgd count=1000").bytes() == 4 * n * (1 + 2 * 2) + scalars);
}

TEST_CASE("16-bit tensors have f32 vectors beside them") {
  for (const KernelCase& c : cases_of("batch_norm n=1 h=4 w=4 c=8", DType::bf16)) {
    CHECK(c.view(0).dtype == DType::bf16);
    CHECK(c.view(c.pass == "backward" ? 2 : 1).dtype == DType::f32);
  }
}

TEST_CASE("a smaller case is of the same kind") {
  const KernelCase large = case_named("conv2d n=16 h=56 w=56 c=96 k=192 groups=32 window=7 stride=2 pad=3", "weight");
  const KernelCase small = smaller(large), least = smallest(large);
  CHECK(small.primitive == large.primitive);
  CHECK(small.line == "conv2d groups=32 n=2 h=17 w=17 c=96 k=96 window=7 stride=2 pad=3");
  CHECK(least.line == "conv2d groups=32 n=1 h=7 w=7 c=32 k=32 window=7 stride=2 pad=3");
}

TEST_CASE("a line that makes no case is refused with what is wrong and what would do") {
  const auto refusal = [](const std::string& line) {
    try {
      cases_of(line, DType::f32);
    } catch (const Error& e) {
      return std::string(e.what());
    }
    return std::string("no error");
  };
  CHECK_THAT(refusal("conv3d n=1"), Contains("there is no operation conv3d; did you mean conv2d?"));
  CHECK_THAT(refusal("add n=1 h=2 w=2"), Contains("add: c is missing; write c=NUMBER"));
  CHECK_THAT(refusal("add n=1 h=2 w=2 c=0"), Contains("c=0 is not a whole number from 1"));
  CHECK_THAT(refusal("add n=1 h=2 w=2 c=3.5"), Contains("c=3.5 is not a whole number"));
  CHECK_THAT(refusal("add n=1 h=2 w=2 c=99999999999999999999"), Contains("is not a whole number from 1 to 2^31"));
  CHECK_THAT(refusal("add n=1 h=2 w=2 c=3 c=4"), Contains("c is given twice"));
  CHECK_THAT(refusal("add n=1 h=2 w=2 c=3 d=4"), Contains("add has no attribute d; it has n, h, w, c, act"));
  CHECK_THAT(refusal("add n=1 h= w=2 c=3"), Contains("\"h=\" is no attribute"));
  CHECK_THAT(refusal("activate n=1 h=2 w=2 c=3 act=tanh"), Contains("act=tanh is not one of none, relu"));
  CHECK_THAT(refusal("max_pool n=1 h=2 w=2 c=3 window=3"), Contains("a window of 3x3 does not fit in 2x2 pixels"));
  CHECK_THAT(refusal("max_pool n=1 h=9 w=9 c=3 window=3x3x3"), Contains("window=3x3x3 is not a number from 1 to 1024"));
  CHECK_THAT(refusal("max_pool n=1 h=9 w=9 c=3 window=3 pad=1,2"), Contains("or four: top,bottom,left,right"));
  CHECK_THAT(refusal("conv2d n=1 h=9 w=9 c=3 k=4 groups=2"), Contains("2 groups divide neither c=3 nor k=4"));
  CHECK_THAT(refusal("conv2d n=2147483648 h=2147483648 w=9 c=3 k=4"), Contains("is too large"));
}

TEST_CASE("a file of shapes may hold comments and empty lines, and an error names its line") {
  const test::TemporaryFolder folder;
  test::write_text(folder / "a", "# two\n\nadd n=1 h=2 w=2 c=3   # one\r\nscale n=1 h=2 w=2 c=3\n");
  const auto cases = read_shapes(folder / "a", DType::f32);
  REQUIRE(cases.size() == 2);
  CHECK(cases[1].name() == "scale n=1 h=2 w=2 c=3");

  test::write_text(folder / "b", "add n=1 h=2 w=2 c=3\n\nad n=1\n");
  CHECK_THROWS_WITH(read_shapes(folder / "b", DType::f32), Contains("b:3: there is no operation ad"));
  test::write_text(folder / "c", "# nothing\n");
  CHECK_THROWS_WITH(read_shapes(folder / "c", DType::f32), Contains("holds no shapes; a line is, say, conv2d n=16"));
  test::write_text(folder / "d", std::string(5000, 'x'));
  CHECK_THROWS_WITH(read_shapes(folder / "d", DType::f32), Contains("d:1: this is no list of shapes"));
  CHECK_THROWS_WITH(read_shapes(folder / "missing", DType::f32), Contains("cannot open") && Contains("missing"));
}

TEST_CASE("the standard list and a network's layers are real layers, forward and backward") {
  const auto all = standard_cases(4, DType::f32);
  std::set<Primitive> primitives;
  std::set<std::string> names;
  for (const KernelCase& c : all) {
    primitives.insert(c.primitive);
    CHECK(names.insert(c.name()).second);
  }
  for (const Primitive p : {Primitive::conv2d, Primitive::conv2d_backward_weight, Primitive::depthwise_conv2d,
                            Primitive::depthwise_conv2d_backward_data, Primitive::batch_norm_training,
                            Primitive::batch_norm_backward, Primitive::matmul, Primitive::max_pool_backward,
                            Primitive::multiply_reduce, Primitive::softmax_cross_entropy_backward, Primitive::adamw})
    CHECK(primitives.contains(p));
  CHECK(names.contains("conv2d n=4 h=56 w=56 c=64 k=64 window=3 pad=1"));  // He et al. 2015, table 1

  int convolutions = 0;
  for (const KernelCase& c : network_cases("resnet50", 1, DType::f32)) convolutions += c.primitive == Primitive::conv2d;
  CHECK(convolutions == 23);  // of 53, those unlike the ones before
  CHECK_THROWS_WITH(network_cases("resnet51", 1, DType::f32), Contains("resnet50"));
}
