#include "bench/run_cases.h"

#include <algorithm>
#include <set>

#include "bench/correct.h"
#include "bench/limits.h"
#include "bench/operations.h"
#include "core/error.h"

namespace graft::bench {

namespace {

// One case of one contestant on its way through comparing and timing.
struct Entry {
  Row row;
  std::unique_ptr<Contestant> contestant;
};

Row row_of(const KernelCase& c, const std::string& by) {
  Row row;
  row.name = c.name(), row.layer = c.layer, row.by = by;
  row.dtype = name_of(c.view(0).dtype);
  row.flops = c.flops, row.bytes = c.bytes();
  return row;
}

template <typename Work>
void attempt(Entry& entry, Work work) {
  try {
    work();
  } catch (const Error& e) {
    entry.row.problem = e.what();
    entry.contestant = nullptr;
  }
}

class CaseRun {
 public:
  CaseRun(const KernelCase& c, DeviceEntrant& graft, const std::vector<Entrant*>& others) : case_(c) {
    Entry& ours = entries_.emplace_back(Entry{row_of(c, graft.by()), nullptr});
    Tensors expected;
    attempt(ours, [&] {
      ours.contestant = graft.enter(c);
      GRAFT_CHECK(ours.contestant, "this device has no kernel for it");
      expected = ours.contestant->results();
    });
    for (Entrant* other : others) enter(*other, expected);
  }

  std::vector<Row> timed(const MeasureOptions& options) {
    std::vector<Contestant*> ready;
    for (const Entry& e : entries_)
      if (e.contestant) ready.push_back(e.contestant.get());
    const std::vector<Timing> timings = measure(ready, options);
    size_t next = 0;
    std::vector<double> clocks = read_clocks();
    std::sort(clocks.begin(), clocks.end());
    std::vector<Row> rows;
    for (Entry& e : entries_) {
      if (e.contestant) {
        const Timing& timing = timings[next++];
        e.row.warm = timing.warm, e.row.cold = timing.cold, e.row.problem = timing.problem;
        e.row.kernel = e.contestant->kernel();
        if (!clocks.empty()) e.row.clock = clocks[clocks.size() / 2];
      }
      rows.push_back(std::move(e.row));
    }
    return rows;
  }

 private:
  // A contestant that has no kernel for the case makes no row.
  void enter(Entrant& other, const Tensors& expected) {
    Entry entry{row_of(case_, other.by()), nullptr};
    bool takes_part = true;
    attempt(entry, [&] {
      std::string wrong = compare_with_reference(other, case_);
      if (wrong.empty()) {
        entry.contestant = other.enter(case_);
        takes_part = entry.contestant != nullptr;
        if (takes_part) wrong = compare_results(case_, expected, entry.contestant->results());
      }
      GRAFT_CHECK(wrong.empty(), "wrong, so not timed: {}", wrong);
    });
    if (takes_part) entries_.push_back(std::move(entry));
  }

  const KernelCase& case_;
  std::vector<Entry> entries_;
};

// Each operation and pass once, by everybody whom one of its rows has timed.
std::vector<Dispatch> measure_dispatch(const std::vector<KernelCase>& cases, const std::vector<Row>& rows,
                                       const std::vector<Entrant*>& entrants) {
  std::vector<Dispatch> dispatch;
  std::set<std::string> seen;
  for (const KernelCase& large : cases) {
    const std::string operation = large.pass == "forward" ? large.operation : large.operation + "." + large.pass;
    if (!seen.insert(operation).second) continue;
    const auto was_timed = [&](const std::string& by) {
      return std::any_of(rows.begin(), rows.end(),
                         [&](const Row& row) { return row.by == by && row.name == large.name() && row.timed(); });
    };
    for (Entrant* entrant : entrants) try {
        if (!was_timed(entrant->by())) continue;
        const auto contestant = entrant->enter(smallest(large));
        if (!contestant) continue;
        const Timing timing = measure({contestant.get()}, {.seconds = 0.01, .cold_runs = 0}).front();
        if (timing.problem.empty()) dispatch.push_back({operation, entrant->by(), timing.warm});
      } catch (const Error&) {  // said in the row of the case itself
      }
  }
  return dispatch;
}

}  // namespace

Results run_cases(const std::vector<KernelCase>& cases, const std::shared_ptr<Device>& device, DeviceEntrant& graft,
                  const std::vector<Entrant*>& others, const RunOptions& options,
                  const std::function<bool(size_t done, const KernelCase& next)>& progress) {
  Results results;
  results.machine = read_machine();
  results.device = fmt::format("{}, {}", device->name(), device->description());
  results.threads = options.threads;
  results.dtype = name_of(options.dtype);
  for (const Entrant* other : others)
    results.contestants.push_back(other->description().empty() ? other->by()
                                                               : other->by() + ": " + other->description());
  results.limits_at_start = measure_limits(device, options.threads, options.dtype);
  std::vector<KernelCase> run;
  for (const KernelCase& c : cases) {
    if (!progress(run.size(), c)) break;
    for (Row& row : CaseRun(c, graft, others).timed(options.measure)) results.rows.push_back(std::move(row));
    run.push_back(c);
  }
  std::vector<Entrant*> all = {&graft};
  all.insert(all.end(), others.begin(), others.end());
  results.dispatch = measure_dispatch(run, results.rows, all);
  results.limits_at_end = measure_limits(device, options.threads, options.dtype);
  return results;
}

}  // namespace graft::bench
