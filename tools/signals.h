// Ctrl-C and SIGTERM ask a command to end the step it is in, save and exit; a second one kills it.
#pragma once
#include <atomic>

namespace graft::tools {

// Installs the handlers; the flag is raised by the first signal.
const std::atomic<bool>& watch_for_stop();

}  // namespace graft::tools
