// Who computes a dense convolution or a matrix product, of which there are several ways:
//
//   cudnn 7 2=1 …          a plan of cuDNN: its engine and what its knobs are set to (cudnn_plan.h)
//   cublaslt 66 …          an algorithm of cuBLASLt: its number and configuration (cublaslt_descriptors.h)
//   graft tile 64          graft's own kernel, y cut into tiles of 64 · 64
//
// The rule takes the library's first plan, and graft's kernel, tiles by shape, where there is none. A choice
// (TuneFunctions) takes another: from then on for calls, and for pieces described from then on, since a way decides the
// size of a workspace, which is asked for ahead. Memory off a 16-byte border is left to graft's kernel whatever was
// chosen; no tensor of core lies so.
//
// The plug-in links cudnn_convolution.cpp and cublaslt_matmul.cpp, or no_cudnn.cpp and no_cublaslt.cpp where it is
// built without the library's headers and where kernels run on the host. GRAFT_CUDNN=0 and GRAFT_CUBLASLT=0 in the
// environment leave all to graft's kernels.
#pragma once
#include <algorithm>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "contract/without_exceptions.h"
#include "kernels/cuda/cuda_backend.h"
#include "kernels/cuda/f32_math.h"

namespace graft::cuda {

// What a backend was told. Never changed once made: who computes with it keeps it.
struct Choices {
  F32Math math = F32Math::strict;
  std::map<std::string, std::string, std::less<>> ways;  // names by key
};
std::shared_ptr<const Choices> choices_of(const CudaBackend&);  // the latest; from any thread
CudaBackend snapshot(const CudaBackend&);                       // whose choices stay as they are

// How a call is computed.
struct Way {
  F32Math math = F32Math::strict;
  std::string plan;  // the library's, by name; empty: its first, unless there is a tile
  int tile = 0;      // graft's own; 0: by shape
};

struct OwnTiles {
  std::span<const int> all;  // none: graft's kernel cannot compute this call
  int by_shape = 0;
};
inline constexpr int kTiles[] = {32, 64, 128};

// For each kind of call: graft's own kernel, in the family's file, …
OwnTiles own_tiles(const Conv2dArgs&);
OwnTiles own_tiles(const Conv2dBackwardDataArgs&);
OwnTiles own_tiles(const Conv2dBackwardWeightArgs&);
OwnTiles own_tiles(const MatmulArgs&);

// … and its library's plan, which is chosen when it is first asked for. unsupported: there is none for this call.
Status library_run(CallContext&, const Conv2dArgs&, const Way&);
Status library_run(CallContext&, const Conv2dBackwardDataArgs&, const Way&);
Status library_run(CallContext&, const Conv2dBackwardWeightArgs&, const Way&);
Status library_run(CallContext&, const MatmulArgs&, const Way&);
int64_t library_workspace(void* self, const Conv2dArgs&, const Way&);
int64_t library_workspace(void* self, const Conv2dBackwardDataArgs&, const Way&);
int64_t library_workspace(void* self, const Conv2dBackwardWeightArgs&, const Way&);
int64_t library_workspace(void* self, const MatmulArgs&, const Way&);

// Names of the library's plans, the rule's first; at most kMostPlans.
inline constexpr size_t kMostPlans = 8;
std::vector<std::string> library_plans(void* self, const Conv2dArgs&, F32Math);
std::vector<std::string> library_plans(void* self, const Conv2dBackwardDataArgs&, F32Math);
std::vector<std::string> library_plans(void* self, const Conv2dBackwardWeightArgs&, F32Math);
std::vector<std::string> library_plans(void* self, const MatmulArgs&, F32Math);

Way way_of(void* self, const Conv2dArgs&);
Way way_of(void* self, const Conv2dBackwardDataArgs&);
Way way_of(void* self, const Conv2dBackwardWeightArgs&);
Way way_of(void* self, const MatmulArgs&);

template <typename Args>
using OwnLauncher = Status (*)(CallContext&, const Args&, int tile);

template <typename Args, OwnLauncher<Args> kOwn>
Status by_way(CallContext& call, const Args& args) {
  return without_exceptions([&] {
    const Way way = way_of(call.self, args);
    const Status status = way.tile != 0 ? Status::unsupported : library_run(call, args, way);
    return status == Status::unsupported ? kOwn(call, args, way.tile) : status;
  });
}

// Enough for either: which of the two it will be depends on addresses.
template <typename Args, int64_t (*kOwn)(const Args&, int tile)>
int64_t by_way_workspace(void* self, const Args& args) {
  int64_t bytes = 0;
  (void)without_exceptions([&] {
    const Way way = way_of(self, args);
    const int64_t own = kOwn(args, way.tile), library = way.tile != 0 ? 0 : library_workspace(self, args, way);
    bytes = std::max(own, library);
    return Status::ok;
  });
  return bytes;
}

Status allow_tf32(void* self, bool allow);
TuneFunctions tune_functions();

}  // namespace graft::cuda
