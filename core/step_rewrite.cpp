#include "core/step_rewrite.h"

#include <algorithm>
#include <optional>
#include <span>

namespace graft {

namespace {

bool is_batch_norm(Primitive p) { return p == Primitive::batch_norm_training || p == Primitive::batch_norm_inference; }

// The fields that both forward primitives have.
struct BatchNormFields {
  TensorView &x, &bias, &mean, &residual, &y, &mask;
  Activation& activation;
};

template <typename Args>
BatchNormFields fields_of(Args& a) {
  return {a.x, a.bias, a.mean, a.residual, a.y, a.mask, a.activation};
}

BatchNormFields batch_norm_fields(OwnedCall& call) {
  return call.primitive == Primitive::batch_norm_training ? fields_of(call.as<BatchNormTrainingArgs>())
                                                          : fields_of(call.as<BatchNormInferenceArgs>());
}

class Fuser {
 public:
  Fuser(Recording& recording, const std::vector<int32_t>& kept)
      : calls_(recording.calls),
        buffers_(recording.buffers),
        dead_(calls_.size(), false),
        readers_(recording.buffers.size()) {
    for (size_t c = 0; c < calls_.size(); ++c)
      for (int v = 0; v < calls_[c].roles().total(); ++v)
        if (const TensorView& view = calls_[c].views()[v]; view.present() && is_virtual(view.data)) {
          const bool output = v >= calls_[c].roles().inputs + calls_[c].roles().inouts;
          if (!output) readers_[index(view)].push_back(c);
        }
    for (int32_t buffer : kept) readers_[static_cast<size_t>(buffer)].push_back(kOutside);
  }

  void run() {
    for (size_t c = 0; c < calls_.size(); ++c)
      if (!dead_[c] && is_batch_norm(calls_[c].primitive)) fuse_forward(c);
    for (size_t c = 0; c < calls_.size(); ++c)
      if (!dead_[c] && calls_[c].primitive == Primitive::activate_backward) fuse_backward(c);
    std::vector<OwnedCall> alive;
    for (size_t c = 0; c < calls_.size(); ++c)
      if (!dead_[c]) alive.push_back(calls_[c]);
    calls_ = std::move(alive);
  }

 private:
  static constexpr size_t kOutside = ~size_t{0};

  static size_t index(const TensorView& view) { return static_cast<size_t>(buffer_of(view.data)); }
  static bool same(const TensorView& a, const TensorView& b) { return a.data == b.data && a.shape == b.shape; }

  // The one call that reads `view`, if it is one of this list and reads the whole of it.
  std::optional<size_t> only_reader(const TensorView& view) const {
    if (!is_virtual(view.data)) return {};
    const auto& readers = readers_[index(view)];
    if (readers.size() != 1 || readers[0] == kOutside || dead_[readers[0]]) return {};
    return readers[0];
  }

  void fuse_forward(size_t c) {
    const BatchNormFields plain = batch_norm_fields(calls_[c]);
    if (plain.residual.present() || plain.activation != Activation::none)
      return;       // one residual, one activation a call
    size_t at = c;  // where the fused call will stand
    TensorView y = batch_norm_fields(calls_[c]).y, residual;
    std::vector<size_t> absorbed;
    if (const auto adder = only_reader(y); adder && calls_[*adder].primitive == Primitive::add) {
      const auto& add = calls_[*adder].as<AddArgs>();
      const bool first = same(add.a, y);
      if ((first || same(add.b, y)) && !same(add.a, add.b)) {
        residual = first ? add.b : add.a;
        absorbed.push_back(at = *adder);
        y = add.y;
      }
    }
    Activation activation = Activation::none;
    TensorView saved;
    if (const auto next = activation_of(y, c, residual.present())) {
      const auto& activate = calls_[*next].as<ActivateArgs>();
      activation = activate.activation;
      saved = activation == Activation::silu ? y : activate.y;
      absorbed.push_back(*next);
      y = activate.y;
    }
    if (absorbed.empty()) return;

    for (size_t a : absorbed) dead_[a] = true;
    if (at != c) {
      calls_[at] = calls_[c];
      dead_[at] = false;
      dead_[c] = true;
      for (auto& readers : readers_) std::replace(readers.begin(), readers.end(), c, at);
    }
    BatchNormFields fused = batch_norm_fields(calls_[at]);
    fused.residual = residual;
    fused.activation = activation;
    fused.y = y;
    if (activation != Activation::none) fused_.push_back({at, saved});
  }

  // The activation that alone takes y, which norm `c` made: no other call but its backward, if that is going to be
  // fused too, needs y then. (silu's backward reads what silu was given; the others read what came out.)
  std::optional<size_t> activation_of(const TensorView& y, size_t c, bool residual) const {
    if (!is_virtual(y.data)) return {};
    std::optional<size_t> forward;
    for (size_t r : readers_[index(y)]) {
      if (r == kOutside || dead_[r]) return {};
      if (calls_[r].primitive == Primitive::activate && same(calls_[r].as<ActivateArgs>().x, y) && !forward)
        forward = r;
      else if (residual || calls_[r].primitive != Primitive::activate_backward ||
               !same(calls_[r].as<ActivateBackwardArgs>().saved, y) || !backward_behind(r, c))
        return {};
    }
    return forward;
  }

  // The backward of norm `forward` that reads what activate_backward `c` makes.
  std::optional<size_t> backward_behind(size_t c, size_t forward) const {
    const auto& activate = calls_[c].as<ActivateBackwardArgs>();
    if (!is_virtual(activate.dx.data)) return {};
    const TensorView &x = views_of_norm(forward).x, &mean = views_of_norm(forward).mean;
    for (size_t r : readers_[index(activate.dx)]) {
      if (r == kOutside || dead_[r] || calls_[r].primitive != Primitive::batch_norm_backward) continue;
      const auto& b = calls_[r].as<BatchNormBackwardArgs>();
      if (same(b.dy, activate.dx) && same(b.x, x) && same(b.mean, mean)) return r;
    }
    return {};
  }
  BatchNormFields views_of_norm(size_t c) const { return batch_norm_fields(calls_[c]); }

  // The norm's own backward undoes the activation, from its x or, where a residual was added, from a mask.
  void fuse_backward(size_t c) {
    const auto activate = calls_[c].as<ActivateBackwardArgs>();
    const auto forward =
        std::find_if(fused_.begin(), fused_.end(), [&](const Fused& f) { return same(f.saved, activate.saved); });
    if (forward == fused_.end()) return;
    const auto old = backward_behind(c, forward->call);
    BatchNormFields norm = batch_norm_fields(calls_[forward->call]);
    const bool can_mask = activate.activation == Activation::relu || activate.activation == Activation::relu6;
    if (!old || (norm.residual.present() && !can_mask)) return;

    auto args = calls_[*old].as<BatchNormBackwardArgs>();
    args.dy = activate.dy;
    args.activation = activate.activation;
    args.bias = norm.bias;
    if (norm.residual.present()) args.mask = norm.mask = new_buffer(mask_shape(norm.x.shape), DType::u8);
    if (readers_[index(activate.dx)].size() > 1) args.dresidual = activate.dx;
    OwnedCall call = calls_[*old];
    call.as<BatchNormBackwardArgs>() = args;
    calls_[c] = call;  // here, because other readers of the masked gradient may come before `old`
    dead_[*old] = true;
  }

  TensorView new_buffer(const Shape& shape, DType dtype) {
    TensorView view{virtual_address(static_cast<int32_t>(buffers_.size())), shape, dtype};
    buffers_.push_back(view.bytes());
    readers_.emplace_back();
    return view;
  }

  struct Fused {
    size_t call;       // a norm with an activation
    TensorView saved;  // what the activation's own backward would read
  };

  std::vector<OwnedCall>& calls_;
  std::vector<int64_t>& buffers_;
  std::vector<bool> dead_;
  std::vector<std::vector<size_t>> readers_;  // by buffer, calls that read it
  std::vector<Fused> fused_;
};

}  // namespace

void fuse_batch_norms(Recording& recording, const std::vector<int32_t>& kept) { Fuser(recording, kept).run(); }

}  // namespace graft
