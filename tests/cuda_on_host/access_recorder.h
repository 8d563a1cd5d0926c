// Gathers the accesses of the kernel that runs while an AccessLog is alive.
#pragma once
#include <string>

namespace graft::cuda_on_host {

void begin_recorded_launch(const std::string& kernel);
void end_recorded_block();
void end_recorded_launch();

}  // namespace graft::cuda_on_host
