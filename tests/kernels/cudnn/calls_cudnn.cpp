// These tests are a build that calls cuDNN, without the part of the plug-in that does it on a GPU.
#include "kernels/cuda/libraries.h"

bool graft::cuda::calls_cudnn() { return true; }
