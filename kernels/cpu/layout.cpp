// Elements moved or converted, none computed: permute, copy_slice, subsample_pad and its gradient, fill, cast. Plain
// C++, the same for every instruction set; contiguous runs go through memcpy. Bound by memory, casts to 16 bits by
// their arithmetic.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "kernels/cpu/convert.h"
#include "kernels/cpu/dispatch.h"

namespace graft::cpu {
namespace {

constexpr int64_t kChunk = 16384;

// y's axes with neighbours that stay together in x joined; the last axis runs fastest.
struct Walk {
  int rank = 0;
  int64_t extent[kMaxRank] = {}, step[kMaxRank] = {};  // of y, in x
};
Walk walk_of(const PermuteArgs& a) {
  Walk w;
  for (int axis = 0; axis < a.y.shape.rank; ++axis) {
    const int64_t extent = a.y.shape[axis], step = a.x.shape.count(a.order[axis] + 1, a.x.shape.rank);
    if (w.rank > 0 && w.step[w.rank - 1] == step * extent) {
      w.extent[w.rank - 1] *= extent;
      w.step[w.rank - 1] = step;
    } else {
      w.extent[w.rank] = extent;
      w.step[w.rank++] = step;
    }
  }
  if (w.rank == 0) w.extent[w.rank] = 1, w.step[w.rank++] = 1;
  return w;
}

template <typename T>
void permute_as(ThreadPool& pool, const Walk& w, const T* x, T* y, int64_t count) {
  const int last = w.rank - 1;
  const int64_t run = w.extent[last], step = w.step[last];
  const int64_t rows = count / run, rows_per_task = std::max<int64_t>(1, kChunk / run);
  pool.parallel_for(ceil_div(rows, rows_per_task), [&](int64_t task, int) {
    for (int64_t row = task * rows_per_task; row < std::min(rows, (task + 1) * rows_per_task); ++row) {
      int64_t rest = row, at = 0;
      for (int axis = last - 1; axis >= 0; --axis) {
        at += rest % w.extent[axis] * w.step[axis];
        rest /= w.extent[axis];
      }
      if (step == 1)
        std::memcpy(y + row * run, x + at, static_cast<size_t>(run) * sizeof(T));
      else
        for (int64_t i = 0; i < run; ++i) y[row * run + i] = x[at + i * step];
    }
  });
}

Status permute(CallContext& c, const PermuteArgs& a) {
  c.kernel = "cpu.permute";
  const int64_t count = a.y.numel();
  if (count == 0) return Status::ok;
  const Walk w = walk_of(a);
  const auto move = [&](auto type) {
    using T = decltype(type);
    permute_as(pool_of(c), w, a.x.as<const T>(), a.y.as<T>(), count);
  };
  switch (size_of(a.x.dtype)) {
    case 1:
      move(uint8_t{});
      break;
    case 2:
      move(uint16_t{});
      break;
    case 4:
      move(uint32_t{});
      break;
    default:
      move(uint64_t{});
      break;
  }
  return Status::ok;
}

Status copy_slice(CallContext& c, const CopySliceArgs& a) {
  c.kernel = "cpu.copy_slice";
  if (a.count == 0 || a.outer == 0) return Status::ok;
  const auto size = static_cast<int64_t>(size_of(a.x.dtype)), bytes = a.count * size;
  const auto* x = a.x.as<const char>() + a.x_begin * size;
  auto* y = a.y.as<char>() + a.y_begin * size;
  const int64_t rows = std::max<int64_t>(1, 4 * kChunk / bytes), parts = ceil_div(bytes, 4 * kChunk);
  const int64_t row_tasks = ceil_div(a.outer, rows);
  pool_of(c).parallel_for(row_tasks * parts, [&](int64_t task, int) {
    const int64_t part = task % parts * 4 * kChunk, first = task / parts * rows;
    for (int64_t o = first; o < std::min(a.outer, first + rows); ++o)
      std::memcpy(y + o * a.y_row * size + part, x + o * a.x_row * size + part,
                  static_cast<size_t>(std::min(bytes - part, 4 * kChunk)));
  });
  return Status::ok;
}

// One row of pixels a task: channels copied where they come from, zeros around.
Status subsample_pad(CallContext& c, const SubsamplePadArgs& a) {
  c.kernel = "cpu.subsample_pad";
  const Shape &x = a.x.shape, &y = a.y.shape;
  if (a.y.numel() == 0) return Status::ok;
  pool_of(c).parallel_for(y[0] * y[1], [&](int64_t row, int) {
    for (int64_t ow = 0; ow < y[2]; ++ow) {
      const int64_t n = row / y[1], h = row % y[1] * a.stride, w = ow * a.stride;
      float* to = a.y.as<float>() + (row * y[2] + ow) * y[3];
      std::fill(to, to + y[3], 0.f);
      if (x[3] > 0)
        std::memcpy(to + a.before, a.x.as<const float>() + ((n * x[1] + h) * x[2] + w) * x[3],
                    static_cast<size_t>(x[3]) * sizeof(float));
    }
  });
  return Status::ok;
}

Status subsample_pad_backward(CallContext& c, const SubsamplePadBackwardArgs& a) {
  c.kernel = "cpu.subsample_pad_backward";
  const Shape &dx = a.dx.shape, &dy = a.dy.shape;
  if (a.dx.numel() == 0) return Status::ok;
  pool_of(c).parallel_for(dx[0] * dx[1], [&](int64_t row, int) {
    const int64_t n = row / dx[1], h = row % dx[1];
    for (int64_t w = 0; w < dx[2]; ++w) {
      float* to = a.dx.as<float>() + (row * dx[2] + w) * dx[3];
      if (h % a.stride != 0 || w % a.stride != 0)
        std::fill(to, to + dx[3], 0.f);
      else
        std::memcpy(to, a.dy.as<const float>() + ((n * dy[1] + h / a.stride) * dy[2] + w / a.stride) * dy[3] + a.before,
                    static_cast<size_t>(dx[3]) * sizeof(float));
    }
  });
  return Status::ok;
}

Status fill(CallContext& c, const FillArgs& a) {
  c.kernel = "cpu.fill";
  with_element(a.y.dtype, [&](auto element) {
    using E = decltype(element);
    const auto value = E::from(a.value);
    auto* y = a.y.as<typename E::Storage>();
    const int64_t count = a.y.numel();
    pool_of(c).parallel_for(ceil_div(count, kChunk), [&](int64_t chunk, int) {
      std::fill(y + chunk * kChunk, y + std::min(count, (chunk + 1) * kChunk), value);
    });
  });
  return Status::ok;
}

Status cast(CallContext& c, const CastArgs& a) {
  c.kernel = "cpu.cast";
  const int64_t count = a.x.numel();
  with_element(a.x.dtype, [&](auto from) {
    with_element(a.y.dtype, [&](auto to) {
      using From = decltype(from);
      using To = decltype(to);
      const auto* x = a.x.as<const typename From::Storage>();
      auto* y = a.y.as<typename To::Storage>();
      pool_of(c).parallel_for(ceil_div(count, kChunk), [&](int64_t chunk, int) {
        for (int64_t i = chunk * kChunk; i < std::min(count, (chunk + 1) * kChunk); ++i)
          y[i] = To::from(From::value(x[i]));
      });
    });
  });
  return Status::ok;
}

}  // namespace

void enter_layout(CpuIsa, KernelTable& table) {
  enter<PermuteArgs, permute>(table);
  enter<CopySliceArgs, copy_slice>(table);
  enter<SubsamplePadArgs, subsample_pad>(table);
  enter<SubsamplePadBackwardArgs, subsample_pad_backward>(table);
  enter<FillArgs, fill>(table);
  enter<CastArgs, cast>(table);
}

}  // namespace graft::cpu
