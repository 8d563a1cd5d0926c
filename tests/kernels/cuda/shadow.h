// A backend whose every call the reference repeats in f64, from the very inputs the call had: each result must lie
// within the op table's bound. So a whole network is checked layer by layer, and no error hides behind another.
#pragma once
#include <map>
#include <string>
#include <vector>

#include "contract/backend.h"

namespace graft::test {

struct Shadow {
  std::map<Primitive, int> calls;     // that were compared
  std::vector<std::string> problems;  // "conv2d x [4, 16, 16, 8] …: y[17] is 0.5, not 0.25"
};

// Puts the comparison behind every function of backend->run. One at a time; the backend's work is waited for after
// every call, so this says nothing about order: other tests do.
void watch(Backend* backend, Shadow* shadow);

}  // namespace graft::test
