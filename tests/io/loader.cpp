// The loader's promise: the same batches, whatever the threads. These tests run under the thread sanitizer.
#include "io/loader.h"

#include <atomic>
#include <catch2/catch.hpp>
#include <chrono>
#include <cstdio>
#include <numeric>
#include <set>

#include "core/error.h"
#include "tests/io/image/pixels.h"
#include "tests/support/test_data.h"

namespace graft::test {
namespace {

namespace fs = std::filesystem;
using io::Batch;
using io::Loader;
using io::LoaderOptions;

constexpr int kCrop = 12;

LoaderOptions small_options(int threads) {
  return {.preprocessing = {.resize = 14, .crop = kCrop},
          .augmentation = io::Augmentation{},
          .batch = 5,
          .threads = threads,
          .seed = 3};
}

// 21 photos, two of which are damaged, in one class for each half.
struct Photos {
  TemporaryFolder folder;
  io::Dataset dataset;
  Photos() {
    std::vector<fs::path> files;
    for (const auto& entry : fs::directory_iterator(image_data("")))
      if (entry.path().extension() == ".jpg") files.push_back(entry.path());
    std::sort(files.begin(), files.end());
    for (const fs::path& file : files) fs::copy_file(file, class_folder(file.filename() < "exif") / file.filename());
    auto cut = file_bytes(image_data("noise.jpg"));
    cut.resize(cut.size() / 2);
    write_file(folder.path / "late/noise.jpg", cut);
    write_file(folder.path / "early/422.jpg", std::string("\xFF\xD8\xFF garbage"));
    dataset = io::open_dataset(folder.path).train;
  }
  fs::path class_folder(bool early) const {
    const fs::path path = folder.path / (early ? "early" : "late");
    fs::create_directories(path);
    return path;
  }
};

// What happened over some epochs, from a state on; every value counts.
struct Sequence {
  std::vector<float> images;
  std::vector<int64_t> labels, indices, sizes;
  std::vector<std::string> skipped;
  friend bool operator==(const Sequence&, const Sequence&) = default;

  void add(const Batch& batch) {
    images.insert(images.end(), batch.images.begin(), batch.images.end());
    labels.insert(labels.end(), batch.labels.begin(), batch.labels.end());
    indices.insert(indices.end(), batch.indices.begin(), batch.indices.end());
    sizes.push_back(batch.size);
    for (const auto& file : batch.skipped) skipped.push_back(file.file + ": " + file.reason);
  }
};

Sequence run(Loader& loader, int epochs) {
  Sequence all;
  Batch batch;
  while (epochs > 0) {
    if (!loader.next(batch)) --epochs;
    all.add(batch);
  }
  return all;
}

TEST_CASE("any number of threads gives the same bytes in the same order") {
  const Photos photos;
  Loader inline_loader(photos.dataset, small_options(0));
  const Sequence expected = run(inline_loader, 3);
  REQUIRE(photos.dataset.samples.size() == 21);
  CHECK(expected.sizes == std::vector<int64_t>{5, 5, 5, 4, 0, 5, 5, 5, 4, 0, 5, 5, 5, 4, 0});
  CHECK(expected.skipped.size() == 6);
  CHECK(expected.images.size() == expected.labels.size() * kCrop * kCrop * 3);
  for (int threads : {1, 2, 3, 16}) {
    Loader loader(photos.dataset, small_options(threads));
    INFO(threads);
    CHECK(run(loader, 3) == expected);
  }
}

TEST_CASE("an epoch has every readable photo once, in its own order") {
  const Photos photos;
  Loader loader(photos.dataset, small_options(2));
  const auto first = run(loader, 1).indices, second = run(loader, 1).indices;
  CHECK(first != second);
  const std::set<int64_t> once(first.begin(), first.end());
  CHECK(first.size() == 19);
  CHECK(once.size() == 19);
  CHECK(once == std::set<int64_t>(second.begin(), second.end()));

  auto other_seed = small_options(2);
  other_seed.seed = 4;
  Loader other(photos.dataset, other_seed);
  CHECK(run(other, 1).indices != first);
}

TEST_CASE("without shuffling and augmentation the photos come in order, as predict sees them") {
  const Photos photos;
  auto options = small_options(3);
  options.shuffle = false;
  options.augmentation.reset();
  Loader loader(photos.dataset, options);
  const Sequence all = run(loader, 1);
  CHECK(std::is_sorted(all.indices.begin(), all.indices.end()));
  std::vector<float> expected(kCrop * kCrop * 3);
  for (size_t i = 0; i < all.indices.size(); ++i) {
    const auto& sample = photos.dataset.samples[static_cast<size_t>(all.indices[i])];
    CHECK(all.labels[i] == sample.label);
    io::preprocess(io::read_image(photos.folder.path / sample.file), options.preprocessing, expected.data());
    CHECK(std::equal(expected.begin(), expected.end(), all.images.begin() + i * expected.size()));
  }
}

TEST_CASE("in a shuffled order each photo keeps its pixels and its label") {
  const Photos photos;
  auto options = small_options(2);
  options.augmentation.reset();
  Loader loader(photos.dataset, options);
  const Sequence all = run(loader, 1);
  CHECK_FALSE(std::is_sorted(all.indices.begin(), all.indices.end()));
  std::vector<float> expected(kCrop * kCrop * 3);
  for (size_t i = 0; i < all.indices.size(); ++i) {
    const auto& sample = photos.dataset.samples[static_cast<size_t>(all.indices[i])];
    INFO(sample.file);
    CHECK(all.labels[i] == sample.label);
    io::preprocess(io::read_image(photos.folder.path / sample.file), options.preprocessing, expected.data());
    CHECK(std::equal(expected.begin(), expected.end(), all.images.begin() + i * expected.size()));
  }
}

TEST_CASE("each epoch crops a photo anew") {
  const Photos photos;
  auto options = small_options(2);
  options.shuffle = false;
  Loader loader(photos.dataset, options);
  const Sequence first = run(loader, 1), second = run(loader, 1);
  REQUIRE(first.indices == second.indices);
  constexpr size_t kFloats = kCrop * kCrop * 3;
  size_t same = 0;
  for (size_t i = 0; i < first.indices.size(); ++i)
    same += std::equal(first.images.begin() + i * kFloats, first.images.begin() + (i + 1) * kFloats,
                       second.images.begin() + i * kFloats);
  CHECK(same <= 2);  // by chance two crops of a small picture may agree
}

TEST_CASE("photos that cannot be read are reported where they would have been") {
  const Photos photos;
  auto options = small_options(2);
  options.shuffle = false;
  Loader loader(photos.dataset, options);
  const Sequence all = run(loader, 1);
  REQUIRE(all.skipped.size() == 2);
  CHECK_THAT(all.skipped[0], Catch::StartsWith("early/422.jpg: ") && Catch::Contains("JPEG"));
  CHECK_THAT(all.skipped[1], Catch::StartsWith("late/noise.jpg: ") && Catch::Contains("truncated"));
}

TEST_CASE("a state that was saved goes on exactly there") {
  const Photos photos;
  Loader whole(photos.dataset, small_options(2));
  Batch batch;
  std::vector<io::LoaderState> states;  // before each batch
  std::vector<Sequence> batches;
  for (int i = 0; i < 12; ++i) {
    states.push_back(whole.state());
    whole.next(batch);
    batches.emplace_back().add(batch);
  }
  Loader other(photos.dataset, small_options(3));
  for (size_t i : {7u, 0u, 11u, 3u, 4u, 5u}) {  // also into the middle of what was read ahead
    other.restore(states[i]);
    CHECK(other.state() == states[i]);
    other.next(batch);
    Sequence one;
    one.add(batch);
    INFO(i);
    CHECK(one == batches[i]);
  }
  CHECK_THROWS_AS(other.restore({0, 22}), Error);
  other.restore({0, 21});
  CHECK_FALSE(other.next(batch));
  CHECK(other.state() == io::LoaderState{1, 0});
}

TEST_CASE("drop_last leaves out a batch that is not full") {
  const Photos photos;
  auto options = small_options(2);
  options.drop_last = true;
  Loader loader(photos.dataset, options);
  CHECK(run(loader, 1).sizes == std::vector<int64_t>{5, 5, 5, 0});
  CHECK(loader.batches() == 4);  // of 21
  options.batch = 22;
  Loader none(photos.dataset, options);
  CHECK(none.batches() == 0);
  const Sequence nothing = run(none, 2);
  CHECK(nothing.sizes == std::vector<int64_t>{0, 0});
  CHECK(nothing.images.empty());
  CHECK(nothing.labels.empty());
  CHECK(nothing.skipped.size() == 4);
}

TEST_CASE("stopping at any moment neither hangs nor takes long") {
  const Photos photos;
  for (int batches = 0; batches < 6; ++batches)
    for (int repeat = 0; repeat < 10; ++repeat) {
      Loader loader(photos.dataset, small_options(3));
      Batch batch;
      for (int i = 0; i < batches; ++i) loader.next(batch);
    }
  SUCCEED();
}

TEST_CASE("an epoch without one readable photo ends, with the reasons") {
  const Photos photos;
  io::Dataset bad = photos.dataset;
  for (auto& sample : bad.samples) sample.file = "early/422.jpg";
  for (int threads : {0, 3}) {
    Loader loader(bad, small_options(threads));
    Batch batch;
    CHECK_FALSE(loader.next(batch));
    CHECK(batch.skipped.size() == 21);
  }
}

TEST_CASE("what is no fault of a photo comes out of next(), and the loader goes on from there") {
  const Photos photos;
  Loader plain(photos.dataset, small_options(0));
  const Sequence expected = run(plain, 1);
  for (int threads : {0, 1, 3}) {
    std::atomic<bool> failing = true;
    auto options = small_options(threads);
    options.read = [&](const fs::path& file) {
      if (failing && file.filename() == "progressive.jpg") throw std::bad_alloc();
      return io::read_image(file);
    };
    Loader loader(photos.dataset, options);
    Sequence all;
    Batch batch;
    const auto until_failure = [&] {
      for (;;) {
        loader.next(batch);
        all.add(batch);
      }
    };
    CHECK_THROWS_AS(until_failure(), std::bad_alloc);
    CHECK_THROWS_AS(loader.next(batch), std::bad_alloc);  // still
    failing = false;
    while (loader.next(batch)) all.add(batch);
    all.add(batch);
    INFO(threads);
    CHECK(all == expected);
  }
}

TEST_CASE("workers stay within the ring, and a slow photo holds nobody up for ever") {
  const Photos photos;
  std::atomic<int> reads = 0;
  auto options = small_options(3);
  options.batch = 2;
  options.read = [&](const fs::path& file) {
    std::this_thread::sleep_for(std::chrono::milliseconds(++reads % 3));
    return io::read_image(file);
  };
  Loader loader(photos.dataset, options);
  CHECK(reads == 0);  // nothing is read before the first batch is asked for
  Batch batch;
  REQUIRE(loader.next(batch));
  std::this_thread::sleep_for(std::chrono::milliseconds(100));
  CHECK(reads <= 4 + 6);  // at most: two and two left out, and the ring of six ahead
}

TEST_CASE("options and data sets that make no sense are errors") {
  const Photos photos;
  const auto with = [&](auto change) {
    auto options = small_options(2);
    change(options);
    return Loader(photos.dataset, options).batches();
  };
  CHECK_THROWS_AS(with([](auto& o) { o.batch = 0; }), Error);
  CHECK_THROWS_AS(with([](auto& o) { o.threads = -1; }), Error);
  CHECK_THROWS_AS(with([](auto& o) { o.preprocessing.crop = 0; }), Error);
  CHECK_THROWS_AS(with([](auto& o) { o.augmentation->min_area = 2; }), Error);
  io::Dataset empty = photos.dataset, wrong = photos.dataset;
  empty.samples.clear();
  wrong.samples[3].label = 2;
  CHECK_THROWS_AS(Loader(empty, small_options(0)), Error);
  CHECK_THROWS_WITH(Loader(wrong, small_options(0)), Catch::Contains("label 2"));
}

TEST_CASE("244 photos a few seconds", "[.full]") {
  const auto root = need_data("hymenoptera");
  if (root.empty()) return;
  const auto dataset = io::open_dataset(root).train;
  Loader loader(dataset, {.augmentation = std::nullopt, .threads = 2});
  const auto begin = std::chrono::steady_clock::now();
  Batch batch;
  int64_t photos = 0;
  while (loader.next(batch)) photos += batch.size;
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  std::printf("%d photos in %.2f s\n", static_cast<int>(photos), seconds);
  CHECK(photos == 244);
  CHECK(seconds < 30);
}

}  // namespace
}  // namespace graft::test
