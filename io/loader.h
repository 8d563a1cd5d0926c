// Batches of photos, read, resized and changed on threads ahead of whoever trains on them.
//
// The sequence depends on the data set, the options and the state alone, never on the number of threads: sample k of
// an epoch is order[k], a permutation drawn from (seed, epoch), and what happens to it is drawn from (seed, epoch,
// order[k]). A photo that cannot be read is left out and reported; the next one takes its place, so every batch but the
// last is full.
#pragma once
#include <condition_variable>
#include <cstdint>
#include <exception>
#include <functional>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include "io/dataset.h"
#include "io/image/preprocess.h"

namespace graft::io {

struct LoaderOptions {
  Preprocessing preprocessing;               // crop > 0: the photos of a batch have one size
  std::optional<Augmentation> augmentation;  // absent: resize and centre crop
  int batch = 16;
  int threads = 2;  // 0: in next(), on the caller's thread
  bool shuffle = true;
  bool drop_last = false;  // leave out a last batch that is not full
  uint64_t seed = 0;
  DecodeLimits limits;
  // Instead of read_image: photos from an archive or a cache. Called on the loader's threads, several at a time; an
  // Error leaves the photo out.
  std::function<Image(const std::filesystem::path& file)> read;
};

// Where in the sequence: the next sample is number `next` of `epoch`'s order. Between two calls of next().
struct LoaderState {
  uint64_t epoch = 0, next = 0;
  friend bool operator==(const LoaderState&, const LoaderState&) = default;
};

struct Batch {
  int64_t size = 0;                  // photos in it
  std::vector<float> images;         // [size, crop, crop, 3]
  std::vector<int64_t> labels;       // [size]
  std::vector<int64_t> indices;      // [size], into Dataset::samples
  std::vector<SkippedFile> skipped;  // left out since the batch before
};

// For one thread of the caller's. `dataset` must outlive it.
class Loader {
 public:
  // Throws Error: no samples, no crop, sizes out of range, a label outside the classes.
  Loader(const Dataset& dataset, LoaderOptions options);
  ~Loader();  // waits for the photos that are being decoded at this moment, no longer
  Loader(const Loader&) = delete;
  Loader& operator=(const Loader&) = delete;

  // Fills `batch` (its memory is used again). False at the end of an epoch: then it has no photos, perhaps skipped
  // ones, and the next call begins the next epoch. An exception of a worker (memory, not photos) comes out here.
  bool next(Batch& batch);

  LoaderState state() const { return state_; }
  void restore(LoaderState state);  // throws Error where `next` is more than the data set has

  int64_t batches() const;  // of an epoch in which every photo can be read

 private:
  struct Slot {
    std::vector<float> image;
    std::string skipped;  // why it is left out; empty: it is not
    std::exception_ptr failure;
    bool ready = false;
  };

  size_t order_size() const { return dataset_.samples.size(); }
  void begin_epoch();
  void pause();  // no worker is at work afterwards, and none begins
  Slot& wait_for(uint64_t position);
  void load(uint64_t position, Slot& slot) const;
  void work(const std::stop_token& stop);

  const Dataset& dataset_;
  const LoaderOptions options_;
  const size_t image_floats_;
  LoaderState state_;
  bool begun_ = false;           // order_ is that of state_.epoch and the workers may go on
  std::vector<uint32_t> order_;  // written while no worker is at work

  // Position p of the epoch is decoded into slots_[p % size]. Positions in [state_.next, claimed_) are taken by workers
  // or done; a worker claims one more while it is below limit_, which follows the caller.
  std::mutex mutex_;
  std::condition_variable_any may_claim_;
  std::condition_variable done_;
  std::vector<Slot> slots_;
  uint64_t claimed_ = 0, limit_ = 0;
  int at_work_ = 0;
  std::vector<std::jthread> workers_;  // last: they stop before what they use goes
};

}  // namespace graft::io
