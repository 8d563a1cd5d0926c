// Matrix products through cuBLASLt: an algorithm is chosen once for each product, and once for each name that is asked
// for, and kept; a call hands over pointers.
#include <cstdlib>
#include <cstring>
#include <map>
#include <mutex>
#include <utility>

#include "contract/plan_intervals.h"
#include "kernels/cuda/cublaslt_descriptors.h"
#include "kernels/cuda/libraries.h"
#include "kernels/cuda/status.h"
#include "kernels/cuda/ways.h"

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
  std::map<std::pair<MatrixProduct, std::string>, std::optional<ProductAlgorithm>> algorithms;  // name "": the rule's
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

std::optional<ProductAlgorithm> named_algorithm(CublasLtProducts& c, const MatrixProduct& product,
                                                const std::string& name) {
  for (const ProductAlgorithm& algorithm : list_algorithms(*c.api, c.handle, product, kMostPlans))
    if (algorithm.name == name) return algorithm;
  return std::nullopt;
}

// nullptr: there is none. A name that no algorithm has is not taken for another.
const ProductAlgorithm* algorithm_of(CublasLtProducts& c, const MatrixProduct& product, const std::string& name) {
  const std::lock_guard lock(c.choosing);
  auto found = c.algorithms.find({product, name});
  if (found == c.algorithms.end())
    found = c.algorithms
                .emplace(std::pair(product, name),
                         name.empty() ? choose_algorithm(*c.api, c.handle, product) : named_algorithm(c, product, name))
                .first;
  return found->second ? &*found->second : nullptr;
}

const ProductAlgorithm* algorithm_for(CublasLtProducts* c, const MatrixProduct& product, const Way& way) {
  if (c == nullptr || !is_open(*c)) return nullptr;
  if (!way.plan.empty())
    if (const ProductAlgorithm* chosen = algorithm_of(*c, product, way.plan)) return chosen;
  return algorithm_of(*c, product, {});
}

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

Status library_run(CallContext& call, const MatmulArgs& m, const Way& way) {
  const auto product = product_of(m, way.math);
  if (!product) return Status::unsupported;
  const ProductMemory memory(m, *product);
  if (!memory.aligned) return Status::unsupported;
  CublasLtProducts* c = static_cast<CudaBackend*>(call.self)->cublaslt;
  const ProductAlgorithm* algorithm = algorithm_for(c, *product, way);
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

int64_t library_workspace(void* self, const MatmulArgs& m, const Way& way) {
  const auto product = product_of(m, way.math);
  if (!product || select_device(self) != Status::ok) return 0;
  const ProductAlgorithm* algorithm = algorithm_for(static_cast<CudaBackend*>(self)->cublaslt, *product, way);
  return algorithm == nullptr ? 0 : room_for(*algorithm);
}

std::vector<std::string> library_plans(void* self, const MatmulArgs& m, F32Math math) {
  CublasLtProducts* c = static_cast<CudaBackend*>(self)->cublaslt;
  const auto product = product_of(m, math);
  if (c == nullptr || !is_open(*c) || !product) return {};
  std::vector<std::string> names;
  for (ProductAlgorithm& a : list_algorithms(*c->api, c->handle, *product, kMostPlans))
    names.push_back(std::move(a.name));
  return names;
}

}  // namespace graft::cuda
