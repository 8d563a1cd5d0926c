#include "tests/kernels/cublaslt/host_cublaslt.h"

#include <cuda_bf16.h>
#include <cuda_runtime_api.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <initializer_list>
#include <utility>

namespace graft::test {

HostCublasLt& host_cublaslt() {
  static HostCublasLt played;
  return played;
}

namespace {

struct Operation {
  int32_t compute = 0, scale = 0, bias_type = 0;
  int32_t transposes[2] = {CUBLAS_OP_N, CUBLAS_OP_N};
  uint32_t epilogue = CUBLASLT_EPILOGUE_DEFAULT;
  const float* bias = nullptr;

  bool has(uint32_t part) const { return (epilogue & part) != 0; }
};
struct Layout {
  cudaDataType type;
  uint64_t rows, columns;
  int64_t leading;

  int64_t at(uint64_t row, uint64_t column) const {
    return static_cast<int64_t>(row) + static_cast<int64_t>(column) * leading;
  }
};
struct Preference {
  uint64_t workspace = 0;
};

// What lies in a descriptor of cuBLASLt's size.
template <typename T, typename Opaque>
T& in(Opaque* opaque) {
  static_assert(sizeof(T) <= sizeof(*opaque));
  return *reinterpret_cast<T*>(opaque);
}

double load(const void* memory, cudaDataType type, int64_t at) {
  if (type == CUDA_R_32F) return double{static_cast<const float*>(memory)[at]};
  return double{__bfloat162float(static_cast<const __nv_bfloat16*>(memory)[at])};
}
void store(void* memory, cudaDataType type, int64_t at, double value) {
  if (type == CUDA_R_32F)
    static_cast<float*>(memory)[at] = static_cast<float>(value);
  else
    static_cast<__nv_bfloat16*>(memory)[at] = __float2bfloat16_rn(static_cast<float>(value));
}

// Of op(A) [rows, depth].
uint64_t depth_of(const Operation& o, const Layout& a) { return o.transposes[0] == CUBLAS_OP_N ? a.columns : a.rows; }

// An algorithm is that of one product; its number stands above a type.
constexpr int kNumberShift = 32;
cublasLtMatmulAlgo_t algorithm_of(const Operation& o, const Layout& a, const Layout& d, uint64_t number) {
  return {{static_cast<uint64_t>(a.type) | number << kNumberShift, static_cast<uint64_t>(d.type), d.rows, d.columns,
           depth_of(o, a), o.epilogue, static_cast<uint64_t>(o.transposes[0]), static_cast<uint64_t>(o.transposes[1])}};
}
uint64_t number_of(const cublasLtMatmulAlgo_t& algorithm) { return algorithm.data[0] >> kNumberShift; }

cublasStatus_t algorithm_get(const cublasLtMatmulAlgo_t* algorithm, cublasLtMatmulAlgoConfigAttributes_t attribute,
                             void* value, size_t size, size_t* written) {
  const auto number = static_cast<int32_t>(number_of(*algorithm));
  if (attribute != CUBLASLT_ALGO_CONFIG_ID || size != sizeof number) return CUBLAS_STATUS_NOT_SUPPORTED;
  std::memcpy(value, &number, sizeof number);
  *written = sizeof number;
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t create(cublasLtHandle_t* handle) {
  ++host_cublaslt().handles;
  *handle = reinterpret_cast<cublasLtHandle_t>(&host_cublaslt());
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t destroy(cublasLtHandle_t) { return --host_cublaslt().handles, CUBLAS_STATUS_SUCCESS; }

cublasStatus_t operation_init(cublasLtMatmulDesc_t desc, size_t size, cublasComputeType_t compute,
                              cudaDataType_t scale) {
  if (size != sizeof *desc) return CUBLAS_STATUS_ALLOC_FAILED;
  in<Operation>(desc) = {.compute = compute, .scale = scale};
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t operation_set(cublasLtMatmulDesc_t desc, cublasLtMatmulDescAttributes_t name, const void* value,
                             size_t size) {
  Operation& o = in<Operation>(desc);
  const auto take = [&](auto& field) {
    if (size != sizeof field) return CUBLAS_STATUS_INVALID_VALUE;
    std::memcpy(&field, value, size);
    return CUBLAS_STATUS_SUCCESS;
  };
  if (name == CUBLASLT_MATMUL_DESC_TRANSA) return take(o.transposes[0]);
  if (name == CUBLASLT_MATMUL_DESC_TRANSB) return take(o.transposes[1]);
  if (name == CUBLASLT_MATMUL_DESC_EPILOGUE) return take(o.epilogue);
  if (name == CUBLASLT_MATMUL_DESC_BIAS_DATA_TYPE) return take(o.bias_type);
  if (name == CUBLASLT_MATMUL_DESC_BIAS_POINTER) return take(o.bias);
  return CUBLAS_STATUS_INVALID_VALUE;
}
cublasStatus_t layout_init(cublasLtMatrixLayout_t layout, size_t size, cudaDataType type, uint64_t rows,
                           uint64_t columns, int64_t leading) {
  if (size != sizeof *layout) return CUBLAS_STATUS_ALLOC_FAILED;
  in<Layout>(layout) = {type, rows, columns, leading};
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t preference_init(cublasLtMatmulPreference_t preference, size_t size) {
  if (size != sizeof *preference) return CUBLAS_STATUS_ALLOC_FAILED;
  in<Preference>(preference) = {};
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t preference_set(cublasLtMatmulPreference_t preference, cublasLtMatmulPreferenceAttributes_t name,
                              const void* value, size_t size) {
  uint64_t& workspace = in<Preference>(preference).workspace;
  if (name == CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES && size == sizeof workspace)
    std::memcpy(&workspace, value, size);
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t heuristic(cublasLtHandle_t, cublasLtMatmulDesc_t desc, cublasLtMatrixLayout_t a, cublasLtMatrixLayout_t,
                         cublasLtMatrixLayout_t, cublasLtMatrixLayout_t d, cublasLtMatmulPreference_t preference,
                         int wanted, cublasLtMatmulHeuristicResult_t* results, int* found) {
  HostCublasLt& played = host_cublaslt();
  ++played.heuristics;
  const bool fits = in<Preference>(preference).workspace >= played.workspace_bytes;
  *found = played.has_algorithm && fits ? std::min(wanted, played.algorithms) : 0;
  if (*found == 0) return CUBLAS_STATUS_NOT_SUPPORTED;
  for (int i = 0; i < *found; ++i)
    results[i] = {
        .algo = algorithm_of(in<Operation>(desc), in<Layout>(a), in<Layout>(d), 10 + static_cast<uint64_t>(i)),
        .workspaceSize = played.workspace_bytes,
        .state = CUBLAS_STATUS_SUCCESS};
  return CUBLAS_STATUS_SUCCESS;
}

bool begins_on(const void* pointer, uintptr_t bytes) {
  return pointer != nullptr && reinterpret_cast<uintptr_t>(pointer) % bytes == 0;
}

cublasStatus_t multiply(cublasLtHandle_t handle, cublasLtMatmulDesc_t desc, const void* alpha, const void* A,
                        cublasLtMatrixLayout_t a_layout, const void* B, cublasLtMatrixLayout_t b_layout,
                        const void* beta, const void* C, cublasLtMatrixLayout_t, void* D,
                        cublasLtMatrixLayout_t d_layout, const cublasLtMatmulAlgo_t* algorithm, void* workspace,
                        size_t workspace_bytes, cudaStream_t stream) {
  HostCublasLt& played = host_cublaslt();
  ++played.products;
  played.last_stream = stream;
  const Operation& o = in<Operation>(desc);
  const Layout &a = in<Layout>(a_layout), &b = in<Layout>(b_layout), &d = in<Layout>(d_layout);
  played.last_compute = static_cast<cublasComputeType_t>(o.compute);
  played.last_algorithm = static_cast<int>(number_of(*algorithm));
  const cublasLtMatmulAlgo_t own = algorithm_of(o, a, d, number_of(*algorithm));
  const bool bias = o.has(CUBLASLT_EPILOGUE_BIAS);
  bool good = reinterpret_cast<HostCublasLt*>(handle) == &played && C == D &&
              (o.compute == CUBLAS_COMPUTE_32F || o.compute == CUBLAS_COMPUTE_32F_FAST_TF32) &&
              std::memcmp(algorithm, &own, sizeof own) == 0 && workspace_bytes >= played.workspace_bytes &&
              (workspace_bytes == 0 || begins_on(workspace, 256)) && (!bias || o.bias_type == d.type) &&
              *static_cast<const float*>(alpha) == 1 && *static_cast<const float*>(beta) == 0;
  for (const void* pointer : {A, B, C, bias ? o.bias : C}) good &= begins_on(pointer, 16);
  for (const Layout* m : {&a, &b, &d}) good &= m->type == CUDA_R_32F || m->type == CUDA_R_16BF;
  if (!good) return CUBLAS_STATUS_INVALID_VALUE;
  if (played.outcome != CUBLAS_STATUS_SUCCESS) return played.outcome;

  if (cudaStreamSynchronize(stream) != cudaSuccess) return CUBLAS_STATUS_EXECUTION_FAILED;
  if (workspace_bytes > 0) std::memset(workspace, 0xAB, workspace_bytes);  // all of it is there
  const auto element = [](const void* memory, const Layout& m, int32_t transposed, uint64_t row, uint64_t column) {
    if (transposed != CUBLAS_OP_N) std::swap(row, column);
    return load(memory, m.type, m.at(row, column));
  };
  for (uint64_t row = 0; row < d.rows; ++row)
    for (uint64_t column = 0; column < d.columns; ++column) {
      double sum = bias ? double{o.bias[row]} : 0.0;
      for (uint64_t k = 0; k < depth_of(o, a); ++k)
        sum += element(A, a, o.transposes[0], row, k) * element(B, b, o.transposes[1], k, column);
      store(D, d.type, d.at(row, column), o.has(CUBLASLT_EPILOGUE_RELU) && sum < 0 ? 0 : sum);
    }
  return CUBLAS_STATUS_SUCCESS;
}

}  // namespace

}  // namespace graft::test

// In the place of cublaslt_library.cpp. Nobody reads this one's descriptors back.
const graft::cuda::CublasLt* graft::cuda::cublaslt() {
  static const CublasLt api{.cublasLtGetVersion = [] { return size_t{130000}; },
                            .cublasLtGetStatusString = [](cublasStatus_t) { return "what the test says"; },
                            .cublasLtCreate = test::create,
                            .cublasLtDestroy = test::destroy,
                            .cublasLtMatmulDescInit_internal = test::operation_init,
                            .cublasLtMatmulDescSetAttribute = test::operation_set,
                            .cublasLtMatrixLayoutInit_internal = test::layout_init,
                            .cublasLtMatmulPreferenceInit_internal = test::preference_init,
                            .cublasLtMatmulPreferenceSetAttribute = test::preference_set,
                            .cublasLtMatmulAlgoGetHeuristic = test::heuristic,
                            .cublasLtMatmulAlgoConfigGetAttribute = test::algorithm_get,
                            .cublasLtMatmul = test::multiply};
  return &api;
}
