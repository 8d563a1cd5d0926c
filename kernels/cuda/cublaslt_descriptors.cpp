#include "kernels/cuda/cublaslt_descriptors.h"

namespace graft::cuda {

namespace {

cudaDataType_t data_type(DType type) {
  return type == DType::bf16 ? CUDA_R_16BF : type == DType::f16 ? CUDA_R_16F : CUDA_R_32F;
}

cublasOperation_t operation_of(bool transposed) { return transposed ? CUBLAS_OP_T : CUBLAS_OP_N; }

cublasLtEpilogue_t epilogue_of(const MatrixProduct& p) {
  if (p.bias.present()) return p.relu ? CUBLASLT_EPILOGUE_RELU_BIAS : CUBLASLT_EPILOGUE_BIAS;
  return p.relu ? CUBLASLT_EPILOGUE_RELU : CUBLASLT_EPILOGUE_DEFAULT;
}

}  // namespace

cublasStatus_t describe(const CublasLt& api, const MatrixProduct& p, const void* bias, ProductDescriptors* out) {
  const cublasComputeType_t compute = p.rounds_to_tf32 ? CUBLAS_COMPUTE_32F_FAST_TF32 : CUBLAS_COMPUTE_32F;
  cublasStatus_t status =
      api.cublasLtMatmulDescInit_internal(&out->operation, sizeof out->operation, compute, data_type(p.accumulates_in));
  const auto set = [&](cublasLtMatmulDescAttributes_t name, const auto& value) {
    if (status == CUBLAS_STATUS_SUCCESS)
      status = api.cublasLtMatmulDescSetAttribute(&out->operation, name, &value, sizeof value);
  };
  set(CUBLASLT_MATMUL_DESC_TRANSA, operation_of(p.transpose_a));
  set(CUBLASLT_MATMUL_DESC_TRANSB, operation_of(p.transpose_b));
  set(CUBLASLT_MATMUL_DESC_EPILOGUE, epilogue_of(p));
  if (p.bias.present()) {
    set(CUBLASLT_MATMUL_DESC_BIAS_DATA_TYPE, data_type(p.bias.type));
    set(CUBLASLT_MATMUL_DESC_BIAS_POINTER, bias);
  }

  const auto lay_out = [&](cublasLtMatrixLayoutOpaque_t* layout, const ProductMatrix& m) {
    if (status == CUBLAS_STATUS_SUCCESS)
      status = api.cublasLtMatrixLayoutInit_internal(layout, sizeof *layout, data_type(m.type),
                                                     static_cast<uint64_t>(m.rows), static_cast<uint64_t>(m.columns),
                                                     m.leading);
  };
  lay_out(&out->a, p.a);
  lay_out(&out->b, p.b);
  lay_out(&out->d, p.d);
  return status;
}

cublasStatus_t describe(const CublasLt& api, const MatrixProduct& p, cublasLtMatmulPreferenceOpaque_t* out) {
  cublasStatus_t status = api.cublasLtMatmulPreferenceInit_internal(out, sizeof *out);
  const auto set = [&](cublasLtMatmulPreferenceAttributes_t name, auto value) {
    if (status == CUBLAS_STATUS_SUCCESS)
      status = api.cublasLtMatmulPreferenceSetAttribute(out, name, &value, sizeof value);
  };
  set(CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, static_cast<uint64_t>(p.workspace_limit));
  set(CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK, static_cast<uint32_t>(CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE));
  for (const auto matrix : {CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES,
                            CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES})
    set(matrix, static_cast<uint32_t>(p.alignment));
  return status;
}

std::optional<ProductAlgorithm> choose_algorithm(const CublasLt& api, cublasLtHandle_t handle, const MatrixProduct& p) {
  // The heuristic reads nothing from a bias but how far its address is aligned.
  const auto* bias = reinterpret_cast<const void*>(static_cast<uintptr_t>(p.alignment));
  ProductDescriptors d;
  cublasLtMatmulPreferenceOpaque_t preference;
  if (describe(api, p, bias, &d) != CUBLAS_STATUS_SUCCESS || describe(api, p, &preference) != CUBLAS_STATUS_SUCCESS)
    return std::nullopt;
  cublasLtMatmulHeuristicResult_t first = {};
  int found = 0;
  const cublasStatus_t status =
      api.cublasLtMatmulAlgoGetHeuristic(handle, &d.operation, &d.a, &d.b, &d.d, &d.d, &preference, 1, &first, &found);
  if (status != CUBLAS_STATUS_SUCCESS || found == 0 || first.state != CUBLAS_STATUS_SUCCESS) return std::nullopt;
  return ProductAlgorithm{.algorithm = first.algo, .workspace_bytes = static_cast<int64_t>(first.workspaceSize)};
}

}  // namespace graft::cuda
