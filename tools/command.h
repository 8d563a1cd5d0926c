// The command line: each subcommand adds itself with its options, and is run once everything has been read.
//
//   auto [app, o] = add_command(line, "predict", "Name what is in a photo", "graft predict pets.h5 photo.jpg",
//   predict); app.add_option("--top", o.top, "Answers for each photo")->capture_default_str();
#pragma once
#include <CLI/CLI.hpp>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "core/error.h"

namespace graft::tools {

// Options that do not go together: exit code 2.
class UsageError : public Error {
 public:
  using Error::Error;
};

template <typename... Args>
[[noreturn]] void wrong_use(fmt::format_string<Args...> format, Args&&... args) {
  throw UsageError(fmt::format(format, std::forward<Args>(args)...));
}

enum ExitCode : int { kDone = 0, kFailed = 1, kWrongUse = 2, kInterrupted = 130 };

struct CommandLine {
  CLI::App app{"Takes a trained image network and grows a new part on it.", "graft"};
  std::function<int()> run;            // the command that was asked for
  std::vector<std::string> arguments;  // as they were given, without the program's name
};

template <typename Options>
struct Command {
  CLI::App& app;
  Options& o;
};

// `examples`: one a line, shown below --help.
CLI::App& add_subcommand(CLI::App& parent, const char* name, const char* description, const char* examples);

template <typename Options>
Command<Options> add_command(CommandLine& line, CLI::App& parent, const char* name, const char* description,
                             const char* examples, int (*run)(const Options&)) {
  CLI::App& app = add_subcommand(parent, name, description, examples);
  auto options = std::make_shared<Options>();
  app.final_callback([&line, options, run] { line.run = [options, run] { return run(*options); }; });
  return {app, *options};
}
template <typename Options>
Command<Options> add_command(CommandLine& line, const char* name, const char* description, const char* examples,
                             int (*run)(const Options&)) {
  return add_command(line, line.app, name, description, examples, run);
}

// Reads the command line and runs the command. Returns the exit code; reports every error on standard error.
int run_command_line(CommandLine& line, int argc, const char* const* argv);

// The subcommands, a file each.
void add_models(CommandLine& line);
void add_convert(CommandLine& line);
void add_inspect(CommandLine& line);
void add_predict(CommandLine& line);
void add_evaluate(CommandLine& line);
void add_features(CommandLine& line);
void add_forward(CommandLine& line);
void add_gradients(CommandLine& line);
void add_train(CommandLine& line);
void add_bench(CommandLine& line);
void add_bench_kernels(CommandLine& line, CLI::App& bench);
void add_bench_train(CommandLine& line, CLI::App& bench);
void add_bench_tune(CommandLine& line, CLI::App& bench);
void add_devices(CommandLine& line);

}  // namespace graft::tools
