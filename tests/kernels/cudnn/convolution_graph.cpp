// The data that is handed to cuDNN, executed by what it says, computes the convolutions of the op table.
#include <catch2/catch.hpp>
#include <cmath>

#include "tests/kernels/cudnn/interpret_graph.h"
#include "tests/kernels/op_table/call.h"

namespace graft::test {

namespace {

using cuda::ConvolutionGraph;
using cuda::F32Math;
using cuda::GraphTensor;

bool has_elements(const OpRow& row, Roles roles) {
  for (int i = 0; i < roles.total(); ++i)
    if (row.view(i).present() && row.view(i).numel() == 0) return false;
  return true;
}

GraphMemory memory_of(const HostCall& call, int views) {
  GraphMemory memory;
  for (int i = 0; i < views; ++i) {
    const TensorView& view = views_of(call.args())[i];
    if (view.present()) memory[i + 1] = {view.as<double>(), view.as<double>() + view.numel()};
  }
  return memory;
}

// "" or what is wrong. Types are those of the graph for `type`, numbers are f64.
template <typename Args>
std::string check(const OpEntry& entry, const OpRow& row, DType type) {
  const Roles roles = Args::kRoles;
  const AnyArgs typed = typed_args(entry.primitive, row, type);
  const auto graph = cuda::graph_of(*reinterpret_cast<const Args*>(typed.bytes), F32Math::strict);
  if (!has_elements(row, roles)) return graph ? "an empty tensor is handed to cuDNN" : "";
  if (!graph) return "no graph";
  for (int i = 0; i < roles.total(); ++i) {
    const TensorView& view = views_of(static_cast<const void*>(typed.bytes))[i];
    const GraphTensor* tensor = graph->find(i + 1);
    if (view.present() != (tensor != nullptr)) return fmt::format("view {} is lost or made up", i);
    if (tensor != nullptr && (tensor->type != view.dtype || tensor->is_virtual))
      return fmt::format("view {} has another type, or no memory", i);
  }

  HostCall call(entry.primitive, typed_args(entry.primitive, row, DType::f64),
                contents(entry.primitive, row, type, DType::f64));
  GraphMemory memory = memory_of(call, roles.inputs);
  interpret(*graph, memory);
  if (call.run(reference_backend()) != Status::ok) return "the reference refuses the row";
  const std::vector<double> expected = memory_of(call, roles.total()).at(roles.total());
  const std::vector<double>& got = memory.at(roles.total());
  if (got.size() != expected.size()) return "the result has another size";
  for (size_t i = 0; i < got.size(); ++i)
    if (!(std::abs(got[i] - expected[i]) <= 1e-12 * (1 + std::abs(expected[i]))) && got[i] != expected[i] &&
        !(std::isnan(got[i]) && std::isnan(expected[i])))
      return fmt::format("element {} is {}, not {}", i, got[i], expected[i]);
  return "";
}

template <typename Args>
void check_rows() {
  const OpEntry& entry = op_entry(primitive_of<Args>);
  for (const OpRow& row : entry.rows) {
    if (row.expected != Status::ok) continue;
    for (DType type : {DType::f32, DType::bf16, DType::f16}) {
      INFO(row.text << ", " << name_of(type));
      CHECK(check<Args>(entry, row, type) == "");
    }
  }
}

}  // namespace

TEST_CASE("the graph of a convolution, interpreted, equals the reference") { check_rows<Conv2dArgs>(); }
TEST_CASE("the graph of a convolution backward by data, interpreted, equals the reference") {
  check_rows<Conv2dBackwardDataArgs>();
}
TEST_CASE("the graph of a convolution backward by weights, interpreted, equals the reference") {
  check_rows<Conv2dBackwardWeightArgs>();
}

TEST_CASE("numbers are rounded to TF32 as cvt.rna does") {
  for (const auto& [value, rounded] : {std::pair{1.0, 1.0},
                                       {1 + 0x1p-11, 1 + 0x1p-10},    // halves away from zero
                                       {1 + 0x1.8p-10, 1 + 0x1p-9},   // also from an odd one
                                       {-1 - 0x1p-11, -1 - 0x1p-10},  // of either sign
                                       {1 + 0x1.fp-12, 1.0},
                                       {2 - 0x1p-12, 2.0},
                                       {0x1.004p-100, 0x1.004p-100},
                                       {-0.0, -0.0},
                                       {INFINITY, INFINITY}}) {
    CHECK(rounded_to_tf32(value) == rounded);
    CHECK(std::signbit(rounded_to_tf32(value)) == std::signbit(value));
  }
  CHECK(std::isnan(rounded_to_tf32(NAN)));
}

// Each factor moves by at most 2⁻¹¹ of itself, so a sum by at most (2 · 2⁻¹¹ + 2⁻²²) · Σ|terms|.
TEST_CASE("a convolution whose factors are rounded to TF32 stays within the bound of its roundings") {
  constexpr double kBound = 0x1p-10 + 0x1p-22;
  double largest = 0;
  const auto check = [&]<typename Args>(Args*) {
    const OpEntry& entry = op_entry(primitive_of<Args>);
    for (const OpRow& row : entry.rows) {
      if (row.expected != Status::ok || !has_elements(row, Args::kRoles)) continue;
      INFO(row.text);
      const AnyArgs typed = typed_args(entry.primitive, row, DType::f32);
      ConvolutionGraph graph = cuda::graph_of(*reinterpret_cast<const Args*>(typed.bytes), F32Math::tf32).value();
      REQUIRE(graph.rounds_to_tf32);
      graph.operation_count = 1;  // the convolution alone: what follows is computed in f32
      HostCall call(entry.primitive, typed_args(entry.primitive, row, DType::f64),
                    contents(entry.primitive, row, DType::f32, DType::f64));
      const GraphMemory inputs = memory_of(call, Args::kRoles.inputs);
      const auto result_of = [&](bool rounds, GraphMemory memory) {
        graph.rounds_to_tf32 = rounds;
        interpret(graph, memory);
        return memory.at(graph.operations[0].output);
      };
      GraphMemory absolute = inputs;
      for (auto& [id, values] : absolute)
        for (double& v : values) v = std::abs(v);
      const auto exact = result_of(false, inputs), rounded = result_of(true, inputs);
      const auto terms = result_of(false, absolute);
      double worst = 0;  // over the bound
      for (size_t i = 0; i < exact.size(); ++i)
        if (const double error = std::abs(rounded[i] - exact[i]); error > 0 && std::isfinite(error))
          worst = std::max(worst, error / (kBound * terms[i]));
      CHECK(worst <= 1);
      largest = std::max(largest, worst);
    }
  };
  check(static_cast<Conv2dArgs*>(nullptr));
  check(static_cast<Conv2dBackwardDataArgs*>(nullptr));
  check(static_cast<Conv2dBackwardWeightArgs*>(nullptr));
  CHECK(largest > 0.3);  // they are rounded, and to no more bits than that
}

TEST_CASE("16-bit elements are not rounded to TF32, and what is has a plan of its own") {
  const OpEntry& entry = op_entry(Primitive::conv2d);
  for (const DType type : {DType::f32, DType::bf16}) {
    const AnyArgs args = typed_args(entry.primitive, entry.rows.front(), type);
    const auto& call = *reinterpret_cast<const Conv2dArgs*>(args.bytes);
    CHECK(cuda::graph_of(call, F32Math::tf32)->rounds_to_tf32 == (type == DType::f32));
    CHECK((cuda::graph_of(call, F32Math::tf32) == cuda::graph_of(call, F32Math::strict)) == (type == DType::bf16));
  }
}

TEST_CASE("calls in f64 are not handed to cuDNN") {
  const OpEntry& entry = op_entry(Primitive::conv2d);
  const AnyArgs args = typed_args(entry.primitive, entry.rows.front(), DType::f64);
  CHECK_FALSE(cuda::graph_of(*reinterpret_cast<const Conv2dArgs*>(args.bytes), F32Math::strict));
}

// The graph is the key under which a plan is kept.
TEST_CASE("calls that differ in anything but memory have different graphs") {
  TensorView x{nullptr, {2, 9, 9, 8}, DType::f32}, weight{nullptr, {8, 3, 3, 8}, DType::f32};
  const Conv2dArgs call{.x = x, .weight = weight, .y = {nullptr, {2, 7, 7, 8}, DType::f32}};
  const auto graph = cuda::graph_of(call, F32Math::strict);
  REQUIRE(graph);
  Conv2dArgs moved = call;
  moved.x.data = &x;
  CHECK(cuda::graph_of(moved, F32Math::strict) == graph);

  std::vector<Conv2dArgs> others(7, call);
  others[0].x.shape = others[0].y.shape = {3, 9, 9, 8}, others[0].y.shape = {3, 7, 7, 8};
  for (TensorView* view : {&others[1].x, &others[1].weight, &others[1].y}) view->dtype = DType::bf16;
  others[2].bias = {nullptr, {8}, DType::f32};
  others[3].residual = call.y;
  others[4].activation = Activation::silu;
  others[5].activation = Activation::sigmoid;
  others[6].conv.pad = {1, 1, 1, 1}, others[6].y.shape = x.shape;
  for (size_t i = 0; i < others.size(); ++i) {
    INFO(i);
    CHECK(cuda::graph_of(others[i], F32Math::strict) != graph);
    for (size_t j = 0; j < i; ++j)
      CHECK(cuda::graph_of(others[i], F32Math::strict) != cuda::graph_of(others[j], F32Math::strict));
  }
}

}  // namespace graft::test
