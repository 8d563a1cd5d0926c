#include "tools/bench_table.h"

#include <algorithm>
#include <vector>

#include "core/error.h"
#include "tools/report.h"

namespace graft::tools {

namespace {

using bench::Results;
using bench::Row;

std::string milliseconds(double seconds) { return fmt::format("{:.{}f}", 1e3 * seconds, seconds < 1e-4 ? 4 : 3); }

std::string microseconds(double seconds) { return fmt::format("{:.3f}", 1e6 * seconds); }

std::string limits_text(const bench::Limits& l) {
  return fmt::format("{:.1f} GFLOP/s and {:.1f} GB/s", l.flops / 1e9, l.bandwidth / 1e9);
}

class Columns {
 public:
  explicit Columns(const Results& results) : results_(results) {
    for (const Row& row : results.rows) {
      others_ = others_ || row.by != "graft";
      baseline_ = baseline_ || !row.baseline.verdict.empty();
    }
  }

  std::vector<std::string> header() const {
    std::vector<std::string> cells = {"case"};
    if (others_) cells.insert(cells.end(), {"by", "x graft"});
    cells.insert(cells.end(), {"ms", "+- %", "runs", "cold ms", "G/s", "of", "limit %", "kernel"});
    if (baseline_) cells.insert(cells.end(), {"then ms", "verdict"});
    return cells;
  }

  // The row of graft that others of the same case stand below.
  std::vector<std::string> cells(const Row& row) {
    if (row.by == "graft") ours_ = row.timed() ? row.warm.median : 0;
    std::vector<std::string> cells = {row.by == "graft" || !others_ ? row.name : ""};
    // Times as fast as graft in the same turns.
    if (others_) cells.insert(cells.end(), {row.by, row.timed() && ours_ > 0 ? factor(row) : "-"});
    if (row.timed()) {
      const auto roof = bench::roofline(row.flops, static_cast<double>(row.bytes), results_.limits());
      const double work = roof.computes ? row.flops : static_cast<double>(row.bytes);
      cells.insert(cells.end(), {milliseconds(row.warm.median), fmt::format("{:.1f}", 100 * row.warm.spread()),
                                 std::to_string(row.warm.count), milliseconds(row.cold.median),
                                 fmt::format("{:.1f}", work / row.warm.median / 1e9), roof.computes ? "FLOP" : "B",
                                 fmt::format("{:.0f}", 100 * roof.share(row.warm.median)), row.kernel});
    } else {
      cells.insert(cells.end(), {"-", "-", "-", "-", "-", "-", "-", "not timed: see below"});
    }
    if (baseline_)
      cells.insert(cells.end(),
                   {row.baseline.median > 0 ? milliseconds(row.baseline.median) : "-", row.baseline.verdict});
    return cells;
  }

 private:
  std::string factor(const Row& row) const { return fmt::format("{:.2f}", ours_ / row.warm.median); }

  const Results& results_;
  bool others_ = false, baseline_ = false;
  double ours_ = 0;
};

// A row an operation, a column a contestant.
std::string dispatch_table(const Results& results) {
  std::vector<std::string> names, header = {"a call on one element: us"};
  for (const bench::Dispatch& d : results.dispatch)
    if (std::find(names.begin(), names.end(), d.by) == names.end()) names.push_back(d.by);
  header.insert(header.end(), names.begin(), names.end());
  Table table(header);
  for (size_t i = 0; i < results.dispatch.size();) {
    std::vector<std::string> cells(names.size() + 1, "-");
    cells[0] = results.dispatch[i].operation;
    for (; i < results.dispatch.size() && results.dispatch[i].operation == cells[0]; ++i) {
      const auto at = std::find(names.begin(), names.end(), results.dispatch[i].by) - names.begin();
      cells[static_cast<size_t>(at) + 1] = microseconds(results.dispatch[i].warm.median);
    }
    table.add(cells);
  }
  return table.text();
}

}  // namespace

std::string as_table(const Results& results) {
  Columns columns(results);
  Table table(columns.header());
  for (const Row& row : results.rows) table.add(columns.cells(row));
  std::string text = fmt::format("{}; {}\n", results.device, results.dtype);
  text += fmt::format("{} ({}); {} processor(s), load {}\n", results.machine.cpu, results.machine.features,
                      results.machine.processors, results.machine.load);
  for (const std::string& contestant : results.contestants) text += contestant + "\n";
  text += "\n" + table.text() + "\n";
  for (const Row& row : results.rows)
    if (!row.timed()) text += fmt::format("{}: {}: {}\n", row.by, row.name, row.problem);

  if (!results.dispatch.empty()) text += dispatch_table(results) + "\n";
  text += fmt::format("limits: {} at the start, {} at the end\n", limits_text(results.limits_at_start),
                      limits_text(results.limits_at_end));
  double clock = 0;
  for (const Row& row : results.rows) clock = std::max(clock, row.clock);
  text += clock > 0 ? fmt::format("clocks: up to {:.2f} GHz\n", clock) : "clocks: not readable\n";
  return text;
}

}  // namespace graft::tools
