// Numbers for parameters nobody trained yet.
#pragma once
#include <cstdint>

#include "models/network.h"

namespace graft::train {

// Draws each parameter that `wanted` names as its Initializer says, in file order, from Philox (seed, name): what one
// parameter gets does not depend on which others are drawn. Running means become 0, variances 1.
void initialise(models::Network& network, uint64_t seed, const std::function<bool(const models::Parameter&)>& wanted);

}  // namespace graft::train
