// The backends that the op table drives. A new one is one entry in backends.cpp.
#pragma once
#include <functional>
#include <string>
#include <vector>

#include "contract/backend.h"

namespace graft::test {

// Who notices an access beside a tensor, besides the guards of NaN bytes around it.
enum class Watch {
  guards,             // nobody: a guard that is written is found afterwards
  address_sanitizer,  // in a build that has it: tensors lie in host memory
  device,             // the device knows where each allocation ends: tensors end there, without a guard
  page_end,           // tensors end where the pages of an allocation end: what lies beyond belongs to nobody
};

struct BackendUnderTest {
  std::string name;                        // "cpu avx2, 3 threads"
  std::function<Status(Backend*)> create;  // unsupported: this machine lacks what it needs
  std::vector<DType> dtypes;
  std::string same_bits;   // backends with the same word here give the same bits; "": compared with none
  bool bits_only = false;  // its results are those of the first with that word, to the bit, and need no bound
  std::string needs;       // what a skipped test names, and GRAFT_REQUIRE may insist on: "avx512"
  int threads = 1;         // it computes with
  Watch watch = Watch::address_sanitizer;
  std::function<std::string()> reason;  // why `create` answers unsupported, where more is known than what it needs
};

const std::vector<BackendUnderTest>& backends_under_test();

// The executable specification, made once.
const Backend& reference_backend();

}  // namespace graft::test
