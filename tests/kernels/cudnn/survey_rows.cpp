#include "tests/kernels/cudnn/survey_rows.h"

#include <set>

#include "core/error.h"
#include "kernels/cuda/conv_geometry.h"
#include "models/registry.h"
#include "models/rewrite.h"

namespace graft::test {
namespace {

std::string both(int64_t a, int64_t b, const char* between) {
  return a == b ? std::to_string(a) : fmt::format("{}{}{}", a, between, b);
}

std::string text_of(const Shape& x, const Shape& weight, const Conv2dParams& p) {
  std::string text = fmt::format("{}x{}x{} {}x{}x{}", x[1], x[2], x[3], weight[1], weight[2], weight[0]);
  if (p.stride != Extent2{1, 1}) text += " / " + both(p.stride.h, p.stride.w, "x");
  if (p.pad.top != p.pad.bottom || p.pad.left != p.pad.right)
    text += fmt::format(" pad {},{},{},{}", p.pad.top, p.pad.bottom, p.pad.left, p.pad.right);
  if (p.groups != 1) text += fmt::format(" groups {}", p.groups);
  return text;
}

class Rows {
 public:
  explicit Rows(cuda::F32Math math) : math_(math) {}

  template <typename Args>
  void add(const char* direction, const std::string& text, const Args& call, bool own_serves) {
    const auto graph = cuda::graph_of(call, math_);
    if (!graph) fail("{} {} has no graph", direction, text);
    if (seen_.insert(*graph).second) rows_.push_back({direction, text, *graph, own_serves});
  }
  std::vector<SurveyRow> take() { return std::move(rows_); }

 private:
  cuda::F32Math math_;
  std::set<cuda::ConvolutionGraph> seen_;
  std::vector<SurveyRow> rows_;
};

template <typename Visit>
void for_each_convolution(const models::Graph& graph, int64_t batch, DType type, const models::RewriteOptions& options,
                          const Visit& visit) {
  const models::PieceRequest request{.taps = {graph.outputs.front().node}, .batch = batch, .compute = type};
  for (const models::PlanCall& call : models::make_plan(graph, request, options).calls)
    if (call.primitive == Primitive::conv2d) visit(*reinterpret_cast<const Conv2dArgs*>(call.args.bytes));
}

}  // namespace

std::vector<SurveyRow> survey_rows(const std::string& network, int64_t batch, DType type, cuda::F32Math math) {
  const models::Graph graph = models::make_model(network);
  Rows rows(math);
  for_each_convolution(graph, batch, type, {}, [&](const Conv2dArgs& c) {
    constexpr const char* kActivations[] = {"", ", relu", ", relu6", ", silu", ", sigmoid"};
    const std::string text = text_of(c.x.shape, c.weight.shape, c.conv) + (c.bias.present() ? ", bias" : "") +
                             (c.residual.present() ? ", residual" : "") +
                             kActivations[static_cast<size_t>(c.activation)];
    rows.add("predict", text, c, cuda::may_index(c.x.shape, c.weight.shape, c.conv));
  });
  bool first = true;  // whose image needs no gradient
  for_each_convolution(graph, batch, type, models::kNoRewrites, [&](const Conv2dArgs& c) {
    const std::string text = text_of(c.x.shape, c.weight.shape, c.conv);
    const bool own_serves = cuda::may_index(c.x.shape, c.weight.shape, c.conv);
    TensorView dweight = c.weight;
    dweight.dtype = DType::f32;
    rows.add("train", text + (c.bias.present() ? ", bias" : ""), c, own_serves);
    if (!first)
      rows.add("data", text, Conv2dBackwardDataArgs{.dy = c.y, .weight = c.weight, .dx = c.x, .conv = c.conv},
               own_serves);
    rows.add("weights", text, Conv2dBackwardWeightArgs{.x = c.x, .dy = c.y, .dweight = dweight, .conv = c.conv},
             own_serves);
    first = false;
  });
  return rows.take();
}

}  // namespace graft::test
