// Is a result right? Asked before anything is timed.
#pragma once
#include <string>

#include "bench/contestant.h"

namespace graft::bench {

// A small case of the same kind beside the reference in f64, within the bound of the primitive; "" or what is wrong.
// What the contestant does not make is not compared.
std::string compare_with_reference(Entrant& entrant, const KernelCase& c);

// Two results of one case at its full size, for which the reference takes too long: no element differs by more than a
// thousandth (of 16 bits: a 25th) of the tensor's largest. A wrong index, stride or tail does; rounding does not.
std::string compare_results(const KernelCase& c, const Tensors& a, const Tensors& b);

}  // namespace graft::bench
