// Dense convolutions through cuDNN: plans are chosen once for each graph, and once for each name that is asked for, and
// kept; execution hands over pointers.
#include <cstdlib>
#include <cstring>
#include <map>
#include <mutex>
#include <utility>

#include "kernels/cuda/cudnn_plan.h"
#include "kernels/cuda/libraries.h"
#include "kernels/cuda/status.h"
#include "kernels/cuda/ways.h"

namespace graft::cuda {

// cuDNN on a backend's device. Safe from many threads: plans never change once they are made, and the handle, which
// knows one stream at a time, is used by one thread at a time, to list plans too.
struct CudnnConvolutions {
  ~CudnnConvolutions() {
    plans.clear();
    if (handle != nullptr) (void)api->cudnnDestroy(handle);
  }

  std::once_flag opened;
  const Cudnn* api = nullptr;  // nullptr: graft's kernels compute everything
  cudnnHandle_t handle = nullptr;
  std::mutex planning, executing;  // the maps; the handle. Both: in this order
  std::map<std::pair<ConvolutionGraph, std::string>, std::optional<CudnnPlan>> plans;  // name "": the rule's
  std::map<ConvolutionGraph, std::vector<std::string>> names;
};

namespace {

bool is_wanted() {
  const char* word = std::getenv("GRAFT_CUDNN");
  return word == nullptr || std::strcmp(word, "0") != 0;
}

// With the backend's device current.
bool is_open(CudnnConvolutions& c) {
  std::call_once(c.opened, [&] {
    const Cudnn* api = is_wanted() ? cudnn() : nullptr;
    if (api != nullptr && api->cudnnCreate(&c.handle) == CUDNN_STATUS_SUCCESS) c.api = api;
  });
  return c.api != nullptr;
}

std::vector<CudnnPlan> plans_for(CudnnConvolutions& c, const ConvolutionGraph& graph, size_t most,
                                 const std::string& name = {}) {
  const std::lock_guard lock(c.executing);
  return list_plans(*c.api, CudnnDevice(c.handle), graph, most, name);
}

// nullptr: there is none. A name that no plan has is not taken for another.
const CudnnPlan* plan_of(CudnnConvolutions& c, const ConvolutionGraph& graph, const std::string& name) {
  const std::lock_guard lock(c.planning);
  auto found = c.plans.find({graph, name});
  if (found == c.plans.end()) {
    std::vector<CudnnPlan> plans = plans_for(c, graph, 1, name);
    auto first = plans.empty() ? std::nullopt : std::optional(std::move(plans.front()));
    found = c.plans.emplace(std::pair(graph, name), std::move(first)).first;
  }
  return found->second ? &*found->second : nullptr;
}

template <typename Args>
const CudnnPlan* plan_for(CudnnConvolutions* c, const Args& args, const Way& way) {
  if (c == nullptr || !is_open(*c)) return nullptr;
  const auto graph = graph_of(args, way.math);
  if (!graph) return nullptr;
  if (!way.plan.empty())
    if (const CudnnPlan* chosen = plan_of(*c, *graph, way.plan)) return chosen;
  return plan_of(*c, *graph, {});
}

template <typename Args>
std::vector<std::string> names_of(void* self, const Args& args, F32Math math) {
  CudnnConvolutions* c = static_cast<CudaBackend*>(self)->cudnn;
  const auto graph = graph_of(args, math);
  if (c == nullptr || !is_open(*c) || !graph) return {};
  const std::lock_guard lock(c->planning);
  auto found = c->names.find(*graph);
  if (found == c->names.end()) {
    std::vector<std::string> names;
    for (const CudnnPlan& plan : plans_for(*c, *graph, kMostPlans)) names.push_back(plan.name);
    found = c->names.emplace(*graph, std::move(names)).first;
  }
  return found->second;
}

// Every view that is there, under the id that graph_of gave it.
struct GraphMemory {
  int64_t ids[8];
  void* pointers[8];
  int64_t count = 0;
  bool aligned = true;

  template <typename Args>
  explicit GraphMemory(const Args& args) {
    for (int i = 0; i < Args::kRoles.total(); ++i) {
      const TensorView& view = views_of(static_cast<const void*>(&args))[i];
      if (!view.present()) continue;
      ids[count] = i + 1;
      pointers[count++] = view.data;
      aligned &= reinterpret_cast<uintptr_t>(view.data) % kGraphAlignment == 0;
    }
  }
};

cudnnStatus_t execute(CudnnConvolutions& c, const CudnnPlan& plan, const GraphMemory& memory, const CallContext& call) {
  CudnnDescriptor pack(*c.api, CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR);
  pack.set(CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS, CUDNN_TYPE_INT64, memory.ids, memory.count)
      .set(CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS, CUDNN_TYPE_VOID_PTR, memory.pointers, memory.count)
      .set(CUDNN_ATTR_VARIANT_PACK_WORKSPACE, CUDNN_TYPE_VOID_PTR, call.workspace)
      .finalize();
  if (!pack.ok()) return pack.status();
  const std::lock_guard lock(c.executing);
  const cudnnStatus_t status = c.api->cudnnSetStream(c.handle, static_cast<cudaStream_t>(call.stream));
  if (status != CUDNN_STATUS_SUCCESS) return status;
  return c.api->cudnnBackendExecute(c.handle, plan.plan.raw(), pack.raw());
}

template <typename Args>
Status run(CallContext& call, const Args& args, const Way& way) {
  CudnnConvolutions* c = static_cast<CudaBackend*>(call.self)->cudnn;
  const GraphMemory memory(args);
  if (!memory.aligned) return Status::unsupported;
  const CudnnPlan* plan = plan_for(c, args, way);
  if (plan == nullptr) return Status::unsupported;
  if (call.workspace_bytes < plan->workspace_bytes) return Status::invalid_argument;
  call.kernel = "cudnn";
  const cudnnStatus_t status = execute(*c, *plan, memory, call);
  if (status == CUDNN_STATUS_SUCCESS) return Status::ok;
  set_last_error("cuDNN's engine %lld of a convolution failed: %s", static_cast<long long>(plan->engine),
                 c->api->cudnnGetErrorString(status));
  return Status::device_error;
}

template <typename Args>
int64_t workspace(void* self, const Args& args, const Way& way) {
  if (select_device(self) != Status::ok) return 0;
  const CudnnPlan* plan = plan_for(static_cast<CudaBackend*>(self)->cudnn, args, way);
  return plan == nullptr ? 0 : plan->workspace_bytes;
}

}  // namespace

bool calls_cudnn() { return is_wanted(); }

CudnnConvolutions* make_cudnn_convolutions() { return new (std::nothrow) CudnnConvolutions; }
void destroy(CudnnConvolutions* c) { delete c; }

#define GRAFT_LIBRARY(Args)                                                                                \
  Status library_run(CallContext& call, const Args& a, const Way& way) { return run(call, a, way); }       \
  int64_t library_workspace(void* self, const Args& a, const Way& way) { return workspace(self, a, way); } \
  std::vector<std::string> library_plans(void* self, const Args& a, F32Math math) { return names_of(self, a, math); }
GRAFT_LIBRARY(Conv2dArgs)
GRAFT_LIBRARY(Conv2dBackwardDataArgs)
GRAFT_LIBRARY(Conv2dBackwardWeightArgs)
#undef GRAFT_LIBRARY

}  // namespace graft::cuda
