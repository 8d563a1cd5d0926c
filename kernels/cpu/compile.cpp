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

#include "contract/executable.h"
#include "contract/piece_memory.h"
#include "kernels/cpu/dispatch.h"

namespace graft::cpu {
namespace {

enum class CallKind { eager, packed_conv2d, packed_matmul };

struct Program : PieceProgram {
  Status choose_kernels();
  bool same_order(const Program& other) const;
  Status fill(const PackedConstant&, const ConstantSource&, std::vector<float>& chunk, char* to) const;
  Status run(size_t at, const ProgramCall&, CallContext&, const ExecuteArgs&) const;

 private:
  const CpuBackend& cpu() const { return *static_cast<const CpuBackend*>(self); }
  bool is(CallKind kind, int32_t call) const { return kinds_[static_cast<size_t>(call)] == kind; }

  std::vector<CallKind> kinds_;         // by call
  std::vector<int64_t> weight_offset_;  // by call: of its packed weight
};

const Conv2dArgs& conv2d_of(const ProgramCall& c) { return *reinterpret_cast<const Conv2dArgs*>(c.args.bytes); }
const MatmulArgs& matmul_of(const ProgramCall& c) { return *reinterpret_cast<const MatmulArgs*>(c.args.bytes); }

// ---- describe

// A weight, view 1 of its call, goes into panels; a constant that any call reads otherwise stays in the order of
// memory.
Status Program::choose_kernels() {
  const KernelTable& table = *cpu().table;
  const int threads = cpu().pool.threads();
  std::vector<bool> plain(buffers.size());
  for (const ProgramBuffer& b : buffers)
    if (b.kind == BufferKind::constant && b.view.dtype != DType::f32) return Status::unsupported;
  for (int32_t at = 0; at < static_cast<int32_t>(calls.size()); ++at) {
    ProgramCall& call = calls[static_cast<size_t>(at)];
    if (const Status status = check_f32_args(call.primitive, call.args.bytes); status != Status::ok) return status;
    CallKind kind = CallKind::eager;
    int64_t packed_floats = 0;
    if (call.primitive == Primitive::conv2d && is_whole_constant(conv2d_of(call).weight, *this)) {
      kind = CallKind::packed_conv2d;
      packed_floats = table.packed_conv2d.packed_floats(conv2d_of(call));
      call.workspace_bytes = table.packed_conv2d.workspace_bytes(threads, conv2d_of(call));
    } else if (call.primitive == Primitive::matmul && matmul_of(call).transpose_b != 0 &&
               is_whole_constant(matmul_of(call).b, *this)) {
      kind = CallKind::packed_matmul;
      packed_floats = table.packed_matmul.packed_floats(matmul_of(call));
      call.workspace_bytes = table.packed_matmul.workspace_bytes(threads, matmul_of(call));
    } else if (const auto bytes = table.workspace_bytes[static_cast<int>(call.primitive)]; bytes != nullptr) {
      call.workspace_bytes = bytes(threads, call.args.bytes);
    }
    kinds_.push_back(kind);
    weight_offset_.push_back(packed_bytes);

    const TensorView* views = views_of(call.args.bytes);
    for (int v = 0; v < info_of(call.primitive).roles.inputs; ++v) {
      if (!views[v].present() || !is_virtual(views[v].data)) continue;
      const int32_t number = buffer_of(views[v].data);
      if (buffer_at(number).kind != BufferKind::constant) continue;
      if (v == 1 && kind != CallKind::eager)
        pack(number, at, packed_floats * static_cast<int64_t>(sizeof(float)));
      else
        plain[static_cast<size_t>(number)] = true;
    }
  }
  for (int32_t i = 0; i < static_cast<int32_t>(buffers.size()); ++i)
    if (plain[static_cast<size_t>(i)]) pack(i, -1, buffer_at(i).view.bytes());
  // A packed convolution's epilogue reads its residual where it then writes.
  take_over_memory(*this, [this](int32_t at, int input) { return is(CallKind::packed_conv2d, at) && input == 3; });
  return Status::ok;
}

// ---- fill

// Panels follow the weight's shape, its groups and the instruction set: nothing else of a call.
bool Program::same_order(const Program& other) const {
  for (const PackedConstant& constant : packed) {
    if (constant.call < 0) continue;
    const auto at = static_cast<size_t>(constant.call);
    if (kinds_[at] != other.kinds_[at] || (kinds_[at] == CallKind::packed_conv2d &&
                                           conv2d_of(calls[at]).conv.groups != conv2d_of(other.calls[at]).conv.groups))
      return false;
  }
  return true;
}

Status Program::fill(const PackedConstant& constant, const ConstantSource& source, std::vector<float>& chunk,
                     char* to) const {
  auto* floats = reinterpret_cast<float*>(to);
  if (constant.call < 0)
    return pull_rows(source, constant, chunk,
                     [&](int64_t first, int64_t rows, const float* values, const float* scale) {
                       store_rows(constant.shape, first, rows, values, scale, floats);
                     });
  std::memset(to, 0, static_cast<size_t>(constant.bytes));  // panels end in columns of zeros
  const ProgramCall& call = calls[static_cast<size_t>(constant.call)];
  return pull_rows(source, constant, chunk, [&](int64_t first, int64_t rows, const float* values, const float* scale) {
    if (is(CallKind::packed_conv2d, constant.call))
      cpu().table->packed_conv2d.pack_rows(conv2d_of(call), first, rows, values, scale, floats);
    else
      cpu().table->packed_matmul.pack_rows(matmul_of(call), first, rows, values, scale, floats);
  });
}

// ---- execute

Status Program::run(size_t at, const ProgramCall& call, CallContext& context, const ExecuteArgs& args) const {
  const KernelTable& table = *cpu().table;
  const auto* weight = reinterpret_cast<const float*>(static_cast<const char*>(args.packed) + weight_offset_[at]);
  switch (kinds_[at]) {
    case CallKind::packed_conv2d:
      return table.packed_conv2d.run(context, conv2d_of(call), weight);
    case CallKind::packed_matmul:
      return table.packed_matmul.run(context, matmul_of(call), weight);
    case CallKind::eager:
      return table.run[static_cast<int>(call.primitive)](&context, call.args.bytes);
  }
  return Status::invalid_argument;
}

}  // namespace

CompileFunctions compile_functions() { return compile_functions_of<Program>(); }

}  // namespace graft::cpu
