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

#include <vector>

#include "contract/executable.h"
#include "contract/piece_memory.h"
#include "kernels/cuda/convert.h"
#include "kernels/cuda/device.h"
#include "kernels/cuda/ways.h"

namespace graft::cuda {

namespace {

// Rows of a constant that are neighbours in memory too: all axes but the first belong to a row, except for a
// depthwise weight [R,S,C], whose rows are channels.
bool rows_are_neighbours(const Shape& shape) { return shape.rank != 3; }

struct Program : PieceProgram {
  CudaBackend as_described;  // its choices stay those of then: workspaces are planned for them

  Status choose_kernels() {
    as_described = snapshot(*static_cast<const CudaBackend*>(self));
    for (const ProgramBuffer& b : buffers)
      if (b.kind == BufferKind::constant && b.view.dtype == DType::f64) return Status::unsupported;
    for (ProgramCall& call : calls) {
      const auto index = static_cast<int32_t>(call.primitive);
      if (const Status status = check_args(call.primitive, call.args.bytes); status != Status::ok) return status;
      if (kernels().run[index] == nullptr) return Status::unsupported;
      if (const auto bytes = kernels().workspace_bytes[index]; bytes != nullptr)
        call.workspace_bytes = bytes(&as_described, call.args.bytes);
    }
    for (int32_t i = 0; i < static_cast<int32_t>(buffers.size()); ++i)
      if (buffer_at(i).kind == BufferKind::constant && buffer_at(i).first >= 0) pack(i, -1, buffer_at(i).view.bytes());
    take_over_memory(*this, [](int32_t, int) { return false; });
    return Status::ok;
  }

  bool same_order(const Program&) const { return true; }

  // One chunk at a time goes through `bytes`, which may be used again once the copy has read it.
  Status fill(const PackedConstant& constant, const ConstantSource& source, std::vector<float>& chunk, char* to) const {
    std::vector<char> bytes;
    const DeviceFunctions device = device_functions();
    Status copied = Status::ok;
    const auto send = [&](int64_t at, int64_t count) {
      if (copied == Status::ok)
        copied = device.copy(self, nullptr, to + at, bytes.data(), count, CopyKind::host_to_device);
      if (copied == Status::ok) copied = device.synchronize(self, nullptr);
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

  Status run(size_t, const ProgramCall& call, CallContext& context, const ExecuteArgs&) const {
    context.self = const_cast<CudaBackend*>(&as_described);  // which nobody changes
    return kernels().run[static_cast<int>(call.primitive)](&context, call.args.bytes);
  }
};

}  // namespace

CompileFunctions compile_functions() { return compile_functions_of<Program>(); }

}  // namespace graft::cuda
