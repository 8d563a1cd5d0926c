// Results that take over their input's place: an elementwise call whose input ends there needs no memory of its own.
//
// For the inside of a backend: nothing of this crosses its border.
#pragma once
#include "contract/check_args.h"
#include "contract/piece_program.h"

namespace graft {

// The buffer that a view is all of, or nullptr.
inline ProgramBuffer* whole_buffer(const TensorView& view, PieceProgram& p) {
  if (!view.present() || !is_virtual(view.data) || offset_of(view.data) != 0) return nullptr;
  ProgramBuffer& buffer = p.buffer_at(buffer_of(view.data));
  return buffer.view.bytes() == view.bytes() ? &buffer : nullptr;
}

inline bool is_whole_constant(const TensorView& view, PieceProgram& p) {
  const ProgramBuffer* buffer = whole_buffer(view, p);
  return buffer != nullptr && buffer->kind == BufferKind::constant && buffer->view.shape == view.shape;
}

// may(call, input): may the first output of that call take that input's place? The contract's own aliases always may.
template <typename May>
void take_over_memory(PieceProgram& p, May&& may) {
  const auto root_of = [&](const TensorView& v) {
    return v.present() && is_virtual(v.data) ? p.buffer_at(buffer_of(v.data)).root : -1;
  };
  for (int32_t at = 0; at < static_cast<int32_t>(p.calls.size()); ++at) {
    const ProgramCall& call = p.calls[static_cast<size_t>(at)];
    const TensorView* views = views_of(call.args.bytes);
    const Roles roles = info_of(call.primitive).roles;
    if (roles.inouts > 0 || roles.outputs != 1) continue;
    ProgramBuffer* out = whole_buffer(views[roles.inputs], p);
    if (out == nullptr || out->kind != BufferKind::temporary || out->first != at) continue;
    for (int v = 0; v < roles.inputs; ++v) {
      const ProgramBuffer* in = whole_buffer(views[v], p);
      if (in == nullptr || in->kind != BufferKind::temporary || in->view.bytes() != out->view.bytes()) continue;
      ProgramBuffer& root = p.buffer_at(in->root);
      bool allowed = root.last == at;  // and no other input that may not be overwritten lies there
      for (int other = 0; other < roles.inputs; ++other)
        if (root_of(views[other]) == in->root)
          allowed = allowed && (may_alias(call.primitive, other) || may(at, other));
      if (!allowed) continue;
      root.last = out->last;
      out->root = in->root;
      break;
    }
  }
}

}  // namespace graft
