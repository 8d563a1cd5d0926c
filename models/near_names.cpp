#include "models/near_names.h"

#include <algorithm>
#include <utility>

namespace graft::models {

namespace {

// Insertions, deletions, substitutions, and neighbours that changed places (optimal string alignment).
size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<size_t> before(b.size() + 1), last(b.size() + 1), row(b.size() + 1);
  for (size_t j = 0; j <= b.size(); ++j) last[j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      row[j] = std::min({last[j] + 1, row[j - 1] + 1, last[j - 1] + (a[i - 1] != b[j - 1])});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) row[j] = std::min(row[j], before[j - 2] + 1);
    }
    std::swap(before, last);
    std::swap(last, row);
  }
  return last[b.size()];
}

}  // namespace

std::vector<std::string> near_names(std::string_view wanted, std::span<const std::string> names, size_t count) {
  constexpr size_t kLongest = 256;  // what is longer is no name
  constexpr size_t kBeginning = 3;  // characters that a beginning has at least
  struct Candidate {
    size_t distance;
    const std::string* name;
  };
  std::vector<Candidate> found;
  if (wanted.empty() || wanted.size() > kLongest) return {};
  for (const std::string& name : names) {
    if (name.empty() || name.size() > kLongest) continue;
    const size_t common = std::min(wanted.size(), name.size());
    const bool begins = common >= kBeginning && wanted.substr(0, common) == std::string_view(name).substr(0, common);
    const size_t edits = edit_distance(wanted, name);
    if (begins || edits <= std::max<size_t>(1, wanted.size() / 3)) found.push_back({begins ? 1 : edits, &name});
  }
  std::stable_sort(found.begin(), found.end(),
                   [](const Candidate& a, const Candidate& b) { return a.distance < b.distance; });
  std::vector<std::string> near;
  for (size_t i = 0; i < found.size() && i < count; ++i) near.push_back(*found[i].name);
  return near;
}

std::string did_you_mean(std::string_view wanted, std::span<const std::string> names) {
  const auto near = near_names(wanted, names);
  std::string text;
  for (size_t i = 0; i < near.size(); ++i)
    text += (i == 0 ? "; did you mean " : i + 1 == near.size() ? " or " : ", ") + near[i];
  return text.empty() ? text : text + "?";
}

}  // namespace graft::models
