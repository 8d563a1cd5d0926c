#include "tests/cuda_on_host/shared_memory.h"

#include <fmt/format.h>

#include <cstring>
#include <vector>

#include "tests/cuda_on_host/cuda_on_host.h"
#include "tests/cuda_on_host/grid.h"
#include "tests/cuda_on_host/memory_map.h"
#include "tests/cuda_on_host/race_checker.h"

namespace graft::cuda_on_host {
namespace {

constexpr size_t kGap = 1024;  // between arrays: an overrun falls into it
constexpr size_t kAlignment = 128;
constexpr size_t kStaticLimit = 48 << 10;  // of a kernel, in declared arrays

struct Placed {
  const char* name;
  uintptr_t begin;
  size_t bytes;
};
std::vector<Placed> arrays;
uint32_t block_run = 0;
uintptr_t next = 0;
size_t declared = 0;
void* dynamic = nullptr;

void* place(const char* name, size_t bytes) {
  Stretch& stretch = shared_stretch();
  const uintptr_t begin = next;
  next += (bytes + kGap + kAlignment - 1) / kAlignment * kAlignment;
  if (next > stretch.begin + stretch.bytes)
    give_up_grid(fmt::format("shared array {} of {} bytes: too much shared memory", name, bytes));
  arrays.push_back({name, begin, bytes});
  stretch.set_states(begin, bytes, ByteState::unwritten);
  auto* memory = reinterpret_cast<void*>(begin);
  std::memset(memory, 0xff, bytes);
  return memory;
}

}  // namespace

void begin_shared_memory(size_t dynamic_bytes) {
  Stretch& stretch = shared_stretch();
  if (next == 0) next = stretch.begin + stretch.bytes;  // all of it, the first time
  stretch.set_states(stretch.begin, next - stretch.begin, ByteState::forbidden);
  arrays.clear();
  ++block_run;
  next = stretch.begin + kGap;
  declared = 0;
  dynamic = place("of the launch's size", dynamic_bytes);
}

size_t static_shared_bytes() { return declared; }

std::string describe_shared(uintptr_t address) {
  const Placed* nearest = nullptr;
  for (const auto& array : arrays)
    if (array.begin <= address && (array.bytes || !nearest)) nearest = &array;
  if (!nearest) return "an address before all shared arrays";
  return fmt::format("byte {} of shared array {} ({} bytes)", address - nearest->begin, nearest->name, nearest->bytes);
}

void* shared_array(SharedArray& array) {
  const HarnessScope harness;
  if (array.block != block_run) {
    declared += array.bytes;
    if (declared > kStaticLimit)
      give_up_grid(fmt::format("shared array {}: the kernel declares {} bytes of shared memory, {} are allowed",
                               array.name, declared, kStaticLimit));
    array.memory = place(array.name, array.bytes);
    array.block = block_run;
  }
  return array.memory;
}

void* dynamic_shared() { return dynamic; }

}  // namespace graft::cuda_on_host
