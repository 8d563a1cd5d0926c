#include "core/tape.h"

#include <algorithm>
#include <new>
#include <unordered_map>
#include <utility>

#include "core/recorder.h"

namespace graft {

namespace {

bool& no_grad_of_this_thread() {
  thread_local bool on = false;
  return on;
}

std::atomic<uint64_t> next_sequence{0};

// a + b on the device, unknown to the tape
Tensor sum(const Tensor& a, const Tensor& b) {
  Tensor y = empty_like(a);
  a.device().run(AddArgs{.a = a, .b = b, .y = y});
  return y;
}

}  // namespace

NoGrad::NoGrad() : previous_(std::exchange(no_grad_of_this_thread(), true)) {}
NoGrad::~NoGrad() { no_grad_of_this_thread() = previous_; }
bool NoGrad::on() { return no_grad_of_this_thread(); }

TensorView Gradients::if_needed(size_t input) { return needed(input) ? allocate(input).view() : TensorView{}; }

Tensor Gradients::allocate(size_t input) {
  Input& i = inputs_[input];
  GRAFT_ASSERT(i.needed);
  return i.gradient = i.home.defined() && i.home.dtype() == i.dtype ? i.home : empty(i.device, i.shape, i.dtype);
}

Tensor Gradients::allocate_wide(size_t input) {
  inputs_[input].dtype = vector_type(inputs_[input].dtype);
  return allocate(input);
}

void Gradients::set(size_t input, Tensor gradient) {
  Input& i = inputs_[input];
  GRAFT_ASSERT(!gradient.defined() || (gradient.shape() == i.shape && gradient.dtype() == i.dtype));
  i.gradient = std::move(gradient);
}

class Node {
 public:
  Node(const char* name, const std::vector<Tensor>& inputs, std::vector<Tensor> to_save, BackwardFunction function)
      : op(name), layer(LayerScope::current()), saved(std::move(to_save)), backward(std::move(function)) {
    for (const Tensor& t : inputs)
      edges.push_back(t.requires_grad() ? Edge{t.autograd(), t.shared_device(), t.shape(), t.dtype()} : Edge{});
    for (Tensor& t : saved) {
      t = t.detach();  // a saved output must not keep its own node alive
      versions.push_back(t.defined() ? t.storage()->version() : 0);
    }
  }

  // A long tape would end in as many calls of this as it has nodes, one inside the other: the nodes that die with this
  // one give their inputs up here instead, one after the other.
  ~Node() {
    std::vector<std::shared_ptr<AutogradMeta>> dying;
    const auto take_inputs = [&dying](Node& node) {
      for (Edge& edge : node.edges)
        if (edge.meta) dying.push_back(std::move(edge.meta));
    };
    try {
      take_inputs(*this);
      while (!dying.empty()) {
        const auto meta = std::move(dying.back());
        dying.pop_back();
        if (meta.use_count() == 1 && meta->producer.use_count() == 1) take_inputs(*meta->producer);
      }
    } catch (const std::bad_alloc&) {  // what is left goes the recursive way
    }
  }
  Node(const Node&) = delete;
  Node& operator=(const Node&) = delete;

  struct Edge {
    std::shared_ptr<AutogradMeta> meta;  // nullptr: requires no gradient
    std::shared_ptr<Device> device;
    Shape shape;
    DType dtype = DType::none;
  };

  // Gradients of the inputs whose meta is in `wanted`; `take_home` gives the place of the first of each.
  template <typename Wanted, typename TakeHome>
  std::vector<Tensor> run(const Tensor& dy, const Wanted& wanted, const TakeHome& take_home) {
    const LayerScope scope(layer);
    GRAFT_CHECK(!released, "backward goes through {} a second time, but what it saved was released; ask for `retain`",
                op);
    for (size_t i = 0; i < saved.size(); ++i)
      GRAFT_CHECK(!saved[i].defined() || saved[i].storage()->version() == versions[i],
                  "{} saved a tensor of shape {} for its backward, and it was changed in place since", op,
                  saved[i].shape());
    Gradients gradients;
    for (const Edge& e : edges) {
      const bool needed = e.meta && wanted(e.meta.get());
      gradients.inputs_.push_back(
          {needed, e.device, e.shape, e.dtype, needed ? take_home(e.meta.get()) : Tensor{}, {}});
    }
    backward(saved, dy, gradients);
    std::vector<Tensor> result;
    for (auto& input : gradients.inputs_) result.push_back(input.needed ? std::move(input.gradient) : Tensor{});
    return result;
  }

  void release() {
    released = true;
    saved.clear();
    versions.clear();
    backward = nullptr;
  }

  const char* op;
  std::string layer;
  std::vector<Edge> edges;
  std::vector<Tensor> saved;
  std::vector<uint64_t> versions;
  BackwardFunction backward;
  uint64_t sequence = next_sequence++;
  bool released = false;
};

Tensor record(const char* op, Tensor y, const std::vector<Tensor>& inputs, std::vector<Tensor> saved,
              BackwardFunction backward) {
  const bool followed =
      !NoGrad::on() && std::any_of(inputs.begin(), inputs.end(), [](const Tensor& t) { return t.requires_grad(); });
  if (!followed) return y;
  auto meta = std::make_shared<AutogradMeta>();
  meta->requires_grad = true;
  meta->producer = std::make_shared<Node>(op, inputs, std::move(saved), std::move(backward));
  y.set_autograd(std::move(meta));
  return y;
}

void add_hook(const Tensor& tensor, GradientHook hook) {
  GRAFT_CHECK(tensor.requires_grad(), "a hook needs a tensor that requires a gradient");
  tensor.autograd()->hooks.push_back(std::move(hook));
}

namespace {

// The metas on some way from `output` back to a wanted leaf or tensor, found without recursion: a network may be deep.
struct Reach {
  std::unordered_map<const AutogradMeta*, bool> leads;  // to something wanted
  std::vector<std::shared_ptr<AutogradMeta>> computed;  // metas with a producer, newest first
};

Reach find_reach(const std::shared_ptr<AutogradMeta>& output, std::span<const Tensor> wrt) {
  std::vector<std::shared_ptr<AutogradMeta>> found, stack = {output};
  std::unordered_map<const AutogradMeta*, bool> leads;
  while (!stack.empty()) {
    auto meta = std::move(stack.back());
    stack.pop_back();
    if (!meta || !leads.emplace(meta.get(), false).second) continue;
    if (meta->producer) {
      for (const auto& edge : meta->producer->edges) stack.push_back(edge.meta);
      found.push_back(std::move(meta));
    }
  }
  std::sort(found.begin(), found.end(),
            [](const auto& a, const auto& b) { return a->producer->sequence > b->producer->sequence; });
  for (const Tensor& t : wrt)
    if (const auto at = leads.find(t.autograd().get()); at != leads.end()) at->second = true;
  for (auto meta = found.rbegin(); meta != found.rend(); ++meta)  // oldest first: inputs before outputs
    for (const auto& edge : (*meta)->producer->edges)
      if (edge.meta && leads[edge.meta.get()]) leads[meta->get()] = true;
  return {std::move(leads), std::move(found)};
}

// A parameter's is f32 beside 16 bits.
DType gradient_type(const Tensor& t) { return t.autograd()->producer ? t.dtype() : vector_type(t.dtype()); }

// Where the gradients of some tensors shall lie. The first contribution to one is made there, which is all of it where
// a tensor is used once; what ends elsewhere (a sum, another op's gradient passed on, a hook's) is copied.
class Homes {
 public:
  Homes(std::span<const Tensor> wrt, std::span<const Tensor> into) {
    GRAFT_CHECK(into.empty() || into.size() == wrt.size(), "{} places were given for {} gradients", into.size(),
                wrt.size());
    for (size_t i = 0; i < into.size(); ++i) {
      GRAFT_CHECK(into[i].shape() == wrt[i].shape() && into[i].dtype() == gradient_type(wrt[i]),
                  "a gradient of shape {} {} cannot lie in a tensor of {} {}", wrt[i].shape(),
                  name_of(gradient_type(wrt[i])), into[i].shape(), name_of(into[i].dtype()));
      free_[wrt[i].autograd().get()] = into[i];
      if (i == 0 || into[i].storage() != into[i - 1].storage()) into[i].storage()->changed();
    }
  }

  Tensor take(const AutogradMeta* meta) {
    const auto home = free_.extract(meta);
    return home.empty() ? Tensor{} : home.mapped();
  }

  static void settle(const Tensor& gradient, const Tensor& home) {
    if (gradient.view().data == home.view().data) return;
    home.device().run(CastArgs{.x = gradient, .y = home});
  }

 private:
  std::unordered_map<const AutogradMeta*, Tensor> free_;
};

}  // namespace

std::vector<Tensor> gradients(const Tensor& output, std::span<const Tensor> wrt, const Tensor& doutput,
                              GradientOptions options) {
  GRAFT_CHECK(output.requires_grad(), "the output does not depend on any tensor that requires a gradient");
  GRAFT_CHECK(doutput.defined() || output.numel() == 1, "an output of shape {} needs a gradient to start from",
              output.shape());
  GRAFT_CHECK(!doutput.defined() || doutput.shape() == output.shape(),
              "the output has shape {}, the gradient to start from {}", output.shape(), doutput.shape());
  for (const Tensor& t : wrt) GRAFT_CHECK(t.requires_grad(), "a gradient was asked for a tensor that requires none");

  const NoGrad no_grad;
  Homes homes(wrt, options.into);
  Reach reach = find_reach(output.autograd(), wrt);
  const auto wanted = [&](const AutogradMeta* meta) {
    const auto at = reach.leads.find(meta);
    return at != reach.leads.end() && at->second;
  };

  std::unordered_map<const AutogradMeta*, Tensor> sums;
  sums[output.autograd().get()] =
      doutput.defined() ? doutput.detach() : full(output.shared_device(), output.shape(), 1, output.dtype());
  const auto finish = [&](const AutogradMeta* meta) {  // all contributions are in
    Tensor& gradient = sums[meta];
    for (const GradientHook& hook : meta->hooks)
      if (Tensor replaced = hook(gradient); replaced.defined()) {
        GRAFT_CHECK(replaced.shape() == gradient.shape(), "a hook turned a gradient of shape {} into {}",
                    gradient.shape(), replaced.shape());
        gradient = replaced.detach();
      }
  };
  const auto is_asked = [&](const AutogradMeta* meta) {
    return std::any_of(wrt.begin(), wrt.end(), [&](const Tensor& t) { return t.autograd().get() == meta; });
  };

  for (auto& meta : reach.computed) {
    if (!wanted(meta.get()) || !sums.contains(meta.get())) continue;
    finish(meta.get());
    Node& node = *meta->producer;
    const Tensor dy = sums[meta.get()];
    if (!is_asked(meta.get())) sums.erase(meta.get());
    const bool leads_on = std::any_of(node.edges.begin(), node.edges.end(),
                                      [&](const Node::Edge& edge) { return edge.meta && wanted(edge.meta.get()); });
    if (!leads_on) continue;
    std::vector<Tensor> inputs = node.run(dy, wanted, [&](const AutogradMeta* input) { return homes.take(input); });
    if (!options.retain) node.release();
    for (size_t i = 0; i < inputs.size(); ++i) {
      if (!inputs[i].defined()) continue;
      Tensor& total = sums[node.edges[i].meta.get()];
      total = total.defined() ? sum(total, inputs[i]) : std::move(inputs[i]);
    }
  }

  std::vector<Tensor> result;
  std::unordered_map<const AutogradMeta*, bool> finished;
  for (size_t i = 0; i < wrt.size(); ++i) {
    const AutogradMeta* meta = wrt[i].autograd().get();
    if (!sums.contains(meta)) {
      const Tensor zeros =
          options.into.empty() ? empty(wrt[i].shared_device(), wrt[i].shape(), gradient_type(wrt[i])) : options.into[i];
      zeros.device().run(FillArgs{.y = zeros, .value = 0});
      result.push_back(zeros);
      continue;
    }
    if (!meta->producer && !std::exchange(finished[meta], true)) finish(meta);
    result.push_back(sums[meta]);
    if (!options.into.empty()) {
      Homes::settle(result.back(), options.into[i]);
      result.back() = options.into[i];
    }
  }
  return result;
}

}  // namespace graft
