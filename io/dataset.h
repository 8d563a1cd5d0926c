// Photos in folders, one folder a class:
//
//   photos/birds/*.jpg  photos/cats/*.png                    one set; split_stratified divides it
//   photos/train/birds/…  photos/val/birds/…                 divided already; val may be called valid or validation
//
// `train` counts as a half of a data set only where it holds folders, so that a class may be called "train". A folder
// `test` beside it is left alone: what one tests on at the end does not choose the best epoch.
#pragma once
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace graft::io {

struct Sample {
  std::filesystem::path file;  // relative to the data set's root
  int64_t label = 0;           // index into classes
};

// A file that was left out, and why. `file` as the samples have it, printable.
struct SkippedFile {
  std::string file, reason;
};

struct Dataset {
  std::filesystem::path root;
  std::vector<std::string> classes;  // sorted by bytes, as torchvision's ImageFolder
  std::vector<Sample> samples;       // by class, then by folder and name
  std::vector<SkippedFile> skipped;  // what is not JPEG or PNG inside (the name does not count), or cannot be opened

  std::vector<int64_t> counts() const;  // of samples, for each class
};

struct DatasetFolder {
  Dataset train;
  std::optional<Dataset> validation;  // absent where the folder has no such half; same classes, same labels
};

// Throws Error: missing, a file, no class folders, a class without photos, a class name that is not printable UTF-8,
// classes in validation that training lacks. Hidden files are passed over; folders inside a class folder are searched,
// symbolic links followed once; a second way to a folder is reported as skipped.
DatasetFolder open_dataset(const std::filesystem::path& folder);

// One set from one folder of class folders. With `classes` (a trained model's), their order gives the labels: folders
// may be fewer, not others.
Dataset read_class_folders(const std::filesystem::path& folder, const std::vector<std::string>* classes = nullptr);

// Photos without classes: the files named, and all below the folders named. Labels are 0, there is no class.
Dataset find_photos(const std::vector<std::filesystem::path>& files_and_folders);

// `fraction` of each class (rounded, and at least one on both sides where the class has two) to the second set, chosen
// by `seed`, the order kept. What was skipped stays with the first.
std::pair<Dataset, Dataset> split_stratified(const Dataset& dataset, double fraction, uint64_t seed);

// 32 hexadecimal digits of classes, names and bytes (XXH3, 128 bits): the same wherever the folder lies. Reads every
// file; one that cannot be read counts by its name.
std::string content_hash(const Dataset& dataset);

}  // namespace graft::io
