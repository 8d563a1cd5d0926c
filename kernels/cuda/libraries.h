// cuDNN and cuBLASLt: opened when they are first needed, never linked, so that the plug-in works without them.
#pragma once
#include "contract/plugin.h"

namespace graft::cuda {

// The library's handle for dlsym, or nullptr. `report` says which version lies where, or why it cannot be used.
void* open_cudnn(PluginLibrary* report);
void* open_cublaslt(PluginLibrary* report);

// Whether this build of the plug-in calls the library at all, and GRAFT_CUDNN=0 or GRAFT_CUBLASLT=0 does not keep it
// from it.
bool calls_cudnn();
bool calls_cublaslt();

}  // namespace graft::cuda
