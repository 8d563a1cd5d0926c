// What graft bench kernels found, for people.
#pragma once
#include <string>

#include "bench/results.h"

namespace graft::tools {

std::string as_table(const bench::Results& results);

}  // namespace graft::tools
