// Compile: the calls of a piece are copied, weights go to the device once, and an execution queues one launch list.
//
//   describe  which calls, their workspaces and buffers; an elementwise result takes over its input's memory
//   fill      rows arrive as the file has them, are scaled in double, rounded once and copied chunk by chunk
//   execute   queues the launches; it reads the Executable only, so any number of threads may do it at once
//
// Weights keep the order of memory: kernels read [K,R,S,C] as it is, where 16 bytes are neighbouring channels.
#include "kernels/cuda/compile.h"

#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include <new>
#include <vector>

#include "contract/piece_memory.h"
#include "contract/without_exceptions.h"
#include "kernels/cuda/convert.h"
#include "kernels/cuda/device.h"

namespace graft::cuda {

namespace {

struct Program : PieceProgram {
  explicit Program(void* backend) : self(backend) {}
  void* self;  // CudaBackend
};

Program* program_of(Executable* e) { return reinterpret_cast<Program*>(e); }
const Program* program_of(const Executable* e) { return reinterpret_cast<const Program*>(e); }

// ---- describe

Status choose_kernels(Program& p) {
  for (const ProgramBuffer& b : p.buffers)
    if (b.kind == BufferKind::constant && b.view.dtype == DType::f64) return Status::unsupported;
  for (ProgramCall& call : p.calls) {
    const auto index = static_cast<int32_t>(call.primitive);
    if (const Status status = check_args(call.primitive, call.args.bytes); status != Status::ok) return status;
    if (kernels().run[index] == nullptr) return Status::unsupported;
    if (const auto bytes = kernels().workspace_bytes[index]; bytes != nullptr)
      call.workspace_bytes = bytes(p.self, call.args.bytes);
  }
  for (int32_t i = 0; i < static_cast<int32_t>(p.buffers.size()); ++i)
    if (p.buffer_at(i).kind == BufferKind::constant && p.buffer_at(i).first >= 0)
      p.pack(i, -1, p.buffer_at(i).view.bytes());
  return Status::ok;
}

Status describe(void* self, const Piece* piece, Executable** out) {
  if (out == nullptr) return Status::invalid_argument;
  auto* p = new (std::nothrow) Program(self);
  if (p == nullptr) return Status::out_of_memory;
  const Status status = without_exceptions([&] {
    if (const Status s = p->copy(piece); s != Status::ok) return s;
    if (const Status s = choose_kernels(*p); s != Status::ok) return s;
    take_over_memory(*p, [](int32_t, int) { return false; });
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

bool same_packing(const Executable* left, const Executable* right) {
  if (left == nullptr || right == nullptr) return false;
  const Program &a = *program_of(left), &b = *program_of(right);
  return a.self == b.self && a.packed == b.packed;
}

// ---- fill

// Rows of a constant that are neighbours in memory too: all axes but the first belong to a row, except for a
// depthwise weight [R,S,C], whose rows are channels.
bool rows_are_neighbours(const Shape& shape) { return shape.rank != 3; }

// One chunk at a time goes through `bytes`, which may be used again once the copy has read it.
Status fill_constant(const Program& p, const PackedConstant& constant, const ConstantSource& source, char* to,
                     std::vector<float>& chunk, std::vector<char>& bytes) {
  const DeviceFunctions device = device_functions();
  Status copied = Status::ok;
  const auto send = [&](int64_t at, int64_t count) {
    if (copied == Status::ok)
      copied = device.copy(p.self, nullptr, to + at, bytes.data(), count, CopyKind::host_to_device);
    if (copied == Status::ok) copied = device.synchronize(p.self, nullptr);
  };
  const auto element = static_cast<int64_t>(size_of(constant.dtype));
  const int64_t whole = constant.shape.numel() * element, row = whole / std::max<int64_t>(1, constant.shape[0]);
  const bool by_chunk = rows_are_neighbours(constant.shape);
  if (!by_chunk) bytes.resize(static_cast<size_t>(whole));
  const Status pulled =
      pull_rows(source, constant, chunk, [&](int64_t first, int64_t rows, const float* values, const float* scale) {
        if (by_chunk) bytes.resize(static_cast<size_t>(rows * row));
        const int64_t at = by_chunk ? 0 : first;
        const auto store = [&]<typename T>(T* memory) {
          store_rows(constant.shape, at, rows, values, scale, memory, [](double v) { return converted<T>(v); });
        };
        if (constant.dtype == DType::bf16)
          store(reinterpret_cast<__nv_bfloat16*>(bytes.data()));
        else if (constant.dtype == DType::f16)
          store(reinterpret_cast<__half*>(bytes.data()));
        else
          store(reinterpret_cast<float*>(bytes.data()));
        if (by_chunk) send(first * row, rows * row);
      });
  if (pulled != Status::ok) return pulled;
  if (!by_chunk) send(0, whole);
  return copied;
}

Status fill(const Executable* e, void* packed, const ConstantSource* source) {
  if (e == nullptr) return Status::invalid_argument;
  const Program& p = *program_of(e);
  if (p.packed_bytes == 0) return Status::ok;
  if (packed == nullptr || source == nullptr || source->read == nullptr) return Status::invalid_argument;
  return without_exceptions([&] {
    std::vector<float> chunk;
    std::vector<char> bytes;
    for (const PackedConstant& constant : p.packed) {
      char* to = static_cast<char*>(packed) + constant.offset;
      if (const Status s = fill_constant(p, constant, *source, to, chunk, bytes); s != Status::ok) return s;
    }
    return Status::ok;
  });
}

// ---- execute

Status execute(const Executable* e, const ExecuteArgs* args, StreamHandle stream) {
  if (e == nullptr || args == nullptr || !program_of(e)->ready(*args)) return Status::invalid_argument;
  const Program& p = *program_of(e);
  for (size_t at = 0; at < p.calls.size(); ++at) {
    ProgramCall call = p.calls[at];
    CallContext context{.self = p.self, .stream = stream};
    if (const Status s = p.bind(*args, call, context); s != Status::ok) return s;
    const auto run = kernels().run[static_cast<int>(call.primitive)];
    if (const Status s = run(&context, call.args.bytes); s != Status::ok) return s;
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

}  // namespace graft::cuda
