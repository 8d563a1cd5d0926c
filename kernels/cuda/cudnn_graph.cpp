#include "kernels/cuda/cudnn_graph.h"

namespace graft::cuda {

namespace {

// Where cuDNN has an attribute for each role of a convolution's tensors.
struct ConvolutionAttributes {
  cudnnBackendDescriptorType_t type;
  cudnnBackendAttributeName_t alpha, beta, window;
  cudnnBackendAttributeName_t first, second, output;  // as GraphOperation has them
};
constexpr ConvolutionAttributes kForward = {CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR,
                                            CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_ALPHA,
                                            CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_BETA,
                                            CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_CONV_DESC,
                                            CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_X,
                                            CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_W,
                                            CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_Y};
constexpr ConvolutionAttributes kBackwardData = {CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_DATA_DESCRIPTOR,
                                                 CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_ALPHA,
                                                 CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_BETA,
                                                 CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_CONV_DESC,
                                                 CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DY,
                                                 CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_W,
                                                 CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DX};
constexpr ConvolutionAttributes kBackwardWeight = {CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_FILTER_DESCRIPTOR,
                                                   CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_ALPHA,
                                                   CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_BETA,
                                                   CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_CONV_DESC,
                                                   CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_X,
                                                   CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DY,
                                                   CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DW};

const ConvolutionAttributes& attributes_of(GraphOperator kind) {
  return kind == GraphOperator::backward_data     ? kBackwardData
         : kind == GraphOperator::backward_weight ? kBackwardWeight
                                                  : kForward;
}

cudnnPointwiseMode_t mode_of(GraphOperator kind) {
  switch (kind) {
    case GraphOperator::relu:
    case GraphOperator::relu6:
      return CUDNN_POINTWISE_RELU_FWD;
    case GraphOperator::silu:
      return CUDNN_POINTWISE_SWISH_FWD;
    case GraphOperator::sigmoid:
      return CUDNN_POINTWISE_SIGMOID_FWD;
    default:
      return CUDNN_POINTWISE_ADD;
  }
}

CudnnDescriptor tensor(const Cudnn& api, const GraphTensor& t) {
  CudnnDescriptor d(api, CUDNN_BACKEND_TENSOR_DESCRIPTOR);
  d.set(CUDNN_ATTR_TENSOR_DATA_TYPE, CUDNN_TYPE_DATA_TYPE, cudnn_type(t.type))
      .set(CUDNN_ATTR_TENSOR_DIMENSIONS, CUDNN_TYPE_INT64, t.dims.data(), 4)
      .set(CUDNN_ATTR_TENSOR_STRIDES, CUDNN_TYPE_INT64, t.strides.data(), 4)
      .set(CUDNN_ATTR_TENSOR_UNIQUE_ID, CUDNN_TYPE_INT64, t.id)
      .set(CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT, CUDNN_TYPE_INT64, kGraphAlignment)
      .set(CUDNN_ATTR_TENSOR_IS_VIRTUAL, CUDNN_TYPE_BOOLEAN, t.is_virtual)
      .finalize();
  return d;
}

CudnnDescriptor convolution(const Cudnn& api, const ConvolutionWindow& w, DType compute) {
  CudnnDescriptor d(api, CUDNN_BACKEND_CONVOLUTION_DESCRIPTOR);
  d.set(CUDNN_ATTR_CONVOLUTION_SPATIAL_DIMS, CUDNN_TYPE_INT64, int64_t{2})
      .set(CUDNN_ATTR_CONVOLUTION_COMP_TYPE, CUDNN_TYPE_DATA_TYPE, cudnn_type(compute))
      .set(CUDNN_ATTR_CONVOLUTION_CONV_MODE, CUDNN_TYPE_CONVOLUTION_MODE, CUDNN_CROSS_CORRELATION)
      .set(CUDNN_ATTR_CONVOLUTION_PRE_PADDINGS, CUDNN_TYPE_INT64, w.pad_before.data(), 2)
      .set(CUDNN_ATTR_CONVOLUTION_POST_PADDINGS, CUDNN_TYPE_INT64, w.pad_after.data(), 2)
      .set(CUDNN_ATTR_CONVOLUTION_FILTER_STRIDES, CUDNN_TYPE_INT64, w.stride.data(), 2)
      .set(CUDNN_ATTR_CONVOLUTION_DILATIONS, CUDNN_TYPE_INT64, w.dilation.data(), 2)
      .finalize();
  return d;
}

CudnnDescriptor pointwise(const Cudnn& api, GraphOperator kind, DType compute) {
  CudnnDescriptor d(api, CUDNN_BACKEND_POINTWISE_DESCRIPTOR);
  d.set(CUDNN_ATTR_POINTWISE_MODE, CUDNN_TYPE_POINTWISE_MODE, mode_of(kind))
      .set(CUDNN_ATTR_POINTWISE_MATH_PREC, CUDNN_TYPE_DATA_TYPE, cudnn_type(compute));
  if (kind == GraphOperator::relu || kind == GraphOperator::relu6)  // NaN stays NaN, says the contract; by default 0
    d.set(CUDNN_ATTR_POINTWISE_NAN_PROPAGATION, CUDNN_TYPE_NAN_PROPOGATION, CUDNN_PROPAGATE_NAN);
  if (kind == GraphOperator::relu6) d.set(CUDNN_ATTR_POINTWISE_RELU_UPPER_CLIP, CUDNN_TYPE_DOUBLE, 6.0);
  if (kind == GraphOperator::silu) d.set(CUDNN_ATTR_POINTWISE_SWISH_BETA, CUDNN_TYPE_DOUBLE, 1.0);
  d.finalize();
  return d;
}

}  // namespace

cudnnDataType_t cudnn_type(DType type) {
  return type == DType::bf16 ? CUDNN_DATA_BFLOAT16 : type == DType::f16 ? CUDNN_DATA_HALF : CUDNN_DATA_FLOAT;
}

CudnnGraph::CudnnGraph(const Cudnn& api, const ConvolutionGraph& g, cudnnHandle_t handle)
    : graph(api, CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR) {
  tensors.reserve(g.tensors.size());
  operators.reserve(g.operations.size());
  operations.reserve(g.operations.size());
  for (int32_t i = 0; i < g.tensor_count; ++i) tensors.push_back(tensor(api, g.tensors[static_cast<size_t>(i)]));
  const auto tensor_of = [&](int64_t id) -> const CudnnDescriptor& {
    return tensors[static_cast<size_t>(g.find(id) - g.tensors.data())];
  };

  std::vector<cudnnBackendDescriptor_t> list;
  for (int32_t i = 0; i < g.operation_count; ++i) {
    const GraphOperation& o = g.operations[static_cast<size_t>(i)];
    if (is_convolution(o.kind)) {
      const ConvolutionAttributes& names = attributes_of(o.kind);
      operators.push_back(convolution(api, g.window, g.compute));
      operations.emplace_back(api, names.type)
          .set(names.window, operators.back())
          .set(names.first, tensor_of(o.inputs[0]))
          .set(names.second, tensor_of(o.inputs[1]))
          .set(names.output, tensor_of(o.output))
          .set(names.alpha, CUDNN_TYPE_FLOAT, 1.0f)
          .set(names.beta, CUDNN_TYPE_FLOAT, 0.0f)
          .finalize();
    } else {
      operators.push_back(pointwise(api, o.kind, g.compute));
      auto& operation = operations.emplace_back(api, CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR);
      operation.set(CUDNN_ATTR_OPERATION_POINTWISE_PW_DESCRIPTOR, operators.back())
          .set(CUDNN_ATTR_OPERATION_POINTWISE_XDESC, tensor_of(o.inputs[0]))
          .set(CUDNN_ATTR_OPERATION_POINTWISE_YDESC, tensor_of(o.output));
      if (o.inputs[1] != 0) operation.set(CUDNN_ATTR_OPERATION_POINTWISE_BDESC, tensor_of(o.inputs[1]));
      operation.finalize();
    }
    if (!operations.back().ok()) graph.set(CUDNN_ATTR_OPERATIONGRAPH_OPS, operations.back());  // keeps the failure
    list.push_back(operations.back().raw());
  }
  graph.set(CUDNN_ATTR_OPERATIONGRAPH_OPS, CUDNN_TYPE_BACKEND_DESCRIPTOR, list.data(), g.operation_count);
  if (handle != nullptr) graph.set(CUDNN_ATTR_OPERATIONGRAPH_HANDLE, CUDNN_TYPE_HANDLE, handle);
  graph.finalize();
}

}  // namespace graft::cuda
