// What a file seems to be that does not begin like one of PyTorch's.
#pragma once
#include "io/file.h"

namespace graft::io::torch {

// Throws Error that says what the file seems to be and what to do.
[[noreturn]] void explain_foreign_file(const File& file);

}  // namespace graft::io::torch
