// Pooling: one number a channel for each window of pixels.
#include <cmath>

#include "kernels/reference/checks.h"
#include "kernels/reference/primitives.h"
#include "kernels/reference/views.h"
#include "kernels/reference/window.h"

namespace graft::reference {

namespace {

// x [N,H,W,C]; y [N,Ho,Wo,C], at least one pixel each
bool same_images(const TensorView& x, const TensorView& y) {
  return one_float_type(x, y) && x.shape.rank == 4 && y.shape.rank == 4 && y.shape[0] == x.shape[0] &&
         y.shape[3] == x.shape[3] && x.shape[1] >= 1 && x.shape[2] >= 1 && y.shape[1] >= 1 && y.shape[2] >= 1;
}

// With pads smaller than the window, every window holds a real pixel.
bool pools(const TensorView& x, const TensorView& y, const PoolParams& p) {
  return same_images(x, y) && window_of(x.shape, y.shape, p).valid() && p.pad.top < p.window.h &&
         p.pad.bottom < p.window.h && p.pad.left < p.window.w && p.pad.right < p.window.w;
}

bool is_pool_index(const TensorView& index, const TensorView& y, const PoolParams& p) {
  return is(index, DType::u8, y.shape) && int64_t{p.window.h} * p.window.w <= 255;
}

}  // namespace

// y[n,h,w,c] = max_{r,s} x[n, h·stride − pad + r, w·stride − pad + s, c]; index = r·S + s of the winner
Status max_pool(const MaxPoolArgs& a) {
  if (!pools(a.x, a.y, a.pool) || (a.index.present() && !is_pool_index(a.index, a.y, a.pool)))
    return Status::invalid_argument;
  const Window window = window_of(a.x.shape, a.y.shape, a.pool);

  return for_float_type(a.y.dtype, [&](auto type) {
    using T = decltype(type);
    const View4<const T> x(a.x);
    const View4<T> y(a.y);
    const View4<uint8_t> index(a.index);
    for (auto [n, h, w, c] : y.indices()) {
      int64_t winner = -1;
      T best = 0;
      for (int64_t r = 0; r < a.pool.window.h; ++r)
        for (int64_t s = 0; s < a.pool.window.w; ++s) {
          const int64_t ih = window.rows.input_at(h, r), iw = window.columns.input_at(w, s);
          if (ih < 0 || iw < 0) continue;
          const T pixel = x(n, ih, iw, c);
          if (winner >= 0 && !(pixel > best || (std::isnan(pixel) && !std::isnan(best)))) continue;
          best = pixel;
          winner = r * a.pool.window.w + s;
        }
      y(n, h, w, c) = best;
      if (a.index.present()) index(n, h, w, c) = static_cast<uint8_t>(winner);
    }
  });
}

// dx[n,h,w,c] = Σ of dy over the windows whose winner this pixel is
Status max_pool_backward(const MaxPoolBackwardArgs& a) {
  if (!pools(a.dx, a.dy, a.pool) || !is_pool_index(a.index, a.dy, a.pool)) return Status::invalid_argument;
  const Window window = window_of(a.dx.shape, a.dy.shape, a.pool);

  return for_float_type(a.dx.dtype, [&](auto type) {
    using T = decltype(type);
    const View4<const T> dy(a.dy);
    const View4<const uint8_t> index(a.index);
    const View4<T> dx(a.dx);
    for (auto [n, h, w, c] : dx.indices()) {
      double sum = 0;
      for (int64_t r = 0; r < a.pool.window.h; ++r)
        for (int64_t s = 0; s < a.pool.window.w; ++s) {
          const int64_t oh = window.rows.output_at(h, r), ow = window.columns.output_at(w, s);
          if (oh >= 0 && ow >= 0 && index(n, oh, ow, c) == r * a.pool.window.w + s) sum += dy(n, oh, ow, c);
        }
      dx(n, h, w, c) = static_cast<T>(sum);
    }
  });
}

namespace {

double pixels_of(const Window& window, int64_t h, int64_t w, const PoolParams& p) {
  const int64_t all = int64_t{p.window.h} * p.window.w;
  return static_cast<double>(p.count_include_pad ? all : window.rows.inside(h) * window.columns.inside(w));
}

}  // namespace

// y[n,h,w,c] = Σ_{r,s} x[n, h·stride − pad + r, w·stride − pad + s, c] / pixels
Status avg_pool(const AvgPoolArgs& a) {
  if (!pools(a.x, a.y, a.pool)) return Status::invalid_argument;
  const Window window = window_of(a.x.shape, a.y.shape, a.pool);

  return for_float_type(a.y.dtype, [&](auto type) {
    using T = decltype(type);
    const View4<const T> x(a.x);
    const View4<T> y(a.y);
    for (auto [n, h, w, c] : y.indices()) {
      double sum = 0;
      for (int64_t r = 0; r < a.pool.window.h; ++r)
        for (int64_t s = 0; s < a.pool.window.w; ++s) {
          const int64_t ih = window.rows.input_at(h, r), iw = window.columns.input_at(w, s);
          if (ih >= 0 && iw >= 0) sum += x(n, ih, iw, c);
        }
      y(n, h, w, c) = static_cast<T>(sum / pixels_of(window, h, w, a.pool));
    }
  });
}

// dx[n,h,w,c] = Σ over the windows on this pixel of dy / pixels
Status avg_pool_backward(const AvgPoolBackwardArgs& a) {
  if (!pools(a.dx, a.dy, a.pool)) return Status::invalid_argument;
  const Window window = window_of(a.dx.shape, a.dy.shape, a.pool);

  return for_float_type(a.dx.dtype, [&](auto type) {
    using T = decltype(type);
    const View4<const T> dy(a.dy);
    const View4<T> dx(a.dx);
    for (auto [n, h, w, c] : dx.indices()) {
      double sum = 0;
      for (int64_t r = 0; r < a.pool.window.h; ++r)
        for (int64_t s = 0; s < a.pool.window.w; ++s) {
          const int64_t oh = window.rows.output_at(h, r), ow = window.columns.output_at(w, s);
          if (oh >= 0 && ow >= 0) sum += dy(n, oh, ow, c) / pixels_of(window, oh, ow, a.pool);
        }
      dx(n, h, w, c) = static_cast<T>(sum);
    }
  });
}

namespace {

// One axis of an adaptive pool: output o covers the inputs [begin(o), end(o)).
struct AdaptiveAxis {
  int64_t input, output;
  int64_t begin(int64_t o) const { return o * input / output; }
  int64_t end(int64_t o) const { return ((o + 1) * input + output - 1) / output; }
};

}  // namespace

// y[n,h,w,c] = the mean of x[n, ⌊h·H/Ho⌋ … ⌈(h+1)·H/Ho⌉ − 1, ⌊w·W/Wo⌋ … ⌈(w+1)·W/Wo⌉ − 1, c]
Status adaptive_avg_pool(const AdaptiveAvgPoolArgs& a) {
  if (!same_images(a.x, a.y)) return Status::invalid_argument;
  const AdaptiveAxis rows{a.x.shape[1], a.y.shape[1]}, columns{a.x.shape[2], a.y.shape[2]};

  return for_float_type(a.y.dtype, [&](auto type) {
    using T = decltype(type);
    const View4<const T> x(a.x);
    const View4<T> y(a.y);
    for (auto [n, h, w, c] : y.indices()) {
      double sum = 0;
      for (int64_t ih = rows.begin(h); ih < rows.end(h); ++ih)
        for (int64_t iw = columns.begin(w); iw < columns.end(w); ++iw) sum += x(n, ih, iw, c);
      const int64_t pixels = (rows.end(h) - rows.begin(h)) * (columns.end(w) - columns.begin(w));
      y(n, h, w, c) = static_cast<T>(sum / static_cast<double>(pixels));
    }
  });
}

// dx[n,h,w,c] = Σ over the output pixels that cover (h,w) of dy / pixels
Status adaptive_avg_pool_backward(const AdaptiveAvgPoolBackwardArgs& a) {
  if (!same_images(a.dx, a.dy)) return Status::invalid_argument;
  const AdaptiveAxis rows{a.dx.shape[1], a.dy.shape[1]}, columns{a.dx.shape[2], a.dy.shape[2]};

  return for_float_type(a.dx.dtype, [&](auto type) {
    using T = decltype(type);
    const View4<const T> dy(a.dy);
    const View4<T> dx(a.dx);
    for (auto [n, h, w, c] : dx.indices()) {
      double sum = 0;
      for (int64_t oh = 0; oh < rows.output; ++oh)
        for (int64_t ow = 0; ow < columns.output; ++ow) {
          if (h < rows.begin(oh) || h >= rows.end(oh) || w < columns.begin(ow) || w >= columns.end(ow)) continue;
          const int64_t pixels = (rows.end(oh) - rows.begin(oh)) * (columns.end(ow) - columns.begin(ow));
          sum += dy(n, oh, ow, c) / static_cast<double>(pixels);
        }
      dx(n, h, w, c) = static_cast<T>(sum);
    }
  });
}

}  // namespace graft::reference
