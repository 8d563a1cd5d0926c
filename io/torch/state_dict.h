// Finding the weights in what was saved: a dict of tensors, or a checkpoint with one somewhere inside.
#pragma once
#include <string>
#include <vector>

#include "io/torch/pickle_value.h"

namespace graft::io::torch {

struct NamedTensor {
  std::string name;  // without `module.` (DataParallel) and `_orig_mod.` (torch.compile), when all names begin so
  const TensorRef* tensor = nullptr;
};

// In the file's order. Throws Error, listing what the file `name` holds, when there is no dict of tensors or no telling
// which one is meant.
std::vector<NamedTensor> find_state_dict(const PickleValues& values, Value object, const std::string& name);

}  // namespace graft::io::torch
