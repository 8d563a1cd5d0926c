#include "tests/kernels/cudnn/host_cudnn.h"

#include <cuda_runtime_api.h>

#include <algorithm>
#include <cstring>
#include <map>
#include <memory>

#include "core/error.h"
#include "kernels/cuda/convert.h"
#include "kernels/cuda/cudnn_library.h"
#include "tests/kernels/cudnn/interpret_graph.h"
#include "tests/kernels/op_table/call.h"

namespace graft::test {
namespace {

using namespace cuda;

// What a descriptor holds. Others that were set as its attributes are kept, as cuDNN keeps them.
struct Data;
using DataPointer = std::shared_ptr<Data>;
struct Data {
  cudnnBackendDescriptorType_t type;
  std::map<cudnnBackendAttributeName_t, Bytes> values;
  std::map<cudnnBackendAttributeName_t, std::vector<DataPointer>> children;
  const Proposal* proposal = nullptr;  // of configurations, their engines and knobs
  size_t knob = 0;

  template <typename T>
  T value(cudnnBackendAttributeName_t name, size_t index = 0) const {
    T out{};
    const auto found = values.find(name);
    if (found == values.end())
      fail("a descriptor of type {} has no attribute {}", static_cast<int>(type), static_cast<int>(name));
    if (found->second.size() < (index + 1) * sizeof(T)) fail("attribute {} has too few values", static_cast<int>(name));
    std::memcpy(&out, found->second.data() + index * sizeof(T), sizeof(T));
    return out;
  }
  const Data& child(cudnnBackendAttributeName_t name) const { return *children.at(name).at(0); }
  bool has(cudnnBackendAttributeName_t name) const { return children.contains(name); }
};
DataPointer& data_of(cudnnBackendDescriptor_t d) { return *static_cast<DataPointer*>(d); }

size_t bytes_of(cudnnBackendAttributeType_t type) {
  switch (type) {
    case CUDNN_TYPE_BOOLEAN:
    case CUDNN_TYPE_CHAR:
      return 1;
    case CUDNN_TYPE_INT64:
    case CUDNN_TYPE_DOUBLE:
    case CUDNN_TYPE_VOID_PTR:
    case CUDNN_TYPE_HANDLE:
      return 8;
    default:
      return 4;  // enumerations and floats
  }
}

// ---- descriptors

cudnnStatus_t create_descriptor(cudnnBackendDescriptorType_t type, cudnnBackendDescriptor_t* out) {
  *out = new DataPointer(std::make_shared<Data>(Data{.type = type, .values = {}, .children = {}}));
  return CUDNN_STATUS_SUCCESS;
}
cudnnStatus_t destroy_descriptor(cudnnBackendDescriptor_t d) {
  delete static_cast<DataPointer*>(d);
  return CUDNN_STATUS_SUCCESS;
}
cudnnStatus_t set_attribute(cudnnBackendDescriptor_t d, cudnnBackendAttributeName_t name,
                            cudnnBackendAttributeType_t type, int64_t count, const void* values) {
  Data& data = *data_of(d);
  if (type == CUDNN_TYPE_BACKEND_DESCRIPTOR) {
    for (int64_t i = 0; i < count; ++i)
      data.children[name].push_back(data_of(static_cast<const cudnnBackendDescriptor_t*>(values)[i]));
  } else {
    const auto* first = static_cast<const std::byte*>(values);
    data.values[name].assign(first, first + static_cast<size_t>(count) * bytes_of(type));
  }
  return CUDNN_STATUS_SUCCESS;
}
cudnnStatus_t finalize(cudnnBackendDescriptor_t d) {
  Data& data = *data_of(d);
  if (data.type == CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR) ++host_cudnn().heuristics;
  if (data.type == CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR)
    return data.child(CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG).proposal->finalizes;
  return CUDNN_STATUS_SUCCESS;
}

template <typename T>
cudnnStatus_t give(const std::vector<T>& values, int64_t room, int64_t* count, void* out) {
  *count = static_cast<int64_t>(values.size());
  for (int64_t i = 0; i < std::min(room, *count); ++i) static_cast<T*>(out)[i] = values[static_cast<size_t>(i)];
  return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t get_attribute(cudnnBackendDescriptor_t d, cudnnBackendAttributeName_t name, cudnnBackendAttributeType_t,
                            int64_t room, int64_t* count, void* out) {
  const Data& data = *data_of(d);
  const auto& proposals = host_cudnn().proposals;
  switch (name) {
    case CUDNN_ATTR_ENGINEHEUR_RESULTS:
      *count = static_cast<int64_t>(proposals.size());
      for (int64_t i = 0; i < std::min(room, *count); ++i) {
        Data& config = *data_of(static_cast<cudnnBackendDescriptor_t*>(out)[i]);
        config.proposal = &proposals[static_cast<size_t>(i)];
        config.children[CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH] =
            data.children.at(CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH);
      }
      return CUDNN_STATUS_SUCCESS;
    case CUDNN_ATTR_ENGINECFG_ENGINE:
      data_of(*static_cast<cudnnBackendDescriptor_t*>(out))->proposal = data.proposal;
      *count = 1;
      return CUDNN_STATUS_SUCCESS;
    case CUDNN_ATTR_ENGINECFG_KNOB_CHOICES:
      *count = static_cast<int64_t>(data.proposal->knobs.size());
      for (int64_t i = 0; i < std::min(room, *count); ++i) {
        Data& knob = *data_of(static_cast<cudnnBackendDescriptor_t*>(out)[i]);
        knob.proposal = data.proposal;
        knob.knob = static_cast<size_t>(i);
      }
      return CUDNN_STATUS_SUCCESS;
    case CUDNN_ATTR_KNOB_CHOICE_KNOB_TYPE:
      return give(std::vector{data.proposal->knobs[data.knob].first}, room, count, out);
    case CUDNN_ATTR_KNOB_CHOICE_KNOB_VALUE:
      return give(std::vector{data.proposal->knobs[data.knob].second}, room, count, out);
    case CUDNN_ATTR_ENGINE_NUMERICAL_NOTE:
      return give(data.proposal->notes, room, count, out);
    case CUDNN_ATTR_ENGINE_BEHAVIOR_NOTE:
      return give(std::vector<cudnnBackendBehaviorNote_t>{}, room, count, out);
    case CUDNN_ATTR_ENGINE_GLOBAL_INDEX:
      return give(std::vector{data.proposal->engine}, room, count, out);
    case CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE:
      return give(std::vector{data.child(CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG).proposal->workspace_bytes}, room,
                  count, out);
    default:
      return CUDNN_STATUS_NOT_SUPPORTED;
  }
}

// ---- from descriptors back to a graph

DType type_of(const Data& d, cudnnBackendAttributeName_t name) {
  const auto type = d.value<cudnnDataType_t>(name);
  return type == CUDNN_DATA_BFLOAT16 ? DType::bf16 : type == CUDNN_DATA_HALF ? DType::f16 : DType::f32;
}

class GraphReader {
 public:
  explicit GraphReader(const Data& operation_graph) {
    for (const DataPointer& o : operation_graph.children.at(CUDNN_ATTR_OPERATIONGRAPH_OPS)) operation(*o);
  }
  const ConvolutionGraph& graph() const { return graph_; }

 private:
  int64_t tensor(const Data& operation, cudnnBackendAttributeName_t name) {
    const Data& d = operation.child(name);
    GraphTensor t{.id = d.value<int64_t>(CUDNN_ATTR_TENSOR_UNIQUE_ID),
                  .type = type_of(d, CUDNN_ATTR_TENSOR_DATA_TYPE),
                  .is_virtual = d.value<bool>(CUDNN_ATTR_TENSOR_IS_VIRTUAL)};
    for (size_t axis = 0; axis < 4; ++axis) {
      t.dims[axis] = d.value<int64_t>(CUDNN_ATTR_TENSOR_DIMENSIONS, axis);
      t.strides[axis] = d.value<int64_t>(CUDNN_ATTR_TENSOR_STRIDES, axis);
    }
    if (graph_.find(t.id) == nullptr) graph_.tensors[static_cast<size_t>(graph_.tensor_count++)] = t;
    return t.id;
  }
  void window(const Data& d) {
    for (size_t axis = 0; axis < 2; ++axis) {
      graph_.window.pad_before[axis] = d.value<int64_t>(CUDNN_ATTR_CONVOLUTION_PRE_PADDINGS, axis);
      graph_.window.pad_after[axis] = d.value<int64_t>(CUDNN_ATTR_CONVOLUTION_POST_PADDINGS, axis);
      graph_.window.stride[axis] = d.value<int64_t>(CUDNN_ATTR_CONVOLUTION_FILTER_STRIDES, axis);
      graph_.window.dilation[axis] = d.value<int64_t>(CUDNN_ATTR_CONVOLUTION_DILATIONS, axis);
    }
  }
  GraphOperation convolution(const Data& d, GraphOperator kind, cudnnBackendAttributeName_t window_name,
                             cudnnBackendAttributeName_t a, cudnnBackendAttributeName_t b,
                             cudnnBackendAttributeName_t y) {
    window(d.child(window_name));
    return {.kind = kind, .inputs = {tensor(d, a), tensor(d, b)}, .output = tensor(d, y)};
  }
  GraphOperation pointwise(const Data& d) {
    const Data& what = d.child(CUDNN_ATTR_OPERATION_POINTWISE_PW_DESCRIPTOR);
    GraphOperation o{.kind = GraphOperator::add,
                     .inputs = {tensor(d, CUDNN_ATTR_OPERATION_POINTWISE_XDESC), 0},
                     .output = tensor(d, CUDNN_ATTR_OPERATION_POINTWISE_YDESC)};
    switch (what.value<cudnnPointwiseMode_t>(CUDNN_ATTR_POINTWISE_MODE)) {
      case CUDNN_POINTWISE_ADD:
        o.inputs[1] = tensor(d, CUDNN_ATTR_OPERATION_POINTWISE_BDESC);
        return o;
      case CUDNN_POINTWISE_SWISH_FWD:
        o.kind = GraphOperator::silu;
        return o;
      case CUDNN_POINTWISE_SIGMOID_FWD:
        o.kind = GraphOperator::sigmoid;
        return o;
      default:
        o.kind =
            what.values.contains(CUDNN_ATTR_POINTWISE_RELU_UPPER_CLIP) ? GraphOperator::relu6 : GraphOperator::relu;
        return o;
    }
  }
  void operation(const Data& d) {
    GraphOperation& o = graph_.operations[static_cast<size_t>(graph_.operation_count++)];
    if (d.type == CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR)
      o = convolution(d, GraphOperator::convolution, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_CONV_DESC,
                      CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_X, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_W,
                      CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_Y);
    else if (d.type == CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_DATA_DESCRIPTOR)
      o = convolution(d, GraphOperator::backward_data, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_CONV_DESC,
                      CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DY, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_W,
                      CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DX);
    else if (d.type == CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_FILTER_DESCRIPTOR)
      o = convolution(d, GraphOperator::backward_weight, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_CONV_DESC,
                      CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_X, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DY,
                      CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DW);
    else
      o = pointwise(d);
  }

  ConvolutionGraph graph_;
};

// ---- execution

size_t elements_of(const GraphTensor& t) {
  int64_t last = 0;
  for (size_t axis = 0; axis < 4; ++axis) last += (t.dims[axis] - 1) * t.strides[axis];
  return static_cast<size_t>(last) + 1;
}

std::vector<double> numbers(const GraphTensor& t, const void* memory) {
  const auto* first = static_cast<const std::byte*>(memory);
  const Bytes bytes(first, first + elements_of(t) * size_of(t.type));
  std::vector<double> values(elements_of(t));
  for (size_t i = 0; i < values.size(); ++i) values[i] = element(bytes, t.type, static_cast<int64_t>(i));
  return values;
}

void store(const GraphTensor& t, const std::vector<double>& values, void* memory) {
  for (size_t i = 0; i < values.size(); ++i) {
    if (t.type == DType::bf16)
      static_cast<__nv_bfloat16*>(memory)[i] = converted<__nv_bfloat16>(values[i]);
    else if (t.type == DType::f16)
      static_cast<__half*>(memory)[i] = converted<__half>(values[i]);
    else
      static_cast<float*>(memory)[i] = static_cast<float>(values[i]);
  }
}

cudaStream_t current_stream = nullptr;

cudnnStatus_t create(cudnnHandle_t* handle) {
  if (!host_cudnn().has_device) return CUDNN_STATUS_NOT_INITIALIZED;
  ++host_cudnn().handles;
  *handle = reinterpret_cast<cudnnHandle_t>(&host_cudnn());
  return CUDNN_STATUS_SUCCESS;
}
cudnnStatus_t destroy_handle(cudnnHandle_t) {
  --host_cudnn().handles;
  return CUDNN_STATUS_SUCCESS;
}
cudnnStatus_t set_stream(cudnnHandle_t, cudaStream_t stream) {
  current_stream = stream;
  return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t execute(cudnnHandle_t, cudnnBackendDescriptor_t plan, cudnnBackendDescriptor_t pack) {
  const Data& config = data_of(plan)->child(CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG);
  const Data& variants = *data_of(pack);
  ++host_cudnn().executions;
  host_cudnn().last_engine = config.proposal->engine;
  host_cudnn().last_stream = current_stream;
  if (config.proposal->executes != CUDNN_STATUS_SUCCESS) return config.proposal->executes;
  if (cudaStreamSynchronize(current_stream) != cudaSuccess) return CUDNN_STATUS_EXECUTION_FAILED;

  ConvolutionGraph graph = GraphReader(config.child(CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH)).graph();
  const auto& notes = config.proposal->notes;
  graph.rounds_to_tf32 = graph.tensors[0].type == DType::f32 &&
                         std::find(notes.begin(), notes.end(), CUDNN_NUMERICAL_NOTE_TENSOR_CORE) != notes.end();
  const int64_t result = graph.operations[static_cast<size_t>(graph.operation_count - 1)].output;
  std::map<int64_t, void*> pointers;
  const size_t count = variants.values.at(CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS).size() / sizeof(int64_t);
  for (size_t i = 0; i < count; ++i)
    pointers[variants.value<int64_t>(CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS, i)] =
        variants.value<void*>(CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS, i);
  GraphMemory memory;
  for (const auto& [id, pointer] : pointers)
    if (id != result) memory[id] = numbers(*graph.find(id), pointer);
  interpret(graph, memory);
  store(*graph.find(result), memory.at(result), pointers.at(result));
  if (const auto bytes = static_cast<size_t>(config.proposal->workspace_bytes); bytes > 0)
    std::memset(variants.value<void*>(CUDNN_ATTR_VARIANT_PACK_WORKSPACE), 0xA5, bytes);
  return CUDNN_STATUS_SUCCESS;
}

}  // namespace

HostCudnn& host_cudnn() {
  static HostCudnn state;
  return state;
}

}  // namespace graft::test

namespace graft::cuda {

// In the place of cudnn_library.cpp.
const Cudnn* cudnn() {
  static const Cudnn api = {.cudnnGetVersion = [] { return size_t{CUDNN_VERSION}; },
                            .cudnnGetErrorString = [](cudnnStatus_t) { return "a failure on request"; },
                            .cudnnCreate = test::create,
                            .cudnnDestroy = test::destroy_handle,
                            .cudnnSetStream = test::set_stream,
                            .cudnnBackendCreateDescriptor = test::create_descriptor,
                            .cudnnBackendDestroyDescriptor = test::destroy_descriptor,
                            .cudnnBackendFinalize = test::finalize,
                            .cudnnBackendSetAttribute = test::set_attribute,
                            .cudnnBackendGetAttribute = test::get_attribute,
                            .cudnnBackendExecute = test::execute};
  return &api;
}

}  // namespace graft::cuda
