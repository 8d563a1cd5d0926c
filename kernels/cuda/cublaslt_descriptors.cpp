#include "kernels/cuda/cublaslt_descriptors.h"

#include <algorithm>

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

// "cublaslt 66 tile=20 stages=3 …"; what an algorithm does not have is left out.
std::string name_of(const CublasLt& api, const cublasLtMatmulAlgo_t& algorithm) {
  std::string name = "cublaslt";
  const auto add = [&]<typename T>(const char* word, cublasLtMatmulAlgoConfigAttributes_t attribute, T value) {
    size_t written = 0;
    const cublasStatus_t status =
        api.cublasLtMatmulAlgoConfigGetAttribute(&algorithm, attribute, &value, sizeof value, &written);
    if (status == CUBLAS_STATUS_SUCCESS && written == sizeof value) name += word + std::to_string(value);
  };
  add(" ", CUBLASLT_ALGO_CONFIG_ID, int32_t{});
  add(" tile=", CUBLASLT_ALGO_CONFIG_TILE_ID, uint32_t{});
  add(" stages=", CUBLASLT_ALGO_CONFIG_STAGES_ID, uint32_t{});
  add(" splits=", CUBLASLT_ALGO_CONFIG_SPLITK_NUM, int32_t{});
  add(" reduction=", CUBLASLT_ALGO_CONFIG_REDUCTION_SCHEME, uint32_t{});
  add(" swizzling=", CUBLASLT_ALGO_CONFIG_CTA_SWIZZLING, uint32_t{});
  add(" option=", CUBLASLT_ALGO_CONFIG_CUSTOM_OPTION, uint32_t{});
  add(" inner=", CUBLASLT_ALGO_CONFIG_INNER_SHAPE_ID, uint16_t{});
  add(" cluster=", CUBLASLT_ALGO_CONFIG_CLUSTER_SHAPE_ID, uint16_t{});
  return name;
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

std::vector<ProductAlgorithm> list_algorithms(const CublasLt& api, cublasLtHandle_t handle, const MatrixProduct& p,
                                              size_t most) {
  // The heuristic reads nothing from a bias but how far its address is aligned.
  const auto* bias = reinterpret_cast<const void*>(static_cast<uintptr_t>(p.alignment));
  ProductDescriptors d;
  cublasLtMatmulPreferenceOpaque_t preference;
  if (describe(api, p, bias, &d) != CUBLAS_STATUS_SUCCESS || describe(api, p, &preference) != CUBLAS_STATUS_SUCCESS)
    return {};
  std::vector<cublasLtMatmulHeuristicResult_t> results(most);
  int found = 0;
  if (api.cublasLtMatmulAlgoGetHeuristic(handle, &d.operation, &d.a, &d.b, &d.d, &d.d, &preference,
                                         static_cast<int>(most), results.data(), &found) != CUBLAS_STATUS_SUCCESS)
    return {};
  std::vector<ProductAlgorithm> list;
  for (int i = 0; i < found; ++i) {
    const cublasLtMatmulHeuristicResult_t& r = results[static_cast<size_t>(i)];
    if (r.state != CUBLAS_STATUS_SUCCESS) continue;
    std::string name = name_of(api, r.algo);
    if (std::any_of(list.begin(), list.end(), [&](const ProductAlgorithm& a) { return a.name == name; })) continue;
    list.push_back({r.algo, static_cast<int64_t>(r.workspaceSize), std::move(name)});
  }
  return list;
}

std::optional<ProductAlgorithm> choose_algorithm(const CublasLt& api, cublasLtHandle_t handle, const MatrixProduct& p) {
  const std::vector<ProductAlgorithm> first = list_algorithms(api, handle, p, 1);
  return first.empty() ? std::nullopt : std::optional(first.front());
}

}  // namespace graft::cuda
