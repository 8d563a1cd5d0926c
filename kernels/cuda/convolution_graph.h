// What is handed to cuDNN for a dense convolution, as plain data: tensors, and operations between them.
//
//   conv2d                  x, weight → convolution → + residual → + bias → activation → y
//   conv2d_backward_data    dy, weight → backward_data → dx
//   conv2d_backward_weight  x, dy → backward_weight → dweight
//
// cuDNN names axes in the order N, C, H, W of an image and K, C / groups, R, S of a filter, whatever lies in memory:
// the strides say NHWC and KRSC. How many groups there are follows from the channels of image and filter. What lies
// between two operations is virtual, in f32 and never in memory. cudnn_graph.h turns this data into cuDNN's
// descriptors; tests execute it in f64 and read it back from the descriptors.
#pragma once
#include <array>
#include <compare>
#include <cstdint>
#include <optional>

#include "contract/primitives.h"
#include "kernels/cuda/f32_math.h"

namespace graft::cuda {

// Every tensor in memory begins on a multiple of it, in bytes.
inline constexpr int64_t kGraphAlignment = 16;

struct GraphTensor {
  int64_t id = 0;  // of a tensor in memory: 1 + its place among the views of the arguments
  DType type = DType::none;
  bool is_virtual = false;
  std::array<int64_t, 4> dims = {}, strides = {};  // strides in elements
  // NOLINTNEXTLINE(modernize-use-nullptr)
  auto operator<=>(const GraphTensor&) const = default;
};

enum class GraphOperator : int32_t {
  convolution,      // image, filter → output
  backward_data,    // output, filter → image
  backward_weight,  // image, output → filter
  add,
  relu,
  relu6,
  silu,
  sigmoid,
};
constexpr bool is_convolution(GraphOperator o) { return o <= GraphOperator::backward_weight; }

struct GraphOperation {
  GraphOperator kind = GraphOperator::convolution;
  std::array<int64_t, 2> inputs = {};  // ids; 0: none
  int64_t output = 0;
  // NOLINTNEXTLINE(modernize-use-nullptr)
  auto operator<=>(const GraphOperation&) const = default;
};

// Rows, then columns.
struct ConvolutionWindow {
  std::array<int64_t, 2> pad_before = {}, pad_after = {}, stride = {}, dilation = {};
  // NOLINTNEXTLINE(modernize-use-nullptr)
  auto operator<=>(const ConvolutionWindow&) const = default;
};

struct ConvolutionGraph {
  std::array<GraphTensor, 8> tensors = {};
  std::array<GraphOperation, 4> operations = {};
  int32_t tensor_count = 0, operation_count = 0;
  ConvolutionWindow window;
  DType compute = DType::f32;   // of products and sums
  bool rounds_to_tf32 = false;  // the factors of the convolution, of f32 alone
  // NOLINTNEXTLINE(modernize-use-nullptr)
  auto operator<=>(const ConvolutionGraph&) const = default;

  const GraphTensor* find(int64_t id) const {
    for (const GraphTensor& t : tensors)
      if (t.id == id) return &t;
    return nullptr;
  }
};

// Of arguments that check_args has passed. Nothing for elements that cuDNN does not compute with (f64) and for empty
// tensors, whose results are zeros or nothing.
std::optional<ConvolutionGraph> graph_of(const Conv2dArgs&, F32Math);
std::optional<ConvolutionGraph> graph_of(const Conv2dBackwardDataArgs&, F32Math);
std::optional<ConvolutionGraph> graph_of(const Conv2dBackwardWeightArgs&, F32Math);

}  // namespace graft::cuda
