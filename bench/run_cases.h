// The whole run: limits, then case by case all contestants, compared and timed.
#pragma once
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "bench/device_call.h"
#include "bench/measure.h"
#include "bench/results.h"

namespace graft::bench {

struct RunOptions {
  MeasureOptions measure;
  int threads = 1;
  DType dtype = DType::f32;
};

// `others` are compared with the reference and with graft before they are timed; a wrong one is not. Calls `progress`
// before each case and, where it answers false, stops there.
Results run_cases(const std::vector<KernelCase>& cases, const std::shared_ptr<Device>& device, DeviceEntrant& graft,
                  const std::vector<Entrant*>& others, const RunOptions& options,
                  const std::function<bool(size_t done, const KernelCase& next)>& progress);

}  // namespace graft::bench
