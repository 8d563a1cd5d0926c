// The op table on the GPU: plainly, at the end of a page, and replayed from captures. Within the bounds, and the same
// bits each time. GRAFT_CUDNN=0 and GRAFT_CUBLASLT=0 run it on graft's own kernels alone.
#include "tests/gpu/gpu.h"
#include "tests/kernels/op_table/register.h"

namespace graft::test {

namespace {

BackendUnderTest on_gpu(const char* name, Backend (*make)(), Watch watch) {
  return {.name = name,
          .create =
              [make](Backend* backend) {
                if (!gpu().device) return Status::unsupported;
                *backend = make();
                return Status::ok;
              },
          .dtypes = {DType::f32, DType::bf16, DType::f16},
          .same_bits = "cuda",
          .needs = "gpu",
          .watch = watch,
          .reason = [] { return gpu().reason; }};
}

const std::vector<BackendUnderTest> kBackends = {on_gpu("cuda", gpu_backend, Watch::guards),
                                                 on_gpu("cuda at a page's end", gpu_backend, Watch::page_end),
                                                 on_gpu("cuda replayed", replaying_backend, Watch::guards)};
const bool kRegistered = (register_op_table(kBackends, "[gpu][op_table]"), true);

}  // namespace

}  // namespace graft::test
