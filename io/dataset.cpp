#include "io/dataset.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <set>
#include <span>
#include <system_error>

#include "core/error.h"
#include "io/file.h"
#include "io/image/image.h"
#include "io/philox_stream.h"
#include "io/text.h"

namespace graft::io {
namespace {

namespace fs = std::filesystem;

bool is_hidden(const fs::path& path) { return path.filename().native().starts_with('.'); }

bool is_folder(const fs::path& path) {
  std::error_code ignored;
  return fs::is_directory(path, ignored);
}

// Visible entries, sorted by the bytes of their names. `error` says why it stopped early.
std::vector<fs::path> entries(const fs::path& folder, std::error_code& error) {
  std::vector<fs::path> found;
  fs::directory_iterator it(folder, error);
  for (; !error && it != fs::directory_iterator(); it.increment(error))
    if (!is_hidden(it->path())) found.push_back(it->path());
  std::sort(found.begin(), found.end(), [](const fs::path& a, const fs::path& b) { return a.native() < b.native(); });
  return found;
}

std::vector<fs::path> entries(const fs::path& folder) {
  std::error_code error;
  auto found = entries(folder, error);
  GRAFT_CHECK(!error, "cannot list the folder {}: {}", printable(folder), error.message());
  return found;
}

void check_folder(const fs::path& folder) {
  std::error_code ignored;
  GRAFT_CHECK(fs::exists(folder, ignored), "{}: there is no such folder", printable(folder));
  GRAFT_CHECK(is_folder(folder), "{} is a file; a data set is a folder with a folder of photos for each class",
              printable(folder));
}

// Collects the photos below a folder. Nothing found on the way is fatal.
class Search {
 public:
  Search(Dataset& dataset, int64_t label) : dataset_(dataset), label_(label) {}

  // The files of a folder come before those of the folders in it, as in torchvision.
  void folder(const fs::path& path) {
    std::error_code error;
    const fs::path real = fs::canonical(path, error);
    const auto found = error ? std::vector<fs::path>() : entries(path, error);
    if (error) return skip(path, "cannot be listed: " + error.message());
    if (!searched_.insert(real).second) return skip(path, "a symbolic link to a folder that was searched already");
    if (depth_ == kDeepest) return skip(path, "folders are nested too deeply");

    ++depth_;
    for (const fs::path& entry : found)
      if (!is_folder(entry)) file(entry);
    for (const fs::path& entry : found)
      if (is_folder(entry)) folder(entry);
    --depth_;
  }

  // The first bytes decide, not the name.
  void file(const fs::path& path) {
    try {
      const File opened = File::open(path);  // refuses pipes and devices
      std::array<std::byte, 64> start{};
      const std::span bytes(start.data(), static_cast<size_t>(std::min<int64_t>(opened.size(), start.size())));
      opened.read_at(0, bytes);
      const Sniffed sniffed = sniff_format(bytes);
      if (sniffed.format == ImageFormat::other)
        return skip(path, fmt::format("{}; JPEG and PNG are read", sniffed.what));
      dataset_.samples.push_back({relative(path), label_});
    } catch (const Error& error) {
      skip(path, error.what());
    }
  }

 private:
  static constexpr int kDeepest = 64;

  fs::path relative(const fs::path& path) const {
    return dataset_.root.empty() ? path : path.lexically_relative(dataset_.root);
  }
  void skip(const fs::path& path, std::string reason) {
    dataset_.skipped.push_back({printable(relative(path)), std::move(reason)});
  }

  Dataset& dataset_;
  int64_t label_;
  std::set<fs::path> searched_;  // real paths: no loop of links, and no folder twice by two ways
  int depth_ = 0;
};

std::vector<fs::path> class_folders(const fs::path& folder) {
  check_folder(folder);
  const auto found = entries(folder);
  std::vector<fs::path> folders;
  std::copy_if(found.begin(), found.end(), std::back_inserter(folders), is_folder);
  GRAFT_CHECK(!folders.empty(),
              "{}: no class folders{}; a data set is a folder with a folder of photos for each class, such as {}/cats "
              "and {}/dogs",
              printable(folder),
              found.empty() ? " (it is empty)" : fmt::format(" ({} files lie in it directly)", found.size()),
              printable(folder.filename()), printable(folder.filename()));
  for (const fs::path& path : folders)
    GRAFT_CHECK(is_printable_utf8(path.filename().native()),
                "{}: a class is named after its folder, and this name is not printable UTF-8: rename the folder",
                printable(path));
  return folders;
}

bool holds_folders(const fs::path& folder) {
  if (!is_folder(folder)) return false;
  const auto found = entries(folder);
  return std::any_of(found.begin(), found.end(), is_folder);
}

}  // namespace

std::vector<int64_t> Dataset::counts() const {
  std::vector<int64_t> counts(classes.size());
  for (const Sample& sample : samples) ++counts.at(static_cast<size_t>(sample.label));
  return counts;
}

Dataset read_class_folders(const fs::path& folder, const std::vector<std::string>* classes) {
  const auto folders = class_folders(folder);
  Dataset dataset{folder, {}, {}, {}};
  if (classes)
    dataset.classes = *classes;
  else
    for (const fs::path& path : folders) dataset.classes.push_back(path.filename().native());

  std::map<std::string, int64_t> labels;
  for (size_t i = 0; i < dataset.classes.size(); ++i) labels.emplace(dataset.classes[i], static_cast<int64_t>(i));
  for (const fs::path& path : folders) {
    const auto label = labels.find(path.filename().native());
    GRAFT_CHECK(label != labels.end(),
                "{}: there is no class of this name; the {} classes are {}. Rename the folder, or remove it",
                printable(path), dataset.classes.size(), fmt::join(dataset.classes, ", "));
    const size_t before = dataset.samples.size(), skipped_before = dataset.skipped.size();
    Search(dataset, label->second).folder(path);
    const size_t skipped = dataset.skipped.size() - skipped_before;
    GRAFT_CHECK(dataset.samples.size() > before,
                "{}: the class folder holds no JPEG or PNG photo{}; put some in, or remove the folder", printable(path),
                skipped == 0
                    ? " (it is empty)"
                    : fmt::format(" ({} other files; the first, {}, is {})", skipped,
                                  dataset.skipped[skipped_before].file, dataset.skipped[skipped_before].reason));
  }
  return dataset;
}

DatasetFolder open_dataset(const fs::path& folder) {
  check_folder(folder);
  if (!holds_folders(folder / "train")) return {read_class_folders(folder), std::nullopt};

  DatasetFolder halves{read_class_folders(folder / "train"), std::nullopt};
  for (const char* name : {"val", "valid", "validation"}) {
    if (!is_folder(folder / name)) continue;
    GRAFT_CHECK(!halves.validation, "{}: both {} and {} are there; keep one folder of photos for validation",
                printable(folder), printable(halves.validation->root.filename()), name);
    halves.validation = read_class_folders(folder / name, &halves.train.classes);
  }
  return halves;
}

Dataset find_photos(const std::vector<fs::path>& files_and_folders) {
  Dataset dataset;
  for (const fs::path& path : files_and_folders) {
    Search search(dataset, 0);
    if (is_folder(path))
      search.folder(path);
    else
      search.file(path);
  }
  return dataset;
}

std::pair<Dataset, Dataset> split_stratified(const Dataset& dataset, double fraction, uint64_t seed) {
  GRAFT_CHECK(fraction >= 0 && fraction < 1, "split: {} of each class for validation; 0 <= fraction < 1 is needed",
              fraction);
  std::vector<std::vector<size_t>> by_class(dataset.classes.size());
  for (size_t i = 0; i < dataset.samples.size(); ++i)
    by_class.at(static_cast<size_t>(dataset.samples[i].label)).push_back(i);

  std::vector<bool> second(dataset.samples.size());
  for (size_t label = 0; label < by_class.size(); ++label) {
    auto& members = by_class[label];
    const auto count = static_cast<int64_t>(members.size());
    if (fraction == 0 || count < 2) continue;
    shuffle(members, PhiloxStream(seed, RandomPurpose::split, 0, label));
    const auto wanted = std::clamp<int64_t>(std::llround(fraction * static_cast<double>(count)), 1, count - 1);
    for (int64_t i = 0; i < wanted; ++i) second[members[static_cast<size_t>(i)]] = true;
  }

  std::pair<Dataset, Dataset> halves{{dataset.root, dataset.classes, {}, dataset.skipped},
                                     {dataset.root, dataset.classes, {}, {}}};
  for (size_t i = 0; i < dataset.samples.size(); ++i)
    (second[i] ? halves.second : halves.first).samples.push_back(dataset.samples[i]);
  return halves;
}

}  // namespace graft::io
