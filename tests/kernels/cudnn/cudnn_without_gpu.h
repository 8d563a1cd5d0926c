// cuDNN asked about a GPU that is not there: opened after the stub driver, devices described by their properties.
#pragma once
#include <string>

#include "kernels/cuda/cudnn_plan.h"

namespace graft::test {

// nullptr where it is missing: the test is skipped, or fails where GRAFT_REQUIRE says cudnn.
const cuda::Cudnn* need_cudnn();

// As cuDNN serialises them; tests/kernels/cudnn/devices/NAME.json. "sm_90"
std::string device_properties(const std::string& name);

std::string version_of(const cuda::Cudnn&);  // "9.19.0"

}  // namespace graft::test
