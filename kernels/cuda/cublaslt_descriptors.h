// From a product as plain data to cuBLASLt's descriptors, and to the algorithm that computes it.
#pragma once
#include <optional>
#include <string>
#include <vector>

#include "kernels/cuda/cublaslt_library.h"
#include "kernels/cuda/matrix_product.h"

namespace graft::cuda {

// Plain memory that nobody frees. A bias's address is part of `operation`, so each call describes its own.
struct ProductDescriptors {
  cublasLtMatmulDescOpaque_t operation;
  cublasLtMatrixLayoutOpaque_t a, b, d;  // d is C's as well
};
cublasStatus_t describe(const CublasLt&, const MatrixProduct&, const void* bias, ProductDescriptors* out);

// What is asked of an algorithm. A sum that is split is added up in f32 by a second kernel, in an order fixed by the
// algorithm (the reduction scheme "compute type"): never in D, where each part would be rounded to D's type.
cublasStatus_t describe(const CublasLt&, const MatrixProduct&, cublasLtMatmulPreferenceOpaque_t* out);

struct ProductAlgorithm {
  cublasLtMatmulAlgo_t algorithm;
  int64_t workspace_bytes = 0;
  std::string name;  // "cublaslt 66 tile=20 stages=3 …": its number and configuration
};

// The first that cuBLASLt's heuristic names. Nothing is timed, so the same product on the same kind of GPU, under the
// same cuBLASLt, has the same algorithm and the same bits in every run. Nothing: there is none, and graft's own kernels
// compute this product.
std::optional<ProductAlgorithm> choose_algorithm(const CublasLt&, cublasLtHandle_t, const MatrixProduct&);

// The first that it names, each name once.
std::vector<ProductAlgorithm> list_algorithms(const CublasLt&, cublasLtHandle_t, const MatrixProduct&, size_t most);

}  // namespace graft::cuda
