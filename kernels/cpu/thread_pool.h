// A small pool of threads that splits a loop over tiles.
//
// The tiles of a loop are numbered by the caller, by shape alone; which thread runs a tile never changes what it
// computes. Each thread first takes the tiles of its own contiguous share, so that a thread meets in the next loop the
// data that it left in its caches, and then steals from the ends of the others' shares.
//
// Any number of user threads may call parallel_for at once, also from inside a tile: the caller always works on its own
// loop, so no loop waits for a free worker. Workers that find nothing spin for some microseconds, yield for some more
// and then sleep; a pure spin collapses when another process holds a core.
#pragma once
#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <thread>
#include <type_traits>
#include <vector>

namespace graft::cpu {

class ThreadPool {
 public:
  static constexpr int kMaxThreads = 256;

  explicit ThreadPool(int threads);  // the caller is one of them; throws std::system_error when none can be made
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  int threads() const { return static_cast<int>(workers_.size()) + 1; }

  // tile_function(tile, slot) for every tile in [0, tiles); two tiles under way at the same time never have the same
  // slot, and slot < threads(): scratch memory goes by slot. tiles < 2^32. It must not throw.
  template <typename TileFunction>
  void parallel_for(int64_t tiles, TileFunction&& tile_function) {
    run(
        tiles,
        [](void* f, int64_t tile, int slot) { (*static_cast<std::remove_reference_t<TileFunction>*>(f))(tile, slot); },
        &tile_function);
  }

 private:
  using Invoke = void (*)(void* function, int64_t tile, int slot);
  struct alignas(64) Share {
    uint64_t bounds;  // first tile in the low half, end in the high half; always through std::atomic_ref
  };
  struct Job;

  void run(int64_t tiles, Invoke invoke, void* function);
  void work_on(Job& job, int slot);
  void worker(int slot);
  Job* find_job();
  void stop();

  std::mutex mutex_;
  std::condition_variable work_posted_, helpers_left_;
  Job* jobs_ = nullptr;                  // loops under way, under mutex_
  bool stop_ = false;                    // under mutex_
  int waiting_callers_ = 0;              // under mutex_
  std::atomic<uint64_t> generation_{0};  // counts posted loops; written under mutex_
  std::vector<std::thread> workers_;
};

}  // namespace graft::cpu
