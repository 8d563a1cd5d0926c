#include "io/loader.h"

#include <algorithm>
#include <limits>
#include <numeric>

#include "core/error.h"
#include "io/philox_stream.h"
#include "io/text.h"

namespace graft::io {
namespace {

LoaderOptions checked(LoaderOptions o) {
  constexpr int kMostThreads = 256, kLargestBatch = 1 << 16;
  check_preprocessing(o.preprocessing);
  GRAFT_CHECK(o.preprocessing.crop > 0, "loader: a batch needs photos of one size: give `crop`");
  GRAFT_CHECK(o.batch >= 1 && o.batch <= kLargestBatch, "loader: a batch of {}; 1 to {} are possible", o.batch,
              kLargestBatch);
  GRAFT_CHECK(o.threads >= 0 && o.threads <= kMostThreads, "loader: {} threads; 0 to {} are possible", o.threads,
              kMostThreads);
  if (o.augmentation) draw_augmentation(*o.augmentation, 1, 1, 0, 0, 0);  // throws where its numbers are wrong
  return o;
}

}  // namespace

Loader::Loader(const Dataset& dataset, LoaderOptions options)
    : dataset_(dataset),
      options_(checked(std::move(options))),
      image_floats_(size_t{3} * options_.preprocessing.crop * options_.preprocessing.crop) {
  GRAFT_CHECK(order_size() > 0, "loader: {} holds no photos", printable(dataset.root));
  GRAFT_CHECK(order_size() <= std::numeric_limits<uint32_t>::max(), "loader: {} photos are too many", order_size());
  for (const Sample& sample : dataset.samples)
    GRAFT_CHECK(sample.label >= 0 && (dataset.classes.empty() || sample.label < std::ssize(dataset.classes)),
                "loader: {} has label {}, and there are {} classes", printable(sample.file), sample.label,
                dataset.classes.size());

  const int ahead = options_.threads == 0 ? 1 : std::max(2 * options_.batch, 2 * options_.threads);
  slots_.resize(std::min(static_cast<size_t>(ahead), order_size()));
  for (int i = 0; i < options_.threads; ++i) workers_.emplace_back([this](const std::stop_token& stop) { work(stop); });
}

Loader::~Loader() {
  for (std::jthread& worker : workers_) worker.request_stop();  // all at once; the jthreads then join
}

int64_t Loader::batches() const {
  const auto photos = static_cast<int64_t>(order_size());
  return options_.drop_last ? photos / options_.batch : (photos + options_.batch - 1) / options_.batch;
}

void Loader::restore(LoaderState state) {
  GRAFT_CHECK(state.next <= order_size(), "loader: cannot go on at sample {} of an epoch that has {}", state.next,
              order_size());
  pause();
  state_ = state;
}

void Loader::pause() {
  std::unique_lock lock(mutex_);
  limit_ = 0;
  done_.wait(lock, [&] { return at_work_ == 0; });
  begun_ = false;
}

void Loader::begin_epoch() {
  pause();
  order_.resize(order_size());
  std::iota(order_.begin(), order_.end(), 0u);
  if (options_.shuffle) shuffle(order_, PhiloxStream(options_.seed, RandomPurpose::shuffle, state_.epoch, 0));

  const std::lock_guard lock(mutex_);
  for (Slot& slot : slots_) slot.ready = false;
  claimed_ = state_.next;
  limit_ = std::min<uint64_t>(claimed_ + slots_.size(), order_size());
  begun_ = true;
  may_claim_.notify_all();
}

bool Loader::next(Batch& batch) {
  batch.size = 0;
  batch.labels.clear();
  batch.indices.clear();
  batch.skipped.clear();
  batch.images.resize(image_floats_ * options_.batch);
  if (!begun_) begin_epoch();

  // A worker's exception leaves the state where it was; positions taken for this batch are then decoded again.
  uint64_t position = state_.next;
  for (; position < order_size() && batch.size < options_.batch; ++position) {
    Slot& slot = wait_for(position);
    if (slot.failure) {
      const std::exception_ptr failure = slot.failure;
      pause();
      std::rethrow_exception(failure);
    }
    const uint32_t index = order_[position];
    const Sample& sample = dataset_.samples[index];
    if (slot.skipped.empty()) {
      std::copy(slot.image.begin(), slot.image.end(), batch.images.begin() + image_floats_ * batch.size);
      batch.labels.push_back(sample.label);
      batch.indices.push_back(index);
      ++batch.size;
    } else {
      batch.skipped.push_back({printable(sample.file), slot.skipped});
    }
    const std::lock_guard lock(mutex_);  // the slot is free again
    slot.ready = false;
    limit_ = std::min<uint64_t>(position + 1 + slots_.size(), order_size());
    may_claim_.notify_one();
  }
  state_.next = position;

  const bool full = batch.size == options_.batch;
  if (batch.size > 0 && (full || !options_.drop_last)) {
    batch.images.resize(image_floats_ * batch.size);
    return true;
  }
  batch.size = 0;
  batch.images.clear();
  batch.labels.clear();
  batch.indices.clear();
  pause();
  state_ = {state_.epoch + 1, 0};
  return false;
}

Loader::Slot& Loader::wait_for(uint64_t position) {
  Slot& slot = slots_[position % slots_.size()];
  if (options_.threads == 0) {
    load(position, slot);
    return slot;
  }
  std::unique_lock lock(mutex_);
  done_.wait(lock, [&] { return slot.ready; });
  return slot;
}

void Loader::work(const std::stop_token& stop) {
  std::unique_lock lock(mutex_);
  while (may_claim_.wait(lock, stop, [&] { return claimed_ < limit_; }) && !stop.stop_requested()) {
    const uint64_t position = claimed_++;
    Slot& slot = slots_[position % slots_.size()];
    ++at_work_;
    lock.unlock();
    load(position, slot);
    lock.lock();
    --at_work_;
    slot.ready = true;
    done_.notify_all();
  }
}

void Loader::load(uint64_t position, Slot& slot) const {
  const uint32_t index = order_[position];
  const Sample& sample = dataset_.samples[index];
  slot.skipped.clear();
  slot.failure = nullptr;
  try {
    slot.image.resize(image_floats_);
    const std::filesystem::path file = dataset_.root / sample.file;
    const Image image = options_.read ? options_.read(file) : read_image(file, options_.limits);
    GRAFT_ASSERT(image.width > 0 && image.height > 0 && image.rgb.size() == size_t{3} * image.width * image.height);
    if (options_.augmentation) {
      const Draw draw =
          draw_augmentation(*options_.augmentation, image.width, image.height, options_.seed, state_.epoch, index);
      preprocess_augmented(image, options_.preprocessing, draw, slot.image.data());
    } else {
      preprocess(image, options_.preprocessing, slot.image.data());
    }
  } catch (const Error& error) {
    slot.skipped = error.what();
  } catch (...) {
    slot.failure = std::current_exception();
  }
}

}  // namespace graft::io
