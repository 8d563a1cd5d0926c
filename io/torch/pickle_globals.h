// The fixed list of names a pickle may refer to. None of them is imported or run: each stands for a way to build a
// plain value. A name that is not in the list is refused.
#pragma once
#include <cstddef>
#include <string_view>

#include "io/torch/element_type.h"

namespace graft::io::torch {

enum class Role : uint8_t {
  storage,             // torch.FloatStorage: the element type of a storage
  dtype,               // torch.float32
  dict,                // collections.OrderedDict
  tuple,               // torch.Size
  rebuild_tensor,      // (storage, offset, size, stride, …)
  rebuild_tensor_v3,   // (storage of bytes, offset, size, stride, requires_grad, hooks, dtype, …)
  rebuild_parameter,   // (tensor, …)
  rebuild_from_type,   // (one of the three above, class, its arguments, …)
  unsupported_tensor,  // a kind of tensor graft has no use for: sparse, quantized, …
  opaque,              // data beside the weights: argparse.Namespace, NumPy's numbers, …
};

struct Global {
  std::string_view name;  // "module.name"
  Role role;
  ElementType type = ElementType::unsupported;
};

inline constexpr size_t kNoGlobal = static_cast<size_t>(-1);

size_t find_global(std::string_view name);  // kNoGlobal when it is not in the list
const Global& global_at(size_t index);

}  // namespace graft::io::torch
