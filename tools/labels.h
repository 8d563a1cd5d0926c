// Folders of photos as the classes of a model.
#pragma once
#include <filesystem>

#include "io/dataset.h"
#include "train/model_file.h"

namespace graft::tools {

// Labels are the model's classes. Where the model names them, a folder of each name counts, and fewer folders will do;
// where it does not, folders sorted by name are classes 0, 1, …, and there must be as many. Throws Error when they do
// not match, and says which do not.
io::Dataset read_labelled(const std::filesystem::path& folder, const train::ModelFile& model);

// Throws Error where the folders of `folder` are the halves of a data set (train/, val/, …) and none of them is one of
// `classes`; says which to use.
void check_not_divided(const std::filesystem::path& folder, const std::vector<std::string>& classes = {});

}  // namespace graft::tools
