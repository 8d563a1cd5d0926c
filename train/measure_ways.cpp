#include "train/measure_ways.h"

#include <algorithm>
#include <chrono>
#include <map>

#include "core/tensor.h"
#include "models/rewrite.h"

namespace graft::train {

namespace {

constexpr int64_t kMostText = 1024;

// Random numbers of magnitude [1/2, 1), of either sign: with zeros a multiplier would draw less power than it does.
std::vector<std::byte> random_elements(DType type, int64_t count) {
  const size_t size = size_of(type);
  std::vector<std::byte> bytes(static_cast<size_t>(count) * size);
  uint32_t state = 0x9E3779B9;
  for (size_t i = 0; i < static_cast<size_t>(count); ++i) {
    state = state * 1664525 + 1013904223;  // Numerical Recipes
    const uint32_t f32 = 0x3F000000u | (state & 0x807FFFFFu);
    const uint32_t bf16 = f32 >> 16, f16 = 0x3800u | (f32 >> 16 & 0x8000u) | (f32 >> 13 & 0x3FFu);
    const uint32_t element = type == DType::f32 ? f32 : type == DType::bf16 ? bf16 : f16;
    for (size_t b = 0; b < size; ++b) bytes[i * size + b] = static_cast<std::byte>(element >> 8 * b);
  }
  return bytes;
}

// A call with memory.
class MeasuredCall {
 public:
  MeasuredCall(const std::shared_ptr<Device>& device, const TunableCall& call) : device_(device), tunable_(call) {
    args_ = call.call.args;
    for (int i = 0; i < call.call.roles().total(); ++i) {
      TensorView& view = views_of(args_.bytes)[i];
      if (!view.present()) continue;
      tensors_.push_back(empty(device, view.shape, view.dtype));
      tensors_.back().copy_from(random_elements(view.dtype, view.numel()).data());
      view.data = tensors_.back().view().data;
    }
  }
  MeasuredCall(const MeasuredCall&) = delete;
  ~MeasuredCall() { (void)choose(nullptr); }

  // nullptr: the rule's.
  Status choose(const char* way) const {
    const Backend& b = device_->backend();
    return b.tune.choose(b.self, tunable_.key.c_str(), way);
  }
  // Room for the way that is chosen now.
  void make_room() {
    const int64_t bytes = device_->workspace_bytes(tunable_.call.primitive, args_.bytes);
    if (bytes > workspace_bytes_) workspace_ = empty(device_, {bytes}, DType::u8);
    workspace_bytes_ = std::max(bytes, workspace_bytes_);
  }
  Status run(int64_t times) const {
    void* workspace = workspace_bytes_ > 0 ? workspace_.view().data : nullptr;
    for (int64_t i = 0; i < times; ++i)
      if (const Status s = device_->try_run(tunable_.call.primitive, args_.bytes, workspace, workspace_bytes_);
          s != Status::ok)
        return s;
    device_->synchronize();
    return Status::ok;
  }
  double seconds(int64_t times) const {
    const auto start = std::chrono::steady_clock::now();
    check(run(times));
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  }
  void check(Status status) const {
    if (status != Status::ok)
      device_->check(status, name_of(tunable_.call.primitive), describe_call(tunable_.call.primitive, args_.bytes));
  }

 private:
  std::shared_ptr<Device> device_;
  const TunableCall& tunable_;
  AnyArgs args_ = {};
  std::vector<Tensor> tensors_;
  Tensor workspace_;
  int64_t workspace_bytes_ = 0;
};

double median(std::vector<double> values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

}  // namespace

std::vector<TunableCall> tunable_calls(const Device& device, const std::vector<OwnedCall>& calls) {
  const Backend& b = device.backend();
  std::vector<TunableCall> list;
  std::map<std::string, size_t> places;
  std::vector<char> text(kMostText);
  for (const OwnedCall& call : calls) {
    int32_t count = 0;
    device.check(b.tune.ways(b.self, call.primitive, call.args.bytes, text.data(), kMostText, &count), "list ways");
    if (count < 2) continue;
    const auto [place, is_new] = places.try_emplace(text.data(), list.size());
    if (!is_new) {
      ++list[place->second].count;
      continue;
    }
    TunableCall& added = list.emplace_back(TunableCall{.key = text.data(), .call = call, .ways = {}});
    for (int32_t i = 0; i < count; ++i) {
      device.check(b.tune.way(b.self, call.primitive, call.args.bytes, i, text.data(), kMostText), "name a way");
      added.ways.emplace_back(text.data());
    }
  }
  return list;
}

std::vector<OwnedCall> prediction_calls(const models::Graph& graph, const Device& device, int64_t batch, int64_t side) {
  std::vector<OwnedCall> calls;
  const auto plan = models::make_plan(graph, {.taps = {graph.outputs[0].node},
                                              .inputs = {},
                                              .batch = batch,
                                              .height = side,
                                              .width = side,
                                              .compute = device.compute_type()});
  for (const models::PlanCall& c : plan.calls) calls.push_back({.primitive = c.primitive, .args = c.args});
  return calls;
}

std::vector<WayTime> time_ways(const std::shared_ptr<Device>& device, const TunableCall& call, const WayTiming& timing,
                               const std::atomic<bool>& stop) {
  constexpr double kMostCalls = 10'000;
  MeasuredCall measured(device, call);
  std::vector<WayTime> times;
  std::vector<int64_t> calls_of_sample;
  for (const std::string& way : call.ways) {
    if (stop) return times;
    times.push_back({.way = way, .failure = {}});
    calls_of_sample.push_back(1);
    device->check(measured.choose(way.c_str()), "choose a way");
    measured.make_room();
    const Status status = measured.run(1);  // loads and compiles what it needs
    if (times.size() == 1) measured.check(status);
    if (status != Status::ok) {
      const char* reason = device->backend().device.last_error(device->backend().self);
      times.back().failure = status == Status::device_error ? reason : name_of(status);
      continue;
    }
    const double once = std::max(measured.seconds(1), 1e-7);
    calls_of_sample.back() = static_cast<int64_t>(std::clamp(timing.sample_seconds / once, 1.0, kMostCalls));
  }
  std::vector<std::vector<double>> samples(times.size());
  for (int sample = 0; sample < timing.samples; ++sample)
    for (size_t i = 0; i < times.size(); ++i) {
      if (stop) return times;
      if (!times[i].failure.empty()) continue;
      device->check(measured.choose(times[i].way.c_str()), "choose a way");
      const int64_t calls = calls_of_sample[i];
      samples[i].push_back(1000 * measured.seconds(calls) / static_cast<double>(calls));
    }
  for (size_t i = 0; i < times.size(); ++i)
    if (times[i].failure.empty()) times[i].milliseconds = median(samples[i]);
  return times;
}

}  // namespace graft::train
