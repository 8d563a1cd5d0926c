// A case in the memory of a device, computed by its backend or by a function of the same signature.
#pragma once
#include <functional>
#include <memory>

#include "bench/cache_sweep.h"
#include "bench/contestant.h"
#include "core/device.h"

namespace graft::bench {

using KernelFunction = Status (*)(CallContext*, const void* args);

class DeviceEntrant final : public Entrant {
 public:
  explicit DeviceEntrant(std::shared_ptr<Device> device, int threads);
  ~DeviceEntrant() override;

  std::string by() const override { return "graft"; }
  std::string description() const override;
  std::unique_ptr<Contestant> enter(const KernelCase&) override;

  // The same device with a function in the place of its backend's.
  std::unique_ptr<Contestant> enter(const KernelCase&, KernelFunction, const std::string& by);

 private:
  struct Sweeper;
  std::shared_ptr<Device> device_;
  std::shared_ptr<Sweeper> sweeper_;
};

}  // namespace graft::bench
