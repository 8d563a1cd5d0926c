// The operations that can be timed, by the names of network layers. One line makes the calls of a training step:
// forward and backward.
#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "bench/attributes.h"
#include "bench/kernel_case.h"

namespace graft::bench {

// "conv2d n=16 h=56 w=56 c=64 k=64 window=3 pad=1" → its forward, data and weight passes on elements of `dtype`.
// `caps`: the same with no extent larger. Throws Error that says what of the line is wrong.
std::vector<KernelCase> cases_of(std::string_view line, DType dtype, const Caps& caps = {});

// The same call, small enough for the reference in a moment; as small as it can be.
KernelCase smaller(const KernelCase& large);
KernelCase smallest(const KernelCase& large);

// For people: each operation with its attributes and passes.
std::string operations_help();

}  // namespace graft::bench
