#pragma once
#include "tools/command.h"

namespace graft::tools {

// graft bench train, below `bench`.
void add_bench_train(CommandLine& line, CLI::App& bench);

}  // namespace graft::tools
