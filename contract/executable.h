// The functions of `compile` around a backend's own program: what hides behind an `Executable*`, what is checked at the
// border, and the walks over constants and calls.
//
// A Program derives from PieceProgram and holds what its backend alone does:
//   Status choose_kernels();                            after copy: workspaces, packed constants, memory taken over
//   bool same_order(const Program& other) const;        of the same constants: does fill order them the same way?
//   Status fill(const PackedConstant&, const ConstantSource&, std::vector<float>& chunk, char* to) const;
//   Status run(size_t at, const ProgramCall&, CallContext&, const ExecuteArgs&) const;    call `at`, its addresses
//   bound
// The last two read the program only, so any number of threads may be in them at once.
//
// For the inside of a backend: nothing of this crosses its border.
#pragma once
#include <new>
#include <vector>

#include "contract/piece_program.h"
#include "contract/without_exceptions.h"

namespace graft {

template <typename Program>
struct ProgramFunctions {
  static Program* program_of(Executable* e) { return reinterpret_cast<Program*>(e); }
  static const Program* program_of(const Executable* e) { return reinterpret_cast<const Program*>(e); }

  static Status describe(void* self, const Piece* piece, Executable** out) {
    if (out == nullptr) return Status::invalid_argument;
    auto* p = new (std::nothrow) Program;
    if (p == nullptr) return Status::out_of_memory;
    p->self = self;
    const Status status = without_exceptions([&] {
      if (const Status s = p->copy(piece); s != Status::ok) return s;
      if (const Status s = p->choose_kernels(); s != Status::ok) return s;
      p->list_lifetimes();
      return Status::ok;
    });
    if (status == Status::ok)
      *out = reinterpret_cast<Executable*>(p);
    else
      delete p;
    return status;
  }

  static Status info(const Executable* e, ExecutableInfo* out) {
    if (e == nullptr || out == nullptr) return Status::invalid_argument;
    *out = program_of(e)->info();
    return Status::ok;
  }

  static Status plan(Executable* e, const int64_t* offsets) {
    return e == nullptr ? Status::invalid_argument : program_of(e)->place(offsets);
  }

  static Status fill(const Executable* e, void* packed, const ConstantSource* source) {
    if (e == nullptr) return Status::invalid_argument;
    const Program& p = *program_of(e);
    if (p.packed_bytes == 0) return Status::ok;
    if (packed == nullptr || source == nullptr || source->read == nullptr) return Status::invalid_argument;
    return without_exceptions([&] {
      std::vector<float> chunk;
      for (const PackedConstant& constant : p.packed)
        if (const Status s = p.fill(constant, *source, chunk, static_cast<char*>(packed) + constant.offset);
            s != Status::ok)
          return s;
      return Status::ok;
    });
  }

  static bool same_packing(const Executable* left, const Executable* right) {
    if (left == nullptr || right == nullptr) return false;
    const Program &a = *program_of(left), &b = *program_of(right);
    return a.self == b.self && a.packed == b.packed && a.same_order(b);
  }

  static Status execute(const Executable* e, const ExecuteArgs* args, StreamHandle stream) {
    if (e == nullptr || args == nullptr || !program_of(e)->ready(*args)) return Status::invalid_argument;
    const Program& p = *program_of(e);
    for (size_t at = 0; at < p.calls.size(); ++at) {
      if (args->failed != nullptr) *args->failed = static_cast<int32_t>(at);
      ProgramCall call = p.calls[at];
      CallContext context{.self = p.self, .stream = stream};
      if (const Status s = p.bind(*args, call, context); s != Status::ok) return s;
      if (const Status s = p.run(at, call, context, *args); s != Status::ok) return s;
      if (args->kernels != nullptr) args->kernels[at] = context.kernel;
    }
    return Status::ok;
  }
};

template <typename Program>
constexpr CompileFunctions compile_functions_of() {
  using Functions = ProgramFunctions<Program>;
  return {.describe = Functions::describe,
          .info = Functions::info,
          .plan = Functions::plan,
          .fill = Functions::fill,
          .same_packing = Functions::same_packing,
          .execute = Functions::execute,
          .destroy = [](Executable* e) { delete Functions::program_of(e); }};
}

}  // namespace graft
