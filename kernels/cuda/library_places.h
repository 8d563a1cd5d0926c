// Where cuDNN and cuBLASLt may lie besides where the system looks.
#pragma once
#include "contract/plugin.h"

namespace graft::cuda {

// dlopen of `file`, from the first of these that has it:
//   folders named by GRAFT_CUDA_LIBRARIES, separated by colons
//   where the system looks: LD_LIBRARY_PATH, ld.so.conf
//   /usr/local/cuda
//   nvidia/*/lib, where PyPI's wheels put it, among the packages of $VIRTUAL_ENV, $CONDA_PREFIX, the pythons on the
//   PATH, the user's own, those of the system
// `path` says from where. nullptr: nowhere; dlerror() says of the last place why.
void* open_from_places(const char* file, char path[kPluginTextBytes]);

}  // namespace graft::cuda
