// Compile, in its plainest form: the calls of a piece are copied and run one by one. Nothing is fused and weights keep
// the order of memory; what remains is where every buffer lies.
#include <algorithm>
#include <cstring>
#include <vector>

#include "contract/without_exceptions.h"
#include "kernels/reference/backend_parts.h"
#include "kernels/reference/checks.h"

namespace graft::reference {

namespace {

struct Call {
  Primitive primitive;
  AnyArgs args;
};

struct Buffer {
  BufferKind kind;
  Shape shape;
  DType dtype;
  int64_t bytes = 0;
  int64_t offset = 0;             // of a constant in the packed weights, of a temporary in the arena
  int32_t first = -1, last = -1;  // calls: first use and last
};

// What hides behind an `Executable*`. Read only after `fill`, so executions on many threads share it.
struct Program {
  std::vector<Call> calls;
  std::vector<Buffer> buffers;
  std::vector<int32_t> planned;  // the temporaries in use, in the order of `lifetimes`
  std::vector<Lifetime> lifetimes;
  int64_t packed_bytes = 0;
  bool placed = false;
};

Program* program_of(Executable* e) { return reinterpret_cast<Program*>(e); }
const Program* program_of(const Executable* e) { return reinterpret_cast<const Program*>(e); }

// ---- describe

Status copy_buffers(const Piece& piece, Program& p) {
  for (int32_t i = 0; i < piece.buffer_count; ++i) {
    const auto& [kind, shape, dtype] = piece.buffers[i];
    const TensorView view{nullptr, shape, dtype};
    if (kind < BufferKind::input || kind > BufferKind::temporary || !view.present() || !well_formed(view))
      return Status::invalid_argument;
    Buffer buffer{kind, shape, dtype, view.bytes()};
    if (kind == BufferKind::constant) {
      if (shape.rank < 1 || shape.rank > 4 || !is_float(view)) return Status::invalid_argument;
      buffer.offset = p.packed_bytes;
      p.packed_bytes += align_up(buffer.bytes);
    }
    p.buffers.push_back(buffer);
  }
  return Status::ok;
}

// A view of call number `at` lies inside its buffer, is not written if the buffer is given, nor read before it is
// written. (An in-out may come first: copy_slice fills a concatenation part by part.)
bool use_buffer(const TensorView& view, bool reads_only, int32_t at, Program& p) {
  if (!view.present()) return true;
  if (!well_formed(view)) return false;
  if (view.bytes() == 0 && !is_virtual(view.data)) return true;
  if (!is_virtual(view.data) || buffer_of(view.data) >= static_cast<int32_t>(p.buffers.size())) return false;

  Buffer& buffer = p.buffers[buffer_of(view.data)];
  const bool given = buffer.kind == BufferKind::input || buffer.kind == BufferKind::constant;
  const int64_t offset = offset_of(view.data);
  if (offset % static_cast<int64_t>(size_of(view.dtype)) != 0 || offset > buffer.bytes ||
      view.bytes() > buffer.bytes - offset)
    return false;
  if (reads_only ? !given && buffer.first < 0 : given) return false;
  if (buffer.first < 0) buffer.first = at;
  buffer.last = at;
  return true;
}

Status copy_calls(const Piece& piece, Program& p) {
  for (int32_t at = 0; at < piece.call_count; ++at) {
    const RecordedCall& recorded = piece.calls[at];
    const auto number = static_cast<int32_t>(recorded.primitive);
    if (number < 0 || number >= kPrimitiveCount || recorded.args == nullptr) return Status::invalid_argument;
    const PrimitiveInfo& info = info_of(recorded.primitive);
    Call call{recorded.primitive, {}};
    std::memcpy(call.args.bytes, recorded.args, info.args_bytes);
    for (int32_t v = 0; v < info.roles.total(); ++v)
      if (!use_buffer(views_of(call.args.bytes)[v], v < info.roles.inputs, at, p)) return Status::invalid_argument;
    p.calls.push_back(call);
  }
  return Status::ok;
}

void list_lifetimes(Program& p) {
  for (int32_t i = 0; i < static_cast<int32_t>(p.buffers.size()); ++i)
    if (p.buffers[i].kind == BufferKind::temporary && p.buffers[i].first >= 0) p.planned.push_back(i);
  std::stable_sort(p.planned.begin(), p.planned.end(),
                   [&](int32_t a, int32_t b) { return p.buffers[a].first < p.buffers[b].first; });
  for (int32_t i : p.planned) p.lifetimes.push_back({p.buffers[i].bytes, p.buffers[i].first, p.buffers[i].last});
  p.placed = p.planned.empty();
}

Status describe(void*, const Piece* piece, Executable** out) {
  if (piece == nullptr || out == nullptr || piece->call_count < 0 || piece->buffer_count < 0 ||
      piece->buffer_count > kMaxBuffers || (piece->call_count > 0 && piece->calls == nullptr) ||
      (piece->buffer_count > 0 && piece->buffers == nullptr))
    return Status::invalid_argument;
  auto* p = new (std::nothrow) Program;
  if (p == nullptr) return Status::out_of_memory;
  const Status status = without_exceptions([&] {
    if (const Status s = copy_buffers(*piece, *p); s != Status::ok) return s;
    if (const Status s = copy_calls(*piece, *p); s != Status::ok) return s;
    list_lifetimes(*p);
    return Status::ok;
  });
  if (status == Status::ok)
    *out = reinterpret_cast<Executable*>(p);
  else
    delete p;
  return status;
}

Status info(const Executable* e, ExecutableInfo* out) {
  if (e == nullptr || out == nullptr) return Status::invalid_argument;
  const Program& p = *program_of(e);
  *out = {p.packed_bytes, p.lifetimes.data(), static_cast<int32_t>(p.lifetimes.size())};
  return Status::ok;
}

// ---- plan

Status plan(Executable* e, const int64_t* offsets) {
  if (e == nullptr) return Status::invalid_argument;
  Program& p = *program_of(e);
  if (!p.planned.empty() && offsets == nullptr) return Status::invalid_argument;
  for (size_t i = 0; i < p.planned.size(); ++i)
    if (offsets[i] < 0 || offsets[i] % kArenaAlignment != 0) return Status::invalid_argument;
  for (size_t i = 0; i < p.planned.size(); ++i) p.buffers[p.planned[i]].offset = offsets[i];
  p.placed = true;
  return Status::ok;
}

// ---- fill

// How a weight's rows, one an output channel in PyTorch's order, lie in memory: element (i, s) of row k goes to
// k · row + i + s, in the order of memory.
//   [K,R,S,C] rows [C][R][S]      [R,S,C] rows (one a channel) [R][S]      [out,in] rows [in]      [n] rows of one
struct RowLayout {
  int64_t rows, channels, taps;              // a row is [channels][taps]
  int64_t row_step, channel_step, tap_step;  // in memory
};

RowLayout layout_of(const Shape& s) {
  switch (s.rank) {
    case 4:
      return {s[0], s[3], s[1] * s[2], s[1] * s[2] * s[3], 1, s[3]};
    case 3:
      return {s[2], 1, s[0] * s[1], 1, 0, s[2]};
    case 2:
      return {s[0], s[1], 1, s[1], 1, 0};
    default:
      return {s[0], 1, 1, 1, 0, 0};
  }
}

template <typename T>
Status fill_constant(T* to, const RowLayout& layout, const ConstantSource& source, int32_t number) {
  const float* scale = source.scale != nullptr ? source.scale(source.self, number) : nullptr;
  std::vector<float> row(static_cast<size_t>(layout.channels * layout.taps));
  for (int64_t k = 0; k < layout.rows; ++k) {
    if (const Status s = source.read(source.self, number, k, 1, row.data()); s != Status::ok) return s;
    const double factor = scale != nullptr ? scale[k] : 1;
    for (int64_t c = 0; c < layout.channels; ++c)
      for (int64_t tap = 0; tap < layout.taps; ++tap)
        to[k * layout.row_step + c * layout.channel_step + tap * layout.tap_step] =
            static_cast<T>(row[c * layout.taps + tap] * factor);
  }
  return Status::ok;
}

Status fill(Executable* e, void* packed, const ConstantSource* source) {
  if (e == nullptr) return Status::invalid_argument;
  const Program& p = *program_of(e);
  if (p.packed_bytes > 0 && (packed == nullptr || source == nullptr || source->read == nullptr))
    return Status::invalid_argument;
  return without_exceptions([&] {
    for (int32_t i = 0; i < static_cast<int32_t>(p.buffers.size()); ++i) {
      const Buffer& buffer = p.buffers[i];
      if (buffer.kind != BufferKind::constant || buffer.bytes == 0) continue;
      void* to = static_cast<char*>(packed) + buffer.offset;
      const RowLayout layout = layout_of(buffer.shape);
      const Status status = buffer.dtype == DType::f64 ? fill_constant(static_cast<double*>(to), layout, *source, i)
                                                       : fill_constant(static_cast<float*>(to), layout, *source, i);
      if (status != Status::ok) return status;
    }
    return Status::ok;
  });
}

// ---- execute

// Where a buffer lies in this execution; nullptr if the caller left it out.
char* address_of(const Program& p, int32_t number, const ExecuteArgs& args) {
  const Buffer& buffer = p.buffers[number];
  const void* base = nullptr;
  switch (buffer.kind) {
    case BufferKind::input:
    case BufferKind::output:
      return args.buffers == nullptr ? nullptr : static_cast<char*>(args.buffers[number]);
    case BufferKind::constant:
      base = args.packed;
      break;
    case BufferKind::temporary:
      base = args.arena;
      break;
  }
  return base == nullptr ? nullptr : static_cast<char*>(const_cast<void*>(base)) + buffer.offset;
}

Status execute(const Executable* e, const ExecuteArgs* args, StreamHandle stream) {
  if (e == nullptr || args == nullptr || !program_of(e)->placed) return Status::invalid_argument;
  const Program& p = *program_of(e);
  for (size_t at = 0; at < p.calls.size(); ++at) {
    Call call = p.calls[at];
    TensorView* views = views_of(call.args.bytes);
    for (int32_t v = 0; v < info_of(call.primitive).roles.total(); ++v) {
      if (!views[v].present() || !is_virtual(views[v].data)) continue;
      char* base = address_of(p, buffer_of(views[v].data), *args);
      if (base == nullptr && views[v].bytes() > 0) return Status::invalid_argument;
      views[v].data = base == nullptr ? nullptr : base + offset_of(views[v].data);
    }
    CallContext context{.stream = stream};
    if (const Status s = run(call.primitive, &context, call.args.bytes); s != Status::ok) return s;
    if (args->kernels != nullptr) args->kernels[at] = context.kernel;
  }
  return Status::ok;
}

}  // namespace

CompileFunctions compile_functions() {
  return {
      .describe = describe, .info = info, .plan = plan, .fill = fill, .execute = execute, .destroy = [](Executable* e) {
        delete program_of(e);
      }};
}

}  // namespace graft::reference
