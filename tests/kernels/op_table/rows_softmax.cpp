// Rows of softmax and of cross-entropy: large logits must not overflow, a label out of range must be seen.
#include <algorithm>
#include <cmath>

#include "tests/kernels/op_table/op_case.h"

namespace graft::test {
namespace {

using namespace op;

void cross_entropy_rows(auto& entry) {
  entry.row(logits{4, 7})
      .row(logits{1, 1})
      .row(logits{5, 2}, label_smoothing(0.1))
      .row(logits{3, 16})
      .row(logits{2, 17}, with<class_weights>)
      .row(logits{7, 33}, with<class_weights>, label_smoothing(0.2))
      .row(logits{16, 1000}, label_smoothing(0.1))
      .row(logits{9, 1030}, with<class_weights>, label_smoothing(0.1))
      .row(logits{1, 64}, label_smoothing(1))
      .row(logits{3, 5}, targets{3}.filled(values({0, 4, 0})), class_weights{5}.filled(values({1, 0, 2, 0, 0.5})))
      .row(logits{3, 5}, targets{3}.filled(values({0, 5, 1})))        // NaN everywhere: a label out of range
      .row(logits{3, 5}, targets{3}.filled(values({-0x1p40, 0, 1})))  // NaN; nothing is read there
      .row(logits{3, 5}, targets{3}.filled(values({0, 0x1p62, 1})), with<class_weights>)
      .row(logits{0, 5})                                        // no rows
      .row(logits{3, 5}, class_weights{5}.filled(values({0})))  // W = 0
      .row(logits{3, 4}.filled(values({1, -kInf, 2, 0})), targets{3}.filled(values({0, 2, 3})))
      .row(logits{3, 5}, label_smoothing(-0.1), invalid("negative smoothing"))
      .row(logits{3, 5}, label_smoothing(1.5), invalid("smoothing above 1"))
      .row(logits{3, 5}, class_weights{4}, invalid("4 weights for 5 classes"))
      .row(logits{3, 5}, targets{4}, invalid("4 labels for 3 rows"));
}

}  // namespace

void add_softmax_rows(OpEntries& table) {
  op_case<SoftmaxArgs>(table, [](auto& row) { row.required(y(row.args.x.shape)); })
      .row(x{4, 7}.filled(uniform(-8, 8)))
      .row(x{1, 1})
      .row(x{3, 2})
      .row(x{2, 16}.filled(uniform(-8, 8)))
      .row(x{5, 17}.filled(uniform(90, 100)))  // e^100 is not an f32
      .row(x{3, 33}.filled(uniform(-100, -90)))
      .row(x{2, 1000}.filled(uniform(-8, 8)))
      .row(x{9, 1030}.filled(uniform(-8, 8)))
      .row(x{9, 31}.filled(uniform(-8, 8)))
      .row(x{2, 70}.filled(with_value_at(3, 200)))  // e^200 is not an f32, and smaller ones follow
      .row(x{0, 5})
      .row(x{5, 8}.filled(values({1e30, -1e30, 0, 3})))
      .row(x{3, 15}.filled(values({0, -kInf, 1})))
      .row(x{3, 5}.filled(with_value_at(7, kNan)))                                    // row 1 alone is NaN
      .row(x{3, 5}.filled(values({1, 2, 3, 4, 5, kInf, 0, 0, 0, 0, 1, 2, 3, 4, 5})))  // +∞: row 1 alone is NaN
      .row(x{3, 5}.filled(values({-kInf})))
      .row(x{3, 5}, y{5, 3}, invalid("y is transposed"));

  op_case<SoftmaxBackwardArgs>(table,
                               [](auto& row) {
                                 row.required(dy(row.args.y.shape));
                                 row.required(dx(row.args.y.shape));
                               })
      .row(y{4, 7}.filled(uniform(0, 0.3)))
      .row(y{1, 1}.filled(values({1})))
      .row(y{2, 16}.filled(uniform(0, 0.1)))
      .row(y{5, 17}.filled(uniform(0, 0.1)))
      .row(y{3, 1000}.filled(uniform(0, 0.002)))
      .row(y{9, 1030}.filled(uniform(0, 0.002)))
      .row(y{9, 31}.filled(uniform(0, 0.06)))
      .row(y{0, 5})
      .row(y{3, 5}, dy{5, 3}, invalid("dy is transposed"));

  auto loss_case = op_case<SoftmaxCrossEntropyArgs>(table, [](auto& row) {
    const Shape shape = row.args.logits.shape;
    row.required(targets({shape[0]}).filled(labels(shape[1])));
    row.optional(class_weights({shape[1]}));
    row.required(loss({1}));
  });
  loss_case.loose<logits>();  // any number of classes
  cross_entropy_rows(loss_case);
  loss_case.row(logits{3, 5}.filled(values({1e4, -1e4, 0, 3e4}))).row(logits{3, 5}.filled(with_value_at(7, kNan)));

  auto backward_case = op_case<SoftmaxCrossEntropyBackwardArgs>(table, [](auto& row) {
    const Shape shape = row.args.logits.shape;
    row.required(targets({shape[0]}).filled(labels(shape[1])));
    row.optional(class_weights({shape[1]}));
    row.required(dloss({1}));
    row.required(dlogits(shape));
  });
  cross_entropy_rows(backward_case);
  backward_case.row(logits{4, 5}.filled(values({300, -300, 0})), dloss{1}.filled(values({-2})));
}

}  // namespace graft::test
