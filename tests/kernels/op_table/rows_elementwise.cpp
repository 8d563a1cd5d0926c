// Rows of activations, arithmetic, fill and cast. NaN stays NaN; infinities and huge values go through; sizes lie
// around vector widths; whatever may run in place does.
#include <cmath>

#include "tests/kernels/op_table/op_case.h"

namespace graft::test {
namespace {

using namespace op;

const std::initializer_list<double> kEdges = {0, -0.0, 6, 1, -1, 1e-30, -1e-30, 88, -88, 1e30, 3e38, kInf, kNan};

// What conversions stumble over: ties, both ends of each range, numbers below the smallest normal one, not-a-number.
const std::initializer_list<double> kCastEdges = {0,
                                                  -0.0,
                                                  0.5,
                                                  -0.5,
                                                  1,
                                                  -1,
                                                  1.5,
                                                  2.5,
                                                  -1.75,
                                                  254.5,
                                                  255,
                                                  255.5,
                                                  256,
                                                  300,
                                                  -1e-3,
                                                  1e30,
                                                  -1e30,
                                                  kNan,
                                                  kInf,
                                                  -kInf,
                                                  65504,
                                                  65519,
                                                  65520,
                                                  65536,
                                                  0x1p-14,
                                                  0x1p-24,
                                                  0x1p-25,
                                                  0x1.8p-25,
                                                  0x1.4p-24,
                                                  1 + 0x1p-8,
                                                  1 + 0x3p-8,
                                                  1 + 0x1p-11,
                                                  1 + 0x3p-11,
                                                  1 + 0x1.0001p-8,
                                                  0x1.fefep127,
                                                  0x1.ffp127,
                                                  0x1.fffffep127,
                                                  1e-40,
                                                  1e300,
                                                  -1e300,
                                                  9007199254740993.0,
                                                  0x1p63,
                                                  -0x1p63,
                                                  0x1.fffffffffffffp62,
                                                  16777217,
                                                  33554435,
                                                  1 + 0x1p-24,
                                                  1 + 0x1.00001p-24,
                                                  1 + 0x3p-24};

Fill cast_contents(DType from) {
  switch (from) {
    case DType::f64:
    case DType::f32:
      return salted(uniform(-300, 300), kCastEdges, 2);
    case DType::i64:
      return salted([](int64_t, double hash) { return std::floor(hash * 400); },
                    {0, 255, 256, -1, 16777217, 33554435, 65504, 65520, 0x1p62, -0x1p63, 9007199254740991.0}, 2);
    default:
      return natural(from);
  }
}

}  // namespace

void add_elementwise_rows(OpEntries& table) {
  op_case<ActivateArgs>(table, [](auto& row) { row.required(y(row.args.x.shape)); })
      .in_place<y, x>()
      .each_activation(x{2, 3, 5, 7}.filled(uniform(-9, 9)))
      .each_activation(x{1}.filled(uniform(-9, 9)))
      .each_activation(x{2055}.filled(uniform(-100, 100)))
      .each_activation(x{67}.filled(salted(uniform(-9, 9), kEdges, 2)))
      .each_activation(x{0, 3})
      .row(x{16}.filled(values({kInf, -kInf})), activation(relu))
      .row(x{16}.filled(values({kInf, -kInf})), activation(relu6))
      .row(x{16}.filled(values({kInf, -kInf})), activation(sigmoid))
      .row(x{3, 64}.filled(uniform(-9, 9)), activation(relu6), within(exact()))
      .row(x{3, 33}, activation(relu), within(exact()))
      .row(x{7}, activation(5), invalid("no such activation"))
      .row(x{7}, y{6}, activation(relu), invalid("y is shorter"));

  op_case<ActivateBackwardArgs>(table,
                                [](auto& row) {
                                  row.required(dy(row.args.saved.shape));
                                  row.required(dx(row.args.saved.shape));
                                })
      .in_place<dx, dy>()
      .each_activation(saved{2, 3, 5, 7})
      .each_activation(saved{0, 5})
      .each_activation(saved{2055})
      .each_activation(saved{1})
      .row(saved{61}.filled(values({0, 1, -0.0, 1e-30, 5, -2})), activation(relu), within(exact()))
      .row(saved{61}.filled(values({0, 6, 1, 5.9999, 1e-30, -1, 7})), activation(relu6), within(exact()))
      .row(saved{61}.filled(values({0, 1, 0.5, 0.25, 0.999999})), activation(sigmoid))
      .row(saved{31}.filled(values({0, 1, -1, 6})), dy{31}.filled(values({kInf, 1, kNan, -kInf})), activation(relu))
      .row(saved{31}.filled(values({0, 1, -1, 6})), dy{31}.filled(values({kInf, 1, kNan, -kInf})), activation(relu6))
      .row(saved{67}.filled(salted(uniform(-20, 20), {0, -88, 88, -1.2784645, 40, -40}, 2)), activation(silu))
      .row(saved{7}, activation(99), invalid("no such activation"));

  op_case<AddArgs>(table,
                   [](auto& row) {
                     row.required(b(row.args.a.shape));
                     row.required(y(row.args.a.shape));
                   })
      .in_place<y, a>()
      .in_place<y, b>()
      .each_activation(a{2, 3, 5, 7}.filled(uniform(-4, 4)))
      .each_activation(a{0})
      .row(a{1})
      .row(a{2055}, activation(relu))
      .row(a{33}.filled(salted(uniform(), {kInf, 3e38, -kInf, kNan}, 3)))
      .row(a{33}.filled(values({3e38, 1, -3e38})), b{33}.filled(values({3e38, 1, -3e38})))  // overflows to infinity
      .row(a{33}.filled(salted(uniform(), {kNan}, 3)), activation(relu))
      .row(a{64}, within(relative(1)))
      .row(a{7}, activation(99), invalid("no such activation"));

  op_case<ScaleArgs>(table, [](auto& row) { row.required(y(row.args.x.shape)); })
      .in_place<y, x>()
      .row(x{2, 3, 5, 7}, factor(0.37))
      .row(x{1}, factor(-3))
      .row(x{2055}, factor(1e-3))
      .row(x{17}, factor(0))
      .row(x{33}.filled(salted(uniform(), {kInf, kNan, 3e38}, 3)), factor(4))
      .row(x{0, 4}, factor(2))
      .row(x{64}, factor(1), within(exact()));

  op_case<MultiplyArgs>(table,
                        [](auto& row) {
                          const MultiplyArgs& p = row.args;
                          row.required(x({p.outer, p.repeat, p.inner}));
                          row.required(s({p.outer, p.inner}));
                          row.required(y(row.args.x.shape));
                        })
      .in_place<y, x>()
      .row(outer(2), repeat(15), inner(7))
      .row(outer(1), repeat(1), inner(1))
      .row(outer(3), repeat(4), inner(16))
      .row(outer(2), repeat(49), inner(33))
      .row(outer(3), repeat(37), inner(24))  // more than one block of a GPU, 16 bytes at a time
      .row(outer(1), repeat(9), inner(64))
      .row(outer(5), repeat(105), inner(1))                               // stochastic depth
      .row(outer(1), repeat(1), inner(1031))                              // dropout
      .row(x{2, 3, 5, 8}, s{2, 1, 1, 8}, outer(2), repeat(15), inner(8))  // squeeze-and-excite
      .row(x{2, 3, 5, 8}, s{2}, outer(2), repeat(120), inner(1))
      .row(outer(0), repeat(4), inner(3))
      .row(outer(2), repeat(0), inner(3))
      .row(outer(2), repeat(3), inner(5), s{2, 5}.filled(values({0, kInf, kNan, 1})))
      .row(x{2, 3, 5}, outer(2), repeat(4), inner(5), invalid("30 elements, not 40"))
      .row(s{2, 4}, outer(2), repeat(3), inner(5), invalid("8 factors, not 10"))
      .row(x{2, 3, 5}, s{2, 5}, outer(-2), repeat(-3), inner(5), invalid("negative extents"));

  op_case<MultiplyReduceArgs>(table,
                              [](auto& row) {
                                const MultiplyReduceArgs& p = row.args;
                                row.required(x({p.outer, p.repeat, p.inner}));
                                row.required(dy(row.args.x.shape));
                                row.required(ds({p.outer, p.inner}));
                              })
      .row(outer(2), repeat(15), inner(7))
      .row(outer(1), repeat(1), inner(1))
      .row(outer(3), repeat(4), inner(16))
      .row(outer(2), repeat(49), inner(33))
      .row(outer(1), repeat(900), inner(64))
      .row(outer(5), repeat(1050), inner(1))
      .row(outer(1), repeat(1), inner(1031))
      .row(x{2, 3, 5, 8}, ds{2, 1, 1, 8}, outer(2), repeat(15), inner(8))
      .row(outer(0), repeat(4), inner(3))
      .row(outer(2), repeat(0), inner(3))  // sums of nothing
      .row(x{2, 3, 5}, outer(2), repeat(4), inner(5), invalid("30 elements, not 40"))
      .row(ds{2, 4}, outer(2), repeat(3), inner(5), invalid("8 sums, not 10"));

  auto fill_case = op_case<FillArgs>(table, [](auto&) {});
  fill_case.loose<y>();
  fill_case.row(y{2, 3, 5, 7}, value(0.375)).row(y{0, 3}, value(1)).row(y{1}, value(-3)).row(y{1031}, value(0));
  fill_case.row(y{17}, value(kNan)).row(y{17}, value(-kInf)).row(y{17}, value(0.1));
  for (DType type : {DType::bf16, DType::f16, DType::i64, DType::u8})
    fill_case.row(y{37}.as(type), value(5)).row(y{4200}.as(type), value(5));

  auto cast_case = op_case<CastArgs>(table, [](auto&) {});
  cast_case.loose<x, y>();  // any types; what does not go together is listed
  constexpr DType kAll[] = {DType::f64, DType::f32, DType::bf16, DType::f16, DType::i64, DType::u8};
  for (DType from : kAll)
    for (DType to : kAll) {
      cast_case.row(x{2055}.as(from).filled(cast_contents(from)), y{2055}.as(to));
      cast_case.row(x{3, 5}.as(from).filled(cast_contents(from)), y{3, 5}.as(to));
      cast_case.row(x{0}.as(from), y{0}.as(to));
    }
  cast_case.row(x{7}.as(DType::u8), y{8}.as(DType::f32), invalid("y is longer"))
      .row(x{2, 3}.as(DType::u8), y{3, 2}.as(DType::f32), invalid("y has other axes"));
}

}  // namespace graft::test
