// A tuning file: which of several ways computes a call on one kind of GPU, as `graft bench tune` measured them there.
//
//   {"graft_tuning": 1, "device": "NVIDIA H200, sm_90, …", "versions": "graft 0.1.0, cuDNN 9.19.0, …",
//    "date": "2026-11-23", "choices": [{"call": "conv2d …", "way": "graft tile 64", "milliseconds": 0.11,
//                                       "rule": "cudnn 7 …", "rule_milliseconds": 0.14}, …]}
//
// `call` and `way` are the backend's words (TuneFunctions). A choice decides the last bits of results, so a file is
// used on the device and with the versions it was made for, or not at all.
#pragma once
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "core/device.h"

namespace graft::train {

struct TuningChoice {
  std::string call, way;
  double milliseconds = 0;
  std::string rule;  // the way that the backend takes without a choice
  double rule_milliseconds = 0;

  friend bool operator==(const TuningChoice&, const TuningChoice&) = default;
};

struct Tuning {
  std::string device, versions, date;
  std::vector<TuningChoice> choices;  // one a call

  friend bool operator==(const Tuning&, const Tuning&) = default;
};

// For a device, without choices yet. Throws Error when it has no ways to choose from.
Tuning new_tuning(const Device& device, std::string date);

std::string to_json(const Tuning& tuning);

// Throws Error for what is no tuning file, wholly: nothing of it is used.
Tuning tuning_from_json(std::string_view text, std::string_view source);
Tuning read_tuning(const std::filesystem::path& file);

// From now on these ways compute, and Device::tuning says so. Throws Error when the file is for another device or for
// other versions.
void apply(const Tuning& tuning, Device& device, std::string_view source);

}  // namespace graft::train
