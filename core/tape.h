// The tape: what was computed from tensors that require a gradient, and how to go back.
//
// Each op (core/ops) records one node: its inputs, what it saved, and a function that turns the gradient of its output
// into the gradients of those inputs that need one. `gradients` walks the nodes in reverse order of creation. What a
// node saved is released as soon as its backward has run.
#pragma once
#include <atomic>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "core/tensor.h"

namespace graft {

class Node;

// Sees the gradient of a tensor once it is complete; may return another of the same shape to use instead, or an
// undefined one.
using GradientHook = std::function<Tensor(const Tensor& gradient)>;

// The tape's side of a tensor; holds none of its numbers.
struct AutogradMeta {
  bool requires_grad = false;
  std::shared_ptr<Node> producer;  // nullptr: a leaf
  std::vector<GradientHook> hooks;
};

// What a backward function fills: one gradient for each input that needs one.
class Gradients {
 public:
  bool needed(size_t input) const { return inputs_[input].needed; }

  // Memory for the gradient of an input, or an absent view when nobody needs it.
  TensorView if_needed(size_t input);
  Tensor allocate(size_t input);
  Tensor allocate_wide(size_t input);  // of a parameter: f32 where that has 16 bits

  void set(size_t input, Tensor gradient);

 private:
  friend class Node;
  struct Input {
    bool needed = false;
    std::shared_ptr<Device> device;
    Shape shape;
    DType dtype = DType::none;
    Tensor home;  // where the gradient shall lie; undefined: anywhere
    Tensor gradient;
  };
  std::vector<Input> inputs_;
};

using BackwardFunction = std::function<void(std::span<const Tensor> saved, const Tensor& dy, Gradients&)>;

// Makes y known to the tape as op(inputs), unless no input requires a gradient or NoGrad is on. Undefined inputs are
// allowed. `saved` are kept until backward, which fails with the op's name if one of them was changed in place
// meanwhile.
Tensor record(const char* op, Tensor y, const std::vector<Tensor>& inputs, std::vector<Tensor> saved,
              BackwardFunction backward);

struct GradientOptions {
  bool retain = false;  // keep what was saved, so that gradients can be called again
  // The gradient of wrt[i] is made in into[i], of its shape and type; empty: in new memory.
  std::span<const Tensor> into = {};
};

// d(output)/d(wrt[i]) for each i, of its shape and type (of a weight of 16 bits: f32), weighted with `doutput` (all
// ones if undefined; then output must have one element). A tensor that output does not depend on gets zeros. Throws
// Error when something saved was changed in place or already released.
std::vector<Tensor> gradients(const Tensor& output, std::span<const Tensor> wrt, const Tensor& doutput = {},
                              GradientOptions options = {});

// Adds a hook to a tensor that requires a gradient.
void add_hook(const Tensor& tensor, GradientHook hook);

// While alive, nothing on this thread is recorded on the tape.
class NoGrad {
 public:
  NoGrad();
  ~NoGrad();
  NoGrad(const NoGrad&) = delete;
  NoGrad& operator=(const NoGrad&) = delete;
  static bool on();

 private:
  bool previous_;
};

}  // namespace graft
