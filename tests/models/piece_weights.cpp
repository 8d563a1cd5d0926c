// Where a compiled piece has its weights from: a live network, whose changes it must notice, or another piece.
#include <catch2/catch.hpp>

#include "models/builder.h"
#include "tests/models/piece_support.h"

using namespace graft;
using namespace graft::models;
using namespace graft::test;

namespace {

// A constant of every kind: folded into a convolution, in panels, in the order of memory.
Graph small_graph() {
  Builder g("small");
  NodeId x = g.relu(g.batch_norm("bn", g.conv("conv", g.input(8, 8, 3), 5, 3)));
  x = g.depthwise("dw", x, 3);
  x = g.batch_norm("late", g.activate(Activation::silu, x));
  g.output(g.linear("fc", x, 4));
  return g.finish();
}

PieceRequest request_for(const Graph& graph, int64_t batch) {
  return {.taps = {graph.outputs[0].node}, .inputs = {}, .batch = batch};
}

std::vector<float> hashed_image(int64_t batch) {
  std::vector<float> pixels(static_cast<size_t>(batch * 8 * 8 * 3));
  for (size_t i = 0; i < pixels.size(); ++i) pixels[i] = hashed(1, static_cast<int64_t>(i));
  return pixels;
}

std::vector<float> run_on(const CompiledPiece& piece, const Tensor& image) {
  const Tensor y = empty(image.shared_device(), piece.output_shape(0));
  const void* in = image.view().data;
  void* out = y.view().data;
  piece.run({&in, 1}, {&out, 1});
  return y.to_vector<float>();
}

void fill_network(Network& network) {
  const auto read = hashed_weights(network.graph());
  for (const auto& entry : network.entries()) {
    std::vector<float> values(static_cast<size_t>(entry.info.shape.numel()));
    read(entry.info.name, 0, entry.info.shape.numel(), values.data());
    network.set(entry.info.name, values);
  }
}

}  // namespace

TEST_CASE("a parameter that changes in place invalidates what was packed of it") {
  const auto device = GENERATE(0, 1) == 0 ? reference_device() : cpu_device();
  CAPTURE(device->description());
  Network network(small_graph(), device);
  fill_network(network);
  const Graph& graph = network.graph();
  const CompiledPiece piece(network, make_plan(graph, request_for(graph, 2)));
  const Tensor image = from_values(device, {2, 8, 8, 3}, hashed_image(2));
  const auto interpreted = [&] {
    return network.walk({.given = {{0, image}}, .wanted = {graph.outputs[0].node}}).values[0].to_vector<float>();
  };
  std::vector<float> before = run_on(piece, image);
  CHECK(relative_error(before, interpreted()) <= 1e-5);

  for (const Network::Entry& entry : network.entries()) {
    CAPTURE(entry.info.name);
    auto values = entry.tensor.to_vector<float>();
    for (float& v : values) v = 2 * v + 0.5f;
    entry.tensor.assign(std::span<const float>(values));
    const auto after = run_on(piece, image);
    CHECK(relative_error(after, before) > 1e-4);
    CHECK(relative_error(after, interpreted()) <= 1e-5);
    before = after;
  }
  const auto device_allocations = device->allocator().statistics().device_allocations;
  CHECK(run_on(piece, image) == before);
  CHECK(device->allocator().statistics().device_allocations == device_allocations);
}

TEST_CASE("pieces that differ in the batch share what was packed, on every backend") {
  const auto device = GENERATE(0, 1) == 0 ? reference_device() : cpu_device();
  CAPTURE(device->description());
  const Graph graph = small_graph();
  const CompiledPiece one(device, make_plan(graph, request_for(graph, 1)), hashed_weights(graph));
  const auto forbidden = [](const std::string& name, int64_t, int64_t, float*) { FAIL(name << " was read again"); };
  const CompiledPiece five(one, make_plan(graph, request_for(graph, 5)), forbidden);
  CHECK(five.shares_weights_with(one));
  const CompiledPiece alone(device, make_plan(graph, request_for(graph, 5)), hashed_weights(graph));
  const Tensor image = from_values(device, {5, 8, 8, 3}, hashed_image(5));
  CHECK(run_on(five, image) == run_on(alone, image));

  // Other constants, or the same ones not fused: a piece of its own.
  auto deeper = request_for(graph, 1);
  deeper.taps.push_back(find_node(graph, "conv"));
  CHECK_FALSE(CompiledPiece(one, make_plan(graph, deeper), hashed_weights(graph)).shares_weights_with(one));
  CHECK_FALSE(CompiledPiece(one, make_plan(graph, request_for(graph, 1), kNoRewrites), hashed_weights(graph))
                  .shares_weights_with(one));
}

TEST_CASE("pieces of one live network notice a change, whoever runs first") {
  const auto device = reference_device();
  Network network(small_graph(), device);
  fill_network(network);
  const Graph& graph = network.graph();
  const CompiledPiece one(network, make_plan(graph, request_for(graph, 1)));
  const CompiledPiece two(one, make_plan(graph, request_for(graph, 2)), {});
  CHECK(two.shares_weights_with(one));
  const CompiledPiece plain(one, make_plan(graph, request_for(graph, 2), kNoRewrites), {});
  const Tensor image = from_values(device, {2, 8, 8, 3}, hashed_image(2));
  const auto before = run_on(two, image);
  network.set("fc.bias", std::vector<float>{3, 4, 5, 6});
  const auto first = run_on(one, image.rows(0, 1)), both = run_on(two, image);
  CHECK(relative_error(both, before) > 1e-3);
  CHECK(std::equal(first.begin(), first.end(), both.begin()));
  CHECK(relative_error(run_on(plain, image), both) <= 1e-5);
}
