// Dropout (Srivastava et al. 2014) and stochastic depth (Huang et al. 2016): a random mask of 0 and 1 / (1 − p),
// multiplied. The mask has one value per element, or one per image. Its backward is that of multiply.
#include "core/ops.h"

namespace graft::ops {

namespace {

Tensor masked(const Tensor& x, const Shape& mask_shape, double probability, const RandomSource& random) {
  GRAFT_CHECK(probability >= 0 && probability < 1, "dropout: the probability must be in [0, 1), not {}", probability);
  if (probability == 0) return x;
  Tensor mask = empty(x.shared_device(), mask_shape, x.dtype());
  x.device().run(
      BernoulliMaskArgs{.state = random.state, .y = mask, .probability = probability, .stream = random.stream});
  return multiply(x, mask);
}

}  // namespace

Tensor dropout(const Tensor& x, double probability, const RandomSource& random) {
  return masked(x, x.shape(), probability, random);
}

Tensor stochastic_depth(const Tensor& x, double probability, const RandomSource& random) {
  GRAFT_CHECK(x.rank() > 1, "stochastic_depth: the input must be [N, …], not {}", x.shape());
  Shape per_image = x.shape();
  for (int axis = 1; axis < per_image.rank; ++axis) per_image[axis] = 1;
  return masked(x, per_image, probability, random);
}

}  // namespace graft::ops
