// Compile: a piece is copied, each call gets its kernel, and weights are packed once in the order the kernel reads.
//
//   describe  convolutions and linear layers whose weight is a constant run on packed weights; every other call is the
//             eager kernel, with its workspace in the arena. An elementwise result takes over its input's memory where
//             the input ends there; so does a convolution's its residual's.
//   fill      rows arrive as the file has them, some 256 KB at a time, are scaled and go to their panels
//   execute   a walk over the list; reads the Executable only, so any number of threads may do it at once
#include "kernels/cpu/compile.h"

#include <cstring>
#include <vector>

#include "contract/piece_memory.h"
#include "contract/without_exceptions.h"
#include "kernels/cpu/dispatch.h"

namespace graft::cpu {
namespace {

enum class CallKind { eager, packed_conv2d, packed_matmul };

struct Program : PieceProgram {
  explicit Program(const CpuBackend* backend) : cpu(backend) {}
  const KernelTable& table() const { return *cpu->table; }

  const CpuBackend* cpu;
  std::vector<CallKind> kinds;         // by call
  std::vector<int64_t> weight_offset;  // by call: of its packed weight
};

Program* program_of(Executable* e) { return reinterpret_cast<Program*>(e); }
const Program* program_of(const Executable* e) { return reinterpret_cast<const Program*>(e); }

const Conv2dArgs& conv2d_of(const ProgramCall& c) { return *reinterpret_cast<const Conv2dArgs*>(c.args.bytes); }
const MatmulArgs& matmul_of(const ProgramCall& c) { return *reinterpret_cast<const MatmulArgs*>(c.args.bytes); }

// ---- describe

// A weight, view 1 of its call, goes into panels; a constant that any call reads otherwise stays in the order of
// memory.
Status choose_kernels(Program& p) {
  const KernelTable& table = p.table();
  const int threads = p.cpu->pool.threads();
  std::vector<bool> plain(p.buffers.size());
  for (const ProgramBuffer& b : p.buffers)
    if (b.kind == BufferKind::constant && b.view.dtype != DType::f32) return Status::unsupported;
  for (int32_t at = 0; at < static_cast<int32_t>(p.calls.size()); ++at) {
    ProgramCall& call = p.calls[static_cast<size_t>(at)];
    if (const Status status = check_f32_args(call.primitive, call.args.bytes); status != Status::ok) return status;
    CallKind kind = CallKind::eager;
    int64_t packed_floats = 0;
    if (call.primitive == Primitive::conv2d && is_whole_constant(conv2d_of(call).weight, p)) {
      kind = CallKind::packed_conv2d;
      packed_floats = table.packed_conv2d.packed_floats(conv2d_of(call));
      call.workspace_bytes = table.packed_conv2d.workspace_bytes(threads, conv2d_of(call));
    } else if (call.primitive == Primitive::matmul && matmul_of(call).transpose_b != 0 &&
               is_whole_constant(matmul_of(call).b, p)) {
      kind = CallKind::packed_matmul;
      packed_floats = table.packed_matmul.packed_floats(matmul_of(call));
      call.workspace_bytes = table.packed_matmul.workspace_bytes(threads, matmul_of(call));
    } else if (const auto bytes = table.workspace_bytes[static_cast<int>(call.primitive)]; bytes != nullptr) {
      call.workspace_bytes = bytes(threads, call.args.bytes);
    }
    p.kinds.push_back(kind);
    p.weight_offset.push_back(p.packed_bytes);

    const TensorView* views = views_of(call.args.bytes);
    for (int v = 0; v < info_of(call.primitive).roles.inputs; ++v) {
      if (!views[v].present() || !is_virtual(views[v].data)) continue;
      const int32_t number = buffer_of(views[v].data);
      if (p.buffer_at(number).kind != BufferKind::constant) continue;
      if (v == 1 && kind != CallKind::eager)
        p.pack(number, at, packed_floats * static_cast<int64_t>(sizeof(float)));
      else
        plain[static_cast<size_t>(number)] = true;
    }
  }
  for (int32_t i = 0; i < static_cast<int32_t>(p.buffers.size()); ++i)
    if (plain[static_cast<size_t>(i)]) p.pack(i, -1, p.buffer_at(i).view.bytes());
  return Status::ok;
}

// A packed convolution's epilogue reads its residual where it then writes.
bool reads_where_it_writes(const Program& p, int32_t at, int input) {
  return p.kinds[static_cast<size_t>(at)] == CallKind::packed_conv2d && input == 3;
}

Status describe(void* self, const Piece* piece, Executable** out) {
  if (out == nullptr) return Status::invalid_argument;
  auto* p = new (std::nothrow) Program(static_cast<CpuBackend*>(self));
  if (p == nullptr) return Status::out_of_memory;
  const Status status = without_exceptions([&] {
    if (const Status s = p->copy(piece); s != Status::ok) return s;
    if (const Status s = choose_kernels(*p); s != Status::ok) return s;
    take_over_memory(*p, [p](int32_t at, int input) { return reads_where_it_writes(*p, at, input); });
    p->list_lifetimes();
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
  *out = program_of(e)->info();
  return Status::ok;
}

Status plan(Executable* e, const int64_t* offsets) {
  return e == nullptr ? Status::invalid_argument : program_of(e)->place(offsets);
}

// ---- fill

// Panels follow the weight's shape, its groups and the instruction set: nothing else of a call.
bool same_packing(const Executable* left, const Executable* right) {
  if (left == nullptr || right == nullptr) return false;
  const Program &a = *program_of(left), &b = *program_of(right);
  if (a.cpu != b.cpu || a.packed != b.packed || a.packed_bytes != b.packed_bytes) return false;
  for (const PackedConstant& constant : a.packed) {
    if (constant.call < 0) continue;
    const auto at = static_cast<size_t>(constant.call);
    if (a.kinds[at] != b.kinds[at] || (a.kinds[at] == CallKind::packed_conv2d &&
                                       conv2d_of(a.calls[at]).conv.groups != conv2d_of(b.calls[at]).conv.groups))
      return false;
  }
  return true;
}

Status fill(const Executable* e, void* packed, const ConstantSource* source) {
  if (e == nullptr) return Status::invalid_argument;
  const Program& p = *program_of(e);
  if (p.packed_bytes == 0) return Status::ok;
  if (packed == nullptr || source == nullptr || source->read == nullptr) return Status::invalid_argument;
  std::memset(packed, 0, static_cast<size_t>(p.packed_bytes));  // panels end in columns of zeros
  return without_exceptions([&] {
    std::vector<float> chunk;
    for (const PackedConstant& constant : p.packed) {
      auto* to = reinterpret_cast<float*>(static_cast<char*>(packed) + constant.offset);
      const auto pack = [&](int64_t first, int64_t rows, const float* values, const float* scale) {
        if (constant.call < 0) return store_rows(constant.shape, first, rows, values, scale, to);
        const ProgramCall& call = p.calls[static_cast<size_t>(constant.call)];
        if (p.kinds[static_cast<size_t>(constant.call)] == CallKind::packed_conv2d)
          p.table().packed_conv2d.pack_rows(conv2d_of(call), first, rows, values, scale, to);
        else
          p.table().packed_matmul.pack_rows(matmul_of(call), first, rows, values, scale, to);
      };
      if (const Status s = pull_rows(*source, constant, chunk, pack); s != Status::ok) return s;
    }
    return Status::ok;
  });
}

// ---- execute

Status run_call(const Program& p, size_t at, const ExecuteArgs& args, CallContext& context) {
  ProgramCall call = p.calls[at];
  if (const Status s = p.bind(args, call, context); s != Status::ok) return s;
  const KernelTable& table = p.table();
  const auto* packed = reinterpret_cast<const float*>(static_cast<const char*>(args.packed) + p.weight_offset[at]);
  switch (p.kinds[at]) {
    case CallKind::packed_conv2d:
      return table.packed_conv2d.run(context, conv2d_of(call), packed);
    case CallKind::packed_matmul:
      return table.packed_matmul.run(context, matmul_of(call), packed);
    case CallKind::eager:
      return table.run[static_cast<int>(call.primitive)](&context, call.args.bytes);
  }
  return Status::invalid_argument;
}

Status execute(const Executable* e, const ExecuteArgs* args, StreamHandle stream) {
  if (e == nullptr || args == nullptr || !program_of(e)->ready(*args)) return Status::invalid_argument;
  const Program& p = *program_of(e);
  for (size_t at = 0; at < p.calls.size(); ++at) {
    CallContext context{.self = const_cast<CpuBackend*>(p.cpu), .stream = stream};
    if (const Status s = run_call(p, at, *args, context); s != Status::ok) return s;
    if (args->kernels != nullptr) args->kernels[at] = context.kernel;
  }
  return Status::ok;
}

}  // namespace

CompileFunctions compile_functions() {
  return {.describe = describe,
          .info = info,
          .plan = plan,
          .fill = fill,
          .same_packing = same_packing,
          .execute = execute,
          .destroy = [](Executable* e) { delete program_of(e); }};
}

}  // namespace graft::cpu
