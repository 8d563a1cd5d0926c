// cuBLASLt 13 as far as graft uses it: its functions, found at run time.
#pragma once
#include <cublasLt.h>

namespace graft::cuda {

// Descriptors are made where they are used, by the functions that cublasLt.h's inline ones call with the size of the
// structs that graft was compiled with.
#define GRAFT_CUBLASLT_FUNCTIONS(X)        \
  X(cublasLtGetVersion)                    \
  X(cublasLtGetStatusString)               \
  X(cublasLtCreate)                        \
  X(cublasLtDestroy)                       \
  X(cublasLtMatmulDescInit_internal)       \
  X(cublasLtMatmulDescSetAttribute)        \
  X(cublasLtMatrixLayoutInit_internal)     \
  X(cublasLtMatmulPreferenceInit_internal) \
  X(cublasLtMatmulPreferenceSetAttribute)  \
  X(cublasLtMatmulAlgoGetHeuristic)        \
  X(cublasLtMatmulAlgoConfigGetAttribute)  \
  X(cublasLtMatmul)                        \
  X(cublasLtMatmulDescGetAttribute)        \
  X(cublasLtMatrixLayoutGetAttribute)      \
  X(cublasLtMatmulPreferenceGetAttribute)

// Pointers to cuBLASLt's functions, under cuBLASLt's names. The last three are for tests, which read descriptors back.
struct CublasLt {
#define X(function) decltype(&::function) function = nullptr;
  GRAFT_CUBLASLT_FUNCTIONS(X)
#undef X
};

// Opened by the first who asks, for good; nullptr: not here, or of another major version (libraries.h says why).
const CublasLt* cublaslt();

}  // namespace graft::cuda
