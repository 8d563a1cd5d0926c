#include "models/compile.h"

#include <catch2/catch.hpp>
#include <thread>

#include "core/error.h"
#include "models/builder.h"
#include "models/registry.h"
#include "tests/models/piece_support.h"

using namespace graft;
using namespace graft::models;
using namespace graft::test;
using Catch::Matchers::Contains;

namespace {

PieceRequest request_for(const Graph& graph, int64_t batch = 1, int64_t side = 0) {
  PieceRequest request;
  request.taps = {graph.outputs[0].node};
  request.batch = batch;
  request.height = request.width = side;
  return request;
}

std::vector<float> tensor(const Graph& graph, const std::string& name, int64_t count) {
  std::vector<float> values(static_cast<size_t>(count));
  hashed_weights(graph)(name, 0, count, values.data());
  return values;
}

}  // namespace

// The sums below index weights as the file has them: OIHW, and CHW before a linear layer.
TEST_CASE("weights arrive in the file's order: a convolution by its formula") {
  Builder g("conv");
  g.output(g.batch_norm("bn", g.conv("conv", g.input(2, 3, 2), 3, 3, {.bias = true}), 0.01));
  const Graph graph = g.finish();
  const auto y = run_piece(graph, request_for(graph))[0];
  const auto w = tensor(graph, "conv.weight", 54), b = tensor(graph, "conv.bias", 3);
  const auto gamma = tensor(graph, "bn.weight", 3), beta = tensor(graph, "bn.bias", 3);
  const auto mean = tensor(graph, "bn.running_mean", 3), var = tensor(graph, "bn.running_var", 3);
  for (int h = 0; h < 2; ++h)
    for (int col = 0; col < 3; ++col)
      for (int k = 0; k < 3; ++k) {
        double sum = b[k];
        for (int c = 0; c < 2; ++c)
          for (int r = 0; r < 3; ++r)
            for (int s = 0; s < 3; ++s) {
              const int ih = h + r - 1, iw = col + s - 1;
              if (ih >= 0 && ih < 2 && iw >= 0 && iw < 3)
                sum += double{w[((k * 2 + c) * 3 + r) * 3 + s]} * hashed(1, (ih * 3 + iw) * 2 + c);
            }
        const double expected = (sum - mean[k]) / std::sqrt(var[k] + 0.01) * gamma[k] + beta[k];
        CHECK(y[(h * 3 + col) * 3 + k] == Approx(expected).margin(1e-5));
      }
}

TEST_CASE("weights arrive in the file's order: depthwise and linear by their formulas") {
  Builder g("mixed");
  const NodeId dw = g.depthwise("dw", g.input(2, 3, 2), 3);
  g.output(g.linear("fc", dw, 2));
  const Graph graph = g.finish();
  PieceRequest request;
  request.taps = {dw, graph.outputs[0].node};
  const Values y = run_piece(graph, request);
  const auto k = tensor(graph, "dw.weight", 18), w = tensor(graph, "fc.weight", 24), b = tensor(graph, "fc.bias", 2);
  for (int h = 0; h < 2; ++h)
    for (int col = 0; col < 3; ++col)
      for (int c = 0; c < 2; ++c) {
        double sum = 0;
        for (int r = 0; r < 3; ++r)
          for (int s = 0; s < 3; ++s) {
            const int ih = h + r - 1, iw = col + s - 1;
            if (ih >= 0 && ih < 2 && iw >= 0 && iw < 3)
              sum += double{k[(c * 3 + r) * 3 + s]} * hashed(1, (ih * 3 + iw) * 2 + c);
          }
        CHECK(y[0][(h * 3 + col) * 2 + c] == Approx(sum).margin(1e-5));
      }
  for (int o = 0; o < 2; ++o) {
    double sum = b[o];
    for (int c = 0; c < 2; ++c)
      for (int p = 0; p < 6; ++p) sum += double{w[o * 12 + c * 6 + p]} * y[0][p * 2 + c];
    CHECK(y[1][o] == Approx(sum).margin(1e-5));
  }
}

TEST_CASE("whole networks, rewritten, equal the unfused ones") {
  for (const char* name : {"resnet18", "resnet20", "vgg11_bn", "efficientnet_b0", "efficientnet_lite0"}) {
    CAPTURE(name);
    const Graph graph = make_model(name, 5);
    const auto request = request_for(graph, 1, 33);
    CHECK(relative_error(run_piece(graph, request)[0], run_piece(graph, request, kNoRewrites)[0]) <= 1e-5);
  }
}

TEST_CASE("the arena is near what must be alive at once") {
  for (const char* name : {"resnet50", "efficientnet_b0"}) {
    CAPTURE(name);
    const Graph graph = make_model(name, 5);
    const auto nothing = [](const std::string&, int64_t, int64_t count, float* out) { std::fill_n(out, count, 1.0f); };
    const CompiledPiece piece(reference_device(), make_plan(graph, request_for(graph, 1, 64)), nothing);
    const CompileReport& r = piece.report();
    CHECK(r.arena_lower_bound > 0);
    CHECK(r.arena_bytes >= r.arena_lower_bound);
    CHECK(static_cast<double>(r.arena_bytes) <= 1.1 * static_cast<double>(r.arena_lower_bound));
    CHECK(r.packed_bytes >= 4 * 3'000'000);
  }
}

TEST_CASE("a piece runs on several threads at once") {
  const Graph graph = make_model("resnet20");
  const CompiledPiece piece(reference_device(), make_plan(graph, request_for(graph)), hashed_weights(graph));
  const auto expected = run_piece(graph, request_for(graph))[0];
  std::vector<float> x(32 * 32 * 3);
  for (size_t i = 0; i < x.size(); ++i) x[i] = hashed(1, static_cast<int64_t>(i));
  Values results(3, std::vector<float>(10));
  std::vector<std::thread> threads;
  for (auto& y : results)
    threads.emplace_back([&] {
      const void* in[] = {x.data()};
      void* out[] = {y.data()};
      for (int i = 0; i < 2; ++i) piece.run(in, out);
    });
  for (auto& t : threads) t.join();
  for (const auto& y : results) CHECK(y == expected);
}

TEST_CASE("an error while weights are read comes through, and so do the caller's mistakes") {
  const Graph graph = make_model("resnet20");
  const auto plan = [&] { return make_plan(graph, request_for(graph)); };
  const auto fails_at = [](const char* tensor) {
    return [tensor](const std::string& name, int64_t, int64_t count, float* out) {
      GRAFT_CHECK(name != tensor, "w.pth: {} is damaged", name);
      std::fill_n(out, count, 1.0f);
    };
  };
  CHECK_THROWS_WITH(CompiledPiece(reference_device(), plan(), fails_at("layer2.0.conv1.weight")),
                    "w.pth: layer2.0.conv1.weight is damaged");
  CHECK_THROWS_WITH(CompiledPiece(reference_device(), plan(), fails_at("bn1.running_var")),
                    "w.pth: bn1.running_var is damaged");
  const CompiledPiece piece(reference_device(), plan(), fails_at(""));
  CHECK_THROWS_WITH(piece.run({}, {}), "a compiled piece with 1 inputs and 1 outputs was given 0 and 0");
  Backend incomplete = reference_device()->backend();
  incomplete.self = nullptr;
  incomplete.destroy = nullptr;
  incomplete.compile.describe = [](void*, const Piece*, graft::Executable**) { return Status::unsupported; };
  CHECK_THROWS_WITH(CompiledPiece(Device::create(incomplete), plan(), fails_at("")),
                    Contains("compiling on reference: unsupported"));
}
