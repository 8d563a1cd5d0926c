// The op table on the CUDA backend whose kernels g++ compiled: within the bounds, and the same bits for threads in
// three orders.
#include "kernels/cuda/cuda_backend.h"
#include "tests/cuda_on_host/control.h"
#include "tests/kernels/op_table/register.h"

namespace graft::test {

namespace {

using cuda_on_host::Order;

BackendUnderTest on_host(Order order, const char* word) {
  return {.name = std::string("cuda on host, ") + word,
          .create =
              [order](Backend* backend) {
                cuda_on_host::options().order = order;
                return cuda::make_backend(0, backend);
              },
          .dtypes = {DType::f32, DType::bf16, DType::f16},
          .same_bits = "cuda on host",
          .bits_only = order != Order::forward,
          .watch = Watch::device};
}

const std::vector<BackendUnderTest> kBackends = {on_host(Order::forward, "forward"), on_host(Order::reverse, "reverse"),
                                                 on_host(Order::random, "random")};
const bool kRegistered = (register_op_table(kBackends), true);

}  // namespace

}  // namespace graft::test
