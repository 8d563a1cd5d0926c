#include "bench/device_call.h"

#include <chrono>
#include <optional>

#include "core/error.h"
#include "core/tensor.h"

namespace graft::bench {

namespace {

using Clock = std::chrono::steady_clock;

constexpr int64_t kGpuSweepBytes = int64_t{512} << 20;  // four times the largest L2 there is, 126 MB

bool is_gpu(const Device& device) { return std::string_view(device.name()) == "cuda"; }

}  // namespace

// Sweeps the caches of the processor that computes.
struct DeviceEntrant::Sweeper {
  Sweeper(std::shared_ptr<Device> d, int t) : device(std::move(d)), threads(t) {}

  void sweep() {
    if (is_gpu(*device)) {
      if (!on_gpu) on_gpu = empty(device, {kGpuSweepBytes / 4});
      device->run(FillArgs{.y = on_gpu->view(), .value = 1});
      device->synchronize();
      return;
    }
    if (!on_host) on_host.emplace(threads);
    on_host->sweep();
  }

  std::shared_ptr<Device> device;
  int threads;
  std::optional<CacheSweep> on_host;
  std::optional<Tensor> on_gpu;
};

namespace {

template <typename Sweeper>
class DeviceCall final : public Contestant {
 public:
  DeviceCall(std::shared_ptr<Device> device, std::shared_ptr<Sweeper> sweeper, const KernelCase& c,
             KernelFunction function, std::string by)
      : device_(std::move(device)), sweeper_(std::move(sweeper)), case_(c), function_(function), by_(std::move(by)) {
    for (int i = 0; i < case_.roles().total(); ++i) {
      TensorView& view = case_.view(i);
      if (!view.present()) continue;
      memory_[static_cast<size_t>(i)] = empty(device_, view.shape, view.dtype);
      view.data = memory_[static_cast<size_t>(i)].view().data;
    }
    own_ = function == device_->backend().run[static_cast<int>(c.primitive)];
    const int64_t bytes = own_ ? device_->workspace_bytes(c.primitive, case_.args.bytes) : 0;
    workspace_ = empty(device_, {bytes}, DType::u8);
    context_ = {.self = device_->backend().self, .workspace = workspace_.view().data, .workspace_bytes = bytes};
  }

  std::string by() const override { return by_; }
  std::string kernel() const override { return context_.kernel ? context_.kernel : ""; }

  Tensors results() override {
    const Tensors contents = contents_of(case_);
    for (size_t i = 0; i < memory_.size(); ++i)
      if (!contents[i].empty()) memory_[i].copy_from(contents[i].data());
    const Roles roles = case_.roles();
    for (int i = roles.inputs + roles.inouts; i < roles.total(); ++i)  // NaN, so that what is not written shows
      if (Tensor& output = memory_[static_cast<size_t>(i)]; output.defined())
        output.copy_from(Bytes(static_cast<size_t>(output.bytes()), std::byte{0xFF}).data());
    call();
    device_->synchronize();
    Tensors results;
    for (int i = roles.inputs; i < roles.total(); ++i) {
      const Tensor& output = memory_[static_cast<size_t>(i)];
      if (!output.defined()) continue;
      results[static_cast<size_t>(i)].resize(static_cast<size_t>(output.bytes()));
      output.copy_to(results[static_cast<size_t>(i)].data());
    }
    return results;
  }

  std::vector<double> time(int64_t samples, int64_t calls, bool cold) override {
    std::vector<double> seconds;
    for (int64_t sample = 0; sample < samples; ++sample) {
      if (cold) sweeper_->sweep();
      device_->synchronize();
      const auto begin = Clock::now();
      for (int64_t i = 0; i < calls; ++i) call();
      device_->synchronize();
      seconds.push_back(std::chrono::duration<double>(Clock::now() - begin).count() / static_cast<double>(calls));
    }
    return seconds;
  }

 private:
  void call() {
    const Status status = function_(&context_, case_.args.bytes);
    if (own_) device_->check(status, name_of(case_.primitive), describe_call(case_.primitive, case_.args.bytes));
    GRAFT_CHECK(status == Status::ok, "{} answers: {}", by_, name_of(status));
  }

  std::shared_ptr<Device> device_;
  std::shared_ptr<Sweeper> sweeper_;
  KernelCase case_;
  KernelFunction function_;
  std::string by_;
  bool own_ = false;
  std::array<Tensor, kMaxViews> memory_;
  Tensor workspace_;
  CallContext context_;
};

}  // namespace

DeviceEntrant::DeviceEntrant(std::shared_ptr<Device> device, int threads)
    : device_(std::move(device)), sweeper_(std::make_shared<Sweeper>(device_, threads)) {}

DeviceEntrant::~DeviceEntrant() = default;

std::string DeviceEntrant::description() const { return device_->description(); }

std::unique_ptr<Contestant> DeviceEntrant::enter(const KernelCase& c) {
  const KernelFunction function = device_->backend().run[static_cast<int>(c.primitive)];
  return function ? enter(c, function, by()) : nullptr;
}

std::unique_ptr<Contestant> DeviceEntrant::enter(const KernelCase& c, KernelFunction function, const std::string& by) {
  return std::make_unique<DeviceCall<Sweeper>>(device_, sweeper_, c, function, by);
}

}  // namespace graft::bench
