// Writes a Graph the way a paper's table reads:
//
//   auto x = g.conv("conv1", g.input(224, 224, 3), 64, 7, {.stride = 2});
//   x = g.relu(g.batch_norm("bn1", x));
//   x = g.max_pool("maxpool", x, 3, {.stride = 2, .pad = 1});
//
// Names are relative to the scope. A layer without a name of its own is called after its kind ("relu", "relu_1", …).
#pragma once
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "models/graph.h"
#include "models/init.h"

namespace graft::models {

struct ConvOptions {
  int32_t stride = 1;
  std::optional<int32_t> pad =
      std::nullopt;  // on each side; default: half the window, which keeps the size at stride 1
  int32_t dilation = 1;
  int32_t groups = 1;
  bool bias = false;
  bool same = false;  // TensorFlow's padding
};

struct PoolOptions {
  int32_t stride = 1;
  int32_t pad = 0;
  bool count_include_pad = true;  // averages only
};

class Builder {
 public:
  explicit Builder(std::string graph_name, InitRules init = {});

  // Names given while it lives begin with "name.".
  class Scope {
   public:
    Scope(Builder& builder, std::string_view name);
    ~Scope();
    Scope(const Scope&) = delete;
    Scope& operator=(const Scope&) = delete;

   private:
    Builder& builder_;
    size_t length_;
  };
  [[nodiscard]] Scope scope(std::string_view name) { return Scope(*this, name); }

  NodeId input(int64_t height, int64_t width, int64_t channels);
  NodeId conv(std::string_view name, NodeId x, int64_t out_channels, int32_t window, const ConvOptions& options = {});
  NodeId depthwise(std::string_view name, NodeId x, int32_t window, ConvOptions options = {});
  NodeId batch_norm(std::string_view name, NodeId x, double eps = 1e-5, double momentum = 0.1);
  NodeId activate(Activation activation, NodeId x, std::string_view name = {});
  NodeId relu(NodeId x, std::string_view name = {}) { return activate(Activation::relu, x, name); }
  NodeId add(NodeId a, NodeId b, std::string_view name = {});
  NodeId multiply(NodeId a, NodeId b, std::string_view name = {});
  NodeId max_pool(std::string_view name, NodeId x, int32_t window, const PoolOptions& options);
  NodeId avg_pool(std::string_view name, NodeId x, int32_t window, const PoolOptions& options);
  NodeId adaptive_avg_pool(std::string_view name, NodeId x, Extent2 output);
  NodeId global_avg_pool(NodeId x, std::string_view name = "avgpool") { return adaptive_avg_pool(name, x, {1, 1}); }
  NodeId linear(std::string_view name, NodeId x, int64_t out_features, bool bias = true);
  NodeId flatten(NodeId x, std::string_view name = {});
  NodeId subsample_pad(std::string_view name, NodeId x, int64_t out_channels, int32_t stride, int32_t before);
  NodeId dropout(double probability, NodeId x, std::string_view name = {});
  NodeId stochastic_depth(double probability, NodeId x, std::string_view name = {});
  NodeId softmax(NodeId x, std::string_view name = {});
  NodeId concat(std::vector<NodeId> inputs, std::string_view name = {});

  // Any node; the name in full, for graphs made by a program.
  NodeId append(std::string full_name, Op op, std::vector<NodeId> inputs);

  const Shape& shape(NodeId x) const { return shapes_[static_cast<size_t>(x)]; }  // of one image
  int64_t channels(NodeId x) const { return shape(x).channels(); }

  void output(NodeId x, std::string name = "logits");
  void head(std::string_view layer);  // the linear layer that makes the classes, its full name

  // Checks the whole and hands it over; the builder is empty afterwards.
  Graph finish();

 private:
  NodeId named(std::string_view name, Op op, std::vector<NodeId> inputs);

  Graph graph_;
  InitRules init_;
  std::string scope_;  // "layer1.0." or ""
  std::vector<Shape> shapes_;
  std::unordered_map<std::string, int> uses_;  // of each full name
};

}  // namespace graft::models
