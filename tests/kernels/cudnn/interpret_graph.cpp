#include "tests/kernels/cudnn/interpret_graph.h"

#include <cmath>

#include "core/error.h"

namespace graft::test {
namespace {

using cuda::ConvolutionGraph;
using cuda::GraphOperation;
using cuda::GraphOperator;
using cuda::GraphTensor;
using Index = std::array<int64_t, 4>;

template <typename Visit>
void for_each_index(const Index& dims, const Visit& visit) {
  for (int64_t a = 0; a < dims[0]; ++a)
    for (int64_t b = 0; b < dims[1]; ++b)
      for (int64_t c = 0; c < dims[2]; ++c)
        for (int64_t d = 0; d < dims[3]; ++d) visit(Index{a, b, c, d});
}

struct Operand {
  const GraphTensor& tensor;
  std::vector<double>& memory;

  double& operator()(const Index& index) const {
    int64_t at = 0;
    for (size_t axis = 0; axis < 4; ++axis) {
      if (index[axis] < 0 || index[axis] >= tensor.dims[axis]) fail("an index outside of tensor {}", tensor.id);
      at += index[axis] * tensor.strides[axis];
    }
    return memory.at(static_cast<size_t>(at));
  }
  // An axis of one repeats.
  double broadcast(Index index) const {
    for (size_t axis = 0; axis < 4; ++axis)
      if (tensor.dims[axis] == 1) index[axis] = 0;
    return (*this)(index);
  }
};

class Interpreter {
 public:
  Interpreter(const ConvolutionGraph& graph, GraphMemory& memory) : graph_(graph), memory_(memory) {}

  void run(const GraphOperation& o) {
    switch (o.kind) {
      case GraphOperator::convolution:
        return convolution(read(o.inputs[0]), read(o.inputs[1]), written(o.output), 2);
      case GraphOperator::backward_data:
        return convolution(written(o.output), read(o.inputs[1]), read(o.inputs[0]), 0);
      case GraphOperator::backward_weight:
        return convolution(read(o.inputs[0]), written(o.output), read(o.inputs[1]), 1);
      case GraphOperator::add:
        return pointwise(o, [b = read(o.inputs[1])](double a, const Index& i) { return a + b.broadcast(i); });
      case GraphOperator::relu:
        return pointwise(o, [](double a, const Index&) { return a < 0 ? 0 : a; });
      case GraphOperator::relu6:
        return pointwise(o, [](double a, const Index&) { return a < 0 ? 0 : a > 6 ? 6 : a; });
      case GraphOperator::silu:
        return pointwise(o, [](double a, const Index&) { return a / (1 + std::exp(-a)); });
      case GraphOperator::sigmoid:
        return pointwise(o, [](double a, const Index&) { return 1 / (1 + std::exp(-a)); });
    }
    fail("an operation of no kind");
  }

 private:
  const GraphTensor& declared(int64_t id) const {
    const GraphTensor* tensor = id > 0 ? graph_.find(id) : nullptr;
    if (tensor == nullptr) fail("tensor {} is not declared", id);
    return *tensor;
  }
  Operand read(int64_t id) {
    const GraphTensor& tensor = declared(id);
    if (!memory_.contains(id)) fail("tensor {} is read before it is written", id);
    return {tensor, memory_.at(id)};
  }
  // As large as its strides need it; what is never written stays NaN.
  Operand written(int64_t id) {
    const GraphTensor& tensor = declared(id);
    size_t size = 1;
    for (size_t axis = 0; axis < 4; ++axis) size += static_cast<size_t>((tensor.dims[axis] - 1) * tensor.strides[axis]);
    memory_[id].assign(size, std::nan(""));
    return {tensor, memory_.at(id)};
  }

  // output[n,k,p,q] = Σ image[n, first(k) + c, p · stride − pad + r · dilation, …] · filter[k,c,r,s], and the same
  // terms summed for the image, or for the filter: `result` says which of the three.
  void convolution(const Operand& image, const Operand& filter, const Operand& output, int result) {
    const Index &x = image.tensor.dims, &w = filter.tensor.dims, &y = output.tensor.dims;
    const auto& window = graph_.window;
    if (x[1] % w[1] != 0 || w[0] % (x[1] / w[1]) != 0 || y[1] != w[0] || y[0] != x[0])
      fail("the channels of image, filter and output do not go together");
    for (size_t axis = 0; axis < 2; ++axis) {
      const int64_t span = window.dilation[axis] * (w[axis + 2] - 1) + 1;
      const int64_t room = x[axis + 2] + window.pad_before[axis] + window.pad_after[axis] - span;
      if (room < 0 || y[axis + 2] != room / window.stride[axis] + 1) fail("padding and extents do not go together");
    }
    const Operand* results[] = {&image, &filter, &output};
    for_each_index(results[result]->tensor.dims, [&](const Index& i) { (*results[result])(i) = 0; });
    const int64_t outputs_of_group = w[0] / (x[1] / w[1]);
    for_each_index(y, [&](const Index& at) {
      const auto [n, k, p, q] = at;
      for (int64_t c = 0; c < w[1]; ++c)
        for (int64_t r = 0; r < w[2]; ++r)
          for (int64_t s = 0; s < w[3]; ++s) {
            const int64_t h = p * window.stride[0] - window.pad_before[0] + r * window.dilation[0];
            const int64_t v = q * window.stride[1] - window.pad_before[1] + s * window.dilation[1];
            if (h < 0 || h >= x[2] || v < 0 || v >= x[3]) continue;
            double& a = image({n, k / outputs_of_group * w[1] + c, h, v});
            double &b = filter({k, c, r, s}), &y_at = output(at);
            if (result == 0) a += factor(b) * factor(y_at);
            if (result == 1) b += factor(a) * factor(y_at);
            if (result == 2) y_at += factor(a) * factor(b);
          }
    });
  }

  double factor(double value) const { return graph_.rounds_to_tf32 ? rounded_to_tf32(value) : value; }

  template <typename Function>
  void pointwise(const GraphOperation& o, const Function& function) {
    const Operand a = read(o.inputs[0]), y = written(o.output);
    if (a.tensor.dims != y.tensor.dims) fail("an elementwise operation changes the extents");
    for_each_index(y.tensor.dims, [&](const Index& i) { y(i) = function(a(i), i); });
  }

  const ConvolutionGraph& graph_;
  GraphMemory& memory_;
};

}  // namespace

double rounded_to_tf32(double value) {
  int exponent = 0;
  const double fraction = std::frexp(value, &exponent);  // in [1/2, 1); infinities and NaN stay
  return std::isfinite(value) ? std::ldexp(std::round(std::ldexp(fraction, 11)), exponent - 11) : value;
}

void interpret(const ConvolutionGraph& graph, GraphMemory& memory) {
  Interpreter interpreter(graph, memory);
  for (int32_t i = 0; i < graph.operation_count; ++i) interpreter.run(graph.operations[static_cast<size_t>(i)]);
}

}  // namespace graft::test
