#include "train/flat_parameters.h"

namespace graft::train {

namespace {

constexpr int64_t kBorder = 32;  // elements: 64 bytes of 16 bits each

int64_t to_border(int64_t elements) { return (elements + kBorder - 1) / kBorder * kBorder; }

// Weight decay pulls weights of convolutions and linear layers; biases and the scales of norms are left alone.
bool decays(const models::Parameter& p) { return p.axes != models::Axes::channels; }

}  // namespace

std::vector<TrainedParameter> trained_parameters(const models::Network& network) {
  std::vector<TrainedParameter> trained;
  for (const auto& entry : network.entries())
    if (entry.used().requires_grad())
      trained.push_back({entry.info.name, entry.tensor, decays(entry.info), entry.copy});
  return trained;
}

FlatParameters::FlatParameters(std::vector<TrainedParameter> parameters)
    : entries_(std::move(parameters)), first_(entries_.size()) {
  GRAFT_CHECK(!entries_.empty(), "everything is frozen: there is nothing to train. Freeze less, or use --train");
  int64_t end = 0;
  for (const bool decays : {true, false}) {
    Group group{.first = end, .decays = decays};
    for (size_t i = 0; i < entries_.size(); ++i)
      if (entries_[i].decays == decays) {
        first_[i] = end;
        end += to_border(entries_[i].tensor.numel());
      }
    group.count = end - group.first;
    if (group.count > 0) groups_.push_back(group);
  }

  const Tensor& any = entries_[0].tensor;
  const MemoryScope scope("parameters", "that train");
  values_ = full(any.shared_device(), {end}, 0, any.dtype());
  gradients_ = zeros("gradients");
  for (const TrainedParameter& p : entries_)
    if (p.copy.defined() && !copies_.defined()) copies_ = full(any.shared_device(), {end}, 0, p.copy.dtype());
  const auto move = [this](Tensor& old, const Tensor& flat, size_t i) {
    Tensor moved = part(flat, i);
    old.device().copy(moved.view().data, old.view().data, old.bytes());
    moved.set_autograd(old.autograd());
    old = moved;
  };
  for (size_t i = 0; i < entries_.size(); ++i) {
    Tensor& old = entries_[i].tensor;
    GRAFT_CHECK(old.dtype() == values_.dtype(), "{} is {}, the parameters before it {}", entries_[i].name,
                name_of(old.dtype()), name_of(values_.dtype()));
    move(old, values_, i);
    if (entries_[i].copy.defined()) move(entries_[i].copy, copies_, i);
  }
  values_.storage()->changed();
}

FlatParameters::FlatParameters(models::Network& network) : FlatParameters(trained_parameters(network)) {
  for (const TrainedParameter& p : entries_) network.replace(p.name, p.tensor, p.copy);
}

Tensor FlatParameters::part(const Tensor& flat, size_t entry) const {
  const Shape& shape = entries_[entry].tensor.shape();
  return flat.rows(first_[entry], shape.numel()).viewed_as(shape);
}

std::vector<Tensor> FlatParameters::parts(const Tensor& flat) const {
  std::vector<Tensor> all;
  for (size_t i = 0; i < entries_.size(); ++i) all.push_back(part(flat, i));
  return all;
}

}  // namespace graft::train
