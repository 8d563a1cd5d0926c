// Executes a ConvolutionGraph in f64 by what it says: dims, strides, ids, operations. It knows nothing of the call that
// the graph was made of.
#pragma once
#include <map>
#include <vector>

#include "kernels/cuda/convolution_graph.h"

namespace graft::test {

using GraphMemory = std::map<int64_t, std::vector<double>>;  // by tensor id

// To nearest, halves away from zero, as cvt.rna.tf32.f32 does: 10 bits behind the leading one.
double rounded_to_tf32(double);

// Writes every tensor that an operation writes. Throws for a tensor that no one has declared or written, an index
// outside of its memory, and extents that do not go together.
void interpret(const cuda::ConvolutionGraph&, GraphMemory&);

}  // namespace graft::test
