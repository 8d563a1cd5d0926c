#include "models/op.h"

namespace graft::models {

namespace {

struct KindOf {
  const char* operator()(const Input&) const { return "input"; }
  const char* operator()(const Conv2d&) const { return "conv2d"; }
  const char* operator()(const BatchNorm&) const { return "batch_norm"; }
  const char* operator()(const Activate& a) const {
    switch (a.activation) {
      case Activation::none:
        return "identity";
      case Activation::relu:
        return "relu";
      case Activation::relu6:
        return "relu6";
      case Activation::silu:
        return "silu";
      case Activation::sigmoid:
        return "sigmoid";
    }
    return "?";
  }
  const char* operator()(const Add&) const { return "add"; }
  const char* operator()(const Multiply&) const { return "multiply"; }
  const char* operator()(const MaxPool&) const { return "max_pool"; }
  const char* operator()(const AvgPool&) const { return "avg_pool"; }
  const char* operator()(const AdaptiveAvgPool&) const { return "adaptive_avg_pool"; }
  const char* operator()(const Linear&) const { return "linear"; }
  const char* operator()(const Flatten&) const { return "flatten"; }
  const char* operator()(const SubsamplePad&) const { return "subsample_pad"; }
  const char* operator()(const Dropout&) const { return "dropout"; }
  const char* operator()(const StochasticDepth&) const { return "stochastic_depth"; }
  const char* operator()(const Softmax&) const { return "softmax"; }
  const char* operator()(const Concat&) const { return "concat"; }
};

}  // namespace

const char* kind_of(const Op& op) { return std::visit(KindOf{}, op); }

bool is_stochastic(const Op& op) {
  return std::holds_alternative<Dropout>(op) || std::holds_alternative<StochasticDepth>(op);
}

}  // namespace graft::models
