// graft inspect: what a model file holds, and what training it would mean.
#include <algorithm>
#include <optional>

#include "models/freeze.h"
#include "models/summary.h"
#include "tools/backend.h"
#include "tools/command.h"
#include "tools/options.h"
#include "tools/output.h"
#include "tools/report.h"
#include "train/step_memory.h"

namespace graft::tools {

namespace {

struct InspectOptions {
  std::filesystem::path model;
  models::FreezePatterns patterns;
  int64_t batch = 16;
  DeviceOptions device;
  ReportOptions report;
};

// What training would mean; absent where a network has no head and nobody said what trains.
struct Line {
  models::FreezePlan freeze;
  std::vector<bool> trains;  // by node
  train::TrainPlanReport report;
};

// What `graft train` freezes unless it is told otherwise: all but the head.
bool is_default(const InspectOptions& o) { return o.patterns.freeze.empty() && o.patterns.train.empty(); }

std::optional<Line> draw_line(const train::ModelFile& model, const InspectOptions& o) {
  const models::Graph& graph = model.graph();
  models::FreezePatterns patterns = o.patterns;
  if (is_default(o)) {
    if (graph.head.empty()) return {};
    patterns.train = {graph.head};
  }
  Line line{models::plan_freeze(graph, patterns), std::vector<bool>(graph.nodes.size()), {}};
  const auto parameters = models::parameters_of(graph);
  for (size_t i = 0; i < parameters.size(); ++i)
    if (line.freeze.trainable[i]) line.trains[static_cast<size_t>(parameters[i].node)] = true;
  line.report = train::plan_step_memory(graph, line.freeze, open_device_noted(o.device), o.batch,
                                        model.info().preprocessing.crop);
  return line;
}

const char* state_of(const Line& line, size_t node) {
  if (line.trains[node]) return "trains";
  if (line.freeze.below[node]) return "below the line";
  return line.freeze.frozen[node] ? "frozen" : "active";
}

int64_t step_bytes(const train::TrainPlanReport& r) {
  constexpr int64_t kAdamW = 3 * sizeof(float);  // the parameter and its two moments
  return r.frozen_packed_bytes + r.frozen_arena_bytes + r.step_arena_bytes + r.gradient_bytes +
         kAdamW * r.trained_parameters;
}

std::string layer_table(const models::Summary& summary, const std::optional<Line>& line) {
  std::vector<std::string> header = {"layer", "kind", "output", "parameters", "multiply-adds"};
  if (line) header.push_back("in training");
  Table table(header);
  const auto number = [](int64_t n) { return n ? with_commas(n) : std::string("-"); };
  bool above = false;
  for (size_t i = 0; i < summary.rows.size(); ++i) {
    const auto& row = summary.rows[i];
    if (line && !above && !line->freeze.below[i]) {
      above = true;
      if (i > 0) table.add({"======= the graft line =======", "", "", "", "", ""});
    }
    std::vector<std::string> cells = {row.name, row.kind, fmt::format("{}", row.output), number(row.parameters),
                                      number(row.multiply_adds)};
    if (line) cells.push_back(state_of(*line, i));
    table.add(std::move(cells));
  }
  return table.text();
}

// What the file says of its making; null where it is silent or says it in a way that cannot be read.
Json made_by_of(const train::ModelInfo& info) {
  const Json json = Json::parse(info.made_by, nullptr, false);
  return json.is_object() ? json : Json(nullptr);
}

std::vector<std::string> made_by_texts(const Json& made_by) {
  std::vector<std::string> texts;
  for (const auto& [what, value] : made_by.items())
    texts.push_back(fmt::format("{} {}", what, value.is_string() ? value.get<std::string>() : value.dump()));
  return texts;
}

// " in bf16"; settings that cannot be read say nothing here.
std::string precision_text(const train::ModelInfo& info) {
  const Json settings = Json::parse(info.training, nullptr, false);
  const Json word = settings.is_object() ? settings.value("precision", Json()) : Json();
  const auto precision = word.is_string() ? precision_named(word.get<std::string>()) : std::nullopt;
  return precision ? fmt::format(" in {}", name_of(*precision)) : "";
}

void report_plain(const train::ModelFile& model, const models::Summary& summary, const std::optional<Line>& line,
                  const InspectOptions& o) {
  constexpr size_t kShown = 10;
  const train::ModelInfo& info = model.info();
  write_output(layer_table(summary, line));
  say("\n{}: {}, {} parameters, {} multiply-adds an image\n", model.path().string(), summary.name,
      with_commas(summary.parameters), with_commas(summary.multiply_adds));
  const int64_t classes = models::classes_of(info.graph);
  say("classes: {}", classes);
  if (info.classes.empty()) {
    say(", without names\n");
  } else {
    const size_t shown = std::min(kShown, info.classes.size());
    say(": {}{}\n", fmt::join(info.classes.begin(), info.classes.begin() + static_cast<std::ptrdiff_t>(shown), ", "),
        info.classes.size() > shown ? ", …" : "");
  }
  say("a photo: {}\n", describe(info.preprocessing));
  say("source: {}\nlicence: {}\n", info.source.empty() ? "not said" : info.source,
      info.licence.empty() ? "not said" : info.licence);
  if (const auto made_by = made_by_of(info); !made_by.empty())
    say("made by: {}\n", fmt::join(made_by_texts(made_by), ", "));
  if (!info.training.empty()) say("trained by graft{}; --json shows the settings\n", precision_text(info));
  if (!line) return;
  const auto& r = line->report;
  if (is_default(o))
    say("the line is that of `graft train` by default: the trunk frozen, the head, {}, trains; --freeze and --train "
        "draw "
        "others\n",
        info.graph.head);
  say("trains: {} parameters; frozen: {}\n", with_commas(r.trained_parameters), with_commas(r.frozen_parameters));
  say("memory of a step with batch {}: {} (frozen weights {}, frozen arena {}, step {}, gradients {}, AdamW {})\n",
      o.batch, as_bytes_text(step_bytes(r)), as_bytes_text(r.frozen_packed_bytes), as_bytes_text(r.frozen_arena_bytes),
      as_bytes_text(r.step_arena_bytes), as_bytes_text(r.gradient_bytes), as_bytes_text(3 * 4 * r.trained_parameters));
}

void report_json(const train::ModelFile& model, const models::Summary& summary, const std::optional<Line>& line,
                 const InspectOptions& o) {
  const train::ModelInfo& info = model.info();
  Json layers = Json::array();
  for (size_t i = 0; i < summary.rows.size(); ++i) {
    const auto& row = summary.rows[i];
    Json layer = {{"name", row.name},
                  {"kind", row.kind},
                  {"output", std::vector<int64_t>(row.output.extents, row.output.extents + row.output.rank)},
                  {"parameters", row.parameters},
                  {"multiply_adds", row.multiply_adds}};
    if (line) layer["in_training"] = state_of(*line, i);
    layers.push_back(std::move(layer));
  }
  Json json = {{"file", model.path().string()},
               {"model", summary.name},
               {"parameters", summary.parameters},
               {"multiply_adds", summary.multiply_adds},
               {"classes", models::classes_of(info.graph)},
               {"class_names", info.classes},
               {"preprocessing", Json::parse(train::to_json(info.preprocessing))},
               {"source", info.source},
               {"licence", info.licence},
               {"made_by", made_by_of(info)},
               {"training", info.training.empty() ? Json(nullptr) : Json::parse(info.training, nullptr, false)},
               {"layers", std::move(layers)}};
  if (line) {
    const auto& r = line->report;
    json["step"] = {{"batch", o.batch},
                    {"trained_parameters", r.trained_parameters},
                    {"frozen_parameters", r.frozen_parameters},
                    {"frozen_packed_bytes", r.frozen_packed_bytes},
                    {"frozen_arena_bytes", r.frozen_arena_bytes},
                    {"step_arena_bytes", r.step_arena_bytes},
                    {"step_lower_bound_bytes", r.step_lower_bound_bytes},
                    {"gradient_bytes", r.gradient_bytes},
                    {"bytes", step_bytes(r)}};
  }
  print_json(json);
}

int inspect(const InspectOptions& o) {
  const train::ModelFile model(o.model);
  const int side = model.info().preprocessing.crop;
  const auto summary = models::summarize(model.graph(), 1, side, side);
  const auto line = draw_line(model, o);
  o.report.json ? report_json(model, summary, line, o) : report_plain(model, summary, line, o);
  return kDone;
}

}  // namespace

void add_inspect(CommandLine& line) {
  auto [app, o] = add_command(line, "inspect", "Show what a model file holds, and where the graft line runs",
                              "graft inspect lite0.h5\n"
                              "graft inspect resnet18.h5 --freeze 'conv1' 'bn1' 'layer[1-3]'\n"
                              "graft inspect resnet18.h5 --train fc --batch 32",
                              inspect);
  add_model(app, o.model);
  auto* freeze =
      add_patterns(app, "--freeze", o.patterns.freeze, "Layers that would not train: names, with *, ? and []");
  add_patterns(app, "--train", o.patterns.train, "Layers that would, and no others")->excludes(freeze);
  add_batch(app, o.batch, "Photos in a step");
  add_device_options(app, o.device);
  add_report_options(app, o.report);
}

}  // namespace graft::tools
