// What a kernel library offers: a table of functions, in four parts.
//   device   memory, streams, events, copies, capture
//   run      each primitive, at once, on views (the tape uses these)
//   compile  a frozen piece of a network, chosen, packed and planned ahead (prediction uses this)
//   tune     which of several ways a call is computed (optional)
//
// Across this border go plain data and status codes: no exception, no std type, no ownership. Every function is
// noexcept in deed. A backend allocates no tensor memory and opens no file. A call may return before its work is done;
// the stream orders it.
#pragma once
#include <cstddef>
#include <cstdint>

#include "contract/plan_intervals.h"
#include "contract/primitives.h"
#include "contract/recording.h"
#include "contract/status.h"

namespace graft {

inline constexpr uint32_t kContractVersion = 1;

using StreamHandle = void*;  // nullptr: the device's default stream
using EventHandle = void*;
using CaptureHandle = void*;

// Where and with what a primitive runs.
struct CallContext {
  void* self = nullptr;  // Backend::self
  StreamHandle stream = nullptr;
  void* workspace = nullptr;  // kArenaAlignment-aligned, at least workspace_bytes(primitive, args)
  int64_t workspace_bytes = 0;
  const char* kernel = nullptr;  // out: the name of the kernel that ran, a string literal
};

enum class CopyKind : int32_t { host_to_device, device_to_host, device_to_device };

struct DeviceFunctions {
  Status (*allocate)(void* self, int64_t bytes, void** memory) = nullptr;
  void (*release)(void* self, void* memory, int64_t bytes) = nullptr;
  Status (*copy)(void* self, StreamHandle, void* to, const void* from, int64_t bytes, CopyKind) = nullptr;

  // Host memory that copies read and write while the program goes on. Optional: absent where a copy is done on return.
  Status (*allocate_host)(void* self, int64_t bytes, void** memory) = nullptr;
  void (*release_host)(void* self, void* memory) = nullptr;

  Status (*create_stream)(void* self, StreamHandle*) = nullptr;
  void (*destroy_stream)(void* self, StreamHandle) = nullptr;
  Status (*synchronize)(void* self, StreamHandle) = nullptr;  // returns when all work given to the stream is done

  Status (*create_event)(void* self, EventHandle*) = nullptr;
  void (*destroy_event)(void* self, EventHandle) = nullptr;
  Status (*record_event)(void* self, EventHandle, StreamHandle) = nullptr;
  Status (*wait_event)(void* self, StreamHandle, EventHandle) = nullptr;  // later work of the stream waits
  Status (*synchronize_event)(void* self, EventHandle) = nullptr;         // the caller waits

  // Optional: absent where replaying a list of calls gains nothing.
  Status (*begin_capture)(void* self, StreamHandle) = nullptr;
  Status (*end_capture)(void* self, StreamHandle, CaptureHandle*) = nullptr;
  Status (*replay)(void* self, StreamHandle, CaptureHandle) = nullptr;
  void (*destroy_capture)(void* self, CaptureHandle) = nullptr;

  // Optional: a name, for a profiler, around what this thread calls in between. They nest.
  void (*begin_range)(void* self, const char* name) = nullptr;
  void (*end_range)(void* self) = nullptr;

  // May products of f32 round their factors to TF32's 11 significant bits? Not until this says so; it holds for what is
  // called and described afterwards. Optional: absent where it would change nothing.
  Status (*allow_tf32)(void* self, bool allow) = nullptr;

  // Text for the last device_error or out_of_memory on this thread; empty where the status says it all.
  const char* (*last_error)(void* self) = nullptr;
  const char* (*description)(void* self) = nullptr;  // "AVX-512, 2 threads"

  // What of this machine chose the last bits of a result: "avx512". Never the threads. Optional: absent where nothing
  // did.
  const char* (*instruction_set)(void* self) = nullptr;
};

// Weights of a piece, pulled in chunks while they are packed. A row belongs to one output channel and arrives as the
// file has it, in PyTorch's order: a convolution's [K,R,S,C] as rows of [C][R][S], a depthwise [R,S,C] as rows (one a
// channel) of [R][S], a linear layer's [out, in] as rows of in, a vector as rows of one.
struct ConstantSource {
  void* self = nullptr;
  Status (*read)(void* self, int32_t buffer, int64_t first_row, int64_t rows, float* out) = nullptr;
  const float* (*scale)(void* self, int32_t buffer) = nullptr;  // a factor for each row, or nullptr: 1
};

struct Executable;  // a backend's own

struct ExecutableInfo {
  int64_t packed_bytes = 0;             // memory for the packed weights, shared by all executions
  const Lifetime* lifetimes = nullptr;  // temporaries and workspaces, in order of execution
  int32_t lifetime_count = 0;
};

struct ExecuteArgs {
  const void* packed = nullptr;
  void* arena = nullptr;           // one for each execution under way at the same time
  void* const* buffers = nullptr;  // by buffer number: addresses of inputs and outputs
  const char** kernels = nullptr;  // out, optional: a name for each call of the piece; nullptr: fused away
  int32_t* failed = nullptr;       // out, optional: the call that an execution which fails came to
};

struct CompileFunctions {
  Status (*describe)(void* self, const Piece*, Executable**) = nullptr;  // chooses; keeps no pointer into the piece
  Status (*info)(const Executable*, ExecutableInfo*) = nullptr;          // valid until destroy
  Status (*plan)(Executable*, const int64_t* offsets) = nullptr;         // where each lifetime lies in the arena
  // Reads the Executable only: it may be filled again, into other memory, while it executes.
  Status (*fill)(const Executable*, void* packed, const ConstantSource*) = nullptr;
  // May each execute what the other's `fill` has packed from one source? So it is where calls and constants are the
  // same and only the batch differs; a backend that chooses an order of weights by the batch says no.
  bool (*same_packing)(const Executable*, const Executable*) = nullptr;
  Status (*execute)(const Executable*, const ExecuteArgs*, StreamHandle) = nullptr;  // safe from many threads at once
  void (*destroy)(Executable*) = nullptr;
};

// How a call is computed where there are several ways. Without a choice the backend's rule decides; nothing is ever
// timed here: whoever times the ways, in whichever order, makes the choices and keeps them in a file. Optional.
struct TuneFunctions {
  // What of a call decides between ways, as one line of text, and the number of ways, 0: none to choose from.
  Status (*ways)(void* self, Primitive, const void* args, char* key, int64_t key_bytes, int32_t* count) = nullptr;
  // The name of a way, the same as long as the versions are. Way 0 is the rule's.
  Status (*way)(void* self, Primitive, const void* args, int32_t index, char* name, int64_t name_bytes) = nullptr;
  // From now on, for calls and described pieces; name nullptr: the rule's. A name that is no way of a call leaves it to
  // the rule.
  Status (*choose)(void* self, const char* key, const char* name) = nullptr;
  const char* (*versions)(void* self) = nullptr;  // of all that names depend on: "cuDNN 9.14.0, cuBLASLt 13.1.0"
};

struct Backend {
  uint32_t bytes = sizeof(Backend);  // of this struct, as the library knew it
  uint32_t version = kContractVersion;
  const char* name = nullptr;  // "reference", "cpu", "cuda"
  void* self = nullptr;
  void (*destroy)(void* self) = nullptr;
  DeviceFunctions device;
  Status (*run[kPrimitiveCount])(CallContext*, const void* args) = {};            // nullptr: not supported
  int64_t (*workspace_bytes)(void* self, Primitive, const void* args) = nullptr;  // reads shapes only
  CompileFunctions compile;
  TuneFunctions tune;
};

}  // namespace graft
