// What every `compile` begins with: a piece copied and checked, its memory laid out, a constant's rows on their way
// into it. A backend adds which kernels run and in what order they read weights.
//
// For the inside of a backend: nothing of this crosses its border.
#pragma once
#include <algorithm>
#include <cstring>
#include <vector>

#include "contract/backend.h"

namespace graft {

struct ProgramBuffer {
  BufferKind kind = BufferKind::temporary;
  TensorView view;                // shape and type; no memory
  int32_t first = -1, last = -1;  // calls: first use and last
  int32_t root = -1;              // the buffer whose memory this one takes over, or itself
  int64_t offset = 0;             // of a constant in the packed weights, of a temporary in the arena
};

struct ProgramCall {
  Primitive primitive = {};
  AnyArgs args = {};
  int64_t workspace_bytes = 0, workspace_offset = 0;  // in the arena, once planned
};

// A constant's place in the packed weights: in the order of memory, or in the one that the kernel of `call` reads.
struct PackedConstant {
  int32_t buffer = 0, call = -1;  // -1: the order of memory
  Shape shape;
  DType dtype = DType::none;
  int64_t offset = 0, bytes = 0;

  friend bool operator==(const PackedConstant&, const PackedConstant&) = default;
};

class PieceProgram {
 public:
  // In this order: copy, then pack for each constant in use, then list_lifetimes.
  Status copy(const Piece* piece) {
    if (piece == nullptr || piece->call_count < 0 || piece->buffer_count < 0 || piece->buffer_count > kMaxBuffers ||
        (piece->call_count > 0 && piece->calls == nullptr) || (piece->buffer_count > 0 && piece->buffers == nullptr))
      return Status::invalid_argument;
    for (int32_t i = 0; i < piece->buffer_count; ++i) {
      const auto& [kind, shape, dtype] = piece->buffers[i];
      const TensorView view{nullptr, shape, dtype};
      if (kind < BufferKind::input || kind > BufferKind::temporary || !view.present() || !well_formed(view))
        return Status::invalid_argument;
      if (kind == BufferKind::constant && (shape.rank < 1 || shape.rank > 4 || !is_float(dtype)))
        return Status::invalid_argument;
      buffers.push_back({.kind = kind, .view = view, .root = i});
    }
    for (int32_t at = 0; at < piece->call_count; ++at) {
      const RecordedCall& recorded = piece->calls[at];
      const auto number = static_cast<int32_t>(recorded.primitive);
      if (number < 0 || number >= kPrimitiveCount || recorded.args == nullptr) return Status::invalid_argument;
      const PrimitiveInfo& info = info_of(recorded.primitive);
      ProgramCall call{.primitive = recorded.primitive};
      std::memcpy(call.args.bytes, recorded.args, info.args_bytes);
      for (int32_t v = 0; v < info.roles.total(); ++v)
        if (!use_buffer(views_of(call.args.bytes)[v], v < info.roles.inputs, at)) return Status::invalid_argument;
      calls.push_back(call);
    }
    return Status::ok;
  }

  // Gives a constant `bytes` of the packed weights.
  void pack(int32_t buffer, int32_t call, int64_t bytes) {
    ProgramBuffer& b = buffer_at(buffer);
    packed.push_back({buffer, call, b.view.shape, b.view.dtype, packed_bytes, bytes});
    if (call < 0) b.offset = packed_bytes;
    packed_bytes += align_up(bytes);
  }

  // In order of execution: at each call the temporaries that begin there, then its workspace.
  void list_lifetimes() {
    for (int32_t at = 0; at < static_cast<int32_t>(calls.size()); ++at) {
      for (int32_t i = 0; i < static_cast<int32_t>(buffers.size()); ++i) {
        const ProgramBuffer& b = buffer_at(i);
        if (b.kind != BufferKind::temporary || b.root != i || b.first != at) continue;
        planned_.push_back({.buffer = i});
        lifetimes_.push_back({b.view.bytes(), b.first, b.last});
      }
      const int64_t bytes = calls[static_cast<size_t>(at)].workspace_bytes;
      if (bytes == 0) continue;
      planned_.push_back({.call = at});
      lifetimes_.push_back({bytes, at, at});
    }
    placed_ = planned_.empty();
  }

  ExecutableInfo info() const { return {packed_bytes, lifetimes_.data(), static_cast<int32_t>(lifetimes_.size())}; }

  Status place(const int64_t* offsets) {
    if (!planned_.empty() && offsets == nullptr) return Status::invalid_argument;
    for (size_t i = 0; i < planned_.size(); ++i)
      if (offsets[i] < 0 || offsets[i] % kArenaAlignment != 0) return Status::invalid_argument;
    for (size_t i = 0; i < planned_.size(); ++i) {
      const auto [buffer, call] = planned_[i];
      if (buffer >= 0)
        buffer_at(buffer).offset = offsets[i];
      else
        calls[static_cast<size_t>(call)].workspace_offset = offsets[i];
    }
    placed_ = true;
    return Status::ok;
  }

  // Is all here that an execution needs?
  bool ready(const ExecuteArgs& args) const { return placed_ && (packed_bytes == 0 || args.packed != nullptr); }

  // Puts real addresses into a copy of a call, and its workspace into the context.
  Status bind(const ExecuteArgs& args, ProgramCall& call, CallContext& context) const {
    TensorView* views = views_of(call.args.bytes);
    for (int32_t v = 0; v < info_of(call.primitive).roles.total(); ++v) {
      if (!views[v].present() || !is_virtual(views[v].data)) continue;
      char* base = address_of(buffer_of(views[v].data), args);
      if (base == nullptr && views[v].bytes() > 0) return Status::invalid_argument;
      views[v].data = base == nullptr ? nullptr : base + offset_of(views[v].data);
    }
    if (call.workspace_bytes > 0) {
      if (args.arena == nullptr) return Status::invalid_argument;
      context.workspace = static_cast<char*>(args.arena) + call.workspace_offset;
      context.workspace_bytes = call.workspace_bytes;
    }
    return Status::ok;
  }

  ProgramBuffer& buffer_at(int32_t number) { return buffers[static_cast<size_t>(number)]; }
  const ProgramBuffer& buffer_at(int32_t number) const { return buffers[static_cast<size_t>(number)]; }

  void* self = nullptr;  // Backend::self
  std::vector<ProgramCall> calls;
  std::vector<ProgramBuffer> buffers;
  std::vector<PackedConstant> packed;  // in the order of pack
  int64_t packed_bytes = 0;

 private:
  // Where a lifetime's offset goes: to a temporary, or to a call's workspace.
  struct Planned {
    int32_t buffer = -1, call = -1;
  };

  // A view of call `at` lies inside its buffer, is not written if the buffer is given, nor read before it is written.
  // (An in-out may come first: copy_slice fills a concatenation part by part.)
  bool use_buffer(const TensorView& view, bool reads_only, int32_t at) {
    if (!view.present()) return true;
    if (!well_formed(view)) return false;
    if (view.bytes() == 0 && !is_virtual(view.data)) return true;
    if (!is_virtual(view.data) || buffer_of(view.data) >= static_cast<int32_t>(buffers.size())) return false;

    ProgramBuffer& buffer = buffer_at(buffer_of(view.data));
    const bool given = buffer.kind == BufferKind::input || buffer.kind == BufferKind::constant;
    const int64_t offset = offset_of(view.data), bytes = buffer.view.bytes();
    if (offset % static_cast<int64_t>(size_of(view.dtype)) != 0 || offset > bytes || view.bytes() > bytes - offset)
      return false;
    if (reads_only ? !given && buffer.first < 0 : given) return false;
    if (buffer.first < 0) buffer.first = at;
    buffer.last = at;
    return true;
  }

  // Where a buffer lies in this execution; nullptr if the caller left it out.
  char* address_of(int32_t number, const ExecuteArgs& args) const {
    const ProgramBuffer& buffer = buffer_at(number);
    const auto within = [](const void* base, int64_t offset) {
      return base == nullptr ? nullptr : static_cast<char*>(const_cast<void*>(base)) + offset;
    };
    switch (buffer.kind) {
      case BufferKind::input:
      case BufferKind::output:
        return args.buffers == nullptr ? nullptr : static_cast<char*>(args.buffers[number]);
      case BufferKind::constant:
        return within(args.packed, buffer.offset);
      case BufferKind::temporary:
        return within(args.arena, buffer_at(buffer.root).offset);
    }
    return nullptr;
  }

  std::vector<Planned> planned_;
  std::vector<Lifetime> lifetimes_;
  bool placed_ = false;
};

// How a weight's rows, one an output channel in PyTorch's order, lie in memory: element (i, tap) of row k goes to
// k · row_step + i · channel_step + tap · tap_step.
struct RowLayout {
  int64_t rows, channels, taps;  // a row is [channels][taps]
  int64_t row_step, channel_step, tap_step;
};

inline RowLayout row_layout(const Shape& s) {
  switch (s.rank) {
    case 4:
      return {s[0], s[3], s[1] * s[2], s[1] * s[2] * s[3], 1, s[3]};  // [K,R,S,C], rows [C][R][S]
    case 3:
      return {s[2], 1, s[0] * s[1], 1, 0, s[2]};  // [R,S,C], rows (one a channel) [R][S]
    case 2:
      return {s[0], s[1], 1, s[1], 1, 0};  // [out,in], rows [in]
    default:
      return {s[0], 1, 1, 1, 0, 0};
  }
}

// Pulls a constant's rows, some 256 KB at a time, and hands each chunk to take(first, rows, values, scale); scale is
// nullptr or a factor for each of these rows.
template <typename Take>
Status pull_rows(const ConstantSource& source, const PackedConstant& constant, std::vector<float>& chunk, Take&& take) {
  const RowLayout layout = row_layout(constant.shape);
  const int64_t row = layout.channels * layout.taps;
  if (layout.rows == 0 || row == 0) return Status::ok;
  const float* scale = source.scale != nullptr ? source.scale(source.self, constant.buffer) : nullptr;
  const int64_t step = std::clamp<int64_t>(65536 / row, 1, layout.rows);
  chunk.resize(static_cast<size_t>(step * row));
  for (int64_t first = 0; first < layout.rows; first += step) {
    const int64_t rows = std::min(step, layout.rows - first);
    if (const Status s = source.read(source.self, constant.buffer, first, rows, chunk.data()); s != Status::ok)
      return s;
    take(first, rows, chunk.data(), scale != nullptr ? scale + first : nullptr);
  }
  return Status::ok;
}

// The order of memory: scaled in double, as the reference does all its sums, then rounded once by `converted`.
template <typename T, typename Convert>
void store_rows(const Shape& shape, int64_t first, int64_t rows, const float* values, const float* scale, T* to,
                Convert&& converted) {
  const RowLayout layout = row_layout(shape);
  for (int64_t k = 0; k < rows; ++k)
    for (int64_t c = 0; c < layout.channels; ++c)
      for (int64_t tap = 0; tap < layout.taps; ++tap, ++values)
        to[(first + k) * layout.row_step + c * layout.channel_step + tap * layout.tap_step] =
            converted(scale != nullptr ? *values * static_cast<double>(scale[k]) : *values);
}
template <typename T>
void store_rows(const Shape& shape, int64_t first, int64_t rows, const float* values, const float* scale, T* to) {
  store_rows(shape, first, rows, values, scale, to, [](double value) { return static_cast<T>(value); });
}

}  // namespace graft
