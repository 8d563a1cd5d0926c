// The primitives of contract/primitives.h, one plain function each. A function checks its arguments, then computes;
// sums are taken in double whatever the type. `checked` (checks.h) has looked at every single view before.
#pragma once
#include "contract/primitives.h"
#include "contract/status.h"

namespace graft::reference {

#define X(name, Args) Status name(const Args& a);
GRAFT_PRIMITIVES(X)
#undef X

}  // namespace graft::reference
