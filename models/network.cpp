#include "models/network.h"

#include <algorithm>

#include "core/ops.h"
#include "models/axes.h"
#include "models/shapes.h"

namespace graft::models {

Network::Network(Graph graph, std::shared_ptr<Device> device, DType dtype, const std::vector<bool>& nodes)
    : graph_(std::move(graph)),
      device_(std::move(device)),
      dtype_(dtype),
      compute_(dtype == DType::f32 ? device_->compute_type() : dtype) {
  for (Parameter& p : parameters_of(graph_)) {
    if (!nodes.empty() && !nodes[static_cast<size_t>(p.node)]) continue;
    const MemoryScope scope("parameters", p.name);
    const Tensor tensor = empty(device_, p.memory_shape(), dtype_);
    const bool copied = compute_ != dtype_ && p.axes != Axes::channels;
    by_name_[p.name] = entries_.size();
    const Tensor copy = copied ? empty(device_, p.memory_shape(), compute_) : Tensor{};
    entries_.push_back({std::move(p), tensor, copy});
  }
}

const Network::Entry& Network::entry(const std::string& name) const {
  const auto at = by_name_.find(name);
  GRAFT_CHECK(at != by_name_.end(), "{} has no parameter {}", graph_.name, name);
  return entries_[at->second];
}

void Network::require_gradients(const std::function<bool(const Parameter&)>& trained) {
  for (Entry& e : entries_)
    (e.copy.defined() ? e.copy : e.tensor).set_requires_grad(!e.info.is_buffer && trained(e.info));
}

void Network::require_gradients(const FreezePlan& freeze) {
  std::map<std::string, bool> trains;
  const auto all = parameters_of(graph_);
  for (size_t i = 0; i < all.size(); ++i) trains[all[i].name] = freeze.trainable[i];
  require_gradients([&](const Parameter& p) { return trains.at(p.name); });
}

void Network::replace(const std::string& name, const Tensor& tensor, const Tensor& copy) {
  const Entry& e = entry(name);
  GRAFT_CHECK(tensor.shape() == e.tensor.shape() && tensor.dtype() == e.tensor.dtype(),
              "{}: a tensor of shape {} {} cannot take the place of one of {} {}", name, tensor.shape(),
              name_of(tensor.dtype()), e.tensor.shape(), name_of(e.tensor.dtype()));
  Entry& entry = entries_[by_name_.at(name)];
  entry.tensor = tensor;
  if (!entry.copy.defined()) return;
  GRAFT_CHECK(!copy.defined() || (copy.shape() == entry.copy.shape() && copy.dtype() == entry.copy.dtype()),
              "{}: a copy of shape {} {} cannot take the place of one of {} {}", name, copy.shape(),
              name_of(copy.dtype()), entry.copy.shape(), name_of(entry.copy.dtype()));
  entry.copy = copy.defined() ? copy : empty(device_, tensor.shape(), compute_);
  if (!copy.defined()) refresh(entry);
}

void Network::set(const std::string& name, std::span<const float> values) {
  const Entry& e = entry(name);
  GRAFT_CHECK(static_cast<int64_t>(values.size()) == e.tensor.numel(), "{}: {} values do not fill {}", name,
              values.size(), e.info.shape);
  const auto store = [&]<typename T>(std::vector<T> memory) {
    to_memory_order(e.info, values.data(), memory.data());
    e.tensor.assign(std::span<const T>(memory));
    refresh(e);
  };
  if (dtype_ == DType::f64) {
    store(std::vector<double>(values.size()));
  } else {
    store(std::vector<float>(values.size()));
  }
}

void Network::refresh(const Entry& e) {
  if (e.copy.defined()) e.tensor.device().run(CastArgs{.x = e.tensor, .y = e.copy});
}
void Network::refresh_copies() const {
  for (const Entry& e : entries_) refresh(e);
}

std::vector<float> Network::get(const std::string& name) const { return in_file_order(name, entry(name).tensor); }

std::vector<float> Network::in_file_order(const std::string& name, const Tensor& values) const {
  const Entry& e = entry(name);
  GRAFT_CHECK(values.shape() == e.tensor.shape(), "{}: values of shape {} are not {}", name, values.shape(),
              e.tensor.shape());
  std::vector<float> file(static_cast<size_t>(values.numel()));
  if (values.dtype() == DType::f64) {
    to_file_order(e.info, values.to_vector<double>().data(), file.data());
  } else {
    to_file_order(e.info, values.to_vector<float>().data(), file.data());
  }
  return file;
}

std::function<void(const std::string&, int64_t, int64_t, float*)> Network::reader() const {
  auto held = std::make_shared<std::pair<std::string, std::vector<float>>>();  // the tensor being read
  return [this, held](const std::string& name, int64_t first, int64_t count, float* out) {
    if (held->first != name) *held = {name, get(name)};
    GRAFT_CHECK(first >= 0 && count >= 0 && first + count <= static_cast<int64_t>(held->second.size()),
                "{} has {} values, not {} from {} on", name, held->second.size(), count, first);
    std::copy_n(held->second.begin() + first, count, out);
  };
}

// One pass over the nodes: each op of the graph as the op of core that computes it.
class Network::Walker {
 public:
  Walker(const Network& network, const Walk& walk)
      : network_(network), graph_(network.graph()), walk_(walk), values_(graph_.nodes.size()) {}

  WalkResult run() {
    const std::vector<bool> needed = needed_nodes();
    std::vector<int> readers(graph_.nodes.size(), 0);
    for (NodeId id = 0; id < graph_.size(); ++id)
      if (needed[index(id)] && !walk_.given.contains(id))
        for (NodeId input : graph_.node(id).inputs) ++readers[index(input)];
    for (NodeId wanted : walk_.wanted) ++readers[index(wanted)];

    for (id_ = 0; id_ < graph_.size(); ++id_) {
      if (!needed[index(id_)]) continue;
      if (const auto given = walk_.given.find(id_); given != walk_.given.end()) {
        values_[index(id_)] = ops::cast(given->second, network_.compute());
        continue;
      }
      const LayerScope scope(node().name);
      values_[index(id_)] = std::visit([this](const auto& op) { return compute(op); }, node().op);
      for (NodeId input : node().inputs)  // the tape keeps what it needs
        if (--readers[index(input)] == 0) values_[index(input)] = {};
    }
    for (NodeId wanted : walk_.wanted) result_.values.push_back(ops::cast(values_[index(wanted)], network_.dtype()));
    return std::move(result_);
  }

 private:
  static size_t index(NodeId id) { return static_cast<size_t>(id); }
  const Node& node() const { return graph_.node(id_); }
  const Tensor& input(size_t i = 0) const { return values_[index(node().inputs[i])]; }
  bool training() const { return !walk_.training.empty() && walk_.training[index(id_)]; }
  Tensor parameter(const char* name) const { return network_.entry(node().name + "." + name).used(); }
  ops::RandomSource random() const { return {walk_.random_state, walk_.part * graph_.size() + id_}; }

  std::vector<bool> needed_nodes() const {
    std::vector<bool> needed(graph_.nodes.size(), false);
    for (NodeId wanted : walk_.wanted) needed[index(wanted)] = true;
    for (NodeId id = graph_.size(); id-- > 0;) {
      if (!needed[index(id)] || walk_.given.contains(id)) continue;
      GRAFT_CHECK(id != 0, "{}: the image was not given, and what was given does not lead to the answer", graph_.name);
      for (NodeId input : graph_.node(id).inputs) needed[index(input)] = true;
    }
    return needed;
  }

  Tensor compute(const Input&) const { fail("{}: the image was not given", graph_.name); }
  Tensor compute(const Conv2d& c) const {
    const Conv2dParams params = conv_params(c, input().shape());
    const Tensor bias = c.bias ? parameter("bias") : Tensor{};
    return c.depthwise() ? ops::depthwise_conv2d(input(), parameter("weight"), bias, params)
                         : ops::conv2d(input(), parameter("weight"), bias, params);
  }
  Tensor compute(const BatchNorm& b) {
    const Tensor weight = parameter("weight"), bias = parameter("bias"), running_mean = parameter("running_mean"),
                 running_var = parameter("running_var");
    if (!training()) return ops::batch_norm_inference(input(), weight, bias, running_mean, running_var, b.eps);
    const auto out = ops::batch_norm_training(input(), weight, bias, b.eps);
    result_.statistics.push_back({running_mean, running_var, out.mean, out.var, b.momentum, input().shape().rows()});
    return out.y;
  }
  Tensor compute(const Activate& a) const { return ops::activate(input(), a.activation); }
  Tensor compute(const Add&) const { return ops::add(input(0), input(1)); }
  Tensor compute(const Multiply&) const { return ops::multiply(input(0), input(1)); }
  Tensor compute(const MaxPool& p) const {
    return ops::max_pool(input(), {.window = p.window, .stride = p.stride, .pad = p.pad});
  }
  Tensor compute(const AvgPool& p) const {
    return ops::avg_pool(
        input(), {.window = p.window, .stride = p.stride, .pad = p.pad, .count_include_pad = p.count_include_pad});
  }
  Tensor compute(const AdaptiveAvgPool& p) const { return ops::adaptive_avg_pool(input(), p.output.h, p.output.w); }
  Tensor compute(const Linear& l) const {
    return ops::linear(input(), parameter("weight"), l.bias ? parameter("bias") : Tensor{});
  }
  Tensor compute(const Flatten&) const { return ops::flatten(input()); }
  Tensor compute(const SubsamplePad& s) const {
    return ops::subsample_pad(input(), s.stride, s.before, s.out_channels);
  }
  Tensor compute(const Dropout& d) const {
    return training() ? ops::dropout(input(), d.probability, random()) : input();
  }
  Tensor compute(const StochasticDepth& d) const {
    return training() ? ops::stochastic_depth(input(), d.probability, random()) : input();
  }
  Tensor compute(const Softmax&) const { return ops::softmax(input()); }
  Tensor compute(const Concat&) const {
    std::vector<Tensor> parts;
    for (size_t i = 0; i < node().inputs.size(); ++i) parts.push_back(input(i));
    return ops::concat(parts);
  }

  const Network& network_;
  const Graph& graph_;
  const Walk& walk_;
  std::vector<Tensor> values_;
  WalkResult result_;
  NodeId id_ = 0;
};

WalkResult Network::walk(const Walk& walk) const { return Walker(*this, walk).run(); }

}  // namespace graft::models
