// What cuDNN has understood: the attributes of its finalised descriptors, read back, are the graph's. It gives out
// nothing of pointwise operations; those are read in the text of a plan (plan_text.cpp).
#include <fmt/ranges.h>

#include <catch2/catch.hpp>
#include <ostream>

#include "kernels/cuda/cudnn_graph.h"
#include "tests/kernels/cudnn/cudnn_without_gpu.h"
#include "tests/kernels/op_table/call.h"

namespace graft::test {

namespace {

using namespace cuda;

template <typename T>
T value_of(const CudnnDescriptor& d, cudnnBackendAttributeName_t name, cudnnBackendAttributeType_t type) {
  T value{};
  REQUIRE(d.get(name, type, &value, 1) == 1);
  return value;
}

template <size_t kCount>
std::array<int64_t, kCount> numbers_of(const CudnnDescriptor& d, cudnnBackendAttributeName_t name) {
  std::array<int64_t, kCount> values{};
  REQUIRE(d.get(name, CUDNN_TYPE_INT64, values.data(), static_cast<int64_t>(kCount)) == static_cast<int64_t>(kCount));
  return values;
}

// A tensor that an operation names. cuDNN keeps no id there, and gives out a convolution's operands with the channels
// split in groups: its own reading of dims from which it infers them.
struct Operand {
  std::vector<int64_t> dims, strides;
  cudnnDataType_t type = {};
  bool operator==(const Operand&) const = default;
};
std::ostream& operator<<(std::ostream& out, const Operand& o) {
  return out << fmt::format("[{}], strides [{}], type {}", fmt::join(o.dims, ", "), fmt::join(o.strides, ", "),
                            static_cast<int>(o.type));
}

Operand operand_of(const Cudnn& api, const CudnnDescriptor& operation, cudnnBackendAttributeName_t name) {
  const CudnnDescriptor tensor(api, CUDNN_BACKEND_TENSOR_DESCRIPTOR);
  cudnnBackendDescriptor_t raw = tensor.raw();
  REQUIRE(operation.get(name, CUDNN_TYPE_BACKEND_DESCRIPTOR, &raw, 1) == 1);
  const auto numbers = [&](cudnnBackendAttributeName_t list) {
    std::vector<int64_t> values(CUDNN_DIM_MAX);
    const int64_t count = tensor.get(list, CUDNN_TYPE_INT64, values.data(), CUDNN_DIM_MAX);
    REQUIRE(count > 0);
    values.resize(static_cast<size_t>(count));
    return values;
  };
  return {.dims = numbers(CUDNN_ATTR_TENSOR_DIMENSIONS),
          .strides = numbers(CUDNN_ATTR_TENSOR_STRIDES),
          .type = value_of<cudnnDataType_t>(tensor, CUDNN_ATTR_TENSOR_DATA_TYPE, CUDNN_TYPE_DATA_TYPE)};
}

cudnnDataType_t expected_type(DType type) {
  return type == DType::f32 ? CUDNN_DATA_FLOAT : type == DType::bf16 ? CUDNN_DATA_BFLOAT16 : CUDNN_DATA_HALF;
}

void check_tensor(const CudnnDescriptor& d, const GraphTensor& t) {
  INFO("tensor " << t.id);
  CHECK(value_of<int64_t>(d, CUDNN_ATTR_TENSOR_UNIQUE_ID, CUDNN_TYPE_INT64) == t.id);
  CHECK(value_of<cudnnDataType_t>(d, CUDNN_ATTR_TENSOR_DATA_TYPE, CUDNN_TYPE_DATA_TYPE) == expected_type(t.type));
  CHECK(value_of<bool>(d, CUDNN_ATTR_TENSOR_IS_VIRTUAL, CUDNN_TYPE_BOOLEAN) == t.is_virtual);
  CHECK(numbers_of<4>(d, CUDNN_ATTR_TENSOR_DIMENSIONS) == t.dims);
  CHECK(numbers_of<4>(d, CUDNN_ATTR_TENSOR_STRIDES) == t.strides);
}

// Taken under its own type, given out (by cuDNN 9.19) under that of data types.
cudnnConvolutionMode_t convolution_mode(const CudnnDescriptor& d) {
  cudnnConvolutionMode_t mode{};
  const bool own = d.get(CUDNN_ATTR_CONVOLUTION_CONV_MODE, CUDNN_TYPE_CONVOLUTION_MODE, &mode, 1) == 1;
  return own ? mode : value_of<cudnnConvolutionMode_t>(d, CUDNN_ATTR_CONVOLUTION_CONV_MODE, CUDNN_TYPE_DATA_TYPE);
}

void check_window(const CudnnDescriptor& d, const ConvolutionWindow& w) {
  CHECK(value_of<int64_t>(d, CUDNN_ATTR_CONVOLUTION_SPATIAL_DIMS, CUDNN_TYPE_INT64) == 2);
  CHECK(value_of<cudnnDataType_t>(d, CUDNN_ATTR_CONVOLUTION_COMP_TYPE, CUDNN_TYPE_DATA_TYPE) == CUDNN_DATA_FLOAT);
  CHECK(convolution_mode(d) == CUDNN_CROSS_CORRELATION);
  CHECK(numbers_of<2>(d, CUDNN_ATTR_CONVOLUTION_PRE_PADDINGS) == w.pad_before);
  CHECK(numbers_of<2>(d, CUDNN_ATTR_CONVOLUTION_POST_PADDINGS) == w.pad_after);
  CHECK(numbers_of<2>(d, CUDNN_ATTR_CONVOLUTION_FILTER_STRIDES) == w.stride);
  CHECK(numbers_of<2>(d, CUDNN_ATTR_CONVOLUTION_DILATIONS) == w.dilation);
}

// N, G, C / G, H, W
Operand grouped_image(const GraphTensor& t, int64_t groups) {
  const auto [n, c, h, w] = t.dims;
  const auto [by_n, by_c, by_h, by_w] = t.strides;
  const int64_t channels = c / groups;
  return {{n, groups, channels, h, w}, {by_n, channels * by_c, by_c, by_h, by_w}, expected_type(t.type)};
}
// G, K / G, C / G, R, S
Operand grouped_filter(const GraphTensor& t, int64_t groups) {
  const auto [k, c, r, s] = t.dims;
  const auto [by_k, by_c, by_r, by_s] = t.strides;
  const int64_t outputs = k / groups;
  return {{groups, outputs, c, r, s}, {outputs * by_k, by_k, by_c, by_r, by_s}, expected_type(t.type)};
}

// Which of an operation's tensors is what, and what cuDNN calls it.
struct ConvolutionRoles {
  int64_t image, filter, output;  // ids
  cudnnBackendAttributeName_t image_name, filter_name, output_name, alpha, beta;
};
ConvolutionRoles roles_of(const GraphOperation& o) {
  const auto [a, b] = o.inputs;
  if (o.kind == GraphOperator::convolution)
    return {a,
            b,
            o.output,
            CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_X,
            CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_W,
            CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_Y,
            CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_ALPHA,
            CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_BETA};
  if (o.kind == GraphOperator::backward_data)
    return {o.output,
            b,
            a,
            CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DX,
            CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_W,
            CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DY,
            CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_ALPHA,
            CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_BETA};
  return {a,
          o.output,
          b,
          CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_X,
          CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DW,
          CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DY,
          CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_ALPHA,
          CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_BETA};
}

void check_convolution(const Cudnn& api, const CudnnDescriptor& d, const ConvolutionGraph& g, const GraphOperation& o) {
  const ConvolutionRoles roles = roles_of(o);
  const GraphTensor &image = *g.find(roles.image), &filter = *g.find(roles.filter), &output = *g.find(roles.output);
  const int64_t groups = image.dims[1] / filter.dims[1];
  CHECK(operand_of(api, d, roles.image_name) == grouped_image(image, groups));
  CHECK(operand_of(api, d, roles.filter_name) == grouped_filter(filter, groups));
  CHECK(operand_of(api, d, roles.output_name) == grouped_image(output, groups));
  CHECK(value_of<float>(d, roles.alpha, CUDNN_TYPE_FLOAT) == 1);
  CHECK(value_of<float>(d, roles.beta, CUDNN_TYPE_FLOAT) == 0);
}

void check_graph(const Cudnn& api, const ConvolutionGraph& g) {
  const CudnnGraph made(api, g, nullptr);
  INFO("cuDNN answers " << api.cudnnGetErrorString(made.graph.status()));
  REQUIRE(made.ok());
  REQUIRE(made.tensors.size() == static_cast<size_t>(g.tensor_count));
  REQUIRE(made.operations.size() == static_cast<size_t>(g.operation_count));
  for (size_t i = 0; i < made.tensors.size(); ++i) check_tensor(made.tensors[i], g.tensors[i]);
  for (size_t i = 0; i < made.operations.size(); ++i) {
    const GraphOperation& o = g.operations[i];
    INFO("operation " << i);
    if (!is_convolution(o.kind)) continue;
    check_window(made.operators[i], g.window);
    check_convolution(api, made.operations[i], g, o);
  }
  CHECK(value_of<int64_t>(made.graph, CUDNN_ATTR_OPERATIONGRAPH_ENGINE_GLOBAL_COUNT, CUDNN_TYPE_INT64) >= 0);
}

template <typename Args>
void check_rows(const Cudnn& api) {
  const OpEntry& entry = op_entry(primitive_of<Args>);
  int checked = 0;
  for (const OpRow& row : entry.rows) {
    if (row.expected != Status::ok) continue;
    for (DType type : {DType::f32, DType::bf16, DType::f16}) {
      INFO(row.text << ", " << name_of(type));
      const AnyArgs args = typed_args(entry.primitive, row, type);
      if (const auto graph = graph_of(*reinterpret_cast<const Args*>(args.bytes), F32Math::strict))
        check_graph(api, *graph), ++checked;
    }
  }
  CHECK(checked > 30);
}

}  // namespace

TEST_CASE("attributes read back from cuDNN's descriptors of a convolution are the graph's") {
  if (const Cudnn* api = need_cudnn()) check_rows<Conv2dArgs>(*api);
}
TEST_CASE("attributes read back from cuDNN's descriptors of a convolution backward by data are the graph's") {
  if (const Cudnn* api = need_cudnn()) check_rows<Conv2dBackwardDataArgs>(*api);
}
TEST_CASE("attributes read back from cuDNN's descriptors of a convolution backward by weights are the graph's") {
  if (const Cudnn* api = need_cudnn()) check_rows<Conv2dBackwardWeightArgs>(*api);
}

}  // namespace graft::test
