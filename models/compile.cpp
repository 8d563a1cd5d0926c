#include "models/compile.h"

#include <mutex>
#include <utility>

#include "core/error.h"
#include "models/fold.h"

namespace graft::models {

namespace {

void check(const Backend& backend, Status status, const char* doing) {
  if (status == Status::ok) return;
  const bool has_text = status == Status::device_error && backend.device.last_error;
  const char* text = has_text ? backend.device.last_error(backend.self) : nullptr;
  fail("{}: {} failed: {}{}{}", backend.name, doing, name_of(status), text ? ": " : "", text ? text : "");
}

// Memory of the backend's device, given back with the object.
class DeviceMemory {
 public:
  DeviceMemory() = default;
  DeviceMemory(const Backend& backend, int64_t bytes, const char* what) : backend_(&backend), bytes_(bytes) {
    if (bytes > 0) check(backend, backend.device.allocate(backend.self, bytes, &memory_), what);
  }
  DeviceMemory(DeviceMemory&& o) noexcept
      : backend_(o.backend_), memory_(std::exchange(o.memory_, nullptr)), bytes_(o.bytes_) {}
  DeviceMemory& operator=(DeviceMemory&& o) noexcept {
    std::swap(backend_, o.backend_);
    std::swap(memory_, o.memory_);
    std::swap(bytes_, o.bytes_);
    return *this;
  }
  ~DeviceMemory() {
    if (memory_) backend_->device.release(backend_->self, memory_, bytes_);
  }
  void* get() const { return memory_; }

 private:
  const Backend* backend_ = nullptr;
  void* memory_ = nullptr;
  int64_t bytes_ = 0;
};

// `done` follows the last call that used it: another stream waits for that before it uses the memory.
struct Arena {
  DeviceMemory memory;
  EventHandle done = nullptr;
  StreamHandle stream = nullptr;
};

}  // namespace

struct CompiledPiece::State {
  State(const Backend& b, InferencePlan p) : backend(b), plan(std::move(p)) {}
  State(const State&) = delete;
  State& operator=(const State&) = delete;
  ~State() {
    for (Arena& arena : idle) {
      backend.device.synchronize_event(backend.self, arena.done);
      backend.device.destroy_event(backend.self, arena.done);
    }
    if (executable) backend.compile.destroy(executable);
  }

  Arena acquire(StreamHandle stream) {
    {
      const std::lock_guard lock(mutex);
      if (!idle.empty()) {
        Arena arena = std::move(idle.back());
        idle.pop_back();
        if (arena.stream != stream)
          check(backend, backend.device.wait_event(backend.self, stream, arena.done), "waiting for an event");
        return arena;
      }
    }
    Arena arena{DeviceMemory(backend, report.arena_bytes, "allocating the arena"), nullptr, stream};
    check(backend, backend.device.create_event(backend.self, &arena.done), "creating an event");
    return arena;
  }
  void give_back(Arena arena, StreamHandle stream) {
    arena.stream = stream;
    const Status status = backend.device.record_event(backend.self, arena.done, stream);
    const std::lock_guard lock(mutex);
    idle.push_back(std::move(arena));
    check(backend, status, "recording an event");
  }

  const Backend& backend;
  InferencePlan plan;
  Executable* executable = nullptr;
  DeviceMemory packed;
  CompileReport report;
  std::mutex mutex;
  std::vector<Arena> idle;
};

CompiledPiece::CompiledPiece(const Backend& backend, InferencePlan plan, const ReadWeights& read)
    : state_(std::make_unique<State>(backend, std::move(plan))) {
  State& s = *state_;
  const CompileFunctions& compile = backend.compile;
  std::vector<RecordedCall> calls;
  const Piece piece = piece_of(s.plan, calls);
  check(backend, compile.describe(backend.self, &piece, &s.executable), "compiling");
  ExecutableInfo info;
  check(backend, compile.info(s.executable, &info), "compiling");

  const int32_t count = info.lifetime_count;
  std::vector<int64_t> offsets(static_cast<size_t>(count));
  std::vector<int32_t> scratch(2 * static_cast<size_t>(count));
  s.report.packed_bytes = info.packed_bytes;
  s.report.arena_bytes = plan_intervals(info.lifetimes, count, offsets.data(), scratch.data());
  s.report.arena_lower_bound = graft::arena_lower_bound(info.lifetimes, count);
  check(backend, compile.plan(s.executable, offsets.data()), "planning memory");

  s.packed = DeviceMemory(backend, info.packed_bytes, "allocating weights");
  FoldingSource folding(s.plan, read);
  const ConstantSource source = folding.source();
  const Status status = compile.fill(s.executable, s.packed.get(), &source);
  folding.rethrow();
  check(backend, status, "packing weights");
}

CompiledPiece::~CompiledPiece() = default;
CompiledPiece::CompiledPiece(CompiledPiece&&) noexcept = default;
CompiledPiece& CompiledPiece::operator=(CompiledPiece&&) noexcept = default;

void CompiledPiece::run(std::span<const void* const> inputs, std::span<void* const> outputs,
                        StreamHandle stream) const {
  State& s = *state_;
  GRAFT_CHECK(inputs.size() == s.plan.inputs.size() && outputs.size() == s.plan.outputs.size(),
              "a compiled piece with {} inputs and {} outputs was given {} and {}", s.plan.inputs.size(),
              s.plan.outputs.size(), inputs.size(), outputs.size());
  std::vector<void*> buffers(s.plan.buffers.size());
  for (size_t i = 0; i < inputs.size(); ++i)
    buffers[static_cast<size_t>(s.plan.inputs[i])] = const_cast<void*>(inputs[i]);
  for (size_t i = 0; i < outputs.size(); ++i) buffers[static_cast<size_t>(s.plan.outputs[i])] = outputs[i];

  Arena arena = s.acquire(stream);
  ExecuteArgs args;
  args.packed = s.packed.get();
  args.arena = arena.memory.get();
  args.buffers = buffers.data();
  const Status status = s.backend.compile.execute(s.executable, &args, stream);
  s.give_back(std::move(arena), stream);
  check(s.backend, status, "executing a compiled piece");
}

const CompileReport& CompiledPiece::report() const { return state_->report; }
const InferencePlan& CompiledPiece::plan() const { return state_->plan; }
Shape CompiledPiece::input_shape(size_t i) const {
  return state_->plan.buffers[static_cast<size_t>(state_->plan.inputs.at(i))].shape;
}
Shape CompiledPiece::output_shape(size_t i) const {
  return state_->plan.buffers[static_cast<size_t>(state_->plan.outputs.at(i))].shape;
}

}  // namespace graft::models
