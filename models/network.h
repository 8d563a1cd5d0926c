// A graph with its numbers: every parameter and buffer as a tensor on a device, and the walk through it that the tape
// follows. Training runs on this; prediction runs on a CompiledPiece.
#pragma once
#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "core/tensor.h"
#include "models/freeze.h"
#include "models/graph.h"

namespace graft::models {

// Where a batch norm's running statistics go at the end of a step, if the step was finite.
struct PendingStatistics {
  Tensor running_mean, running_var;  // the network's buffers
  Tensor mean, var;                  // of this batch
  double momentum = 0.1;
  int64_t rows = 0;  // N·H·W
};

struct Walk {
  // By node: does it use batch statistics, drop values? Empty: none does (inference).
  std::vector<bool> training;
  // Seed and offset of this step's masks, i64 [2] on the device; needed when a stochastic node trains.
  Tensor random_state;
  // Which of the walks of one step this is: each draws masks of its own.
  int64_t part = 0;
  // Values that are given instead of computed: at least the image, as node 0, or what lies on the graft line.
  std::map<NodeId, Tensor> given;
  // Nodes whose values are wanted.
  std::vector<NodeId> wanted;
};

struct WalkResult {
  std::vector<Tensor> values;  // in the order of `wanted`
  std::vector<PendingStatistics> statistics;
};

class Network {
 public:
  // Parameters of the nodes of `nodes` (empty: of all), unwritten, of type `dtype`. A walk computes in the device's
  // compute_type() where the parameters are f32, else in their type; in 16 bits, weights have a copy beside them.
  Network(Graph graph, std::shared_ptr<Device> device, DType dtype = DType::f32, const std::vector<bool>& nodes = {});

  const Graph& graph() const { return graph_; }
  const std::shared_ptr<Device>& device() const { return device_; }
  DType dtype() const { return dtype_; }
  DType compute() const { return compute_; }

  struct Entry {
    Parameter info;
    Tensor tensor;  // in memory order
    Tensor copy;    // of 16 bits, undefined where the tensor itself is used: vectors, and everything in f32

    // What a walk uses, and so what gradients are asked for.
    const Tensor& used() const { return copy.defined() ? copy : tensor; }
  };
  // In the order of the graph; buffers among them.
  const std::vector<Entry>& entries() const { return entries_; }
  const Entry& entry(const std::string& name) const;  // throws Error for a name that is not there
  bool has(const std::string& name) const { return by_name_.contains(name); }

  // Tells the tape which parameters are trained; buffers never are.
  void require_gradients(const std::function<bool(const Parameter&)>& trained);
  void require_gradients(const FreezePlan& freeze);  // of this network's graph

  // Another tensor in the place of a parameter's, of its shape and type: the values are what lies there. A copy of a
  // network shares all tensors with it, but for those replaced. `copy`, for a parameter that has one, with what
  // lies there, in its place; undefined: one is made.
  void replace(const std::string& name, const Tensor& tensor, const Tensor& copy = {});

  // One parameter, all elements, in file order (PyTorch's axes).
  void set(const std::string& name, std::span<const float> values);
  std::vector<float> get(const std::string& name) const;
  // The same axes as `name`, for values such as a gradient.
  std::vector<float> in_file_order(const std::string& name, const Tensor& values) const;

  // After the tensors have changed: makes their copies anew.
  void refresh_copies() const;

  // Ranges of parameters in file order, as CompiledPiece asks for them. The network must outlive it; for one thread.
  std::function<void(const std::string& name, int64_t first, int64_t count, float* out)> reader() const;

  // What is given and what is wanted are of type dtype(); casts stand between them and compute(). Throws Error, with
  // the layer's name, when shapes do not fit.
  WalkResult walk(const Walk& walk) const;

 private:
  class Walker;
  static void refresh(const Entry& entry);

  Graph graph_;
  std::shared_ptr<Device> device_;
  DType dtype_, compute_;
  std::vector<Entry> entries_;
  std::map<std::string, size_t> by_name_;
};

}  // namespace graft::models
