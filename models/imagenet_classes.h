// The names of ImageNet's classes: facts that weights files leave out.
#pragma once
#include <string>
#include <vector>

namespace graft::models {

// 1,000 names by index.
const std::vector<std::string>& imagenet_classes();

}  // namespace graft::models
