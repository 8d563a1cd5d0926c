// Captures and graphs. A capture keeps each operation with the bytes of its arguments; a launch of the graph queues
// them again.
#include <cuda_runtime_api.h>

#include <algorithm>
#include <utility>

#include "tests/cuda_on_host/queue.h"

using namespace graft::cuda_on_host;

namespace {

// Does the origin's end come after every node of the graph?
bool all_joined(const Graph& graph, const std::vector<size_t>& frontier) {
  std::vector<bool> joined(graph.nodes.size());
  for (const size_t node : frontier) joined[node] = true;
  for (size_t node = graph.nodes.size(); node-- > 0;)  // a node's predecessors have lower numbers
    if (joined[node])
      for (const size_t before : graph.nodes[node].after) joined[before] = true;
  return std::find(joined.begin(), joined.end(), false) == joined.end();
}

}  // namespace

extern "C" {

cudaError_t cudaStreamBeginCapture(cudaStream_t handle, cudaStreamCaptureMode mode) {
  return entry([&](Device& d) {
    Stream* stream = d.stream_of(handle);
    if (!stream) return cudaErrorInvalidResourceHandle;
    if (stream == d.streams[0].get()) return cudaErrorStreamCaptureUnsupported;
    if (stream->capture) return cudaErrorIllegalState;
    stream->capture = std::make_shared<Capture>();
    stream->capture->mode = mode;
    stream->capture->graph->branches = 1;
    stream->branch = 0;
    stream->is_origin = true;
    stream->frontier.clear();
    return cudaSuccess;
  });
}

cudaError_t cudaStreamEndCapture(cudaStream_t handle, cudaGraph_t* graph) {
  return entry([&](Device& d) {
    Stream* stream = d.stream_of(handle);
    if (!stream || !graph) return stream ? cudaErrorInvalidValue : cudaErrorInvalidResourceHandle;
    *graph = nullptr;
    if (!stream->capture) return cudaErrorIllegalState;
    if (!stream->is_origin) {
      stream->capture->invalidated = true;
      return cudaErrorStreamCaptureUnmatched;
    }
    const auto capture = stream->capture;
    const auto frontier = std::exchange(stream->frontier, {});
    for (const auto& other : d.streams)
      if (other->capture == capture) {
        other->capture = nullptr;
        other->is_origin = false;
        other->frontier.clear();
      }
    if (capture->invalidated) return cudaErrorStreamCaptureInvalidated;
    if (!all_joined(*capture->graph, frontier)) return cudaErrorStreamCaptureUnjoined;
    d.graphs.push_back(std::make_unique<std::shared_ptr<Graph>>(capture->graph));
    *graph = reinterpret_cast<cudaGraph_t>(d.graphs.back().get());
    return cudaSuccess;
  });
}

cudaError_t cudaStreamIsCapturing(cudaStream_t handle, cudaStreamCaptureStatus* status) {
  return entry([&](Device& d) {
    Stream* stream = d.stream_of(handle);
    if (!stream) return cudaErrorInvalidResourceHandle;
    *status = !stream->capture               ? cudaStreamCaptureStatusNone
              : stream->capture->invalidated ? cudaStreamCaptureStatusInvalidated
                                             : cudaStreamCaptureStatusActive;
    return cudaSuccess;
  });
}

cudaError_t cudaGraphInstantiate(cudaGraphExec_t* executable, cudaGraph_t handle, unsigned long long) {
  return entry([&](Device& d) {
    for (const auto& graph : d.graphs) {
      if (reinterpret_cast<cudaGraph_t>(graph.get()) != handle) continue;
      auto made = std::make_unique<ExecutableGraph>();
      made->graph = *graph;
      for (size_t branch = 0; branch < made->graph->branches; ++branch) made->chains.push_back(d.chain_count++);
      *executable = reinterpret_cast<cudaGraphExec_t>(made.get());
      d.executables.push_back(std::move(made));
      return cudaSuccess;
    }
    return cudaErrorInvalidValue;
  });
}

cudaError_t cudaGraphLaunch(cudaGraphExec_t handle, cudaStream_t stream_handle) {
  return entry([&](Device& d) {
    Stream* stream = d.stream_of(stream_handle);
    const auto found = std::find_if(d.executables.begin(), d.executables.end(), [&](const auto& e) {
      return reinterpret_cast<cudaGraphExec_t>(e.get()) == handle;
    });
    if (!stream || found == d.executables.end()) return cudaErrorInvalidResourceHandle;
    if (stream->capture) {
      stream->capture->invalidated = true;
      return cudaErrorStreamCaptureUnsupported;
    }
    ExecutableGraph& executable = **found;
    std::vector<OperationPointer> queued;
    auto first = d.before_next_of(*stream);
    if (executable.last) first.push_back(executable.last);
    auto all = first;
    for (const auto& node : executable.graph->nodes) {
      std::vector<OperationPointer> after;
      for (const size_t before : node.after) after.push_back(queued[before]);
      if (after.empty()) after = first;
      queued.push_back(d.add_operation(executable.chains[node.branch], node.name, node.work, std::move(after)));
      all.push_back(queued.back());
    }
    stream->last = executable.last = d.add_operation(stream->chain, "a graph's end", {}, std::move(all));
    return cudaSuccess;
  });
}

cudaError_t cudaGraphDestroy(cudaGraph_t handle) {
  return entry([&](Device& d) {
    const auto removed =
        std::erase_if(d.graphs, [&](const auto& g) { return reinterpret_cast<cudaGraph_t>(g.get()) == handle; });
    return removed ? cudaSuccess : cudaErrorInvalidValue;
  });
}

// What it was launched for still runs: the operations are queued apart from it.
cudaError_t cudaGraphExecDestroy(cudaGraphExec_t handle) {
  return entry([&](Device& d) {
    const auto removed = std::erase_if(
        d.executables, [&](const auto& e) { return reinterpret_cast<cudaGraphExec_t>(e.get()) == handle; });
    return removed ? cudaSuccess : cudaErrorInvalidValue;
  });
}
}
