#include "tests/kernels/op_table/ways.h"

#include "tests/kernels/op_table/check.h"

namespace graft::test {

namespace {

constexpr int64_t kRoom = 1024;

void must(Status status, const char* what) {
  if (status != Status::ok) fail("{}: {}", what, name_of(status));
}

}  // namespace

CallWays ways_of(const Backend& backend, Primitive primitive, const AnyArgs& args) {
  const TuneFunctions& tune = backend.tune;
  char text[kRoom];
  int32_t count = 0;
  must(tune.ways(backend.self, primitive, args.bytes, text, kRoom, &count), "ways");
  CallWays ways{.key = text, .names = {}};
  for (int32_t i = 0; i < count; ++i) {
    must(tune.way(backend.self, primitive, args.bytes, i, text, kRoom), "way");
    ways.names.emplace_back(text);
  }
  return ways;
}

CheckedWays check_ways(const Backend& backend, Primitive primitive, DType type,
                       const std::function<void(const std::string&, const WatchedResult&)>& seen) {
  const OpEntry& entry = op_entry(primitive);
  CheckedWays checked;
  for (const OpRow& row : entry.rows) {
    if (row.expected != Status::ok) continue;
    const AnyArgs args = typed_args(primitive, row, type);
    const CallWays ways = ways_of(backend, primitive, args);
    const HostCall exact(primitive, typed_args(primitive, row, DType::f64), contents(primitive, row, type, DType::f64));
    for (const std::string& way : ways.names) {
      must(backend.tune.choose(backend.self, ways.key.c_str(), way.c_str()), "choose");
      const WatchedResult result =
          run_watched(backend, Watch::device, primitive, args, contents(primitive, row, type, type), row, {});
      std::string problem = result.problem;
      if (result.status != Status::ok) problem += name_of(result.status);
      if (problem.empty()) problem = compare_outputs(reference_backend(), entry, row, args, exact, result.tensors);
      if (!problem.empty()) checked.problems += fmt::format("{}, {}: {}\n", row.text, way, problem);
      if (seen) seen(way, result);
      ++checked.ways;
    }
    must(backend.tune.choose(backend.self, ways.key.c_str(), nullptr), "choose");
  }
  return checked;
}

}  // namespace graft::test
