// Compile: a piece is copied, each call gets its kernel, and weights are packed once in the order the kernel reads.
//
//   describe  convolutions and linear layers whose weight is a constant run on packed weights; every other call is the
//             eager kernel, with its workspace in the arena. An elementwise result takes over its input's memory where
//             the input ends there; so does a convolution's its residual's.
//   fill      rows arrive as the file has them, some 256 KB at a time, are scaled and go to their panels
//   execute   a walk over the list; reads the Executable only, so any number of threads may do it at once
#include "kernels/cpu/compile.h"

#include <algorithm>
#include <cstring>
#include <vector>

#include "contract/without_exceptions.h"
#include "kernels/cpu/dispatch.h"

namespace graft::cpu {
namespace {

enum class StepKind { eager, packed_conv2d, packed_matmul };

struct Step {
  Primitive primitive;
  AnyArgs args;
  StepKind kind = StepKind::eager;
  int64_t packed_offset = 0;  // of its weight, unless eager
  int64_t workspace_bytes = 0;
  int64_t workspace_offset = 0;  // in the arena, once planned
};

struct Buffer {
  BufferKind kind;
  TensorView view;                // shape and type; no memory
  int32_t first = -1, last = -1;  // calls: first use and last
  int32_t root = -1;              // the buffer whose memory this one takes over, or itself
  bool plain = false;             // a constant that some kernel reads in the order of memory
  int64_t offset = 0;             // a plain constant's in the packed weights, a temporary's in the arena
};

// Where a lifetime's offset goes: to a temporary, or to a step's workspace.
struct Planned {
  int32_t buffer = -1, step = -1;
};

struct Program {
  const CpuBackend* cpu;
  std::vector<Step> steps;
  std::vector<Buffer> buffers;
  std::vector<Planned> planned;
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
    if (kind == BufferKind::constant && dtype == DType::f64) return Status::unsupported;
    if (kind == BufferKind::constant && (dtype != DType::f32 || shape.rank < 1 || shape.rank > 4))
      return Status::invalid_argument;
    p.buffers.push_back({.kind = kind, .view = view, .root = i});
  }
  return Status::ok;
}

// A view of call `at` lies inside its buffer, is not written if the buffer is given, nor read before it is written.
bool use_buffer(const TensorView& view, bool reads_only, int32_t at, Program& p) {
  if (!view.present()) return true;
  if (!well_formed(view)) return false;
  if (view.bytes() == 0 && !is_virtual(view.data)) return true;
  if (!is_virtual(view.data) || buffer_of(view.data) >= static_cast<int32_t>(p.buffers.size())) return false;

  Buffer& buffer = p.buffers[static_cast<size_t>(buffer_of(view.data))];
  const bool given = buffer.kind == BufferKind::input || buffer.kind == BufferKind::constant;
  const int64_t offset = offset_of(view.data), bytes = buffer.view.bytes();
  if (offset % static_cast<int64_t>(size_of(view.dtype)) != 0 || offset > bytes || view.bytes() > bytes - offset)
    return false;
  if (reads_only ? !given && buffer.first < 0 : given) return false;
  if (buffer.first < 0) buffer.first = at;
  buffer.last = at;
  return true;
}

// The buffer that a view is all of, or nullptr.
Buffer* whole_buffer(const TensorView& view, Program& p) {
  if (!view.present() || !is_virtual(view.data) || offset_of(view.data) != 0) return nullptr;
  Buffer& buffer = p.buffers[static_cast<size_t>(buffer_of(view.data))];
  return buffer.view.bytes() == view.bytes() ? &buffer : nullptr;
}

bool is_whole_constant(const TensorView& view, Program& p) {
  const Buffer* buffer = whole_buffer(view, p);
  return buffer != nullptr && buffer->kind == BufferKind::constant && buffer->view.shape == view.shape;
}

const Conv2dArgs& conv2d_of(const Step& s) { return *reinterpret_cast<const Conv2dArgs*>(s.args.bytes); }
const MatmulArgs& matmul_of(const Step& s) { return *reinterpret_cast<const MatmulArgs*>(s.args.bytes); }

void choose_kernel(Step& step, Program& p) {
  const KernelTable& table = *p.cpu->table;
  const int threads = p.cpu->pool.threads();
  int weight = -1;
  int64_t packed_floats = 0;
  if (step.primitive == Primitive::conv2d && is_whole_constant(conv2d_of(step).weight, p)) {
    step.kind = StepKind::packed_conv2d, weight = 1;
    packed_floats = table.packed_conv2d.packed_floats(conv2d_of(step));
    step.workspace_bytes = table.packed_conv2d.workspace_bytes(threads, conv2d_of(step));
  } else if (step.primitive == Primitive::matmul && matmul_of(step).transpose_b != 0 &&
             is_whole_constant(matmul_of(step).b, p)) {
    step.kind = StepKind::packed_matmul, weight = 1;
    packed_floats = table.packed_matmul.packed_floats(matmul_of(step));
    step.workspace_bytes = table.packed_matmul.workspace_bytes(threads, matmul_of(step));
  } else if (const auto bytes = table.workspace_bytes[static_cast<int>(step.primitive)]; bytes != nullptr) {
    step.workspace_bytes = bytes(threads, step.args.bytes);
  }
  step.packed_offset = p.packed_bytes;
  p.packed_bytes += align_up(packed_floats * static_cast<int64_t>(sizeof(float)));

  const TensorView* views = views_of(step.args.bytes);
  for (int v = 0; v < info_of(step.primitive).roles.inputs; ++v) {
    if (v == weight || !views[v].present() || !is_virtual(views[v].data)) continue;
    Buffer& buffer = p.buffers[static_cast<size_t>(buffer_of(views[v].data))];
    buffer.plain = buffer.plain || buffer.kind == BufferKind::constant;
  }
}

Status copy_calls(const Piece& piece, Program& p) {
  for (int32_t at = 0; at < piece.call_count; ++at) {
    const RecordedCall& recorded = piece.calls[at];
    const auto number = static_cast<int32_t>(recorded.primitive);
    if (number < 0 || number >= kPrimitiveCount || recorded.args == nullptr) return Status::invalid_argument;
    const PrimitiveInfo& info = info_of(recorded.primitive);
    Step step{.primitive = recorded.primitive, .args = {}};
    std::memcpy(step.args.bytes, recorded.args, info.args_bytes);
    for (int v = 0; v < info.roles.total(); ++v)
      if (!use_buffer(views_of(step.args.bytes)[v], v < info.roles.inputs, at, p)) return Status::invalid_argument;
    if (const Status status = check_shapes(step.primitive, step.args.bytes); status != Status::ok) return status;
    choose_kernel(step, p);
    p.steps.push_back(step);
  }
  for (Buffer& buffer : p.buffers)
    if (buffer.plain) {
      buffer.offset = p.packed_bytes;
      p.packed_bytes += align_up(buffer.view.bytes());
    }
  return Status::ok;
}

// Inputs whose place the first output may take: those of the contract, and a packed convolution's residual, which its
// epilogue reads where it then writes.
bool may_take_over(const Step& step, int input) {
  switch (step.primitive) {
    case Primitive::activate:
    case Primitive::scale:
    case Primitive::multiply:
      return input == 0;
    case Primitive::activate_backward:
      return input == 1;
    case Primitive::add:
      return input <= 1;
    case Primitive::conv2d:
      return step.kind == StepKind::packed_conv2d && input == 3;
    default:
      return false;
  }
}

void take_over_memory(Program& p) {
  const auto root_of = [&](const TensorView& v) {
    return v.present() && is_virtual(v.data) ? p.buffers[static_cast<size_t>(buffer_of(v.data))].root : -1;
  };
  for (int32_t at = 0; at < static_cast<int32_t>(p.steps.size()); ++at) {
    const Step& step = p.steps[static_cast<size_t>(at)];
    const TensorView* views = views_of(step.args.bytes);
    const Roles roles = info_of(step.primitive).roles;
    if (roles.inouts > 0 || roles.outputs != 1) continue;
    Buffer* out = whole_buffer(views[roles.inputs], p);
    if (out == nullptr || out->kind != BufferKind::temporary || out->first != at) continue;
    for (int v = 0; v < roles.inputs; ++v) {
      const Buffer* in = whole_buffer(views[v], p);
      if (in == nullptr || in->kind != BufferKind::temporary || in->view.bytes() != out->view.bytes()) continue;
      Buffer& root = p.buffers[static_cast<size_t>(in->root)];
      bool allowed = root.last == at;  // and no other input that may not be overwritten lies there
      for (int other = 0; other < roles.inputs; ++other)
        if (root_of(views[other]) == in->root) allowed = allowed && may_take_over(step, other);
      if (!allowed) continue;
      root.last = out->last;
      out->root = in->root;
      break;
    }
  }
}

// In order of execution: at each call the temporaries that begin there, then its workspace.
void list_lifetimes(Program& p) {
  for (int32_t at = 0; at < static_cast<int32_t>(p.steps.size()); ++at) {
    for (int32_t i = 0; i < static_cast<int32_t>(p.buffers.size()); ++i) {
      const Buffer& b = p.buffers[static_cast<size_t>(i)];
      if (b.kind != BufferKind::temporary || b.root != i || b.first != at) continue;
      p.planned.push_back({.buffer = i});
      p.lifetimes.push_back({b.view.bytes(), b.first, b.last});
    }
    const int64_t bytes = p.steps[static_cast<size_t>(at)].workspace_bytes;
    if (bytes == 0) continue;
    p.planned.push_back({.step = at});
    p.lifetimes.push_back({bytes, at, at});
  }
  p.placed = p.planned.empty();
}

Status describe(void* self, const Piece* piece, Executable** out) {
  if (piece == nullptr || out == nullptr || piece->call_count < 0 || piece->buffer_count < 0 ||
      piece->buffer_count > kMaxBuffers || (piece->call_count > 0 && piece->calls == nullptr) ||
      (piece->buffer_count > 0 && piece->buffers == nullptr))
    return Status::invalid_argument;
  auto* p = new (std::nothrow) Program{.cpu = static_cast<CpuBackend*>(self)};
  if (p == nullptr) return Status::out_of_memory;
  const Status status = without_exceptions([&] {
    if (const Status s = copy_buffers(*piece, *p); s != Status::ok) return s;
    if (const Status s = copy_calls(*piece, *p); s != Status::ok) return s;
    take_over_memory(*p);
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

Status plan(Executable* e, const int64_t* offsets) {
  if (e == nullptr) return Status::invalid_argument;
  Program& p = *program_of(e);
  if (!p.planned.empty() && offsets == nullptr) return Status::invalid_argument;
  for (size_t i = 0; i < p.planned.size(); ++i)
    if (offsets[i] < 0 || offsets[i] % kArenaAlignment != 0) return Status::invalid_argument;
  for (size_t i = 0; i < p.planned.size(); ++i) {
    const auto [buffer, step] = p.planned[i];
    if (buffer >= 0)
      p.buffers[static_cast<size_t>(buffer)].offset = offsets[i];
    else
      p.steps[static_cast<size_t>(step)].workspace_offset = offsets[i];
  }
  p.placed = true;
  return Status::ok;
}

// ---- fill

// How a weight's rows, one an output channel in PyTorch's order, lie in memory: element (i, tap) of row k goes to
// k · row_step + i · channel_step + tap · tap_step.
struct RowLayout {
  int64_t rows, channels, taps;
  int64_t row_step, channel_step, tap_step;
};
RowLayout layout_of(const Shape& s) {
  switch (s.rank) {
    case 4:
      return {s[0], s[3], s[1] * s[2], s[1] * s[2] * s[3], 1, s[3]};  // [K,R,S,C], rows [C][R][S]
    case 3:
      return {s[2], 1, s[0] * s[1], 1, 0, s[2]};  // [R,S,C], rows [R][S]
    case 2:
      return {s[0], s[1], 1, s[1], 1, 0};  // [out,in], rows [in]
    default:
      return {s[0], 1, 1, 1, 0, 0};
  }
}

// Pulls a constant's rows in chunks and hands each to take(first, rows, values, scale).
template <typename Take>
Status pull(const ConstantSource& source, int32_t buffer, const Shape& shape, std::vector<float>& chunk, Take&& take) {
  const RowLayout layout = layout_of(shape);
  const int64_t row = layout.channels * layout.taps;
  if (layout.rows == 0 || row == 0) return Status::ok;
  const float* scale = source.scale != nullptr ? source.scale(source.self, buffer) : nullptr;
  const int64_t step = std::clamp<int64_t>(65536 / row, 1, layout.rows);
  chunk.resize(static_cast<size_t>(step * row));
  for (int64_t first = 0; first < layout.rows; first += step) {
    const int64_t rows = std::min(step, layout.rows - first);
    if (const Status s = source.read(source.self, buffer, first, rows, chunk.data()); s != Status::ok) return s;
    take(first, rows, chunk.data(), scale != nullptr ? scale + first : nullptr);
  }
  return Status::ok;
}

Status fill(Executable* e, void* packed, const ConstantSource* source) {
  if (e == nullptr) return Status::invalid_argument;
  const Program& p = *program_of(e);
  if (p.packed_bytes == 0) return Status::ok;
  if (packed == nullptr || source == nullptr || source->read == nullptr) return Status::invalid_argument;
  std::memset(packed, 0, static_cast<size_t>(p.packed_bytes));  // panels end in columns of zeros
  const KernelTable& table = *p.cpu->table;
  const auto at = [&](int64_t offset) { return reinterpret_cast<float*>(static_cast<char*>(packed) + offset); };

  return without_exceptions([&] {
    std::vector<float> chunk;
    for (const Step& step : p.steps) {
      if (step.kind == StepKind::eager) continue;
      const TensorView& weight = views_of(step.args.bytes)[1];
      const Status status = pull(*source, buffer_of(weight.data), weight.shape, chunk,
                                 [&](int64_t first, int64_t rows, const float* values, const float* scale) {
                                   float* to = at(step.packed_offset);
                                   if (step.kind == StepKind::packed_conv2d)
                                     table.packed_conv2d.pack_rows(conv2d_of(step), first, rows, values, scale, to);
                                   else
                                     table.packed_matmul.pack_rows(matmul_of(step), first, rows, values, scale, to);
                                 });
      if (status != Status::ok) return status;
    }
    for (int32_t i = 0; i < static_cast<int32_t>(p.buffers.size()); ++i) {
      const Buffer& buffer = p.buffers[static_cast<size_t>(i)];
      if (!buffer.plain) continue;
      const RowLayout layout = layout_of(buffer.view.shape);
      float* to = at(buffer.offset);
      const Status status =
          pull(*source, i, buffer.view.shape, chunk,
               [&](int64_t first, int64_t rows, const float* values, const float* scale) {
                 for (int64_t k = 0; k < rows; ++k)
                   for (int64_t c = 0; c < layout.channels; ++c)
                     for (int64_t tap = 0; tap < layout.taps; ++tap, ++values)
                       to[(first + k) * layout.row_step + c * layout.channel_step + tap * layout.tap_step] =
                           scale != nullptr ? *values * scale[k] : *values;
               });
      if (status != Status::ok) return status;
    }
    return Status::ok;
  });
}

// ---- execute

// Where a buffer lies in this execution; nullptr if the caller left it out.
char* address_of(const Program& p, int32_t number, const ExecuteArgs& args) {
  const Buffer& buffer = p.buffers[static_cast<size_t>(number)];
  switch (buffer.kind) {
    case BufferKind::input:
    case BufferKind::output:
      return args.buffers == nullptr ? nullptr : static_cast<char*>(args.buffers[number]);
    case BufferKind::constant:
      return args.packed == nullptr ? nullptr : static_cast<char*>(const_cast<void*>(args.packed)) + buffer.offset;
    case BufferKind::temporary:
      return args.arena == nullptr
                 ? nullptr
                 : static_cast<char*>(args.arena) + p.buffers[static_cast<size_t>(buffer.root)].offset;
  }
  return nullptr;
}

Status run_step(const Program& p, const Step& step, const ExecuteArgs& args, StreamHandle stream, const char** kernel) {
  AnyArgs call = step.args;
  TensorView* views = views_of(call.bytes);
  for (int v = 0; v < info_of(step.primitive).roles.total(); ++v) {
    if (!views[v].present() || !is_virtual(views[v].data)) continue;
    char* base = address_of(p, buffer_of(views[v].data), args);
    if (base == nullptr && views[v].bytes() > 0) return Status::invalid_argument;
    views[v].data = base == nullptr ? nullptr : base + offset_of(views[v].data);
  }
  CallContext context{.self = const_cast<CpuBackend*>(p.cpu), .stream = stream};
  if (step.workspace_bytes > 0) {
    if (args.arena == nullptr) return Status::invalid_argument;
    context.workspace = static_cast<char*>(args.arena) + step.workspace_offset;
    context.workspace_bytes = step.workspace_bytes;
  }
  const KernelTable& table = *p.cpu->table;
  const auto* packed = reinterpret_cast<const float*>(static_cast<const char*>(args.packed) + step.packed_offset);
  Status status = Status::ok;
  switch (step.kind) {
    case StepKind::packed_conv2d:
      status = table.packed_conv2d.run(context, *reinterpret_cast<const Conv2dArgs*>(call.bytes), packed);
      break;
    case StepKind::packed_matmul:
      status = table.packed_matmul.run(context, *reinterpret_cast<const MatmulArgs*>(call.bytes), packed);
      break;
    case StepKind::eager:
      status = table.run[static_cast<int>(step.primitive)](&context, call.bytes);
      break;
  }
  *kernel = context.kernel;
  return status;
}

Status execute(const Executable* e, const ExecuteArgs* args, StreamHandle stream) {
  if (e == nullptr || args == nullptr || !program_of(e)->placed) return Status::invalid_argument;
  const Program& p = *program_of(e);
  if (p.packed_bytes > 0 && args->packed == nullptr) return Status::invalid_argument;
  for (size_t at = 0; at < p.steps.size(); ++at) {
    const char* kernel = nullptr;
    if (const Status s = run_step(p, p.steps[at], *args, stream, &kernel); s != Status::ok) return s;
    if (args->kernels != nullptr) args->kernels[at] = kernel;
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

}  // namespace graft::cpu
