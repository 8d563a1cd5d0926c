#include "tools/labels.h"

#include <algorithm>

#include "core/error.h"
#include "models/near_names.h"

namespace graft::tools {

namespace {

constexpr size_t kNamesShown = 12;

std::string some_of(const std::vector<std::string>& names) {
  const std::vector<std::string> first(
      names.begin(), names.begin() + static_cast<std::ptrdiff_t>(std::min(names.size(), kNamesShown)));
  return fmt::format("{}{}", fmt::join(first, ", "),
                     names.size() > kNamesShown ? fmt::format(", … ({} in all)", names.size()) : "");
}

}  // namespace

io::Dataset read_labelled(const std::filesystem::path& folder, const train::ModelFile& model) {
  const auto& names = model.info().classes;
  const int64_t outputs = models::classes_of(model.graph());
  GRAFT_CHECK(outputs > 0, "{}: the network has no classes", model.path().string());
  check_not_divided(folder, names);
  io::Dataset found = io::read_class_folders(folder);
  if (names.empty()) {
    GRAFT_CHECK(static_cast<int64_t>(found.classes.size()) == outputs,
                "{} has {} class folders and {} has {} classes without names, so nothing says which is which; give the "
                "model names with `graft convert … --classes FILE`",
                folder.string(), found.classes.size(), model.path().string(), outputs);
    return found;
  }
  std::vector<int64_t> label;
  std::vector<std::string> strange;
  for (const std::string& name : found.classes) {
    const auto at = std::find(names.begin(), names.end(), name);
    if (at == names.end()) strange.push_back(name);
    label.push_back(at - names.begin());
  }
  if (!strange.empty())
    fail("the folders of {} are not classes of {}\n  not among them: {}{}\n  its classes: {}", folder.string(),
         model.path().string(), some_of(strange), models::did_you_mean(strange[0], names), some_of(names));
  for (io::Sample& sample : found.samples) sample.label = label[static_cast<size_t>(sample.label)];
  found.classes = names;
  return found;
}

void check_not_divided(const std::filesystem::path& folder, const std::vector<std::string>& classes) {
  std::vector<std::string> halves;
  std::error_code ignored;
  for (const char* name : {"val", "valid", "validation", "test", "train"}) {
    if (std::find(classes.begin(), classes.end(), name) != classes.end()) return;
    bool holds_folders = false;
    for (const auto& entry : std::filesystem::directory_iterator(folder / name, ignored))
      holds_folders = holds_folders || entry.is_directory(ignored);
    if (holds_folders) halves.push_back((folder / name).string());
  }
  if (!halves.empty())
    fail("{} is a data set that came divided, not a folder of classes: give one part of it, {}", folder.string(),
         fmt::join(halves, " or "));
}

}  // namespace graft::tools
