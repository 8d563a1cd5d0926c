#include "models/near_names.h"

#include <algorithm>

namespace graft::models {

namespace {

// Levenshtein: insertions, deletions and substitutions.
size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<size_t> row(b.size() + 1);
  for (size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    size_t diagonal = row[0];
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t substituted = diagonal + (a[i - 1] != b[j - 1]);
      diagonal = row[j];
      row[j] = std::min({row[j] + 1, row[j - 1] + 1, substituted});
    }
  }
  return row[b.size()];
}

}  // namespace

std::vector<std::string> near_names(std::string_view wanted, std::span<const std::string> names, size_t count) {
  constexpr size_t kLongest = 256;  // what is longer is no name
  struct Candidate {
    size_t distance;
    const std::string* name;
  };
  std::vector<Candidate> found;
  if (wanted.empty() || wanted.size() > kLongest) return {};
  for (const std::string& name : names) {
    if (name.empty() || name.size() > kLongest) continue;
    const bool contained = name.find(wanted) != std::string::npos || wanted.find(name) != std::string_view::npos;
    const size_t edits = edit_distance(wanted, name), distance = contained ? std::min<size_t>(edits, 2) : edits;
    if (contained || distance <= (wanted.size() + 1) / 2) found.push_back({distance, &name});
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
