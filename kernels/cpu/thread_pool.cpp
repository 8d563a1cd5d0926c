#include "kernels/cpu/thread_pool.h"

#include <algorithm>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace graft::cpu {

namespace {

constexpr int kSpins = 600;  // some 20 to 40 microseconds
constexpr int kYields = 60;

void relax() {
#if defined(__x86_64__)
  _mm_pause();
#endif
}

// True as soon as `ready` is; false when waiting awake has lasted long enough.
template <typename Ready>
bool spin_then_yield(Ready ready) {
  for (int i = 0; i < kSpins; ++i) {
    if (ready()) return true;
    relax();
  }
  for (int i = 0; i < kYields; ++i) {
    if (ready()) return true;
    std::this_thread::yield();
  }
  return ready();
}

constexpr uint64_t pack_bounds(uint64_t first, uint64_t end) { return first | end << 32; }
constexpr uint64_t first_of(uint64_t bounds) { return bounds & 0xFFFFFFFFu; }
constexpr uint64_t end_of(uint64_t bounds) { return bounds >> 32; }

// A tile from the front (the owner) or from the back (a thief), or -1.
int64_t take(uint64_t& share, bool front) {
  std::atomic_ref<uint64_t> bounds(share);
  uint64_t now = bounds.load(std::memory_order_relaxed);
  for (;;) {
    const uint64_t first = first_of(now), end = end_of(now);
    if (first >= end) return -1;
    const uint64_t next = front ? pack_bounds(first + 1, end) : pack_bounds(first, end - 1);
    if (bounds.compare_exchange_weak(now, next, std::memory_order_relaxed))
      return static_cast<int64_t>(front ? first : end - 1);
  }
}

}  // namespace

// Lives on the caller's stack. A helper enters and leaves under the pool's mutex (`helpers`), so that the caller, once
// it has taken the job off the list and seen no helper, may forget it.
struct ThreadPool::Job {
  Invoke invoke;
  void* function;
  int slots;
  std::atomic<int> helpers{0};
  Job* next = nullptr;
  Share shares[kMaxThreads];

  bool has_tiles() {
    return std::any_of(shares, shares + slots, [](Share& s) {
      const uint64_t bounds = std::atomic_ref<uint64_t>(s.bounds).load(std::memory_order_relaxed);
      return first_of(bounds) < end_of(bounds);
    });
  }
};

ThreadPool::ThreadPool(int threads) {
  const int helpers = std::clamp(threads, 1, kMaxThreads) - 1;
  workers_.reserve(static_cast<size_t>(helpers));
  try {
    for (int i = 0; i < helpers; ++i) workers_.emplace_back([this, slot = i + 1] { worker(slot); });
  } catch (...) {
    stop();
    throw;
  }
}

ThreadPool::~ThreadPool() { stop(); }

void ThreadPool::stop() {
  {
    std::lock_guard lock(mutex_);
    stop_ = true;
    generation_.fetch_add(1, std::memory_order_release);
  }
  work_posted_.notify_all();
  for (std::thread& t : workers_) t.join();
  workers_.clear();
}

void ThreadPool::run(int64_t tiles, Invoke invoke, void* function) {
  if (tiles <= 1 || workers_.empty()) {
    for (int64_t tile = 0; tile < tiles; ++tile) invoke(function, tile, 0);
    return;
  }
  Job job;
  job.invoke = invoke;
  job.function = function;
  job.slots = threads();
  for (int64_t slot = 0; slot < job.slots; ++slot)
    job.shares[slot].bounds = pack_bounds(static_cast<uint64_t>(tiles * slot / job.slots),
                                          static_cast<uint64_t>(tiles * (slot + 1) / job.slots));
  {
    std::lock_guard lock(mutex_);
    job.next = jobs_;
    jobs_ = &job;
    generation_.fetch_add(1, std::memory_order_release);
  }
  work_posted_.notify_all();

  work_on(job, 0);

  {
    std::lock_guard lock(mutex_);
    Job** at = &jobs_;
    while (*at != &job) at = &(*at)->next;
    *at = job.next;
  }
  const auto alone = [&] { return job.helpers.load(std::memory_order_acquire) == 0; };
  if (spin_then_yield(alone)) return;
  std::unique_lock lock(mutex_);
  ++waiting_callers_;
  helpers_left_.wait(lock, alone);
  --waiting_callers_;
}

void ThreadPool::work_on(Job& job, int slot) {
  for (int64_t tile; (tile = take(job.shares[slot].bounds, true)) >= 0;) job.invoke(job.function, tile, slot);
  for (int i = 1; i < job.slots; ++i)
    for (int64_t tile; (tile = take(job.shares[(slot + i) % job.slots].bounds, false)) >= 0;)
      job.invoke(job.function, tile, slot);
}

ThreadPool::Job* ThreadPool::find_job() {
  for (Job* job = jobs_; job != nullptr; job = job->next)
    if (job->has_tiles()) return job;
  return nullptr;
}

void ThreadPool::worker(int slot) {
  uint64_t seen = 0;
  const auto posted = [&] { return generation_.load(std::memory_order_acquire) != seen; };
  for (;;) {
    spin_then_yield(posted);
    std::unique_lock lock(mutex_);
    work_posted_.wait(lock, posted);
    if (stop_) return;
    seen = generation_.load(std::memory_order_relaxed);
    while (Job* job = find_job()) {
      job->helpers.fetch_add(1, std::memory_order_relaxed);
      lock.unlock();
      work_on(*job, slot);
      lock.lock();
      job->helpers.fetch_sub(1, std::memory_order_release);  // the job may be gone after this
      if (waiting_callers_ > 0) helpers_left_.notify_all();
    }
  }
}

}  // namespace graft::cpu
