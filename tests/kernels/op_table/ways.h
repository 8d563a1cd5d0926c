// The op table by way: rows of a primitive, each computed in every way that the backend has for it (TuneFunctions).
#pragma once
#include <functional>
#include <string>
#include <vector>

#include "tests/kernels/op_table/call.h"

namespace graft::test {

struct CallWays {
  std::string key;
  std::vector<std::string> names;  // the rule's first
};
CallWays ways_of(const Backend&, Primitive, const AnyArgs&);

struct CheckedWays {
  std::string problems;  // "" or a line for each result that is not within its row's bound of the reference
  int ways = 0;          // that were computed
};
// `seen` looks at each result.
CheckedWays check_ways(const Backend&, Primitive, DType,
                       const std::function<void(const std::string& way, const WatchedResult&)>& seen = {});

}  // namespace graft::test
