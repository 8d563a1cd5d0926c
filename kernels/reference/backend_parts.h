// The parts that reference_backend.cpp puts together.
#pragma once
#include "contract/backend.h"

namespace graft::reference {

DeviceFunctions device_functions();    // device.cpp
CompileFunctions compile_functions();  // compile.cpp

// Checks the arguments and runs the primitive; names the kernel. (reference_backend.cpp)
Status run(Primitive primitive, CallContext* context, const void* args);

}  // namespace graft::reference
