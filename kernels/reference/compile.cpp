// Compile, in its plainest form: the calls of a piece are copied and run one by one. Nothing is fused and weights keep
// the order of memory; what remains is where every buffer lies.
#include "contract/executable.h"
#include "kernels/reference/backend_parts.h"

namespace graft::reference {

namespace {

struct Program : PieceProgram {
  Status choose_kernels() {
    for (const ProgramBuffer& b : buffers)
      if (b.kind == BufferKind::constant && b.view.dtype != vector_type(b.view.dtype)) return Status::unsupported;
    for (int32_t i = 0; i < static_cast<int32_t>(buffers.size()); ++i)
      if (buffer_at(i).kind == BufferKind::constant) pack(i, -1, buffer_at(i).view.bytes());
    return Status::ok;
  }

  bool same_order(const Program&) const { return true; }

  Status fill(const PackedConstant& constant, const ConstantSource& source, std::vector<float>& chunk, char* to) const {
    return pull_rows(source, constant, chunk,
                     [&](int64_t first, int64_t rows, const float* values, const float* scale) {
                       if (constant.dtype == DType::f64)
                         store_rows(constant.shape, first, rows, values, scale, reinterpret_cast<double*>(to));
                       else
                         store_rows(constant.shape, first, rows, values, scale, reinterpret_cast<float*>(to));
                     });
  }

  Status run(size_t, const ProgramCall& call, CallContext& context, const ExecuteArgs&) const {
    return reference::run(call.primitive, &context, call.args.bytes);
  }
};

}  // namespace

CompileFunctions compile_functions() { return compile_functions_of<Program>(); }

}  // namespace graft::reference
