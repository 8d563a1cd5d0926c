// Executes a MatrixProduct in f64 by what it says: rows, columns, leading dimensions, transposes, epilogue. It knows
// nothing of the call that the product was made of.
#pragma once
#include <map>
#include <vector>

#include "kernels/cuda/matrix_product.h"

namespace graft::test {

using ProductMemory = std::map<int32_t, std::vector<double>>;  // by view

// Writes the memory of D. Throws for memory that no one has given, an element outside of its matrix or its memory, and
// extents that do not go together.
void interpret(const cuda::MatrixProduct&, ProductMemory&);

}  // namespace graft::test
