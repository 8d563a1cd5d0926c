// Functions that CUDA kernels call too.
#pragma once

#if defined(__CUDACC__)
#define GRAFT_ANYWHERE __host__ __device__
#else
#define GRAFT_ANYWHERE
#endif
