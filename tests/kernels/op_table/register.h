// The op table as tests: for each backend, each primitive. They are made from two lists; none is written by hand.
#pragma once
#include <vector>

#include "tests/kernels/op_table/backends.h"

namespace graft::test {

// Call it before main; the list must outlive the tests. `tags` as Catch2 writes them.
void register_op_table(const std::vector<BackendUnderTest>&, const char* tags = "[op_table]");

}  // namespace graft::test
