// --help: what a command does, how it is called, its arguments and options with placeholders, examples; 80 columns.
#pragma once
#include <CLI/CLI.hpp>
#include <string>

namespace graft::tools {

class Help final : public CLI::FormatterBase {
 public:
  std::string make_help(const CLI::App* app, std::string name, CLI::AppFormatMode mode) const override;
};

}  // namespace graft::tools
