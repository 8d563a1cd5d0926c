#include "train/made_by.h"

#include <gnu/libc-version.h>

#include <nlohmann/json.hpp>

#include "io/library_versions.h"

namespace graft::train {

std::string made_by(const Device* device) {
  nlohmann::ordered_json json = {{"graft", GRAFT_VERSION}};
  if (device) {
    json["device"] = device->name();
    const auto& functions = device->backend().device;
    if (functions.instruction_set) json["instruction_set"] = functions.instruction_set(device->backend().self);
    const TuneFunctions& tune = device->backend().tune;
    if (tune.versions) json["kernels"] = tune.versions(device->backend().self);
    if (!device->tuning.empty()) json["tuning"] = device->tuning;
  }
  for (const auto& [library, version] : io::library_versions()) json[library] = version;
  json["glibc"] = gnu_get_libc_version();
  return json.dump();
}

}  // namespace graft::train
