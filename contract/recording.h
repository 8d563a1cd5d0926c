// Calls written down instead of executed. The views of a recorded call hold virtual addresses: a buffer's number and a
// byte offset within it. Whoever executes the list decides where each buffer lies and puts real addresses in their
// place.
#pragma once
#include <cstdint>

#include "contract/primitives.h"

namespace graft {

// Bit 63 marks a virtual address (user space ends at bit 47 or 56); 19 bits of number, 44 of offset.
inline constexpr uint64_t kVirtualMark = uint64_t{1} << 63;
inline constexpr int kVirtualShift = 44;
inline constexpr int32_t kMaxBuffers = int32_t{1} << 19;

inline void* virtual_address(int32_t buffer, int64_t offset = 0) {
  return reinterpret_cast<void*>(kVirtualMark | static_cast<uint64_t>(buffer) << kVirtualShift |
                                 static_cast<uint64_t>(offset));
}
inline bool is_virtual(const void* address) { return (reinterpret_cast<uint64_t>(address) & kVirtualMark) != 0; }
inline int32_t buffer_of(const void* address) {
  return static_cast<int32_t>((reinterpret_cast<uint64_t>(address) & ~kVirtualMark) >> kVirtualShift);
}
inline int64_t offset_of(const void* address) {
  return static_cast<int64_t>(reinterpret_cast<uint64_t>(address) & ((uint64_t{1} << kVirtualShift) - 1));
}

struct RecordedCall {
  Primitive primitive = {};
  int32_t layer = -1;  // whose name an error carries; an index into a list that the recorder keeps
  const void* args = nullptr;
};

enum class BufferKind : int32_t {
  input,      // given at each execution
  output,     // written at each execution, to a place the caller gives
  constant,   // a weight, known when the piece is filled
  temporary,  // lives in the arena
};

struct PieceBuffer {
  BufferKind kind = BufferKind::temporary;
  Shape shape;
  DType dtype = DType::f32;
};

// A frozen part of a network, after folding and fusing: calls in order over numbered buffers.
struct Piece {
  const RecordedCall* calls = nullptr;
  const PieceBuffer* buffers = nullptr;
  int32_t call_count = 0, buffer_count = 0;
};

}  // namespace graft
