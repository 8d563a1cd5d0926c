// How graft says that something is wrong: what, where, and what to do.
//
//   GRAFT_CHECK(cond, "conv2d: input has {} channels, weight expects {}", …)   the caller's mistake: throws Error
//   GRAFT_ASSERT(cond)                                                         ours: throws InternalError
#pragma once
#include <fmt/format.h>

#include <string>

#include "contract/shape.h"
#include "core/exception.h"

namespace graft {

// While alive, errors thrown on this thread begin with "<layer>: ".
class LayerScope {
 public:
  explicit LayerScope(std::string layer);
  ~LayerScope();
  LayerScope(const LayerScope&) = delete;
  LayerScope& operator=(const LayerScope&) = delete;

  static const std::string& current();  // "" outside of any layer

 private:
  std::string previous_;
};

[[noreturn]] void throw_error(std::string message);
[[noreturn]] void throw_device_error(std::string message);
[[noreturn]] void throw_internal_error(const char* condition, const char* file, int line);

template <typename... Args>
[[noreturn]] void fail(fmt::format_string<Args...> format, Args&&... args) {
  throw_error(fmt::format(format, std::forward<Args>(args)...));
}

#define GRAFT_CHECK(condition, ...)               \
  do {                                            \
    if (!(condition)) ::graft::fail(__VA_ARGS__); \
  } while (false)

#define GRAFT_ASSERT(condition)                                                      \
  do {                                                                               \
    if (!(condition)) ::graft::throw_internal_error(#condition, __FILE__, __LINE__); \
  } while (false)

}  // namespace graft

// [16, 224, 224, 3]
template <>
struct fmt::formatter<graft::Shape> {
  constexpr auto parse(fmt::format_parse_context& context) { return context.begin(); }
  fmt::format_context::iterator format(const graft::Shape& shape, fmt::format_context& context) const;
};
