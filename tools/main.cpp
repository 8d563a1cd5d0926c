// The graft command.
#include <csignal>

#include "tools/command.h"

int main(int argc, char** argv) {
  using namespace graft::tools;
  std::signal(SIGPIPE, SIG_IGN);  // a reader that goes away shows as EPIPE (output.h)
  std::signal(SIGXFSZ, SIG_IGN);  // a file-size limit shows as EFBIG, like a full disk

  CommandLine line;
  line.app.set_version_flag("--version", "graft " GRAFT_VERSION);
  line.app.require_subcommand(0, 1);
  line.app.footer(
      "graft COMMAND --help says more about each.\n\nExit codes: 0 done, 1 failed in part or whole, 2 wrong "
      "use, 130 interrupted and saved.");
  add_models(line);
  add_convert(line);
  add_inspect(line);
  add_predict(line);
  add_evaluate(line);
  add_features(line);
  add_train(line);
  add_forward(line);
  add_gradients(line);
  add_bench(line);
  add_devices(line);
  return run_command_line(line, argc, argv);
}
