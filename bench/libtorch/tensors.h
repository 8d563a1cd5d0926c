// graft's views as LibTorch's tensors: the same memory, channels last.
#pragma once
#include <ATen/ATen.h>

#include "bench/libtorch/peer_io.h"

namespace graft::bench {

inline at::ScalarType type_of(DType type) {
  switch (type) {
    case DType::f64:
      return at::kDouble;
    case DType::f32:
      return at::kFloat;
    case DType::bf16:
      return at::kBFloat16;
    case DType::f16:
      return at::kHalf;
    case DType::i64:
      return at::kLong;
    default:
      return at::kByte;
  }
}

// As it lies there.
inline at::Tensor plain(const TensorView& view) {
  if (!view.present()) return {};
  return at::from_blob(view.data, at::IntArrayRef(view.shape.extents, static_cast<size_t>(view.shape.rank)),
                       at::TensorOptions().dtype(type_of(view.dtype)));
}

// [N, H, W, C] and [K, R, S, C] as LibTorch names the axes, N C H W: channels last, not one byte moved.
inline at::Tensor image(const TensorView& view) {
  return view.present() ? plain(view).permute({0, 3, 1, 2}) : at::Tensor();
}

// A depthwise filter [R, S, C] as [C, 1, R, S], in LibTorch's own order.
inline at::Tensor depthwise_filter(const TensorView& view) {
  return plain(view).permute({2, 0, 1}).unsqueeze(1).contiguous(at::MemoryFormat::ChannelsLast);
}

}  // namespace graft::bench
