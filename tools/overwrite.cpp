#include "tools/overwrite.h"

#include "core/error.h"
#include "train/checkpoint.h"
#include "train/model_file.h"

namespace graft::tools {

namespace {

bool comes_from_training(const std::filesystem::path& file) {
  try {
    const io::GraftFile found(file);
    return found.text(train::kTrainingText).has_value() || found.text(train::kCheckpointConfig).has_value();
  } catch (const Error&) {  // missing, or no file of graft's
    return false;
  }
}

}  // namespace

CLI::Option* add_output(CLI::App& app, std::filesystem::path& output, const char* description) {
  const auto refuse_empty = [](const std::string& name) {
    return name.empty() ? "the name of the file to write is empty" : "";
  };
  return app.add_option("-o,--output", output, description)->check(CLI::Validator(refuse_empty, ""));
}

CLI::Option* add_overwrite(CLI::App& app, bool& overwrite) {
  return app.add_flag("--overwrite", overwrite, "Replace a trained model that is there");
}

void check_output(const std::filesystem::path& output) {
  const auto name = output.filename();
  std::error_code ignored;
  GRAFT_CHECK(!name.empty() && name != "." && name != ".." && !std::filesystem::is_directory(output, ignored),
              "{}: this is a folder, and the result is a file: give its name with -o", output.string());
  const auto folder = output.parent_path();
  GRAFT_CHECK(folder.empty() || std::filesystem::is_directory(folder, ignored),
              "{}: there is no folder {}; make it, or give another name with -o", output.string(), folder.string());
}

void check_replaceable(const std::filesystem::path& output, std::initializer_list<std::filesystem::path> inputs,
                       bool overwrite) {
  check_output(output);
  std::error_code ignored;
  for (const auto& input : inputs)
    GRAFT_CHECK(!std::filesystem::equivalent(input, output, ignored),
                "{}: the result would replace what it is made from; give another name with -o", output.string());
  GRAFT_CHECK(overwrite || !comes_from_training(output),
              "{} is there already, and holds what training made: give another name with -o, or --overwrite to "
              "replace it",
              output.string());
}

}  // namespace graft::tools
