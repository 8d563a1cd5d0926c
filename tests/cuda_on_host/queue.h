// What was given to the device and is not done: operations, ordered by streams, events and the branches of graphs
// alone. An operation runs when something waits for it, and then only what must come before it runs too, in an order
// drawn from Options::seed among those that the rules allow. So a missing wait shows as late work, and two streams that
// nothing orders show in different orders.
#pragma once
#include <driver_types.h>

#include <functional>
#include <memory>
#include <mutex>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "tests/cuda_on_host/control.h"
#include "tests/cuda_on_host/race_checker.h"

namespace graft::cuda_on_host {

using Work = std::function<cudaError_t()>;  // safe to run again: a graph does

struct Operation {
  std::string name;
  Work work;  // empty: a marker
  std::vector<std::shared_ptr<Operation>> after;
  OperationId id;
  Clock clock;  // of each chain, how far came before this and with it
  bool done = false;
};
using OperationPointer = std::shared_ptr<Operation>;

struct GraphNode {
  std::string name;
  Work work;
  std::vector<size_t> after;
  size_t branch;  // the capturing stream it came from
};
struct Graph {
  std::vector<GraphNode> nodes;
  size_t branches = 0;
};

struct Capture {
  std::shared_ptr<Graph> graph = std::make_shared<Graph>();
  cudaStreamCaptureMode mode;
  bool invalidated = false;
};

struct Stream {
  uint32_t chain = 0;
  bool blocking = true;  // with the default stream
  OperationPointer last;
  std::shared_ptr<Capture> capture;
  size_t branch = 0;             // of the capture
  bool is_origin = false;        // of the capture
  std::vector<size_t> frontier;  // nodes that the next one comes after
  int polls = 0;
};

struct Event {
  OperationPointer recorded;         // null: never
  std::shared_ptr<Capture> capture;  // or: recorded there
  std::vector<size_t> frontier;
  int polls = 0;
};

struct ExecutableGraph {
  std::shared_ptr<const Graph> graph;
  std::vector<uint32_t> chains;  // by branch
  OperationPointer last;         // a graph waits for its previous launch
};

class Device {
 public:
  Device();

  Stream* stream_of(cudaStream_t);  // nullptr: no such stream
  Event* event_of(cudaEvent_t);

  cudaError_t enqueue(Stream&, std::string name, Work);
  OperationPointer add_operation(uint32_t chain, std::string name, Work, std::vector<OperationPointer> after);
  std::vector<OperationPointer> before_next_of(Stream&);        // what a new operation of the stream comes after
  cudaError_t run_until(const std::vector<OperationPointer>&);  // and the host has waited for them
  cudaError_t run_all();
  std::vector<std::shared_ptr<Capture>> captures() const;  // under way
  void invalidate_captures();

  std::recursive_mutex mutex;
  std::vector<std::unique_ptr<Stream>> streams;  // [0]: the default stream
  std::vector<OperationPointer> orphans;         // last operations of streams that are destroyed
  std::vector<std::unique_ptr<Event>> events;
  std::vector<std::unique_ptr<ExecutableGraph>> executables;
  std::vector<std::unique_ptr<std::shared_ptr<Graph>>> graphs;
  cudaError_t sticky = cudaSuccess;  // the device is lost
  Faults faults;
  uint32_t chain_count = 0;
  size_t reserved_bytes = 0;  // device memory, allocated or promised in stream order

 private:
  cudaError_t run(Operation&);

  Clock host_clock_;  // what the host has waited for
  std::vector<uint32_t> chain_lengths_;
  std::mt19937_64 random_;
  uint64_t random_seed_ = 0;
};
Device& device();

bool strike(int64_t& countdown);    // a planted failure: is it this one?
cudaError_t remember(cudaError_t);  // for cudaGetLastError
void forget_last_error();

// Every entry of the runtime: one caller at a time, nothing on a device that is lost or has no driver.
template <typename Call>
cudaError_t entry(Call&& call) {
  Device& d = device();
  const std::lock_guard lock(d.mutex);
  if (d.faults.no_driver) return remember(cudaErrorInsufficientDriver);
  if (d.sticky != cudaSuccess) return remember(d.sticky);
  return remember(call(d));
}

}  // namespace graft::cuda_on_host
