// The "device" is the host: memory from the heap, copies by memmove, and no work that is ever late.
#include <cstring>
#include <new>

#include "contract/plan_intervals.h"
#include "contract/recording.h"
#include "kernels/reference/backend_parts.h"

namespace graft::reference {

namespace {

constexpr std::align_val_t kAlignment{kArenaAlignment};
constexpr int64_t kMaxBytes = int64_t{1} << kVirtualShift;  // no recorded offset goes further

Status allocate(void*, int64_t bytes, void** memory) {
  if (bytes < 0 || memory == nullptr) return Status::invalid_argument;
  *memory = bytes > kMaxBytes ? nullptr : ::operator new(static_cast<size_t>(bytes), kAlignment, std::nothrow);
  return *memory == nullptr ? Status::out_of_memory : Status::ok;
}

void release(void*, void* memory, int64_t) { ::operator delete(memory, kAlignment); }

Status copy(void*, StreamHandle, void* to, const void* from, int64_t bytes, CopyKind) {
  if (bytes < 0 || (bytes > 0 && (to == nullptr || from == nullptr))) return Status::invalid_argument;
  if (bytes > 0) std::memmove(to, from, static_cast<size_t>(bytes));
  return Status::ok;
}

// A stream or an event is any address that is not null: there is nothing to remember.
Status create_handle(void*, void** handle) {
  static char place;
  if (handle == nullptr) return Status::invalid_argument;
  *handle = &place;
  return Status::ok;
}
void destroy_handle(void*, void*) {}
Status already_done(void*, void*) { return Status::ok; }
Status already_in_order(void*, void*, void*) { return Status::ok; }

}  // namespace

DeviceFunctions device_functions() {
  DeviceFunctions device;
  device.allocate = allocate;
  device.release = release;
  device.copy = copy;
  device.create_stream = create_handle;
  device.destroy_stream = destroy_handle;
  device.synchronize = already_done;
  device.create_event = create_handle;
  device.destroy_event = destroy_handle;
  device.record_event = already_in_order;
  device.wait_event = already_in_order;
  device.synchronize_event = already_done;
  device.last_error = [](void*) { return ""; };
  device.description = [](void*) { return "plain loops, 1 thread"; };
  return device;
}

}  // namespace graft::reference
