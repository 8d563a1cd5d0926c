// Where to compute.
#pragma once
#include <string>

namespace graft {

struct DeviceOptions {
  // "cpu": graft's own kernels; "reference": plain loops, slow, to compare with; "cuda" or "cuda:N": an NVIDIA GPU;
  // "auto": the fastest that is here. What is asked for and cannot be used is an Error: nothing takes its place.
  std::string name = "auto";
  // "f32"; on a GPU "tf32": the factors of its libraries' matrix products and convolutions are rounded to 11
  // significant bits, sums are f32 (other devices stay with full f32); on a GPU "bf16": weights and the values between
  // layers have 16 bits; sums, statistics, gradients of parameters and the parameters that training moves have 32.
  std::string precision = "f32";
  // A file that `graft bench tune` wrote for this device: which of several ways computes a call. One for another device
  // or for other versions is an Error. Empty: the one that $GRAFT_TUNING names, if the device has ways to choose from;
  // "none": none.
  std::string tuning;
  int threads = 0;  // of the CPU, the calling thread included; 0: as many as the process may use
};

}  // namespace graft
