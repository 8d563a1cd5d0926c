// The survey: which plan cuDNN has for each convolution of a network, asked without a GPU. The answers are compared
// with the committed table (kernels/cuda/cudnn_*.txt) where that was made with the same version of cuDNN. Convolutions
// that no plan serves are graft's own ("own"), and are named. With GRAFT_WRITE_SURVEY set, the table is written.
#include <algorithm>
#include <atomic>
#include <catch2/catch.hpp>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <map>
#include <sstream>
#include <thread>

#include "core/error.h"
#include "models/registry.h"
#include "tests/kernels/cudnn/cudnn_without_gpu.h"
#include "tests/kernels/cudnn/survey_rows.h"
#include "tests/support/test_data.h"

namespace graft::test {

namespace {

using namespace cuda;

struct Column {
  DType type;
  int64_t batch;
  F32Math math = F32Math::strict;

  std::string name() const { return fmt::format("{} x{}", math == F32Math::tf32 ? "tf32" : name_of(type), batch); }
};

// "62 t", "7 tc", "70 49": engine; t: tensor cores, c: compiled by cuDNN when it is first needed; MiB of workspace.
std::string cell(const std::optional<CudnnPlan>& plan) {
  if (!plan) return "own";
  std::string text = std::to_string(plan->engine) + " ";
  if ((plan->notes >> CUDNN_NUMERICAL_NOTE_TENSOR_CORE & 1u) != 0) text += 't';
  if (plan->compiled) text += 'c';
  const int64_t mebibytes = (plan->workspace_bytes + (1 << 20) - 1) >> 20;
  if (mebibytes > 1) text += (text.back() == ' ' ? "" : " ") + std::to_string(mebibytes);
  return text.back() == ' ' ? text.substr(0, text.size() - 1) : text;
}

struct Line {
  std::string network, direction, shape;
  std::vector<std::string> cells;  // one a column
};

enum class Lines { all, own };  // own: with a convolution that cuDNN has no plan for

class Survey {
 public:
  Survey(const Cudnn& api, const std::string& device, std::vector<Column> columns)
      : api_(api), device_name_(device), device_(api, device_properties(device)), columns_(std::move(columns)) {
    if (!device_.ok()) fail("cuDNN {} does not take the description of {}", version_of(api), device);
  }

  void add(const std::string& network) {
    std::map<std::string, size_t> places;  // of this network's lines
    for (size_t column = 0; column < columns_.size(); ++column)
      for (const SurveyRow& row :
           survey_rows(network, columns_[column].batch, columns_[column].type, columns_[column].math)) {
        const auto [place, is_new] = places.try_emplace(row.direction + row.shape, lines_.size());
        if (is_new)
          lines_.push_back({network, row.direction, row.shape, std::vector<std::string>(columns_.size(), "-")});
        wanted_.push_back({place->second, column, row.own_serves});
        answers_.try_emplace(row.graph);
        graphs_.push_back(row.graph);
      }
  }

  // Two at a time: most of it is cuDNN's compiler at work.
  void ask() {
    std::vector<std::pair<const ConvolutionGraph, std::string>*> questions;
    for (auto& answer : answers_) questions.push_back(&answer);
    std::atomic<size_t> next = 0;
    const auto work = [&] {
      for (size_t i = next++; i < questions.size(); i = next++)
        questions[i]->second = cell(choose_plan(api_, device_, questions[i]->first));
    };
    std::thread other(work);
    work();
    other.join();
    for (size_t i = 0; i < wanted_.size(); ++i)
      lines_[wanted_[i].line].cells[wanted_[i].column] = answers_.at(graphs_[i]);
  }

  size_t questions() const { return answers_.size(); }

  // Convolutions that neither cuDNN nor graft's own kernel computes.
  std::string unserved() const {
    std::string list;
    for (size_t i = 0; i < wanted_.size(); ++i)
      if (answers_.at(graphs_[i]) == "own" && !wanted_[i].own_serves)
        list += lines_[wanted_[i].line].network + " " + lines_[wanted_[i].line].shape + "\n";
    return list;
  }

  std::string table(Lines which) const {
    std::string text = fmt::format(
        "# cuDNN {} for {}: the plan of each dense convolution (cudnn_plan.h); f32 is strict.\n"
        "#\n"
        "# direction   predict: folded and fused; train: forward as it is; data, weights: backward\n"
        "# shape       an image's rows x columns x channels, a filter's rows x columns x outputs / stride\n"
        "# plan        cuDNN's engine; t: on tensor cores; c: compiled by cuDNN when it is first needed; MiB of\n"
        "#             workspace above 1; own: cuDNN has none that keeps graft's promises, graft's own kernel "
        "computes\n"
        "#\n"
        "{}"
        "# Written by test_cudnn_survey with GRAFT_WRITE_SURVEY=1. No plan has been run: this is what cuDNN says it "
        "would.\n",
        version_of(api_), device_name_,
        which == Lines::all
            ? ""
            : "# Only lines with an \"own\" beside those of weights in bf16, whose gradients are f32.\n#\n");
    for (const char* direction : {"predict", "train", "data", "weights"}) text += counts(direction);
    text += fmt::format("\n{:<16} {:<8} {:<46}", "network", "direction", "shape");
    for (const Column& c : columns_) text += fmt::format(" {:<10}", c.name());
    text += '\n';
    for (const Line& line : lines_) {
      if (which == Lines::own && !has_own(line)) continue;
      text += fmt::format("{:<16} {:<9} {:<46}", line.network, line.direction, line.shape);
      for (const std::string& c : line.cells) text += fmt::format(" {:<10}", c);
      text.erase(text.find_last_not_of(' ') + 1);
      text += '\n';
    }
    return text;
  }

 private:
  struct Wanted {
    size_t line, column;
    bool own_serves;
  };

  // Leaving out gradients of weights beside 16-bit elements, which are f32: cuDNN writes none.
  bool has_own(const Line& line) const {
    for (size_t column = 0; column < columns_.size(); ++column)
      if (line.cells[column] == "own" && (line.direction != "weights" || columns_[column].type == DType::f32))
        return true;
    return false;
  }

  // "# predict     plans for bf16 x32: 40 of 52, …"
  std::string counts(const std::string& direction) const {
    std::string text = fmt::format("# {:<12}", direction);
    for (size_t column = 0; column < columns_.size(); ++column) {
      int all = 0, plans = 0;
      for (const Line& line : lines_)
        if (line.direction == direction && line.cells[column] != "-") ++all, plans += line.cells[column] != "own";
      text += fmt::format("{}{}: {} of {}", column == 0 ? "plans for " : ", ", columns_[column].name(), plans, all);
    }
    return text + "\n";
  }

  const Cudnn& api_;
  std::string device_name_;
  CudnnDevice device_;
  std::vector<Column> columns_;
  std::vector<Line> lines_;
  std::vector<Wanted> wanted_;
  std::vector<ConvolutionGraph> graphs_;  // of wanted_
  std::map<ConvolutionGraph, std::string> answers_;
};

std::string first_difference(const std::string& committed, const std::string& now) {
  std::istringstream left(committed), right(now);
  for (std::string a, b;;) {
    const bool has_left = !std::getline(left, a).fail(), has_right = !std::getline(right, b).fail();
    if (!has_left && !has_right) return "";
    if (has_left != has_right || a != b)
      return fmt::format("the table says\n  {}\ncuDNN says\n  {}", has_left ? a : "nothing", has_right ? b : "nothing");
  }
}

void check_survey(const std::string& device, const std::string& file_name, const std::vector<std::string>& networks,
                  const std::vector<Column>& columns, Lines which) {
  const Cudnn* api = need_cudnn();
  if (api == nullptr) return;
  Survey survey(*api, device, columns);
  for (const std::string& network : networks) survey.add(network);
  survey.ask();
  CHECK(survey.unserved() == "");

  const std::string path = std::string(GRAFT_SOURCE_DIR) + "/kernels/cuda/" + file_name;
  if (std::getenv("GRAFT_WRITE_SURVEY") != nullptr) {
    std::ofstream(path) << survey.table(which);
    return;
  }
  std::ifstream file(path);
  const std::string committed{std::istreambuf_iterator<char>(file), {}};
  REQUIRE(!committed.empty());
  if (committed.find("cuDNN " + version_of(*api) + " ") == std::string::npos)
    std::printf("%s was made with another cuDNN than %s, engines are not compared\n", path.c_str(),
                version_of(*api).c_str());
  else
    CHECK(first_difference(committed, survey.table(which)) == "");
}

void check_networks(const std::string& device, const std::vector<Column>& more = {}) {
  std::vector<Column> columns = {{DType::bf16, 32}, {DType::bf16, 1}, {DType::f32, 32}, {DType::f32, 1}};
  columns.insert(columns.end(), more.begin(), more.end());
  check_survey(device, "cudnn_" + device + ".txt", {"resnet50", "vgg16", "efficientnet_b0"}, columns, Lines::all);
}

}  // namespace

TEST_CASE("cuDNN's plans of f32 use tensor cores where TF32 is allowed, and nowhere else, and names of their own") {
  const Cudnn* api = need_cudnn();
  if (api == nullptr) return;
  const CudnnDevice device(*api, device_properties("sm_90"));
  REQUIRE(device.ok());
  constexpr uint32_t kRounds = 1u << CUDNN_NUMERICAL_NOTE_TENSOR_CORE | 1u << CUDNN_NUMERICAL_NOTE_DOWN_CONVERT_INPUTS;
  const TensorView x{nullptr, {8, 28, 28, 64}, DType::f32}, weight{nullptr, {64, 3, 3, 64}, DType::f32};
  const Conv2dParams conv{.pad = {1, 1, 1, 1}};
  const auto check = [&](const auto& call) {
    int rounding = 0;
    for (const F32Math math : {F32Math::strict, F32Math::tf32}) {
      const ConvolutionGraph graph = graph_of(call, math).value();
      const std::vector<CudnnPlan> plans = list_plans(*api, device, graph, 4);
      REQUIRE(plans.size() >= 2);
      for (size_t i = 0; i < plans.size(); ++i) {
        INFO(plans[i].name);
        if (math == F32Math::strict) CHECK((plans[i].notes & kRounds) == 0);
        rounding += (plans[i].notes & kRounds) != 0;
        for (size_t j = 0; j < i; ++j) CHECK(plans[i].name != plans[j].name);
      }
      const std::vector<CudnnPlan> named = list_plans(*api, device, graph, 4, plans.back().name);
      REQUIRE(named.size() == 1);
      CHECK(named[0].name == plans.back().name);
      CHECK(named[0].workspace_bytes == plans.back().workspace_bytes);
    }
    CHECK(rounding > 0);
  };
  check(Conv2dArgs{.x = x, .weight = weight, .y = x, .conv = conv});
  check(Conv2dBackwardDataArgs{.dy = x, .weight = weight, .dx = x, .conv = conv});
  check(Conv2dBackwardWeightArgs{.x = x, .dy = x, .dweight = weight, .conv = conv});
}

TEST_CASE("cuDNN's plans for ResNet-50, VGG-16 and EfficientNet-B0 on sm_90 are those of the table") {
  check_networks("sm_90", {{DType::f32, 32, F32Math::tf32}});
}
TEST_CASE("cuDNN's plans for ResNet-50, VGG-16 and EfficientNet-B0 on sm_80 are those of the table", "[.full]") {
  check_networks("sm_80");
}
TEST_CASE("cuDNN's plans for ResNet-50, VGG-16 and EfficientNet-B0 on sm_100 are those of the table", "[.full]") {
  check_networks("sm_100");
}

TEST_CASE("the convolutions of all networks that cuDNN has no plan for on sm_90 are those of the table", "[.full]") {
  check_survey("sm_90", "cudnn_registry_sm_90.txt", models::model_names(), {{DType::bf16, 32}, {DType::f32, 32}},
               Lines::own);
}

}  // namespace graft::test
