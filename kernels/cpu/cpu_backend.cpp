// The table behind graft_cpu_backend: device functions over host memory, the chosen set of kernels, their workspaces.
#include "kernels/cpu/cpu_backend.h"

#include <cpuid.h>
#include <sched.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <new>

#include "kernels/cpu/compile.h"
#include "kernels/cpu/dispatch.h"

namespace graft::cpu {

namespace {

constexpr const char* kIsaNames[] = {"SSE4", "AVX2", "AVX-512"};
constexpr const char* kIsaVariables[] = {"sse4", "avx2", "avx512"};

bool has_f16c() {  // clang's __builtin_cpu_supports does not know it
  unsigned a = 0, b = 0, c = 0, d = 0;
  return __get_cpuid(1, &a, &b, &c, &d) != 0 && (c & bit_F16C) != 0;
}

// What the processor (and the operating system, which saves the registers) can run; false: not even SSE4.
bool best_isa(CpuIsa* isa) {
  __builtin_cpu_init();
  if (!__builtin_cpu_supports("sse4.2")) return false;
  *isa = CpuIsa::sse4;
  if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma") || !__builtin_cpu_supports("bmi2") ||
      !has_f16c())
    return true;
  *isa = CpuIsa::avx2;
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq") &&
      __builtin_cpu_supports("avx512bw"))
    *isa = CpuIsa::avx512;
  return true;
}

// False for a value that is none of the three: a misspelt limit must not be taken for no limit.
bool lower_by_environment(CpuIsa* isa) {
  const char* value = std::getenv("GRAFT_MAX_ISA");
  if (value == nullptr || *value == '\0') return true;
  for (int i = 0; i < 3; ++i)
    if (std::strcmp(value, kIsaVariables[i]) == 0) return *isa = std::min(*isa, static_cast<CpuIsa>(i)), true;
  return false;
}

int usable_cores() {
  cpu_set_t set;
  CPU_ZERO(&set);
  if (sched_getaffinity(0, sizeof(set), &set) == 0) return std::max(1, CPU_COUNT(&set));
  return std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
}

const KernelTable& table_of(CpuIsa isa) {
  static const auto tables = [] {
    struct {
      KernelTable of[3];
    } all;
    for (int i = 0; i < 3; ++i) {
#define X(family) enter_##family(static_cast<CpuIsa>(i), all.of[i]);
      GRAFT_CPU_FAMILIES(X)
#undef X
    }
    return all;
  }();
  return tables.of[static_cast<int>(isa)];
}

// ---- device: memory of the host; every call has finished when it returns, so streams and events have nothing to do

Status allocate(void*, int64_t bytes, void** memory) {
  if (bytes < 0) return Status::invalid_argument;
  const auto size = static_cast<size_t>(align_up(std::max<int64_t>(bytes, 1)));
  *memory = std::aligned_alloc(static_cast<size_t>(kArenaAlignment), size);
  return *memory != nullptr ? Status::ok : Status::out_of_memory;
}
void release(void*, void* memory, int64_t) { std::free(memory); }
Status copy(void*, StreamHandle, void* to, const void* from, int64_t bytes, CopyKind) {
  if (bytes < 0) return Status::invalid_argument;
  if (bytes > 0) std::memmove(to, from, static_cast<size_t>(bytes));
  return Status::ok;
}
Status create_stream(void*, StreamHandle* stream) { return *stream = nullptr, Status::ok; }
void destroy_stream(void*, StreamHandle) {}
Status synchronize(void*, StreamHandle) { return Status::ok; }
Status create_event(void*, EventHandle* event) { return *event = nullptr, Status::ok; }
void destroy_event(void*, EventHandle) {}
Status record_event(void*, EventHandle, StreamHandle) { return Status::ok; }
Status wait_event(void*, StreamHandle, EventHandle) { return Status::ok; }
Status synchronize_event(void*, EventHandle) { return Status::ok; }
const char* last_error(void*) { return ""; }
const char* instruction_set(void* self) {
  constexpr const char* kNames[] = {"sse4", "avx2", "avx512"};
  return kNames[static_cast<int>(static_cast<CpuBackend*>(self)->isa)];
}
const char* description(void* self) { return static_cast<CpuBackend*>(self)->description; }

int64_t workspace_bytes(void* self, Primitive primitive, const void* args) {
  const auto index = static_cast<int32_t>(primitive);
  if (index < 0 || index >= kPrimitiveCount) return 0;
  auto* cpu = static_cast<CpuBackend*>(self);
  const auto bytes = cpu->table->workspace_bytes[index];
  return bytes == nullptr ? 0 : bytes(cpu->pool.threads(), args);
}

}  // namespace
}  // namespace graft::cpu

graft::CpuIsa graft::cpu_isa_of(const Backend& backend) { return static_cast<cpu::CpuBackend*>(backend.self)->isa; }

extern "C" graft::Status graft_cpu_backend(const graft::CpuOptions* options, graft::Backend* out) {
  using namespace graft;
  using namespace graft::cpu;
  const CpuOptions chosen = options != nullptr ? *options : CpuOptions{};
  if (out == nullptr || chosen.threads < 0 || chosen.max_isa < CpuIsa::sse4 || chosen.max_isa > CpuIsa::avx512)
    return Status::invalid_argument;
  CpuIsa isa{};
  if (!best_isa(&isa)) return Status::unsupported;
  isa = std::min(isa, chosen.max_isa);
  if (!lower_by_environment(&isa)) return Status::invalid_argument;

  const int threads = chosen.threads > 0 ? chosen.threads : usable_cores();
  CpuBackend* cpu = nullptr;
  try {
    cpu = new CpuBackend{ThreadPool(threads), isa, &table_of(isa), {}};
  } catch (const std::exception&) {
    return Status::out_of_memory;  // no memory for the threads' stacks, or a limit on their number
  }
  std::snprintf(cpu->description, sizeof(cpu->description), "%s, %d thread%s", kIsaNames[static_cast<int>(isa)],
                cpu->pool.threads(), cpu->pool.threads() == 1 ? "" : "s");

  *out = Backend{};
  out->name = "cpu";
  out->self = cpu;
  out->destroy = [](void* self) { delete static_cast<CpuBackend*>(self); };
  out->device = {.allocate = allocate,
                 .release = release,
                 .copy = copy,
                 .create_stream = create_stream,
                 .destroy_stream = destroy_stream,
                 .synchronize = synchronize,
                 .create_event = create_event,
                 .destroy_event = destroy_event,
                 .record_event = record_event,
                 .wait_event = wait_event,
                 .synchronize_event = synchronize_event,
                 .begin_capture = nullptr,
                 .end_capture = nullptr,
                 .replay = nullptr,
                 .destroy_capture = nullptr,
                 .last_error = last_error,
                 .description = description,
                 .instruction_set = instruction_set};
  std::copy(std::begin(cpu->table->run), std::end(cpu->table->run), std::begin(out->run));
  out->workspace_bytes = workspace_bytes;
  out->compile = compile_functions();
  return Status::ok;
}
