// "did you mean …": the names of a list that are closest to one that is not in it.
#pragma once
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace graft::models {

// At most `count` names, nearest first: those an edit in three letters away, and those that `wanted` begins or that
// begin it. None is better than a guess.
std::vector<std::string> near_names(std::string_view wanted, std::span<const std::string> names, size_t count = 3);

// "; did you mean layer1.0.conv1, layer1.0.conv2 or fc?", or "" when nothing is near
std::string did_you_mean(std::string_view wanted, std::span<const std::string> names);

}  // namespace graft::models
