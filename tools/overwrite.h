// What a result may take the place of. What a command wrote can be made again by the same command and is replaced, as
// by a compiler; what training made cannot, and is kept until --overwrite says otherwise. Nothing replaces what it is
// made from.
#pragma once
#include <CLI/CLI.hpp>
#include <filesystem>
#include <initializer_list>

namespace graft::tools {

// -o. An empty name, as of a shell variable that is not set, is not the default.
CLI::Option* add_output(CLI::App& app, std::filesystem::path& output, const char* description);
CLI::Option* add_overwrite(CLI::App& app, bool& overwrite);

// Throws Error: `output` names a folder, or is in one that is not there.
void check_output(const std::filesystem::path& output);

// Throws Error: the same, or `output` is one of `inputs`, or a model that was trained, or the checkpoint of a run.
void check_replaceable(const std::filesystem::path& output, std::initializer_list<std::filesystem::path> inputs,
                       bool overwrite);

}  // namespace graft::tools
