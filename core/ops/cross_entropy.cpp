// Softmax cross-entropy with class indices, label smoothing (Szegedy et al. 2016, §7) and class weights; the mean over
// the batch, weighted as the classes are. Formulas of both directions stand beside the primitives in
// contract/primitives.h.
#include "core/ops.h"
#include "core/ops/check.h"
#include "core/tape.h"

namespace graft::ops {

Tensor cross_entropy(const Tensor& logits, const Tensor& targets, const Tensor& class_weights, double label_smoothing) {
  GRAFT_CHECK(logits.defined() && logits.rank() == 2 && logits.size(1) > 0,
              "cross_entropy: the logits must be [N, classes], not {}", logits.shape());
  GRAFT_CHECK(targets.dtype() == DType::i64 && targets.shape() == Shape{logits.size(0)},
              "cross_entropy: the targets must be i64 [{}], not {} {}", logits.size(0), name_of(targets.dtype()),
              targets.shape());
  check_vector("cross_entropy", "class_weights", logits, class_weights, {logits.size(1)});
  GRAFT_CHECK(label_smoothing >= 0 && label_smoothing <= 1, "cross_entropy: label smoothing must be in [0, 1], not {}",
              label_smoothing);
  Tensor loss = empty(logits.shared_device(), {1}, vector_type(logits.dtype()));
  logits.device().run(SoftmaxCrossEntropyArgs{.logits = logits,
                                              .targets = targets,
                                              .class_weights = class_weights,
                                              .loss = loss,
                                              .label_smoothing = label_smoothing});
  return record("cross_entropy", loss, {logits}, {logits, targets, class_weights},
                [label_smoothing](std::span<const Tensor> saved, const Tensor& dloss, Gradients& d) {
                  dloss.device().run(SoftmaxCrossEntropyBackwardArgs{.logits = saved[0],
                                                                     .targets = saved[1],
                                                                     .class_weights = saved[2],
                                                                     .dloss = dloss,
                                                                     .dlogits = d.if_needed(0),
                                                                     .label_smoothing = label_smoothing});
                });
}

}  // namespace graft::ops
