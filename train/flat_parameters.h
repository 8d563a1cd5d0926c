// The parameters that train, behind each other in one allocation, their gradients in another of the same layout, and so
// whatever an optimiser keeps for each of them. A step checks, clips and moves them in a few calls, however many there
// are.
//
//   | conv1.weight | conv2.weight | fc.weight | bn1.weight | bn1.bias | fc.bias |
//    '----------- a group: decays -----------' '-------- another: not --------'
//
// Learning rate and weight decay are those of a group. Each parameter begins on a 64-byte border, also in a copy of 16
// bits an element. What lies between two is zero in gradients and state, which no step changes: a step of zeros moves
// nothing.
#pragma once
#include <string>
#include <vector>

#include "models/network.h"

namespace graft::train {

struct TrainedParameter {
  std::string name;
  Tensor tensor;
  bool decays = true;  // weights do, biases and the parameters of norms do not
  Tensor copy;         // of 16 bits, what the network computes with; undefined: the tensor itself

  const Tensor& used() const { return copy.defined() ? copy : tensor; }
};

// Those of the network that require a gradient, in its order.
std::vector<TrainedParameter> trained_parameters(const models::Network& network);

class FlatParameters {
 public:
  // The same values in new memory: the tensors of entries() take the place of those given. One type, one device.
  explicit FlatParameters(std::vector<TrainedParameter> parameters);
  // Those that require a gradient; the network has them in their new place. Before anything is compiled from it.
  explicit FlatParameters(models::Network& network);

  struct Group {
    int64_t first = 0, count = 0;  // elements of the flat memory, borders among them
    bool decays = true;
  };

  const std::vector<TrainedParameter>& entries() const { return entries_; }  // in the order given
  const std::vector<Group>& groups() const { return groups_; }
  const Tensor& values() const { return values_; }        // [n]
  const Tensor& gradients() const { return gradients_; }  // [n], zeros until a step makes them
  const Tensor& copies() const { return copies_; }        // [n] of 16 bits, or undefined: no parameter has one

  // More memory of this layout, zeros.
  Tensor zeros(const char* kind) const {  // of memory (MemoryScope)
    const MemoryScope scope(kind);
    return full(values_.shared_device(), values_.shape(), 0, values_.dtype());
  }

  // Of memory of this layout: the part of one parameter, in its shape; of all of them, in the order of entries(); of a
  // group, [count].
  Tensor part(const Tensor& flat, size_t entry) const;
  std::vector<Tensor> parts(const Tensor& flat) const;
  Tensor part(const Tensor& flat, const Group& group) const { return flat.rows(group.first, group.count); }

 private:
  std::vector<TrainedParameter> entries_;
  std::vector<int64_t> first_;  // element at which each begins
  std::vector<Group> groups_;
  Tensor values_, gradients_, copies_;
};

}  // namespace graft::train
