// A result beside the truth.
#pragma once
#include <string>

#include "bench/bound.h"
#include "bench/host_call.h"

namespace graft::bench {

// One output, `got` as `view` has it, against the truth in f64 or in whole numbers. "" or "y[17] is 0.5, not 0.25
// (tolerance 1e-7); 3 of 40 are wrong; ". An empty magnitude: errors are relative to the result.
std::string compare(const char* name, const TensorView& view, const Bytes& got, const TensorView& truth,
                    const Bytes& truth_bytes, const Bound& bound, const Bytes& magnitude);

}  // namespace graft::bench
