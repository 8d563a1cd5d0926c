// What graft throws: graft::Error for what a caller can mend, graft::InternalError for a defect of graft.
//
// Installed, the definition lies in core/ beside this file, where a quoted include looks first.
#pragma once
#include "core/exception.h"
