#include "core/error.h"

namespace graft {

void throw_error(std::string message) { throw Error(std::move(message)); }

void throw_internal_error(const char* condition, const char* file, int line) {
  throw InternalError(
      fmt::format("graft has a defect: {} does not hold ({}:{}); please report it", condition, file, line));
}

}  // namespace graft
