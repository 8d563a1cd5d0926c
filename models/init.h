// How weights begin, by the number of values a weight's output depends on (fan in) and feeds (fan out).
#pragma once
#include <cmath>
#include <cstdint>

#include "models/op.h"

namespace graft::models {

// fan_in = in / groups · R · S, fan_out = out · R · S, as torch.nn.init counts them.
struct Fan {
  int64_t in = 1, out = 1;
  int32_t groups = 1;
};
using InitRule = Initializer (*)(const Fan&);

inline Initializer zeros(const Fan&) { return {Initializer::Kind::zeros, 0}; }

// He et al. 2015 (arXiv:1502.01852): N(0, 2 / fan)
inline Initializer kaiming_normal_fan_out(const Fan& f) {
  return {Initializer::Kind::normal, std::sqrt(2.0 / static_cast<double>(f.out))};
}
inline Initializer kaiming_normal_fan_in(const Fan& f) {
  return {Initializer::Kind::normal, std::sqrt(2.0 / static_cast<double>(f.in))};
}
// The same with what one group feeds: TensorFlow's EfficientNets.
inline Initializer kaiming_normal_group_fan_out(const Fan& f) {
  return {Initializer::Kind::normal, std::sqrt(2.0 * f.groups / static_cast<double>(f.out))};
}

// U(±1 / √fan_in): what torch.nn.Linear and Conv2d do by themselves (kaiming_uniform with a = √5), weight and bias.
inline Initializer uniform_fan_in(const Fan& f) {
  return {Initializer::Kind::uniform, 1.0 / std::sqrt(static_cast<double>(f.in))};
}
inline Initializer uniform_fan_out(const Fan& f) {
  return {Initializer::Kind::uniform, 1.0 / std::sqrt(static_cast<double>(f.out))};
}
inline Initializer normal_hundredth(const Fan&) { return {Initializer::Kind::normal, 0.01}; }

struct InitRules {
  InitRule conv = kaiming_normal_fan_out, conv_bias = zeros;
  InitRule linear = uniform_fan_in, linear_bias = uniform_fan_in;
};

}  // namespace graft::models
