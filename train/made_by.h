// What chose the bits of a model file, besides its settings and its data.
#pragma once
#include <string>

#include "core/device.h"

namespace graft::train {

// JSON: graft's version, those of the libraries that read photos and write the file, the C library's (its functions are
// in the schedule and the augmentation), and, of a network that was trained, the device, its instruction set or the
// versions of its libraries, and a hash of a tuning file's choices. No threads: they change nothing. A converted
// network has no device (nullptr).
std::string made_by(const Device* device);

}  // namespace graft::train
