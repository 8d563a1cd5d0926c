#include "bench/results.h"

#include <cerrno>
#include <cstring>
#include <fstream>
#include <nlohmann/json.hpp>

#include "core/error.h"

namespace graft::bench {

namespace {

using Json = nlohmann::ordered_json;

constexpr const char* kFormat = "graft bench kernels 1";

Json json_of(const Summary& s) {
  return {{"median", s.median}, {"lower", s.lower}, {"upper", s.upper}, {"runs", s.count}};
}

Summary summary_of(const Json& json) {
  return {.median = json.at("median"), .lower = json.at("lower"), .upper = json.at("upper"), .count = json.at("runs")};
}

Json json_of(const Limits& l) { return {{"flops", l.flops}, {"bytes", l.bandwidth}}; }
Limits limits_of(const Json& json) { return {.flops = json.at("flops"), .bandwidth = json.at("bytes")}; }

Json json_of(const Row& row, const Limits& limits) {
  Json json = {{"name", row.name}, {"layer", row.layer}, {"by", row.by}, {"dtype", row.dtype}};
  if (!row.timed()) {
    json["problem"] = row.problem;
    return json;
  }
  const Roofline roof = roofline(row.flops, static_cast<double>(row.bytes), limits);
  json["kernel"] = row.kernel;
  json["seconds"] = json_of(row.warm);
  json["cold_seconds"] = json_of(row.cold);
  json["flops"] = row.flops;
  json["bytes"] = row.bytes;
  json["bound"] = roof.computes ? "compute" : "memory";
  json["share"] = roof.share(row.warm.median);
  json["cold_share"] = roof.share(row.cold.median);
  json["gigahertz"] = row.clock > 0 ? Json(row.clock) : Json("not readable");
  if (!row.baseline.verdict.empty()) {
    json["baseline"] = {{"verdict", row.baseline.verdict}};
    if (row.baseline.median > 0) json["baseline"]["median"] = row.baseline.median;
  }
  return json;
}

Row row_of(const Json& json) {
  Row row;
  row.name = json.at("name"), row.layer = json.at("layer"), row.by = json.at("by"), row.dtype = json.at("dtype");
  if (json.contains("problem")) {
    row.problem = json.at("problem");
    return row;
  }
  row.kernel = json.at("kernel");
  row.warm = summary_of(json.at("seconds"));
  row.cold = summary_of(json.at("cold_seconds"));
  row.flops = json.at("flops");
  row.bytes = json.at("bytes");
  return row;
}

}  // namespace

Json to_json(const Results& r) {
  Json json = {{"format", kFormat},
               {"date", r.date},
               {"graft", r.version},
               {"device", r.device},
               {"threads", r.threads},
               {"dtype", r.dtype},
               {"cpu",
                {{"name", r.machine.cpu},
                 {"features", r.machine.features},
                 {"processors", r.machine.processors},
                 {"load", r.machine.load}}},
               {"contestants", r.contestants},
               {"limits", json_of(r.limits())},
               {"limits_at_start", json_of(r.limits_at_start)},
               {"limits_at_end", json_of(r.limits_at_end)},
               {"rows", Json::array()},
               {"dispatch", Json::array()}};
  for (const Row& row : r.rows) json["rows"].push_back(json_of(row, r.limits()));
  for (const Dispatch& d : r.dispatch)
    json["dispatch"].push_back({{"operation", d.operation}, {"by", d.by}, {"seconds", json_of(d.warm)}});
  return json;
}

Results read_results(const std::filesystem::path& file) try {
  std::ifstream stream(file);
  GRAFT_CHECK(stream, "cannot open {}: {}", file.string(), std::strerror(errno));
  const Json json = Json::parse(stream);
  GRAFT_CHECK(json.is_object() && json.value("format", "") == kFormat,
              "{} was not written by graft bench kernels --json", file.string());
  Results results;
  results.date = json.at("date");
  results.version = json.at("graft");
  results.device = json.at("device");
  results.dtype = json.at("dtype");
  results.threads = json.at("threads");
  results.limits_at_start = limits_of(json.at("limits_at_start"));
  results.limits_at_end = limits_of(json.at("limits_at_end"));
  for (const Json& row : json.at("rows")) results.rows.push_back(row_of(row));
  return results;
} catch (const nlohmann::json::exception& e) {
  fail("{} was not written by graft bench kernels --json: {}", file.string(), e.what());
}

}  // namespace graft::bench
