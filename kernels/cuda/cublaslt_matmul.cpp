// Matrix products through cuBLASLt: an algorithm is chosen once for each product and kept, a call hands over pointers.
#include "kernels/cuda/cublaslt_matmul.h"

#include <cstdlib>
#include <cstring>
#include <map>
#include <mutex>

#include "contract/plan_intervals.h"
#include "contract/without_exceptions.h"
#include "kernels/cuda/cublaslt_descriptors.h"
#include "kernels/cuda/libraries.h"
#include "kernels/cuda/status.h"

namespace graft::cuda {

// cuBLASLt on a backend's device. Safe from many threads: algorithms never change once they are chosen, descriptors are
// each call's own, and a handle may be used by several threads at a time.
struct CublasLtProducts {
  ~CublasLtProducts() {
    if (handle != nullptr) (void)api->cublasLtDestroy(handle);
  }

  std::once_flag opened;
  const CublasLt* api = nullptr;  // nullptr: graft's kernels compute everything
  cublasLtHandle_t handle = nullptr;
  std::mutex choosing;
  std::map<MatrixProduct, std::optional<ProductAlgorithm>> algorithms;
};

namespace {

bool is_wanted() {
  const char* word = std::getenv("GRAFT_CUBLASLT");
  return word == nullptr || std::strcmp(word, "0") != 0;
}

// With the backend's device current.
bool is_open(CublasLtProducts& c) {
  std::call_once(c.opened, [&] {
    const CublasLt* api = is_wanted() ? cublaslt() : nullptr;
    if (api != nullptr && api->cublasLtCreate(&c.handle) == CUBLAS_STATUS_SUCCESS) c.api = api;
  });
  return c.api != nullptr;
}

// nullptr: there is none.
const ProductAlgorithm* algorithm_for(CublasLtProducts* c, const MatrixProduct& product) {
  const ProductAlgorithm* algorithm = nullptr;
  (void)without_exceptions([&] {
    if (c == nullptr || !is_open(*c)) return Status::ok;
    const std::lock_guard lock(c->choosing);
    auto found = c->algorithms.find(product);
    if (found == c->algorithms.end())
      found = c->algorithms.emplace(product, choose_algorithm(*c->api, c->handle, product)).first;
    if (found->second) algorithm = &*found->second;
    return Status::ok;
  });
  return algorithm;
}

std::optional<MatrixProduct> strict_product_of(const MatmulArgs& m) { return product_of(m, ProductPrecision::strict); }

// cuBLASLt wants its workspace on a multiple of 256 bytes; the contract promises kArenaAlignment.
constexpr int64_t kWorkspaceAlignment = 256;

int64_t room_for(const ProductAlgorithm& algorithm) {
  return algorithm.workspace_bytes == 0 ? 0 : algorithm.workspace_bytes + kWorkspaceAlignment - kArenaAlignment;
}

void* aligned_workspace(const CallContext& call) {
  return reinterpret_cast<void*>(align_up(reinterpret_cast<int64_t>(call.workspace), kWorkspaceAlignment));
}

struct ProductMemory {
  void *a, *b, *d, *bias;
  bool aligned;

  ProductMemory(const MatmulArgs& m, const MatrixProduct& p) {
    const TensorView* views = views_of(static_cast<const void*>(&m));
    a = views[p.a.view].data, b = views[p.b.view].data, d = views[p.d.view].data;
    bias = p.bias.present() ? views[p.bias.view].data : nullptr;
    const auto all = reinterpret_cast<uintptr_t>(a) | reinterpret_cast<uintptr_t>(b) | reinterpret_cast<uintptr_t>(d) |
                     reinterpret_cast<uintptr_t>(bias);
    aligned = all % static_cast<uintptr_t>(p.alignment) == 0;
  }
};

}  // namespace

bool calls_cublaslt() { return is_wanted(); }

CublasLtProducts* make_cublaslt_products() { return new (std::nothrow) CublasLtProducts; }
void destroy(CublasLtProducts* c) { delete c; }

Status cublaslt_matmul(CallContext& call, const MatmulArgs& m) {
  const auto product = strict_product_of(m);
  if (!product) return Status::unsupported;
  const ProductMemory memory(m, *product);
  if (!memory.aligned) return Status::unsupported;
  CublasLtProducts* c = static_cast<CudaBackend*>(call.self)->cublaslt;
  const ProductAlgorithm* algorithm = algorithm_for(c, *product);
  if (algorithm == nullptr) return Status::unsupported;
  if (call.workspace_bytes < room_for(*algorithm)) return Status::invalid_argument;

  call.kernel = "cublaslt";
  ProductDescriptors d;
  cublasStatus_t status = describe(*c->api, *product, memory.bias, &d);
  if (status == CUBLAS_STATUS_SUCCESS)
    status =
        c->api->cublasLtMatmul(c->handle, &d.operation, &product->alpha, memory.a, &d.a, memory.b, &d.b, &product->beta,
                               memory.d, &d.d, memory.d, &d.d, &algorithm->algorithm, aligned_workspace(call),
                               static_cast<size_t>(algorithm->workspace_bytes), static_cast<cudaStream_t>(call.stream));
  if (status == CUBLAS_STATUS_SUCCESS) return Status::ok;
  set_last_error("cuBLASLt's matrix product failed: %s", c->api->cublasLtGetStatusString(status));
  return Status::device_error;
}

int64_t cublaslt_workspace(void* self, const MatmulArgs& m) {
  const auto product = strict_product_of(m);
  if (!product || select_device(self) != Status::ok) return 0;
  const ProductAlgorithm* algorithm = algorithm_for(static_cast<CudaBackend*>(self)->cublaslt, *product);
  return algorithm == nullptr ? 0 : room_for(*algorithm);
}

}  // namespace graft::cuda
