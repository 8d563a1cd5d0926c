#include "models/graph_json.h"

#include <limits>
#include <nlohmann/json.hpp>

#include "core/error.h"

namespace graft::models {

namespace {

using Json = nlohmann::ordered_json;

constexpr size_t kMaxText = size_t{64} << 20;
constexpr int kFormat = 1;

// The attributes of each operation, listed once: `f` writes them or reads them.
void attributes(Input& op, auto&& f) { f("height", op.height), f("width", op.width), f("channels", op.channels); }
void attributes(Conv2d& op, auto&& f) {
  f("in_channels", op.in_channels), f("out_channels", op.out_channels);
  f("window", op.window), f("stride", op.stride), f("dilation", op.dilation), f("pad", op.pad), f("same", op.same);
  f("groups", op.groups), f("bias", op.bias);
  f("weight_init", op.weight_init), f("bias_init", op.bias_init);
}
void attributes(BatchNorm& op, auto&& f) { f("channels", op.channels), f("eps", op.eps), f("momentum", op.momentum); }
void attributes(MaxPool& op, auto&& f) { f("window", op.window), f("stride", op.stride), f("pad", op.pad); }
void attributes(AvgPool& op, auto&& f) {
  f("window", op.window), f("stride", op.stride), f("pad", op.pad), f("count_include_pad", op.count_include_pad);
}
void attributes(AdaptiveAvgPool& op, auto&& f) { f("output", op.output); }
void attributes(Linear& op, auto&& f) {
  f("in_features", op.in_features), f("out_features", op.out_features), f("bias", op.bias);
  f("weight_init", op.weight_init), f("bias_init", op.bias_init);
}
void attributes(SubsamplePad& op, auto&& f) {
  f("out_channels", op.out_channels), f("stride", op.stride), f("before", op.before);
}
void attributes(Dropout& op, auto&& f) { f("probability", op.probability); }
void attributes(StochasticDepth& op, auto&& f) { f("probability", op.probability); }
void attributes(auto&, auto&&) {}  // Activate (its kind says all), Add, Multiply, Flatten, Softmax, Concat

constexpr const char* kInitializers[] = {"zeros", "ones", "normal", "uniform"};

struct Writer {
  Json& to;
  void operator()(const char* key, const auto& value) { to[key] = value; }
  void operator()(const char* key, const Extent2& e) { to[key] = {e.h, e.w}; }
  void operator()(const char* key, const Padding& p) { to[key] = {p.top, p.bottom, p.left, p.right}; }
  void operator()(const char* key, const Initializer& i) {
    to[key] = {kInitializers[static_cast<int>(i.kind)], i.scale};
  }
};

// Reads the members of one JSON object, each once, and complains with the place when something is not as it should be.
class Reader {
 public:
  Reader(const Json& from, std::string where) : from_(from), where_(std::move(where)) {
    GRAFT_CHECK(from.is_object(), "{} is no object", where_);
  }

  const Json& member(const char* key) {
    const auto found = from_.find(key);
    GRAFT_CHECK(found != from_.end(), "{} has no \"{}\"", where_, key);
    ++read_;
    return *found;
  }
  std::string text(const char* key) {
    const Json& value = member(key);
    GRAFT_CHECK(value.is_string(), "{}: \"{}\" is no text", where_, key);
    return value.get<std::string>();
  }
  const Json& list(const char* key) {
    const Json& value = member(key);
    GRAFT_CHECK(value.is_array(), "{}: \"{}\" is no list", where_, key);
    return value;
  }
  // Everything has been read: what is left would be silently lost.
  void finish() const {
    GRAFT_CHECK(read_ == from_.size(), "{} has {} members that this version of graft does not know", where_,
                from_.size() - read_);
  }

  template <typename Integer>
  Integer integer(const Json& value, const char* key) const {
    const bool is_small =
        value.is_number_integer() && (!value.is_number_unsigned() || value.get<uint64_t>() <= uint64_t{INT64_MAX});
    const int64_t number = is_small ? value.get<int64_t>() : 0;
    GRAFT_CHECK(
        is_small && number >= std::numeric_limits<Integer>::min() && number <= std::numeric_limits<Integer>::max(),
        "{}: \"{}\" is no whole number in range", where_, key);
    return static_cast<Integer>(number);
  }

  void operator()(const char* key, int64_t& to) { to = integer<int64_t>(member(key), key); }
  void operator()(const char* key, int32_t& to) { to = integer<int32_t>(member(key), key); }
  void operator()(const char* key, bool& to) {
    const Json& value = member(key);
    GRAFT_CHECK(value.is_boolean(), "{}: \"{}\" is neither true nor false", where_, key);
    to = value.get<bool>();
  }
  void operator()(const char* key, double& to) { to = number(member(key), key); }
  void operator()(const char* key, Extent2& to) {
    const Json& l = list_of(key, 2);
    to = {integer<int32_t>(l[0], key), integer<int32_t>(l[1], key)};
  }
  void operator()(const char* key, Padding& to) {
    const Json& l = list_of(key, 4);
    to = {integer<int32_t>(l[0], key), integer<int32_t>(l[1], key), integer<int32_t>(l[2], key),
          integer<int32_t>(l[3], key)};
  }
  void operator()(const char* key, Initializer& to) {
    const Json& l = list_of(key, 2);
    bool known = false;
    for (int kind = 0; kind < 4; ++kind)
      if (l[0] == kInitializers[kind]) {
        to.kind = static_cast<Initializer::Kind>(kind);
        known = true;
      }
    GRAFT_CHECK(known, "{}: \"{}\" is no initialisation graft knows", where_, key);
    to.scale = number(l[1], key);
  }

 private:
  double number(const Json& value, const char* key) const {
    GRAFT_CHECK(value.is_number(), "{}: \"{}\" is no number", where_, key);
    return value.get<double>();
  }
  const Json& list_of(const char* key, size_t count) {
    const Json& l = list(key);
    GRAFT_CHECK(l.size() == count, "{}: \"{}\" has {} values, not {}", where_, key, l.size(), count);
    return l;
  }

  const Json& from_;
  std::string where_;
  size_t read_ = 0;
};

// One of each kind, to be found by its name.
Op op_of_kind(const std::string& kind, const std::string& where) {
  const Op all[] = {Input{},
                    Conv2d{},
                    BatchNorm{},
                    Activate{Activation::none},
                    Activate{Activation::relu},
                    Activate{Activation::relu6},
                    Activate{Activation::silu},
                    Activate{Activation::sigmoid},
                    Add{},
                    Multiply{},
                    MaxPool{},
                    AvgPool{},
                    AdaptiveAvgPool{},
                    Linear{},
                    Flatten{},
                    SubsamplePad{},
                    Dropout{},
                    StochasticDepth{},
                    Softmax{},
                    Concat{}};
  for (const Op& op : all)
    if (kind == kind_of(op)) return op;
  std::string shown;
  for (char c : kind.substr(0, 40)) shown += c >= ' ' && c <= '~' ? c : '?';
  fail("{}: there is no operation \"{}\"; a newer graft may have written this", where, shown);
}

Node read_node(const Json& json, const std::string& where) {
  Reader reader(json, where);
  Node node;
  node.name = reader.text("name");
  node.op = op_of_kind(reader.text("op"), where);
  for (const Json& input : reader.list("inputs")) node.inputs.push_back(reader.integer<NodeId>(input, "inputs"));
  std::visit([&](auto& op) { attributes(op, reader); }, node.op);
  reader.finish();
  return node;
}

}  // namespace

std::string to_json(const Graph& graph) {
  Json json;
  json["format"] = kFormat;
  json["name"] = graph.name;
  json["head"] = graph.head;
  json["nodes"] = Json::array();
  for (const Node& node : graph.nodes) {
    Json entry;
    entry["name"] = node.name;
    entry["op"] = kind_of(node.op);
    entry["inputs"] = node.inputs;
    Op op = node.op;
    std::visit([&](auto& o) { attributes(o, Writer{entry}); }, op);
    json["nodes"].push_back(std::move(entry));
  }
  json["outputs"] = Json::array();
  for (const Output& output : graph.outputs) json["outputs"].push_back({{"name", output.name}, {"node", output.node}});
  return json.dump();
}

Graph graph_from_json(std::string_view text, std::string_view source) {
  GRAFT_CHECK(text.size() <= kMaxText, "{}: the graph takes {} bytes of text, more than {}", source, text.size(),
              kMaxText);
  const Json json = Json::parse(text, nullptr, /*allow_exceptions=*/false);
  GRAFT_CHECK(!json.is_discarded(), "{}: the graph is no JSON; the file is damaged", source);

  Reader reader(json, fmt::format("{}: the graph", source));
  int64_t format = 0;
  reader("format", format);
  GRAFT_CHECK(format == kFormat, "{}: the graph has format {}, this graft reads {}", source, format, kFormat);
  Graph graph;
  graph.name = reader.text("name");
  graph.head = reader.text("head");
  const Json& nodes = reader.list("nodes");
  GRAFT_CHECK(nodes.size() <= static_cast<size_t>(kMaxNodes), "{}: the graph has {} nodes, more than {}", source,
              nodes.size(), kMaxNodes);
  for (const Json& node : nodes)
    graph.nodes.push_back(read_node(node, fmt::format("{}: node {} of the graph", source, graph.nodes.size())));
  for (const Json& entry : reader.list("outputs")) {
    Reader output(entry, fmt::format("{}: output {} of the graph", source, graph.outputs.size()));
    Output o;
    o.name = output.text("name");
    output("node", o.node);
    output.finish();
    graph.outputs.push_back(std::move(o));
  }
  reader.finish();
  try {
    validate(graph);
  } catch (const Error& error) {
    fail("{}: the graph cannot be: {}", source, error.what());
  }
  return graph;
}

}  // namespace graft::models
