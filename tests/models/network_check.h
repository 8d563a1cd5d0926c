// A whole network against PyTorch: outputs, loss, every gradient, running statistics, from weights both sides compute.
#pragma once
#include <catch2/catch.hpp>
#include <memory>
#include <string>

#include "tests/support/devices.h"
#include "tests/support/test_data.h"

namespace graft::test {

// Inference and training mode of tests/expectations/networks/NAME.json: in f32 within its bounds, in f64 to 1e-6.
void check_network(const std::string& name, const std::shared_ptr<Device>& device, DType dtype = DType::f32);

}  // namespace graft::test

// On our own kernels, at two instruction sets.
#define GRAFT_NETWORK_TEST(name)                                                                                   \
  TEST_CASE(name " at AVX2 equals PyTorch") {                                                                      \
    graft::test::check_network(name, graft::test::cpu_device(graft::CpuIsa::avx2));                                \
  }                                                                                                                \
  TEST_CASE(name " at AVX-512 equals PyTorch") {                                                                   \
    if (!graft::test::has_isa(graft::CpuIsa::avx512)) return graft::test::skip("avx512", "this machine has none"); \
    graft::test::check_network(name, graft::test::cpu_device(graft::CpuIsa::avx512));                              \
  }
