#include "core/error.h"

#include <utility>

namespace graft {

namespace {
std::string& layer_of_this_thread() {
  thread_local std::string layer;
  return layer;
}

std::string with_layer(std::string message) {
  const std::string& layer = LayerScope::current();
  return layer.empty() ? std::move(message) : layer + ": " + message;
}
}  // namespace

LayerScope::LayerScope(std::string layer) : previous_(std::exchange(layer_of_this_thread(), std::move(layer))) {}
LayerScope::~LayerScope() { layer_of_this_thread() = std::move(previous_); }
const std::string& LayerScope::current() { return layer_of_this_thread(); }

void throw_error(std::string message) { throw Error(with_layer(std::move(message))); }
void throw_device_error(std::string message) { throw DeviceError(with_layer(std::move(message))); }

void throw_internal_error(const char* condition, const char* file, int line) {
  throw InternalError(
      fmt::format("graft has a defect: {} does not hold ({}:{}); please report it", condition, file, line));
}

}  // namespace graft

// Here and not in the header: every file that reports a shape would compile it again.
fmt::format_context::iterator fmt::formatter<graft::Shape>::format(const graft::Shape& shape,
                                                                   fmt::format_context& context) const {
  return fmt::format_to(context.out(), "[{}]", fmt::join(shape.extents, shape.extents + shape.rank, ", "));
}
