// Does the op table bite? Backends that are the reference but for one mistake, each of which some row must notice.
#include <algorithm>
#include <catch2/catch.hpp>
#include <set>
#include <utility>

#include "tests/kernels/op_table/check.h"

namespace graft::test {
namespace {

using Run = Status (*)(CallContext*, const void*);

Status truth(CallContext* context, Primitive primitive, const void* args) {
  return reference_backend().run[static_cast<int>(primitive)](context, args);
}

// Calls the reference with arguments that `spoil` has changed.
template <typename Args, void (*spoil)(Args&)>
Status with_other_args(CallContext* context, const void* args) {
  Args other = *static_cast<const Args*>(args);
  spoil(other);
  return truth(context, primitive_of<Args>, &other);
}

// Calls the reference, and does `harm` afterwards.
template <typename Args, void (*harm)(const Args&, CallContext&)>
Status with_harm(CallContext* context, const void* args) {
  const Status status = truth(context, primitive_of<Args>, args);
  if (status == Status::ok) harm(*static_cast<const Args*>(args), *context);
  return status;
}

float* last(const TensorView& v) { return v.numel() > 0 ? v.as<float>() + v.numel() - 1 : nullptr; }

struct Mistake {
  const char* what;
  Primitive primitive;
  Run run;
};

template <typename Args, void (*spoil)(Args&)>
constexpr Mistake args_mistake(const char* what) {
  return {what, primitive_of<Args>, with_other_args<Args, spoil>};
}
template <typename Args, void (*harm)(const Args&, CallContext&)>
constexpr Mistake harm_mistake(const char* what) {
  return {what, primitive_of<Args>, with_harm<Args, harm>};
}

const Mistake kMistakes[] = {
    args_mistake<Conv2dArgs, [](Conv2dArgs& a) { a.bias = {}; }>("the bias is forgotten"),
    args_mistake<Conv2dArgs, [](Conv2dArgs& a) { a.residual = {}; }>("the residual is forgotten"),
    args_mistake<Conv2dArgs, [](Conv2dArgs& a) { std::swap(a.conv.pad.top, a.conv.pad.bottom); }>(
        "padding upside down"),
    args_mistake<Conv2dArgs, [](Conv2dArgs& a) { std::swap(a.conv.pad.left, a.conv.pad.right); }>("padding mirrored"),
    args_mistake<Conv2dArgs,
                 [](Conv2dArgs& a) {
                   if (a.activation == Activation::relu6) a.activation = Activation::relu;
                 }>("relu6 has no upper end"),
    args_mistake<Conv2dBackwardDataArgs,
                 [](Conv2dBackwardDataArgs& a) { std::swap(a.conv.pad.top, a.conv.pad.bottom); }>(
        "padding upside down"),
    args_mistake<Conv2dBackwardWeightArgs,
                 [](Conv2dBackwardWeightArgs& a) { std::swap(a.conv.pad.left, a.conv.pad.right); }>("padding mirrored"),
    args_mistake<DepthwiseConv2dArgs, [](DepthwiseConv2dArgs& a) { a.bias = {}; }>("the bias is forgotten"),
    args_mistake<DepthwiseConv2dArgs,
                 [](DepthwiseConv2dArgs& a) { a.conv.groups = 1, a.activation = Activation::none; }>(
        "the activation is forgotten"),
    args_mistake<SqueezeExciteArgs, [](SqueezeExciteArgs& a) { a.factor = 1; }>("sums are taken for means"),
    args_mistake<SqueezeExciteArgs, [](SqueezeExciteArgs& a) { a.activation = Activation::relu; }>("always relu"),
    args_mistake<SqueezeExciteArgs, [](SqueezeExciteArgs& a) { a.gate_activation = Activation::sigmoid; }>(
        "always a sigmoid at the end"),
    args_mistake<BatchNormTrainingArgs, [](BatchNormTrainingArgs& a) { a.eps *= 1.001; }>("eps is a thousandth off"),
    args_mistake<BatchNormTrainingArgs, [](BatchNormTrainingArgs& a) { a.eps = 1e-5; }>("eps is not looked at"),
    args_mistake<BatchNormInferenceArgs, [](BatchNormInferenceArgs& a) { std::swap(a.weight, a.bias); }>(
        "weight and bias are swapped"),
    args_mistake<BatchNormBackwardArgs, [](BatchNormBackwardArgs& a) { a.batch_statistics = 0; }>(
        "statistics are taken as given"),
    args_mistake<BatchNormBackwardArgs,
                 [](BatchNormBackwardArgs& a) {
                   if (a.activation == Activation::relu6) a.activation = Activation::relu;
                 }>("relu6 lets what is above 6 pass"),
    args_mistake<UpdateRunningStatsArgs, [](UpdateRunningStatsArgs& a) { a.rows *= 1000000; }>("no Bessel"),
    args_mistake<UpdateRunningStatsArgs, [](UpdateRunningStatsArgs& a) { a.flag = {}; }>("the flag is not looked at"),
    args_mistake<MaxPoolArgs, [](MaxPoolArgs& a) { std::swap(a.pool.pad.top, a.pool.pad.bottom); }>(
        "padding upside down"),
    args_mistake<AvgPoolArgs, [](AvgPoolArgs& a) { a.pool.count_include_pad = 1; }>("padding is always counted"),
    args_mistake<AvgPoolBackwardArgs, [](AvgPoolBackwardArgs& a) { a.pool.count_include_pad ^= 1; }>(
        "padding is counted the other way round"),
    args_mistake<MatmulArgs,
                 [](MatmulArgs& a) {
                   if (a.a.shape[0] == a.a.shape[1]) a.transpose_a ^= 1;
                   a.activation = Activation::none;
                 }>("the activation is forgotten"),
    args_mistake<SgdArgs, [](SgdArgs& a) { a.nesterov = 0; }>("Nesterov is not looked at"),
    args_mistake<SgdArgs, [](SgdArgs& a) { a.weight_decay = 0; }>("weight decay is forgotten"),
    args_mistake<AdamWArgs, [](AdamWArgs& a) { a.eps *= 1.01; }>("eps is a hundredth off"),
    args_mistake<AdamWArgs, [](AdamWArgs& a) { a.flag = {}; }>("the flag is not looked at"),
    args_mistake<BernoulliMaskArgs, [](BernoulliMaskArgs& a) { a.stream &= 0xFFFFFFFF; }>("32 bits of the stream"),
    args_mistake<SoftmaxCrossEntropyArgs, [](SoftmaxCrossEntropyArgs& a) { a.class_weights = {}; }>(
        "class weights are forgotten"),
    args_mistake<SoftmaxCrossEntropyBackwardArgs, [](SoftmaxCrossEntropyBackwardArgs& a) { a.label_smoothing = 0; }>(
        "label smoothing is forgotten"),

    harm_mistake<ActivateArgs,
                 [](const ActivateArgs& a, CallContext&) {
                   for (int64_t i = 0; a.activation == Activation::relu && i < a.y.numel(); ++i)
                     if (std::isnan(a.y.as<float>()[i])) a.y.as<float>()[i] = 0;
                 }>("relu of NaN is 0"),
    harm_mistake<ActivateArgs,
                 [](const ActivateArgs& a, CallContext&) {
                   for (int64_t i = 0; a.activation == Activation::silu && i < a.y.numel(); ++i)
                     a.y.as<float>()[i] *= 1.000002f;
                 }>("silu is 33 roundings off"),
    harm_mistake<AddArgs,
                 [](const AddArgs& a, CallContext&) {
                   if (a.y.numel() % 4 == 1) *last(a.y) = 0;
                 }>("a tail of one element is missed"),
    harm_mistake<ScaleArgs, [](const ScaleArgs& a, CallContext&) { a.y.as<float>()[a.y.numel()] = 1; }>(
        "writes one element too many"),
    harm_mistake<MultiplyArgs, [](const MultiplyArgs& a, CallContext&) { a.s.as<float>()[0] = 2; }>("writes an input"),
    harm_mistake<SoftmaxArgs, [](const SoftmaxArgs&, CallContext& c) { c.kernel = nullptr; }>("names no kernel"),
    harm_mistake<BroadcastArgs,
                 [](const BroadcastArgs& a, CallContext&) {
                   if (a.y.numel() != 0 && reinterpret_cast<uintptr_t>(a.y.data) % 64)
                     a.y.as<float>()[0] = a.y.as<float>()[0] * (1 + 0x1p-23f);
                 }>("the bits depend on alignment"),
    harm_mistake<CheckFiniteArgs,
                 [](const CheckFiniteArgs& a, CallContext&) {
                   if (a.x.numel() == 0) a.flag.as<int64_t>()[0] = 0;
                 }>("the flag is cleared"),
    harm_mistake<MaxPoolArgs,
                 [](const MaxPoolArgs& a, CallContext&) {
                   if (a.index.numel() != 0) a.index.as<uint8_t>()[0] ^= 1;
                 }>("a wrong winner"),
    harm_mistake<ReduceArgs,
                 [](const ReduceArgs& a, CallContext&) {
                   for (int64_t i = 0; a.count == 0 && i < a.y.numel(); ++i) a.y.as<float>()[i] = 0;
                 }>("the mean of nothing is 0"),
    harm_mistake<SubsamplePadArgs,
                 [](const SubsamplePadArgs& a, CallContext&) {
                   if (a.before != 0 && a.y.numel() != 0) a.y.as<float>()[0] = -1e-30f;
                 }>("what is not there is not zero"),
};

// Rows of f32 that notice it. The reference itself passes all of them.
int rows_that_notice(const Mistake& mistake) {
  Backend wrong = reference_backend();
  wrong.run[static_cast<int>(mistake.primitive)] = mistake.run;
  const BackendUnderTest under_test = {
      .name = "wrong", .create = nullptr, .dtypes = {DType::f32}, .same_bits = "", .watch = Watch::guards};
  const OpEntry& entry = op_entry(mistake.primitive);
  return static_cast<int>(std::count_if(entry.rows.begin(), entry.rows.end(), [&](const OpRow& row) {
    return !check_row(under_test, wrong, reference_backend(), entry, row, DType::f32).empty();
  }));
}

// Where allocations end, as a device that is watched at the end of pages gave them; and how often a y ended there.
std::set<const std::byte*> allocation_ends;
int64_t ended_there = 0;

Backend with_noted_ends() {
  Backend backend = reference_backend();
  backend.device.allocate = [](void* self, int64_t bytes, void** memory) {
    const Status status = reference_backend().device.allocate(self, bytes, memory);
    allocation_ends.insert(static_cast<const std::byte*>(*memory) + bytes);
    return status;
  };
  backend.run[static_cast<int>(Primitive::scale)] = [](CallContext* context, const void* args) {
    const TensorView& y = static_cast<const ScaleArgs*>(args)->y;
    ended_there += y.data != nullptr && allocation_ends.contains(y.as<const std::byte>() + y.bytes());
    return truth(context, Primitive::scale, args);
  };
  return backend;
}

}  // namespace

TEST_CASE("watched at the end of pages, a tensor ends with its allocation", "[op_table]") {
  const Backend backend = with_noted_ends();
  const BackendUnderTest under_test = {
      .name = "page end", .create = nullptr, .dtypes = {DType::f32}, .same_bits = "", .watch = Watch::page_end};
  const OpEntry& entry = op_entry(Primitive::scale);
  for (const OpRow& row : entry.rows) {
    if (row.expected != Status::ok) continue;
    INFO(row.text);
    ended_there = 0;
    CHECK(check_row(under_test, backend, reference_backend(), entry, row, DType::f32) == "");
    CHECK(ended_there >= 1);
  }
}

TEST_CASE("the op table notices planted mistakes", "[op_table]") {
  for (const Mistake& mistake : kMistakes) {
    INFO(name_of(mistake.primitive) << ": " << mistake.what);
    const int noticed = rows_that_notice(mistake);
    CHECK(noticed > 0);
  }
}

}  // namespace graft::test
