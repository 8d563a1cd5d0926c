#include "models/precision.h"

#include <cstring>

#include "core/error.h"

namespace graft::models {

namespace {

// Is this view a matrix of weights?
bool is_weight(Primitive primitive, int view) {
  switch (primitive) {
    case Primitive::conv2d:
    case Primitive::depthwise_conv2d:
    case Primitive::matmul:
      return view == 1;
    case Primitive::squeeze_excite:
      return view == 1 || view == 3;
    default:
      return false;
  }
}
// Sums over pixels, beside 16-bit elements f32.
bool is_squeeze(Primitive primitive, int view) {
  return (primitive == Primitive::depthwise_conv2d && view == 4) ||
         (primitive == Primitive::squeeze_excite && view == 0);
}

class Narrowing {
 public:
  Narrowing(InferencePlan& plan, DType type) : plan_(plan), type_(type), stand_in_(plan.buffers.size(), kNone) {}

  void run() {
    choose_types();
    std::vector<PlanCall> calls = std::move(plan_.calls);
    plan_.calls.clear();
    for (int32_t buffer : plan_.inputs)
      if (stand_in_[index(buffer)] != kNone) cast(buffer, stand_in_[index(buffer)], 0);
    std::vector<int32_t> writer(plan_.buffers.size(), kNone);  // the last call that writes an output's stand-in
    for (size_t at = 0; at < calls.size(); ++at)
      for (int v = 0; v < info_of(calls[at].primitive).roles.total(); ++v)
        if (const TensorView& view = calls[at].views()[v]; view.present()) {
          if (is_output(buffer_of(view.data))) writer[index(buffer_of(view.data))] = static_cast<int32_t>(at);
        }
    for (size_t at = 0; at < calls.size(); ++at) {
      for (int v = 0; v < info_of(calls[at].primitive).roles.total(); ++v) {
        TensorView& view = calls[at].views()[v];
        retype(view);
        if (is_squeeze(calls[at].primitive, v) && view.dtype == type_) widen(view, calls[at].layer);
      }
      plan_.calls.push_back(calls[at]);
      for (size_t i = 0; i < writer.size(); ++i)
        if (writer[i] == static_cast<int32_t>(at) && stand_in_[i] != kNone)
          cast(stand_in_[i], static_cast<int32_t>(i), calls[at].layer);
    }
  }

 private:
  static constexpr int32_t kNone = -1;
  static size_t index(int32_t buffer) { return static_cast<size_t>(buffer); }
  bool is_output(int32_t buffer) const { return plan_.buffers[index(buffer)].kind == BufferKind::output; }

  // Temporaries and weights become narrow, but for sums that a call leaves; what crosses the border gets a narrow
  // buffer beside it, but for logits.
  void choose_types() {
    std::vector<int> uses(plan_.buffers.size(), 0);
    std::vector<bool> is_logits(plan_.buffers.size(), false), is_sums(plan_.buffers.size(), false);
    for (PlanCall& call : plan_.calls) {
      const Roles roles = info_of(call.primitive).roles;
      for (int v = 0; v < roles.total(); ++v) {
        const TensorView& view = call.views()[v];
        if (!view.present()) continue;
        const size_t buffer = index(buffer_of(view.data));
        ++uses[buffer];
        if (is_weight(call.primitive, v) && plan_.buffers[buffer].kind == BufferKind::constant)
          plan_.buffers[buffer].dtype = type_;
        if (is_squeeze(call.primitive, v) && v >= roles.inputs) is_sums[buffer] = true;
      }
      if (call.primitive == Primitive::matmul) is_logits[index(buffer_of(call.views()[3].data))] = true;
    }
    const size_t count = plan_.buffers.size();
    for (size_t i = 0; i < count; ++i) {
      const PieceBuffer buffer = plan_.buffers[i];
      if (buffer.kind == BufferKind::temporary) {
        plan_.buffers[i].dtype = is_sums[i] ? DType::f32 : type_;
      } else if (buffer.kind != BufferKind::constant && !(is_logits[i] && uses[i] == 1)) {
        stand_in_[i] = static_cast<int32_t>(plan_.buffers.size());
        plan_.buffers.push_back({BufferKind::temporary, buffer.shape, type_});
      }
    }
  }

  void retype(TensorView& view) const {
    if (!view.present() || view.dtype != DType::f32) return;
    const int32_t given = buffer_of(view.data), narrow = stand_in_[index(given)];
    const int32_t buffer = narrow != kNone ? narrow : given;
    view.dtype = plan_.buffers[index(buffer)].dtype;
    const int64_t elements = offset_of(view.data) / static_cast<int64_t>(sizeof(float));
    view.data = virtual_address(buffer, elements * static_cast<int64_t>(size_of(view.dtype)));
  }

  // A mean that a pool left in 16 bits is read through a copy in f32.
  void widen(TensorView& view, NodeId layer) {
    const auto wide = static_cast<int32_t>(plan_.buffers.size());
    plan_.buffers.push_back({BufferKind::temporary, plan_.buffers[index(buffer_of(view.data))].shape, DType::f32});
    cast(buffer_of(view.data), wide, layer);
    view.data = virtual_address(wide), view.dtype = DType::f32;
  }

  void cast(int32_t from, int32_t to, NodeId layer) {
    const auto view = [&](int32_t buffer) {
      const PieceBuffer& b = plan_.buffers[index(buffer)];
      return TensorView{virtual_address(buffer), b.shape, b.dtype};
    };
    const CastArgs args{.x = view(from), .y = view(to)};
    PlanCall call{Primitive::cast, layer, {}};
    std::memcpy(call.args.bytes, &args, sizeof(args));
    plan_.calls.push_back(call);
  }

  InferencePlan& plan_;
  DType type_;
  std::vector<int32_t> stand_in_;  // by buffer: the narrow one beside an input or output
};

}  // namespace

void use_16_bits(InferencePlan& plan, DType type) {
  GRAFT_ASSERT(type == DType::bf16 || type == DType::f16);
  Narrowing(plan, type).run();
}

}  // namespace graft::models
