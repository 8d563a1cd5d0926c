// Rows of what moves elements about: every type, no arithmetic, so not a bit may differ.
#include "tests/kernels/op_table/op_case.h"

namespace graft::test {
namespace {

using namespace op;

Shape permuted(const Shape& from, const int32_t* axes) {
  Shape to = from;
  for (int a = 0; a < from.rank; ++a)
    if (axes[a] >= 0 && axes[a] < from.rank) to[a] = from[axes[a]];
  return to;
}

int64_t ceil_div(int64_t n, int64_t by) { return by < 1 ? 1 : (n + by - 1) / by; }

}  // namespace

void add_layout_rows(OpEntries& table) {
  auto permute_case =
      op_case<PermuteArgs>(table, [](auto& row) { row.required(y(permuted(row.args.x.shape, row.args.order))); });
  permute_case
      .row(x{2, 3, 5, 7}, order({0, 3, 1, 2}))  // NHWC to NCHW
      .row(x{2, 7, 3, 5}, order({0, 2, 3, 1}))
      .row(x{64, 3, 7, 5}, order({0, 2, 3, 1}))
      .row(x{33, 17}, order({1, 0}))
      .row(x{2, 70, 41}, order({0, 2, 1}))        // tiles of a transposition, whole ones and tails
      .row(x{2, 37, 3, 16}, order({2, 0, 1, 3}))  // rows that stay rows
      .row(x{3, 700}, order({1, 0}))
      .row(x{700, 3}, order({1, 0}))
      .row(x{2, 40, 3, 40}, order({3, 0, 2, 1}))
      .row(x{1, 64}, order({1, 0}))
      .row(x{31}, order({0}))
      .row(x{2, 3, 5}, order({0, 1, 2}))
      .row(x{2, 3, 1, 5, 2, 4}, order({5, 3, 1, 0, 4, 2}))
      .row(x{0, 3, 4}, order({2, 0, 1}))
      .row(x{3, 5}.filled(salted(uniform(), {kNan, kInf, -kInf}, 2)), order({1, 0}))
      .row(x{2, 3}, order({0, 0}), invalid("axis 0 twice"))
      .row(x{2, 3}, order({0, 2}), invalid("axis 2 of two"))
      .row(x{2, 3}, order({-1, 0}), invalid("a negative axis"))
      .row(x{2, 3}, y{2, 3}, order({1, 0}), invalid("y is not permuted"));
  for (DType type : {DType::bf16, DType::i64, DType::u8})
    permute_case.row(x{3, 4, 5}.as(type), y{5, 3, 4}.as(type), order({2, 0, 1}))
        .row(x{2, 70, 41}.as(type), y{2, 41, 70}.as(type), order({0, 2, 1}));

  auto copy_case = op_case<CopySliceArgs>(table, [](auto& row) {
    const CopySliceArgs& p = row.args;
    row.required(x({p.outer, p.x_row}));
    row.required(y({p.outer, p.y_row}));
  });
  copy_case
      .row(outer(3), count(4), x_row(4), y_row(9), y_begin(5))  // concatenation: the second part
      .row(outer(3), count(4), x_row(9), y_row(4), x_begin(2))  // a slice
      .row(outer(5), count(3), x_row(7), y_row(8), x_begin(4), y_begin(1))
      .row(outer(1), count(1), x_row(1), y_row(1))
      .row(outer(2), count(64), x_row(64), y_row(97), y_begin(33))
      .row(outer(70), count(17), x_row(17), y_row(17))
      .row(outer(70), count(16), x_row(24), y_row(36), x_begin(4), y_begin(8))  // 16 bytes at a time
      .row(outer(2), count(0), x_row(3), y_row(3))
      .row(outer(0), count(3), x_row(3), y_row(5))
      .row(outer(2), count(0), x_row(3), y_row(3), x_begin(3), y_begin(3))
      .row(outer(3), count(4), x_row(4), y_row(9), y_begin(6), invalid("runs over the end of y's rows"))
      .row(outer(3), count(5), x_row(4), y_row(9), invalid("more than a row of x"))
      .row(outer(3), count(2), x_row(4), y_row(9), x_begin(-1), invalid("begins before x"))
      .row(outer(3), count(2), x_row(4), y_row(9), y_begin(-1), invalid("begins before y"))
      .row(outer(3), count(-1), x_row(4), y_row(9), invalid("a negative count"))
      .row(outer(4), count(2), x_row(4), y_row(9), x{3, 4}, invalid("x has fewer rows"))
      .row(outer(3), count(2), x_row(4), y_row(9), x_begin(0x7FFFFFFFFFFFFFFF), invalid("overflows"));
  for (DType type : {DType::f16, DType::i64, DType::u8})
    copy_case.row(outer(3), count(5), x_row(6), y_row(11), x_begin(1), y_begin(4), x{3, 6}.as(type), y{3, 11}.as(type))
        .row(outer(70), count(5), x_row(6), y_row(11), x_begin(1), y_begin(4), x{70, 6}.as(type), y{70, 11}.as(type));

  op_case<SubsamplePadArgs>(table,
                            [](auto& row) {
                              const Shape in = row.args.x.shape;
                              const int64_t step = row.args.stride, channels = in[3] + 2 * row.args.before;
                              row.required(y({in[0], ceil_div(in[1], step), ceil_div(in[2], step), channels}));
                            })
      .loose<x, y>()
      .row(x{2, 3, 5, 7}, before(3))
      .row(x{1, 8, 8, 16}, subsample(2), before(8))  // ResNet-20, stage 2
      .row(x{2, 15, 16, 16}, subsample(2), before(8))
      .row(x{1, 8, 8, 16}, y{1, 4, 4, 36}, subsample(2), before(6))  // channels that begin between two vectors
      .row(x{2, 7, 5, 3}, subsample(2), before(1))
      .row(x{1, 1, 1, 1}, subsample(2))
      .row(x{1, 9, 7, 5}, subsample(3), before(2))
      .row(x{1, 4, 4, 3}, y{1, 2, 2, 9}, subsample(2), before(5))  // 1 channel behind
      .row(x{1, 4, 4, 3}, y{1, 2, 2, 9}, subsample(2))
      .row(x{0, 4, 4, 3}, subsample(2), before(1))
      .row(x{1, 4, 4, 3}, y{1, 2, 2, 9}, subsample(2), before(7), invalid("7 + 3 channels in 9"))
      .row(x{1, 4, 4, 3}, y{1, 2, 2, 9}, subsample(2), before(-1), invalid("negative channels before"))
      .row(x{1, 5, 4, 3}, y{1, 2, 2, 3}, subsample(2), invalid("5 rows at stride 2 are 3"))
      .row(x{1, 4, 4, 3}, subsample(0), invalid("stride 0"));

  op_case<SubsamplePadBackwardArgs>(table,
                                    [](auto& row) {
                                      const Shape in = row.args.dx.shape;
                                      const int64_t step = row.args.stride, channels = in[3] + 2 * row.args.before;
                                      row.required(dy({in[0], ceil_div(in[1], step), ceil_div(in[2], step), channels}));
                                    })
      .loose<dx, dy>()
      .row(dx{2, 3, 5, 7}, before(3))
      .row(dx{1, 8, 8, 16}, subsample(2), before(8))
      .row(dx{2, 15, 16, 16}, subsample(2), before(8))
      .row(dx{1, 8, 8, 16}, dy{1, 4, 4, 36}, subsample(2), before(6))
      .row(dx{2, 7, 5, 3}, subsample(2), before(1))
      .row(dx{1, 1, 1, 1}, subsample(2))
      .row(dx{1, 9, 7, 5}, subsample(3), before(2))
      .row(dx{1, 4, 4, 3}, dy{1, 2, 2, 9}, subsample(2), before(5))
      .row(dx{0, 4, 4, 3}, subsample(2), before(1))
      .row(dx{1, 4, 4, 3}, dy{1, 2, 2, 9}, subsample(2), before(7), invalid("7 + 3 channels in 9"))
      .row(dx{1, 5, 4, 3}, dy{1, 2, 2, 3}, subsample(2), invalid("5 rows at stride 2 are 3"))
      .row(dx{1, 4, 4, 3}, subsample(0), invalid("stride 0"));
}

}  // namespace graft::test
