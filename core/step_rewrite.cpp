#include "core/step_rewrite.h"

#include <algorithm>
#include <optional>
#include <span>

namespace graft {

namespace {

bool is_batch_norm(Primitive p) { return p == Primitive::batch_norm_training || p == Primitive::batch_norm_inference; }

// The fields that both forward primitives have.
struct BatchNormFields {
  TensorView &x, &mean, &residual, &y;
  Activation& activation;
};

template <typename Args>
BatchNormFields fields_of(Args& a) {
  return {a.x, a.mean, a.residual, a.y, a.activation};
}

BatchNormFields batch_norm_fields(OwnedCall& call) {
  return call.primitive == Primitive::batch_norm_training ? fields_of(call.as<BatchNormTrainingArgs>())
                                                          : fields_of(call.as<BatchNormInferenceArgs>());
}

class Fuser {
 public:
  Fuser(Recording& recording, const std::vector<int32_t>& kept)
      : calls_(recording.calls), dead_(calls_.size(), false), readers_(recording.buffers.size()) {
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
    if (const auto next = only_reader(y); next && calls_[*next].primitive == Primitive::activate) {
      const auto& activate = calls_[*next].as<ActivateArgs>();
      const bool masked_by_output = activate.activation == Activation::relu || activate.activation == Activation::relu6;
      if (masked_by_output && same(activate.x, y)) {
        activation = activate.activation;
        absorbed.push_back(*next);
        y = activate.y;
      }
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
    if (activation != Activation::none) fused_.push_back(at);
  }

  void fuse_backward(size_t c) {
    const auto activate = calls_[c].as<ActivateBackwardArgs>();
    const auto forward = std::find_if(fused_.begin(), fused_.end(),
                                      [&](size_t f) { return same(batch_norm_fields(calls_[f]).y, activate.saved); });
    if (forward == fused_.end() || !is_virtual(activate.dx.data)) return;
    const BatchNormFields norm = batch_norm_fields(calls_[*forward]);
    const auto& readers = readers_[index(activate.dx)];
    const auto backward = std::find_if(readers.begin(), readers.end(), [&](size_t r) {
      if (r == kOutside || dead_[r] || calls_[r].primitive != Primitive::batch_norm_backward) return false;
      const auto& b = calls_[r].as<BatchNormBackwardArgs>();
      return same(b.dy, activate.dx) && same(b.x, norm.x) && same(b.mean, norm.mean);
    });
    if (backward == readers.end()) return;

    const size_t old = *backward;
    auto args = calls_[old].as<BatchNormBackwardArgs>();
    args.dy = activate.dy;
    args.y = activate.saved;
    args.activation = activate.activation;
    if (readers.size() > 1) args.dresidual = activate.dx;
    OwnedCall call = calls_[old];
    call.as<BatchNormBackwardArgs>() = args;
    calls_[c] = call;  // here, because other readers of the masked gradient may come before `old`
    dead_[old] = true;
  }

  std::vector<OwnedCall>& calls_;
  std::vector<bool> dead_;
  std::vector<std::vector<size_t>> readers_;  // by buffer, calls that read it
  std::vector<size_t> fused_;                 // forward calls with an activation
};

}  // namespace

void fuse_batch_norms(Recording& recording, const std::vector<int32_t>& kept) { Fuser(recording, kept).run(); }

}  // namespace graft
