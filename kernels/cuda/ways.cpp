#include "kernels/cuda/ways.h"

#include <initializer_list>
#include <mutex>
#include <type_traits>

#include "kernels/cuda/libraries.h"
#include "kernels/cuda/status.h"

namespace graft::cuda {

namespace {

std::mutex choosing;  // of all backends: held for a pointer's copy

template <typename Change>
Status change(void* self, const Change& change_it) {
  return without_exceptions([&] {
    auto& backend = *static_cast<CudaBackend*>(self);
    const std::lock_guard lock(choosing);
    auto changed = std::make_shared<Choices>(*backend.choices);
    change_it(*changed);
    backend.choices = std::move(changed);
    return Status::ok;
  });
}

// ---- keys

void add(std::string& text, const TensorView& view) {
  if (!view.present()) {
    text += " -";
    return;
  }
  text += ' ';
  text += name_of(view.dtype);
  for (int32_t axis = 0; axis < view.shape.rank; ++axis)
    text += (axis == 0 ? '[' : ',') + std::to_string(view.shape[axis]);
  text += ']';
}
void add(std::string& text, const char* name, std::initializer_list<int64_t> numbers) {
  (text += ' ') += name;
  for (const int64_t n : numbers) (text += ' ') += std::to_string(n);
}
void add(std::string& text, const Conv2dParams& p) {
  add(text, "stride", {p.stride.h, p.stride.w});
  add(text, "pad", {p.pad.top, p.pad.bottom, p.pad.left, p.pad.right});
  add(text, "dilation", {p.dilation.h, p.dilation.w});
  add(text, "groups", {p.groups});
}
void add(std::string& text, Activation activation) {
  constexpr const char* kNames[] = {"none", "relu", "relu6", "silu", "sigmoid"};
  (text += " activation ") += kNames[static_cast<int32_t>(activation)];
}

void add_attributes(std::string& text, const Conv2dArgs& c) { add(text, c.conv), add(text, c.activation); }
void add_attributes(std::string& text, const Conv2dBackwardDataArgs& c) { add(text, c.conv); }
void add_attributes(std::string& text, const Conv2dBackwardWeightArgs& c) { add(text, c.conv); }
void add_attributes(std::string& text, const MatmulArgs& m) {
  add(text, "transpose", {m.transpose_a, m.transpose_b});
  add(text, m.activation);
}

// "conv2d f32[32,56,56,64] f32[64,3,3,64] f32[64] - f32[32,56,56,64] stride 1 1 … activation relu strict": views in the
// order of the arguments, attributes, how f32 is multiplied.
template <typename Args>
std::string key_of(const Args& args, F32Math math) {
  std::string key = name_of(primitive_of<Args>);
  for (int i = 0; i < Args::kRoles.total(); ++i) add(key, views_of(static_cast<const void*>(&args))[i]);
  add_attributes(key, args);
  return key += math == F32Math::tf32 ? " tf32" : " strict";
}

// ---- a call's ways

std::string tile_name(int tile) { return "graft tile " + std::to_string(tile); }

template <typename Args>
F32Math math_of(const Args& args, F32Math allowed) {
  return computes_in(primitive_of<Args>, &args) == DType::f32 ? allowed : F32Math::strict;
}

template <typename Args>
Way find_way(void* self, const Args& args) {
  const std::shared_ptr<const Choices> choices = choices_of(*static_cast<const CudaBackend*>(self));
  Way way{.math = math_of(args, choices->math), .plan = {}};
  if (choices->ways.empty()) return way;  // most calls make no key
  const auto found = choices->ways.find(key_of(args, way.math));
  if (found == choices->ways.end()) return way;
  for (const int tile : own_tiles(args).all)
    if (found->second == tile_name(tile)) way.tile = tile;
  if (way.tile == 0) way.plan = found->second;
  return way;
}

// Has the family kernels of this type? Gradients have none of f16.
template <typename Args>
bool is_computed(DType type) {
  constexpr bool kInference = std::is_same_v<Args, Conv2dArgs> || std::is_same_v<Args, MatmulArgs>;
  return type == DType::f32 || type == DType::bf16 || (type == DType::f16 && kInference);
}

template <typename Args>
std::vector<std::string> list_ways(void* self, const Args& args, F32Math math) {
  if (!is_computed<Args>(computes_in(primitive_of<Args>, &args))) return {};
  for (int i = 0; i < Args::kRoles.total(); ++i)
    if (const TensorView& view = views_of(static_cast<const void*>(&args))[i]; view.present() && view.numel() == 0)
      return {};
  std::vector<std::string> names = library_plans(self, args, math);
  const OwnTiles own = own_tiles(args);
  const bool own_rules = names.empty() && !own.all.empty();
  if (own_rules) names.push_back(tile_name(own.by_shape));
  for (const int tile : own.all)
    if (!own_rules || tile != own.by_shape) names.push_back(tile_name(tile));
  return names;
}

// visit(args) of the primitive's own type; nothing for a primitive that has one way.
template <typename Visit>
Status with_type(Primitive primitive, const void* args, const Visit& visit) {
  const auto as = [&]<typename Args>() {
    if (const Status status = check_args(primitive, args); status != Status::ok) return status;
    return visit(*static_cast<const Args*>(args));
  };
  switch (primitive) {
    case Primitive::conv2d:
      return as.template operator()<Conv2dArgs>();
    case Primitive::conv2d_backward_data:
      return as.template operator()<Conv2dBackwardDataArgs>();
    case Primitive::conv2d_backward_weight:
      return as.template operator()<Conv2dBackwardWeightArgs>();
    case Primitive::matmul:
      return as.template operator()<MatmulArgs>();
    default:
      return Status::ok;
  }
}

Status give(const std::string& text, char* out, int64_t room) {
  if (out == nullptr || room <= static_cast<int64_t>(text.size())) return Status::invalid_argument;
  text.copy(out, text.size());
  out[text.size()] = '\0';
  return Status::ok;
}

Status ways(void* self, Primitive primitive, const void* args, char* key, int64_t key_bytes, int32_t* count) {
  if (args == nullptr || count == nullptr) return Status::invalid_argument;
  *count = 0;
  if (const Status status = select_device(self); status != Status::ok) return status;
  return without_exceptions([&] {
    return with_type(primitive, args, [&](const auto& call) {
      const F32Math math = math_of(call, choices_of(*static_cast<const CudaBackend*>(self))->math);
      *count = static_cast<int32_t>(list_ways(self, call, math).size());
      return give(key_of(call, math), key, key_bytes);
    });
  });
}

Status way(void* self, Primitive primitive, const void* args, int32_t index, char* name, int64_t name_bytes) {
  if (args == nullptr || index < 0) return Status::invalid_argument;
  if (const Status status = select_device(self); status != Status::ok) return status;
  return without_exceptions([&] {
    Status given = Status::invalid_argument;  // of a primitive that has none
    const Status status = with_type(primitive, args, [&](const auto& call) {
      const F32Math math = math_of(call, choices_of(*static_cast<const CudaBackend*>(self))->math);
      const std::vector<std::string> names = list_ways(self, call, math);
      if (static_cast<size_t>(index) < names.size()) given = give(names[static_cast<size_t>(index)], name, name_bytes);
      return Status::ok;
    });
    return status == Status::ok ? given : status;
  });
}

Status choose(void* self, const char* key, const char* name) {
  if (key == nullptr) return Status::invalid_argument;
  return change(self, [&](Choices& c) {
    if (name != nullptr)
      c.ways[key] = name;
    else
      c.ways.erase(key);
  });
}

// A tile's name means what it does in this version of graft.
const char* versions(void*) {
  static const std::string text = [] {
    std::string all = "graft " GRAFT_VERSION;
    const auto name = [&](const PluginLibrary& library) {
      all += std::string(", ") + library.name + ' ' + library.text;
    };
    PluginLibrary library;
    if (calls_cudnn() && open_cudnn(&library) != nullptr) name(library);
    library = {};
    if (calls_cublaslt() && open_cublaslt(&library) != nullptr) name(library);
    return all;
  }();
  return text.c_str();
}

}  // namespace

std::shared_ptr<const Choices> choices_of(const CudaBackend& backend) {
  const std::lock_guard lock(choosing);
  return backend.choices;
}

CudaBackend snapshot(const CudaBackend& backend) {
  const std::lock_guard lock(choosing);
  return backend;
}

Way way_of(void* self, const Conv2dArgs& args) { return find_way(self, args); }
Way way_of(void* self, const Conv2dBackwardDataArgs& args) { return find_way(self, args); }
Way way_of(void* self, const Conv2dBackwardWeightArgs& args) { return find_way(self, args); }
Way way_of(void* self, const MatmulArgs& args) { return find_way(self, args); }

Status allow_tf32(void* self, bool allow) {
  return change(self, [&](Choices& c) { c.math = allow ? F32Math::tf32 : F32Math::strict; });
}

TuneFunctions tune_functions() { return {.ways = ways, .way = way, .choose = choose, .versions = versions}; }

}  // namespace graft::cuda
