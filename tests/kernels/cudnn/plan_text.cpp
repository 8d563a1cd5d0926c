// What a plan will execute: cuDNN writes a plan's operations and tensors as JSON, and they are the graph's.
#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>
#include <vector>

#include "kernels/cuda/cudnn_plan.h"
#include "tests/kernels/cudnn/cudnn_without_gpu.h"

namespace graft::test {

namespace {

using namespace cuda;
using Json = nlohmann::json;

constexpr auto kMostRounding = F32Math::tf32;  // in strict f32 not every activation has a plan

Json operations_of(const CudnnPlan& plan) {
  const auto read = [&](char* text, int64_t room) {
    return plan.plan.get(CUDNN_ATTR_EXECUTION_PLAN_JSON_REPRESENTATION, CUDNN_TYPE_CHAR, text, room);
  };
  const int64_t size = read(nullptr, 0);
  REQUIRE(size > 0);
  std::string text(static_cast<size_t>(size), ' ');
  REQUIRE(read(text.data(), size) == size);
  return Json::parse(text.substr(0, text.find('\0'))).at("operationGraph");
}

std::string type_name(DType type) {
  return type == DType::f32 ? "CUDNN_DATA_FLOAT" : type == DType::bf16 ? "CUDNN_DATA_BFLOAT16" : "CUDNN_DATA_HALF";
}

std::string pointwise_mode(GraphOperator kind) {
  switch (kind) {
    case GraphOperator::add:
      return "CUDNN_POINTWISE_ADD";
    case GraphOperator::silu:
      return "CUDNN_POINTWISE_SWISH_FWD";
    case GraphOperator::sigmoid:
      return "CUDNN_POINTWISE_SIGMOID_FWD";
    default:
      return "CUDNN_POINTWISE_RELU_FWD";
  }
}

// All but silu's beta, which the text leaves out; 1 is its default.
Json expected_node(const GraphOperation& o) {
  const std::string a = std::to_string(o.inputs[0]), b = std::to_string(o.inputs[1]), y = std::to_string(o.output);
  const std::string operation = "CUDNN_BACKEND_OPERATION_";
  switch (o.kind) {
    case GraphOperator::convolution:
      return {{"operation", operation + "CONVOLUTION_FORWARD_DESCRIPTOR"}, {"X", a}, {"W", b}, {"Y", y}};
    case GraphOperator::backward_data:
      return {{"operation", operation + "CONVOLUTION_BACKWARD_DATA_DESCRIPTOR"}, {"dY", a}, {"W", b}, {"dX", y}};
    case GraphOperator::backward_weight:
      return {{"operation", operation + "CONVOLUTION_BACKWARD_FILTER_DESCRIPTOR"}, {"X", a}, {"dY", b}, {"dW", y}};
    default:
      break;
  }
  Json node = {{"operation", operation + "POINTWISE_DESCRIPTOR"},
               {"pointwiseMode", pointwise_mode(o.kind)},
               {"alpha1", 1.0},
               {"alpha2", 1.0},
               {"X", a},
               {"Y", y}};
  if (o.kind == GraphOperator::add) node["B"] = b;
  if (o.kind == GraphOperator::relu || o.kind == GraphOperator::relu6) node["lowerClip"] = node["lowerClipSlope"] = 0.0;
  if (o.kind == GraphOperator::relu6) node["upperClip"] = 6.0;
  return node;
}

void check_plan(const Cudnn& api, const CudnnDevice& device, const ConvolutionGraph& g) {
  const auto plan = choose_plan(api, device, g);
  REQUIRE(plan);
  const Json text = operations_of(*plan);
  INFO(text.dump(1));

  REQUIRE(text.at("tensors").size() == static_cast<size_t>(g.tensor_count));
  for (const Json& got : text.at("tensors")) {
    const GraphTensor* t = g.find(std::stoll(got.at("name").get<std::string>()));
    REQUIRE(t != nullptr);
    CHECK(got.at("dataType") == type_name(t->type));
    CHECK(got.at("dim") == Json(t->dims));
    CHECK(got.at("stride") == Json(t->strides));
    CHECK(got.at("isVirtual") == t->is_virtual);
    CHECK(got.at("ptrAlignment") == kGraphAlignment);
  }
  REQUIRE(text.at("nodes").size() == static_cast<size_t>(g.operation_count));
  for (size_t i = 0; i < text.at("nodes").size(); ++i) {
    const Json& got = text.at("nodes")[i];
    CHECK(got.at("mathPrec") == "CUDNN_DATA_FLOAT");
    const Json expected = expected_node(g.operations[i]);
    for (const auto& [name, value] : expected.items()) {
      INFO(name);
      CHECK(got.at(name) == value);
    }
    if (!is_convolution(g.operations[i].kind)) continue;
    CHECK(got.at("mode") == "CUDNN_CROSS_CORRELATION");
    CHECK(got.at("alpha") == 1.0);
    CHECK(got.at("beta") == 0.0);
    CHECK(got.at("stride") == Json(g.window.stride));
    CHECK(got.at("dilation") == Json(g.window.dilation));
  }
}

}  // namespace

TEST_CASE("a plan's text names the graph's tensors, convolutions and pointwise operations") {
  const Cudnn* api = need_cudnn();
  if (api == nullptr) return;
  const CudnnDevice device(*api, device_properties("sm_90"));
  REQUIRE(device.ok());
  for (DType type : {DType::f32, DType::bf16}) {
    const TensorView x{nullptr, {4, 28, 20, 64}, type}, weight{nullptr, {96, 3, 3, 64}, type};
    const TensorView y{nullptr, {4, 14, 10, 96}, type}, bias{nullptr, {96}, DType::f32};
    const Conv2dParams conv{.stride = {2, 2}, .pad = {1, 1, 1, 1}};
    const Conv2dArgs plain{.x = x, .weight = weight, .y = y, .conv = conv};
    std::vector<Conv2dArgs> calls(8, plain);
    calls[1].bias = bias;
    calls[2].residual = y;
    for (size_t i = 3; i < calls.size(); ++i) {
      calls[i].bias = bias, calls[i].residual = y;
      calls[i].activation = static_cast<Activation>(i - 3);
    }
    for (const Conv2dArgs& call : calls) {
      INFO("forward, " << name_of(type) << (call.bias.present() ? ", bias" : "")
                       << (call.residual.present() ? ", residual" : "") << ", activation "
                       << static_cast<int>(call.activation));
      check_plan(*api, device, *graph_of(call, kMostRounding));
    }
    check_plan(*api, device,
               *graph_of(Conv2dBackwardDataArgs{.dy = y, .weight = weight, .dx = x, .conv = conv}, kMostRounding));
    if (type == DType::f32)  // dweight is f32: no plan beside bf16
      check_plan(*api, device,
                 *graph_of(Conv2dBackwardWeightArgs{.x = x, .dy = y, .dweight = weight, .conv = conv}, kMostRounding));
  }
}

}  // namespace graft::test
