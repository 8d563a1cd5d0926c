// Checks that several ops share: they throw an Error that names the op, the argument and both shapes.
#pragma once
#include "core/tape.h"

namespace graft::ops {

inline void check_image(const char* op, const Tensor& x) {
  GRAFT_CHECK(x.defined() && x.rank() == 4, "{}: the input must be [N, H, W, C], not {}", op, x.shape());
}

// A weight has x's type.
inline void check_type(const char* op, const char* name, const Tensor& x, const Tensor& t) {
  GRAFT_CHECK(t.dtype() == x.dtype(), "{}: {} is {}, the input {}", op, name, name_of(t.dtype()), name_of(x.dtype()));
}

// `t`, when defined, is what goes with each channel of x: it has this shape, and f32 where x has 16 bits.
inline void check_vector(const char* op, const char* name, const Tensor& x, const Tensor& t, const Shape& shape) {
  GRAFT_CHECK(!t.defined() || t.shape() == shape, "{}: {} is {}, an input of shape {} needs {}", op, name, t.shape(),
              x.shape(), shape);
  GRAFT_CHECK(!t.defined() || t.dtype() == vector_type(x.dtype()), "{}: {} is {}, an input of type {} needs {}", op,
              name, name_of(t.dtype()), name_of(x.dtype()), name_of(vector_type(x.dtype())));
}

inline void check_same(const char* op, const Tensor& a, const Tensor& b) {
  GRAFT_CHECK(a.shape() == b.shape() && a.dtype() == b.dtype(), "{}: {} {} and {} {} do not match", op, a.shape(),
              name_of(a.dtype()), b.shape(), name_of(b.dtype()));
}

// Extent of the output along one axis; an Error when the window does not fit.
int64_t window_output(const char* op, const char* axis, int64_t input, int32_t before, int32_t after, int64_t window,
                      int32_t dilation, int32_t stride);

// Shape of a convolution's or pooling's output with `channels` channels.
Shape conv_output_shape(const char* op, const Tensor& x, int64_t kernel_h, int64_t kernel_w, const Conv2dParams& params,
                        int64_t channels);
Shape pool_output_shape(const char* op, const Tensor& x, const PoolParams& params);

// Σ over all rows: the gradient of a bias.
inline void sum_rows(const Tensor& dy, Gradients& d, size_t input) {
  if (!d.needed(input)) return;
  dy.device().run(ReduceArgs{.x = dy, .y = d.allocate_wide(input), .count = dy.shape().rows(), .inner = dy.channels()});
}

}  // namespace graft::ops
