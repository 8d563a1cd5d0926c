// Every primitive as plain loops on the CPU, f64 and f32, one thread, no library: the executable specification.
// Everything a call does is done when it returns; streams and events are there and have nothing to do.
#pragma once
#include "contract/backend.h"

// `out` comes default-constructed: its `bytes` and `version` say which contract the caller was compiled with, and
// Status::unsupported is returned if that is another than this library's. Nothing has to be kept alive but the code.
extern "C" graft::Status graft_reference_backend(graft::Backend* out);
