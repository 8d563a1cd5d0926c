// Compile: frozen pieces with packed weights and a planned arena (contract/backend.h).
#pragma once
#include "contract/backend.h"

namespace graft::cpu {

CompileFunctions compile_functions();

}  // namespace graft::cpu
