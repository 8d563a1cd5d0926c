// Compile, in its plainest form: the calls of a piece are copied and run one by one. Nothing is fused and weights keep
// the order of memory; what remains is where every buffer lies.
#include "contract/piece_program.h"
#include "contract/without_exceptions.h"
#include "kernels/reference/backend_parts.h"

namespace graft::reference {

namespace {

// What hides behind an `Executable*`. Read only after `plan`, so executions on many threads share it.
PieceProgram* program_of(Executable* e) { return reinterpret_cast<PieceProgram*>(e); }
const PieceProgram* program_of(const Executable* e) { return reinterpret_cast<const PieceProgram*>(e); }

Status describe(void*, const Piece* piece, Executable** out) {
  if (out == nullptr) return Status::invalid_argument;
  auto* p = new (std::nothrow) PieceProgram;
  if (p == nullptr) return Status::out_of_memory;
  const Status status = without_exceptions([&] {
    if (const Status s = p->copy(piece); s != Status::ok) return s;
    for (const ProgramBuffer& b : p->buffers)
      if (b.kind == BufferKind::constant && b.view.dtype != vector_type(b.view.dtype)) return Status::unsupported;
    for (int32_t i = 0; i < static_cast<int32_t>(p->buffers.size()); ++i)
      if (p->buffer_at(i).kind == BufferKind::constant) p->pack(i, -1, p->buffer_at(i).view.bytes());
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

bool same_packing(const Executable* a, const Executable* b) {
  return a != nullptr && b != nullptr && program_of(a)->packed == program_of(b)->packed;
}

Status fill(const Executable* e, void* packed, const ConstantSource* source) {
  if (e == nullptr) return Status::invalid_argument;
  const PieceProgram& p = *program_of(e);
  if (p.packed_bytes > 0 && (packed == nullptr || source == nullptr || source->read == nullptr))
    return Status::invalid_argument;
  return without_exceptions([&] {
    std::vector<float> chunk;
    for (const PackedConstant& constant : p.packed) {
      void* to = static_cast<char*>(packed) + constant.offset;
      const auto store = [&](int64_t first, int64_t rows, const float* values, const float* scale) {
        if (constant.dtype == DType::f64)
          store_rows(constant.shape, first, rows, values, scale, static_cast<double*>(to));
        else
          store_rows(constant.shape, first, rows, values, scale, static_cast<float*>(to));
      };
      if (const Status s = pull_rows(*source, constant, chunk, store); s != Status::ok) return s;
    }
    return Status::ok;
  });
}

Status execute(const Executable* e, const ExecuteArgs* args, StreamHandle stream) {
  if (e == nullptr || args == nullptr || !program_of(e)->ready(*args)) return Status::invalid_argument;
  const PieceProgram& p = *program_of(e);
  for (size_t at = 0; at < p.calls.size(); ++at) {
    ProgramCall call = p.calls[at];
    CallContext context{.stream = stream};
    if (const Status s = p.bind(*args, call, context); s != Status::ok) return s;
    if (const Status s = run(call.primitive, &context, call.args.bytes); s != Status::ok) return s;
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

}  // namespace graft::reference
