// The backends that the op table drives. A new one is one entry in backends.cpp.
#pragma once
#include <functional>
#include <string>
#include <vector>

#include "contract/backend.h"

namespace graft::test {

struct BackendUnderTest {
  std::string name;                        // "cpu avx2, 3 threads"
  std::function<Status(Backend*)> create;  // unsupported: this machine lacks what it needs
  std::vector<DType> dtypes;
  std::string same_bits;    // backends with the same word here give the same bits; "": compared with none
  std::string needs;        // what a skipped test names, and GRAFT_REQUIRE may insist on: "avx512"
  int threads = 1;          // it computes with
  bool host_memory = true;  // the address sanitizer may watch its memory
  bool whole = true;        // it has every primitive; else those it has are tested
};

const std::vector<BackendUnderTest>& backends_under_test();

// The executable specification, made once.
const Backend& reference_backend();

}  // namespace graft::test
