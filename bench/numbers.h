// Elements of every type as numbers, on the host.
#pragma once
#include <cstddef>
#include <cstdint>
#include <vector>

#include "contract/dtype.h"

namespace graft::bench {

using Bytes = std::vector<std::byte>;

// To nearest even, as `dtype` has it.
double rounded_to(DType dtype, double value);

// Element i of a tensor as a number, and a number that the type has as element i.
double element(const Bytes& bytes, DType dtype, int64_t i);
void put_element(Bytes& bytes, DType dtype, int64_t i, double value);

}  // namespace graft::bench
