// No exception crosses a backend's border; what the standard library throws inside one is a lack of memory.
#pragma once
#include <new>

#include "contract/status.h"

namespace graft {

template <typename Work>
Status without_exceptions(Work&& work) {
  try {
    return work();
  } catch (const std::bad_alloc&) {
    return Status::out_of_memory;
  } catch (...) {
    return Status::invalid_argument;
  }
}

}  // namespace graft
