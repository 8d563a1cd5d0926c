// Weights that PyTorch saved: torch.save of a state dict, or of a checkpoint that holds one. Nothing in the file is
// executed, whatever it asks for.
//
// Tensors may be f64, f32, f16, bf16, i64, i32, i16, i8, u8 or bool, of any strides; the smaller signed integers are
// shown as i64, bool as u8. Tensors that share a storage are separate entries. A checksum, where the file has one, is
// checked when a storage is first read.
#pragma once
#include <filesystem>
#include <memory>

#include "io/weights.h"

namespace graft::io {

// Reads the index, not the weights. Throws Error with the path when the file is missing, damaged or something else
// (what it seems to be is said), refers to code, or holds no dict of tensors.
std::unique_ptr<WeightsReader> open_torch_file(const std::filesystem::path& path);

}  // namespace graft::io
