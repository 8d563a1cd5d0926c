// Rows of the matrix product, of squeeze-and-excite's two in one, of reductions and of what undoes them.
#include "tests/kernels/op_table/op_case.h"

namespace graft::test {
namespace {

using namespace op;

// op(a) [M,K] and op(b) [K,N]
auto product(int64_t M, int64_t K, int64_t N, bool ta = false, bool tb = false) {
  return [=](auto& row) {
    (ta ? a{K, M} : a{M, K})(row);
    (tb ? b{N, K} : b{K, N})(row);
    transpose_a(ta)(row);
    transpose_b(tb)(row);
  };
}

}  // namespace

void add_matrix_rows(OpEntries& table) {
  auto matmul_case = op_case<MatmulArgs>(table, [](auto& row) {
    const MatmulArgs& p = row.args;
    if (p.a.shape.rank != 2 || p.b.shape.rank != 2) return row.required(y({1, 1}));
    const int64_t columns = p.b.shape[p.transpose_b ? 0 : 1];
    row.optional(bias({columns}));
    row.required(y({p.a.shape[p.transpose_a ? 1 : 0], columns}));
  });
  for (bool ta : {false, true})
    for (bool tb : {false, true})
      matmul_case.row(product(3, 5, 7, ta, tb))
          .row(product(1, 1, 1, ta, tb))
          .row(product(8, 16, 15, ta, tb))
          .row(product(17, 33, 64, ta, tb), with<bias>)
          .row(product(1, 300, 10, ta, tb), with<bias>)
          .row(product(31, 1, 17, ta, tb))
          .row(product(65, 70, 1, ta, tb), with<bias>)
          .row(product(13, 517, 129, ta, tb))
          .row(product(0, 5, 7, ta, tb))
          .row(product(3, 0, 7, ta, tb), with<bias>)  // the sum of nothing, and the bias
          .row(product(3, 0, 7, ta, tb))
          .row(product(3, 5, 0, ta, tb));
  matmul_case.each_activation(product(6, 19, 18), with<bias>)
      .row(product(24, 640, 40), with<bias>, activation(silu))
      .row(a{6, 19}.filled(salted(uniform(), {kNan, kInf, -kInf}, 31)), b{19, 18}, activation(relu))  // NaN stays NaN
      .row(a{6, 19}.filled(salted(uniform(), {kNan, kInf, -kInf}, 31)), b{19, 18}, with<bias>, y{6, 18}.wide(),
           activation(relu))
      .row(product(9, 40, 24, false, true), with<bias>, y{9, 24}.wide())
      .row(product(70, 33, 3, true, false), y{70, 3}.wide())
      .row(product(5, 600, 7), with<bias>, y{5, 7}.wide())
      .each_activation(product(3, 8, 16, false, true))
      .row(product(33, 300, 36), with<bias>, activation(silu))  // long sums, in parts
      // Larger tiles of a blocked product.
      .row(product(1020, 12, 1016), with<bias>)
      .row(product(1016, 12, 1020, true, true))
      .row(product(508, 20, 512, false, true))
      .row(product(509, 19, 511, true, false), with<bias>, activation(relu))
      .row(product(72, 8, 3976, false, true))  // of 16-bit elements, 16 bytes at a time
      .row(product(72, 8, 3976, true, false))
      .row(product(72, 8, 520))  // two rows of more tiles than neighbouring blocks share
      .row(a{3, 5}, b{6, 7}, invalid("5 columns times 6 rows"))
      .row(a{3, 5}, b{5, 7}, transpose_a(1), invalid("3 columns times 5 rows"))
      .row(a{3, 5}, b{5, 7}, bias{3}, invalid("a bias of 3 for 7 columns"))
      .row(a{3, 5}, b{5, 7}, y{7, 3}, invalid("y is transposed"))
      .row(a{3, 5, 1}, b{5, 7}, invalid("three axes"))
      .row(a{3, 5}, b{5, 7}, activation(99), invalid("no such activation"));

  auto gate_case = op_case<SqueezeExciteArgs>(table, [](auto& row) {
    const SqueezeExciteArgs& p = row.args;
    if (p.weight1.shape.rank != 2) return row.required(weight2({1, 1})), row.required(gate({1, 1}));
    const int64_t units = p.weight1.shape[0], channels = p.weight1.shape[1];
    row.optional(bias1({units}));
    row.required(weight2({channels, units}));
    row.optional(bias2({channels}));
    row.required(gate(p.squeeze.shape));
  });
  gate_case.row(squeeze{3, 7}, weight1{5, 7}, factor(0.25), with<bias1, bias2>)
      .row(squeeze{1, 1}, weight1{1, 1}, factor(-0.5))
      .row(squeeze{2, 33}, weight1{41, 33}, factor(0.25))
      .row(squeeze{2, 136}, weight1{70, 136}, factor(1.0 / 49), with<bias1>)
      .row(squeeze{1, 260}, weight1{9, 260}, factor(1.0 / 9), with<bias2>)
      .row(squeeze{1, 1152}, weight1{48, 1152}, factor(1.0 / 49), with<bias1, bias2>, activation(silu))
      .row(squeeze{17, 16}, weight1{4, 16}, factor(0.125), with<bias1, bias2>, activation(relu))
      .row(squeeze{2, 20}.filled(with_value_at(3, kNan)), weight1{6, 20}, activation(relu))  // one image alone is NaN
      .row(squeeze{1, 6}, weight1{3, 6}, bias1{3}.filled(values({-kInf, 1, 2})), activation(relu6))
      .row(squeeze{0, 8}, weight1{2, 8}, with<bias1, bias2>)
      .row(squeeze{3, 0}, weight1{2, 0}, with<bias1, bias2>)
      .row(squeeze{2, 5}, weight1{0, 5}, with<bias1, bias2>)  // sums of nothing, and the bias
      .row(squeeze{2, 1}, weight1{SqueezeExciteArgs::kMaxUnits, 1}, factor(1.0 / 64))
      .row(squeeze{2, 1}, weight1{SqueezeExciteArgs::kMaxUnits + 1, 1}, invalid("too many hidden units"))
      .row(squeeze{2, 5}, weight1{3, 6}, weight2{6, 3}, invalid("sums of 5 channels for 6"))
      .row(squeeze{2, 5}, weight1{3, 5}, weight2{3, 5}, invalid("the second weight is transposed"))
      .row(squeeze{2, 5}, weight1{3, 5}, bias1{5}, invalid("a bias of 5 for 3 units"))
      .row(squeeze{2, 5}, weight1{3, 5}, bias2{3}, invalid("a bias of 3 for 5 channels"))
      .row(squeeze{2, 5}, weight1{3, 5}, gate{2, 1, 1, 5}, invalid("a gate of four axes"))
      .row(squeeze{2, 1, 1, 5}, weight1{3, 5}, gate{2, 5}, invalid("sums of four axes"))
      .row(squeeze{2, 5}, weight1{3, 5}, activation(99), invalid("no such activation"))
      .row(squeeze{2, 5}, weight1{3, 5}, gate_activation(-1), invalid("no such activation of the gate"));
  for (const Activation kind : {none, relu, relu6, silu, sigmoid})
    gate_case
        .row(squeeze{2, 20}.filled(uniform(-4, 4)), weight1{13, 20}, factor(0.5), with<bias1, bias2>, activation(kind))
        .row(squeeze{2, 19}.filled(uniform(-4, 4)), weight1{6, 19}, with<bias1, bias2>, gate_activation(kind));

  auto reduce_case = op_case<ReduceArgs>(table, [](auto& row) {
    const ReduceArgs& p = row.args;
    row.required(x({p.outer, p.count, p.inner}));
    row.required(y({p.outer, p.inner}));
  });
  for (Reduction kind : {Reduction::sum, Reduction::mean, Reduction::max}) {
    const auto bound = within(kind == Reduction::max ? exact() : linear());
    reduce_case.row(reduction(kind), bound, outer(2), count(15), inner(7))
        .row(reduction(kind), bound, outer(1), count(1), inner(1))
        .row(reduction(kind), bound, outer(1), count(10007), inner(1))
        .row(reduction(kind), bound, outer(16), count(1), inner(3))
        .row(reduction(kind), bound, outer(1), count(937), inner(33))
        .row(reduction(kind), bound, outer(65), count(64), inner(1))
        .row(reduction(kind), bound, outer(3), count(8), inner(16))
        .row(reduction(kind), bound, outer(1), count(1100), inner(16))  // slabs of whole vectors, 16-bit ones too
        .row(reduction(kind), bound, outer(0), count(3), inner(2))
        .row(reduction(kind), bound, outer(2), count(3), inner(0))
        .row(reduction(kind), bound, outer(2), count(0), inner(3))  // nothing
        .row(reduction(kind), bound, outer(3), count(5), inner(4), x{3, 20}, y{12})
        .row(reduction(kind), bound, outer(3), count(17), inner(5),
             x{3, 17, 5}.filled(salted(uniform(), {kNan, kInf, 1, -kInf}, 13)))
        .row(reduction(kind), bound, outer(3), count(17), inner(5), x{3, 17, 5}.filled(uniform(-9, -8)))
        .row(reduction(kind), outer(3), count(5), inner(4), x{3, 5, 5}, invalid("75 elements, not 60"))
        .row(reduction(kind), outer(3), count(5), inner(4), y{3, 5}, invalid("15 results, not 12"))
        .row(reduction(kind), outer(-3), count(-5), inner(4), x{3, 5, 4}, y{3, 4}, invalid("negative extents"));
  }
  reduce_case.row(reduction(3), outer(2), count(2), inner(2), invalid("no such reduction"));

  op_case<BroadcastArgs>(table,
                         [](auto& row) {
                           const BroadcastArgs& p = row.args;
                           row.required(x({p.outer, p.inner}));
                           row.required(y({p.outer, p.count, p.inner}));
                         })
      .row(outer(2), count(15), inner(7), factor(0.37))
      .row(outer(1), count(1), inner(1), factor(-2))
      .row(outer(1), count(1031), inner(1))
      .row(outer(16), count(3), inner(33), factor(1.0 / 3))
      .row(outer(3), count(13), inner(64), factor(0))
      .row(outer(2), count(0), inner(3))
      .row(outer(0), count(4), inner(3))
      .row(outer(3), count(4), inner(5), x{15}, y{3, 2, 2, 5})
      .row(outer(3), count(5), inner(4), x{3, 5}, invalid("15 elements, not 12"))
      .row(outer(3), count(5), inner(4), y{3, 4}, invalid("12 results, not 60"));
}

}  // namespace graft::test
