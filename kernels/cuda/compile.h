// CompileFunctions of the CUDA backend.
#pragma once
#include "kernels/cuda/cuda_backend.h"

namespace graft::cuda {

CompileFunctions compile_functions();

}  // namespace graft::cuda
