// How much memory a piece of a test took: every operator new of the program is counted.
#pragma once
#include <cstddef>

namespace graft::test {

class MemoryMeter {
 public:
  MemoryMeter();              // begins at nothing
  size_t peak_bytes() const;  // the most that was held at once since then, beyond what was held before
};

}  // namespace graft::test
