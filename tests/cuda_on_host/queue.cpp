#include "tests/cuda_on_host/queue.h"

#include <fmt/format.h>

#include <algorithm>
#include <unordered_map>
#include <utility>

#include "tests/cuda_on_host/device_memory.h"
#include "tests/cuda_on_host/findings.h"

namespace graft::cuda_on_host {
namespace {

void join(Clock& clock, const Clock& other) {
  clock.resize(std::max(clock.size(), other.size()));
  for (size_t i = 0; i < other.size(); ++i) clock[i] = std::max(clock[i], other[i]);
}

// Everything that is not done and must be, before `last` is: the operations and how many of the others each waits for.
struct Needed {
  std::vector<OperationPointer> operations;
  std::unordered_map<const Operation*, size_t> waits_for;
  std::unordered_map<const Operation*, std::vector<OperationPointer>> then;
};

Needed needed_for(const std::vector<OperationPointer>& last) {
  Needed needed;
  std::vector<OperationPointer> open;
  const auto add = [&](const OperationPointer& operation) {
    if (!operation || operation->done || !needed.waits_for.emplace(operation.get(), 0).second) return;
    needed.operations.push_back(operation);
    open.push_back(operation);
  };
  for (const auto& operation : last) add(operation);
  while (!open.empty()) {
    const OperationPointer operation = std::move(open.back());
    open.pop_back();
    for (const auto& before : operation->after) {
      if (before->done) continue;
      add(before);
      ++needed.waits_for[operation.get()];
      needed.then[before.get()].push_back(operation);
    }
  }
  return needed;
}

}  // namespace

Options& options() {
  static Options value;
  return value;
}

Statistics& statistics() {
  static Statistics value;
  return value;
}

Device& device() {
  static auto* the_device = new Device;
  return *the_device;
}

Device::Device() { streams.push_back(std::make_unique<Stream>(Stream{.chain = chain_count++})); }

Stream* Device::stream_of(cudaStream_t handle) {
  if (handle == nullptr || handle == cudaStreamLegacy) return streams[0].get();
  for (const auto& stream : streams)
    if (stream.get() == reinterpret_cast<Stream*>(handle)) return stream.get();
  return nullptr;
}

Event* Device::event_of(cudaEvent_t handle) {
  for (const auto& event : events)
    if (event.get() == reinterpret_cast<Event*>(handle)) return event.get();
  return nullptr;
}

// The default stream and every blocking stream wait for each other (CUDA's "legacy default stream").
std::vector<OperationPointer> Device::before_next_of(Stream& stream) {
  std::vector<OperationPointer> before;
  for (const auto& other : streams) {
    const bool is_default = other.get() == streams[0].get() || &stream == streams[0].get();
    if (other.get() == &stream || (is_default && other->blocking && stream.blocking))
      if (other->last) before.push_back(other->last);
  }
  return before;
}

OperationPointer Device::add_operation(uint32_t chain, std::string name, Work work,
                                       std::vector<OperationPointer> after) {
  chain_lengths_.resize(std::max(chain_lengths_.size(), size_t{chain} + 1));
  const uint32_t number = ++chain_lengths_[chain];
  auto operation = std::make_shared<Operation>(
      Operation{std::move(name), std::move(work), std::move(after), {chain, number}, host_clock_});
  for (const auto& before : operation->after) join(operation->clock, before->clock);
  operation->clock.resize(std::max(operation->clock.size(), size_t{chain} + 1));
  operation->clock[chain] = number;
  std::erase_if(operation->after, [](const auto& before) { return before->done; });
  return operation;
}

cudaError_t Device::enqueue(Stream& stream, std::string name, Work work) {
  if (stream.capture) {
    auto& nodes = stream.capture->graph->nodes;
    nodes.push_back({std::move(name), std::move(work), stream.frontier, stream.branch});
    stream.frontier = {nodes.size() - 1};
    return cudaSuccess;
  }
  if (stream.blocking && std::any_of(streams.begin(), streams.end(), [&](const auto& other) {
        return other->capture && other->blocking && &stream == streams[0].get();
      })) {
    invalidate_captures();
    return cudaErrorStreamCaptureImplicit;
  }
  stream.last = add_operation(stream.chain, std::move(name), std::move(work), before_next_of(stream));
  return cudaSuccess;
}

cudaError_t Device::run(Operation& operation) {
  operation.done = true;
  operation.after.clear();
  ++statistics().operations;
  if (kRaceBuild) race_checker().begin_operation(operation.id, operation.clock, operation.name);
  if (!operation.work) return cudaSuccess;
  cudaError_t result = strike(faults.operation) ? faults.lost : operation.work();
  operation.work = nullptr;
  return result;
}

cudaError_t Device::run_until(const std::vector<OperationPointer>& last) {
  if (random_seed_ != options().seed) random_.seed(random_seed_ = options().seed);
  Needed needed = needed_for(last);
  std::vector<OperationPointer> ready;
  for (const auto& operation : needed.operations)
    if (needed.waits_for[operation.get()] == 0) ready.push_back(operation);
  while (!ready.empty() && sticky == cudaSuccess) {
    std::swap(ready[random_() % ready.size()], ready.back());
    const OperationPointer operation = std::move(ready.back());
    ready.pop_back();
    sticky = run(*operation);
    for (const auto& next : needed.then[operation.get()])
      if (--needed.waits_for[next.get()] == 0) ready.push_back(next);
  }
  for (const auto& operation : last)
    if (operation) join(host_clock_, operation->clock);
  return sticky;
}

cudaError_t Device::run_all() {
  std::vector<OperationPointer> last = std::exchange(orphans, {});
  for (const auto& stream : streams) last.push_back(stream->last);
  return run_until(last);
}

std::vector<std::shared_ptr<Capture>> Device::captures() const {
  std::vector<std::shared_ptr<Capture>> found;
  for (const auto& stream : streams)
    if (stream->capture && stream->is_origin) found.push_back(stream->capture);
  return found;
}

void Device::invalidate_captures() {
  for (const auto& capture : captures()) capture->invalidated = true;
}

bool strike(int64_t& countdown) {
  if (countdown == kNever) return false;
  return countdown-- == 0;
}

void plant(const Faults& faults) {
  const std::lock_guard lock(device().mutex);
  device().faults = faults;
}

void reset() {
  Device& d = device();
  const std::lock_guard lock(d.mutex);
  d.streams.resize(1);
  const uint32_t chain = d.chain_count++;
  *d.streams[0] = Stream{.chain = chain};
  d.orphans.clear();
  d.events.clear();
  d.executables.clear();
  d.graphs.clear();
  d.sticky = cudaSuccess;
  d.faults = {};
  d.reserved_bytes = 0;
  device_memory().release_all();
  race_checker().forget_operations();
  options() = {};
  forget_last_error();
}

size_t device_bytes_in_use() { return device().reserved_bytes; }

}  // namespace graft::cuda_on_host
