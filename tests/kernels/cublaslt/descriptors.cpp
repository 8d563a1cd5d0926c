// What cuBLASLt was told: the attributes of its descriptors, read back, are the data. Needs the library and no GPU.
#include <catch2/catch.hpp>

#include "kernels/cuda/cublaslt_descriptors.h"
#include "kernels/cuda/libraries.h"
#include "tests/kernels/op_table/call.h"
#include "tests/support/test_data.h"

namespace graft::test {

namespace {

using namespace cuda;

// nullptr where it is missing: the test is skipped, or fails where GRAFT_REQUIRE says cublaslt.
const CublasLt* need_cublaslt() {
  const CublasLt* api = cublaslt();
  if (api == nullptr) {
    PluginLibrary report;
    const bool opens = open_cublaslt(&report) != nullptr;
    skip("cublaslt", opens ? "a function of it is missing" : report.text);
  }
  return api;
}

// The value that a getter of cuBLASLt writes for an attribute, which must have T's size.
template <typename T, typename Get, typename Descriptor, typename Name>
T read(const Get& get, Descriptor& descriptor, Name name) {
  T value = {};
  size_t written = 0;
  REQUIRE(get(&descriptor, name, &value, sizeof value, &written) == CUBLAS_STATUS_SUCCESS);
  REQUIRE(written == sizeof value);
  return value;
}

cudaDataType_t expected_type(DType type) {
  if (type == DType::f32) return CUDA_R_32F;
  if (type == DType::bf16) return CUDA_R_16BF;
  REQUIRE(type == DType::f16);
  return CUDA_R_16F;
}

uint32_t expected_epilogue(bool bias, bool relu) {
  return bias && relu ? CUBLASLT_EPILOGUE_RELU_BIAS
         : bias       ? CUBLASLT_EPILOGUE_BIAS
         : relu       ? CUBLASLT_EPILOGUE_RELU
                      : CUBLASLT_EPILOGUE_DEFAULT;
}

void check_layout(const CublasLt& api, cublasLtMatrixLayoutOpaque_t& layout, const ProductMatrix& m) {
  const auto get = api.cublasLtMatrixLayoutGetAttribute;
  CHECK(read<uint32_t>(get, layout, CUBLASLT_MATRIX_LAYOUT_TYPE) == static_cast<uint32_t>(expected_type(m.type)));
  CHECK(read<int32_t>(get, layout, CUBLASLT_MATRIX_LAYOUT_ORDER) == CUBLASLT_ORDER_COL);
  CHECK(read<uint64_t>(get, layout, CUBLASLT_MATRIX_LAYOUT_ROWS) == static_cast<uint64_t>(m.rows));
  CHECK(read<uint64_t>(get, layout, CUBLASLT_MATRIX_LAYOUT_COLS) == static_cast<uint64_t>(m.columns));
  CHECK(read<int64_t>(get, layout, CUBLASLT_MATRIX_LAYOUT_LD) == m.leading);
  CHECK(read<int32_t>(get, layout, CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT) == 1);
}

void check_product(const CublasLt& api, const MatrixProduct& p) {
  const void* bias = &p;
  ProductDescriptors d;
  REQUIRE(describe(api, p, bias, &d) == CUBLAS_STATUS_SUCCESS);
  const auto get = api.cublasLtMatmulDescGetAttribute;
  CHECK(read<int32_t>(get, d.operation, CUBLASLT_MATMUL_DESC_COMPUTE_TYPE) ==
        (p.rounds_to_tf32 ? CUBLAS_COMPUTE_32F_FAST_TF32 : CUBLAS_COMPUTE_32F));
  CHECK(read<int32_t>(get, d.operation, CUBLASLT_MATMUL_DESC_SCALE_TYPE) == expected_type(p.accumulates_in));
  CHECK(read<int32_t>(get, d.operation, CUBLASLT_MATMUL_DESC_POINTER_MODE) == CUBLASLT_POINTER_MODE_HOST);
  CHECK(read<int32_t>(get, d.operation, CUBLASLT_MATMUL_DESC_TRANSA) == (p.transpose_a ? CUBLAS_OP_T : CUBLAS_OP_N));
  CHECK(read<int32_t>(get, d.operation, CUBLASLT_MATMUL_DESC_TRANSB) == (p.transpose_b ? CUBLAS_OP_T : CUBLAS_OP_N));
  CHECK(read<int32_t>(get, d.operation, CUBLASLT_MATMUL_DESC_TRANSC) == CUBLAS_OP_N);
  CHECK(read<uint32_t>(get, d.operation, CUBLASLT_MATMUL_DESC_EPILOGUE) == expected_epilogue(p.bias.present(), p.relu));
  const auto* told = read<const void*>(get, d.operation, CUBLASLT_MATMUL_DESC_BIAS_POINTER);
  CHECK(told == (p.bias.present() ? bias : nullptr));
  if (p.bias.present())
    CHECK(read<int32_t>(get, d.operation, CUBLASLT_MATMUL_DESC_BIAS_DATA_TYPE) == expected_type(p.bias.type));
  check_layout(api, d.a, p.a);
  check_layout(api, d.b, p.b);
  check_layout(api, d.d, p.d);
}

}  // namespace

TEST_CASE("attributes read back from cuBLASLt's descriptors of a product are the data") {
  const CublasLt* api = need_cublaslt();
  if (api == nullptr) return;
  int checked = 0;
  for (const OpRow& row : op_entry(Primitive::matmul).rows)
    for (DType type : {DType::f32, DType::bf16, DType::f16})
      for (F32Math precision : {F32Math::strict, F32Math::tf32}) {
        if (row.expected != Status::ok) continue;
        INFO(row.text << ", " << name_of(type));
        const AnyArgs args = typed_args(Primitive::matmul, row, type);
        if (const auto product = product_of(*reinterpret_cast<const MatmulArgs*>(args.bytes), precision))
          check_product(*api, *product), ++checked;
      }
  CHECK(checked > 100);
}

TEST_CASE("attributes read back from cuBLASLt's preference keep a sum's parts in f32, within the workspace") {
  const CublasLt* api = need_cublaslt();
  if (api == nullptr) return;
  const TensorView square{nullptr, {8, 8}, DType::bf16};
  const auto p = product_of(MatmulArgs{.a = square, .b = square, .y = square}, F32Math::strict);
  REQUIRE(p);
  cublasLtMatmulPreferenceOpaque_t preference;
  REQUIRE(describe(*api, *p, &preference) == CUBLAS_STATUS_SUCCESS);
  const auto get = api->cublasLtMatmulPreferenceGetAttribute;
  CHECK(read<uint32_t>(get, preference, CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK) ==
        CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE);
  CHECK(read<uint64_t>(get, preference, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES) ==
        static_cast<uint64_t>(p->workspace_limit));
  for (const auto matrix : {CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES,
                            CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES})
    CHECK(read<uint32_t>(get, preference, matrix) == static_cast<uint32_t>(p->alignment));
}

}  // namespace graft::test
