// The graft command.
#include <csignal>
#include <memory>

#include "tools/command.h"
#include "tools/help.h"

int main(int argc, char** argv) {
  using namespace graft::tools;
  std::signal(SIGPIPE, SIG_IGN);  // a reader that goes away shows as EPIPE (output.h)
  std::signal(SIGXFSZ, SIG_IGN);  // a file-size limit shows as EFBIG, like a full disk

  CommandLine line;
  line.app.set_version_flag("--version", "graft " GRAFT_VERSION, "The version");
  line.app.require_subcommand(0, 1);
  line.app.set_help_flag("-h,--help", "This help");
  line.app.formatter(std::make_shared<Help>());
  line.app.footer(
      "Examples:\n"
      "  graft convert efficientnet_lite0.pth -o lite0.h5    weights that PyTorch saved\n"
      "  graft train pets/ --from lite0.h5 -o pets.h5        a folder of photos a class\n"
      "  graft evaluate pets.h5 pets/val                     how often it is right\n"
      "  graft predict pets.h5 photo.jpg                     what is in a photo\n"
      "\n"
      "graft COMMAND --help says more about each.\n"
      "Exit codes: 0 done, 1 failed in part or whole, 2 wrong use, 130 interrupted.\n"
      "A file that is no readable photo is left out: train ends with 0 all the same,\n"
      "predict, evaluate and features with 1.");
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
