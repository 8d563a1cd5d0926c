// Captured steps and pieces on host-run kernels. A capture stores the bytes of arguments, and the host-run device runs
// everything as late as it may: so what a replay takes from the host, or reads too early, shows.
#include <catch2/catch.hpp>

#include "core/ops.h"
#include "tests/cuda_on_host/control.h"
#include "tests/kernels/cuda/counted_calls.h"
#include "tests/kernels/cuda/host_run_device.h"
#include "tests/kernels/cuda/recorded_ranges.h"
#include "tests/kernels/cuda/small_networks.h"
#include "tests/train/scion_setup.h"
#include "train/step_queue.h"

using namespace graft;
using namespace graft::train;
using graft::test::CountedCalls;
using graft::test::ScionSetup;
using graft::test::SmallNetwork;

namespace {

void without_captures(Backend* backend) { backend->device.begin_capture = nullptr; }

// Batch k, of `n` photos: its pixels, its labels, its learning rate.
io::Batch batch_of(const ScionSetup& s, size_t k, int64_t n) {
  io::Batch batch{.size = n};
  const size_t values = s.images.size() / static_cast<size_t>(s.config.batch);
  for (size_t i = 0; i < values * static_cast<size_t>(n); ++i)
    batch.images.push_back(s.images[(i + 17 * k) % s.images.size()] * (1 + 0.1f * static_cast<float>(k)));
  for (int64_t i = 0; i < n; ++i) batch.labels.push_back((i + static_cast<int64_t>(k)) % 5);
  return batch;
}
constexpr double kRates[] = {0.01, 0.02, 0.005, 0.03, 0.015};

// Everything that four steps leave: losses and logits, parameters and statistics, the optimiser's state, the counters.
std::vector<double> state_after(const SmallNetwork& network, OptimizerKind optimizer,
                                const std::shared_ptr<Device>& device) {
  TrainConfig config = test::config_of(network);
  config.optimizer = optimizer;
  ScionSetup s(config, network.frozen, device, network.graph());
  std::vector<double> values;
  const auto add = [&](const auto& more) { values.insert(values.end(), more.begin(), more.end()); };
  for (size_t k = 0; k < 4; ++k) {
    const io::Batch batch = batch_of(s, k, 4);
    s.rootstock->run(batch.images.data(), 4);
    const auto step = s.scion->step(batch.labels, kRates[k]);
    values.push_back(step.loss);
    add(step.logits);
  }
  for (const auto& entry : s.network.entries()) add(s.network.get(entry.info.name));
  for (const auto& [name, buffer] : s.optimizer->buffers()) add(buffer.to_vector<float>());
  for (const Tensor& t : {s.state->step, s.state->flag, s.state->random_state}) add(t.to_vector<int64_t>());
  return values;
}

}  // namespace

TEST_CASE("three replays of a step with other rates, masks and photos are three plain executions, to the bit") {
  const auto check = [](const SmallNetwork& network, DType compute, OptimizerKind optimizer) {
    INFO(network.name << ", " << name_of(compute) << ", adamw: " << (optimizer == OptimizerKind::adamw));
    CountedCalls* calls = nullptr;
    const auto captured =
        state_after(network, optimizer, test::cuda_device(compute, [&](Backend* b) { calls = &test::count_calls(b); }));
    const int captures = network.frozen.empty() ? 1 : 2;  // of the step, and of the frozen part
    CHECK(calls->captures == captures);
    CHECK(calls->replays == 3 * captures);
    CHECK(captured == state_after(network, optimizer, test::cuda_device(compute, without_captures)));
    CHECK(cuda_on_host::take_findings().empty());
  };
  const auto& networks = test::small_networks();
  for (const SmallNetwork& network : networks) check(network, DType::f32, network.optimizer);
  check(networks[1], DType::bf16, OptimizerKind::sgd);
  check(networks[4], DType::bf16, OptimizerKind::adamw);
}

TEST_CASE("a captured frozen part follows its photos, and a captured prediction the weights") {
  const SmallNetwork& network = test::small_networks()[1];
  const auto values_of_runs = [&](const std::shared_ptr<Device>& device) {
    ScionSetup s(test::config_of(network), network.frozen, device, network.graph());
    std::vector<float> values;
    for (size_t k = 0; k < 6; ++k) {
      const io::Batch batch = batch_of(s, k, k == 2 ? 2 : 4);
      if (k == 3) s.scion->step(batch_of(s, 0, 4).labels, 0.1);
      s.rootstock->run(batch.images.data(), batch.size);
      for (const auto& [tap, tensor] : s.rootstock->values(batch.size)) {
        const auto more = tensor.to_vector<float>();
        values.insert(values.end(), more.begin(), more.end());
      }
      const auto logits = s.scion->predict(batch.labels).logits;
      values.insert(values.end(), logits.begin(), logits.end());
    }
    return values;
  };
  CountedCalls* calls = nullptr;
  const auto captured =
      values_of_runs(test::cuda_device(DType::f32, [&](Backend* backend) { calls = &test::count_calls(backend); }));
  CHECK(calls->captures == 3);  // the frozen part; the prediction before the step, and after it
  CHECK(calls->replays == 5 + 2 + 2);
  CHECK(captured == values_of_runs(test::cuda_device(DType::f32, without_captures)));
  CHECK(cuda_on_host::take_findings().empty());
}

TEST_CASE("the training loop waits for the step before alone, and its steps allocate nothing and launch nothing") {
  const SmallNetwork& network = test::small_networks()[1];
  CountedCalls* calls = nullptr;
  ScionSetup s(test::config_of(network), network.frozen,
               test::cuda_device(DType::f32, [&](Backend* backend) { calls = &test::count_calls(backend); }),
               network.graph());
  StepQueue queue(*s.rootstock, *s.scion, *s.state);
  REQUIRE(queue.depth() == 2);
  const auto step = [&](size_t k) {
    queue.push(batch_of(s, k, 4), kRates[k % 5], {});
    if (queue.under_way() == queue.depth()) queue.pop();
  };
  for (size_t k = 0; k < 3; ++k) step(k);  // plain, captured, replayed
  const int64_t allocations = s.device->allocator().statistics().allocations;
  *calls = {};
  for (size_t k = 3; k < 6; ++k) {
    step(k);
    REQUIRE(calls->waited_for.size() == k - 2);
    // Of each step the device's order has two events: the inputs are taken, the results are there.
    REQUIRE(calls->recorded.size() == 2 * (k - 2));
    if (k > 3) CHECK(calls->waited_for.back() == calls->recorded[calls->recorded.size() - 3]);
  }
  CHECK(calls->synchronisations == 0);
  CHECK(calls->allocations == 0);
  CHECK(s.device->allocator().statistics().allocations == allocations);
  CHECK(calls->primitives == 0);
  CHECK(calls->executions == 0);
  CHECK(calls->replays == 2 * 3);  // the frozen part and the step
  queue.pop();
  CHECK(cuda_on_host::take_findings().empty());
}

TEST_CASE("what is read one step late is that step's, whichever stream runs first") {
  const SmallNetwork& network = test::small_networks()[1];
  const std::vector<int64_t> sizes = {4, 4, 4, 2, 4, 2, 2};  // each size has its own plan
  std::vector<Scion::Result> expected;
  {
    ScionSetup s(test::config_of(network), network.frozen, test::cuda_device(DType::f32, without_captures),
                 network.graph());
    for (size_t k = 0; k < sizes.size(); ++k) {
      const io::Batch batch = batch_of(s, k, sizes[k]);
      s.rootstock->run(batch.images.data(), batch.size);
      expected.push_back(s.scion->step(batch.labels, kRates[k % 5]));
    }
  }
  for (uint64_t seed = 1; seed <= 3; ++seed) {
    INFO("seed " << seed);
    const auto device = test::cuda_device(DType::f32);
    cuda_on_host::options().seed = seed;
    ScionSetup s(test::config_of(network), network.frozen, device, network.graph());
    StepQueue queue(*s.rootstock, *s.scion, *s.state);
    size_t read = 0;
    const auto read_one = [&] {
      const auto step = queue.pop();
      INFO("step " << read);
      CHECK(step.result.loss == expected[read].loss);
      CHECK(step.result.logits == expected[read].logits);
      CHECK(step.labels == batch_of(s, read, sizes[read]).labels);
      CHECK(step.after.next == read);
      CHECK_FALSE(step.diverged);
      ++read;
    };
    for (size_t k = 0; k < sizes.size(); ++k) {
      queue.push(batch_of(s, k, sizes[k]), kRates[k % 5], {.epoch = 0, .next = k});
      if (queue.under_way() == queue.depth()) read_one();
    }
    while (queue.under_way() > 0) read_one();
    CHECK(read == sizes.size());
    CHECK(cuda_on_host::take_findings().empty());
  }
}

TEST_CASE("a step that diverges leaves everything as it was, and so does the one queued behind it") {
  const SmallNetwork& network = test::small_networks()[0];
  ScionSetup s(test::config_of(network), network.frozen, test::cuda_device(DType::f32), network.graph());
  StepQueue queue(*s.rootstock, *s.scion, *s.state);
  for (size_t k = 0; k < 3; ++k) {
    queue.push(batch_of(s, k, 4), 0.01, {});
    CHECK_FALSE(queue.pop().diverged);
  }
  const auto before = s.trained->values().to_vector<float>();
  io::Batch broken = batch_of(s, 3, 4);
  broken.images[5] = std::numeric_limits<float>::quiet_NaN();
  queue.push(broken, 0.01, {});
  queue.push(batch_of(s, 4, 4), 0.01, {});
  CHECK(queue.pop().diverged);
  CHECK(queue.pop().diverged);
  CHECK(s.trained->values().to_vector<float>() == before);
  CHECK(s.state->step.item() == 3);
}

TEST_CASE("a queue that goes while a step is under way waits for it before its memory goes") {
  const SmallNetwork& network = test::small_networks()[0];
  ScionSetup s(test::config_of(network), network.frozen, test::cuda_device(DType::f32), network.graph());
  {
    StepQueue queue(*s.rootstock, *s.scion, *s.state);
    for (size_t k = 0; k < 2; ++k) queue.push(batch_of(s, k, 4), 0.01, {});
  }
  s.device->synchronize();
  CHECK(s.state->step.item() == 2);
  CHECK(cuda_on_host::take_findings().empty());
}

TEST_CASE("a profiler sees the layers' names inside a step that runs plainly, and one range for a replay") {
  const SmallNetwork& network = test::small_networks()[1];
  ScionSetup s(test::config_of(network), network.frozen, test::cuda_device(DType::f32), network.graph());
  test::RecordedRanges ranges;
  s.step();
  const auto plain = ranges.take();
  REQUIRE(plain.size() > 4);
  CHECK(plain[0] == "frozen part");
  CHECK(plain[1] == "training step of 4 images");
  CHECK(plain[2] == "training step of 4 images > layer2.conv1");
  for (const char* inside : {"layer2.conv2", "fc", "finish_step"})
    CHECK(std::count(plain.begin(), plain.end(), std::string("training step of 4 images > ") + inside) >= 1);
  s.step();
  ranges.take();
  s.step();
  CHECK(ranges.take() == std::vector<std::string>{"frozen part", "training step of 4 images"});
  CHECK(ranges.all_ended());
}

TEST_CASE("a call that fails while it is captured names its layer, and the next step is whole") {
  const SmallNetwork& network = test::small_networks()[0];
  ScionSetup s(test::config_of(network), network.frozen, test::cuda_device(DType::f32), network.graph());
  s.step();
  cuda_on_host::plant({.launch = 0});
  CHECK_THROWS_WITH(s.step(),
                    Catch::StartsWith("conv1: conv2d on cuda: device error") && Catch::Contains("[4, 32, 32, 3]"));
  StepPlan& plan = s.scion->training_plan(4);
  CHECK_FALSE(plan.captured());
  s.step();
  CHECK(plan.captured());
  CHECK(s.state->step.item() == 2);
}

TEST_CASE("a capture that the device refuses says what can be done") {
  const auto device = test::cuda_device(DType::f32, [](Backend* backend) {
    backend->device.end_capture = [](void*, StreamHandle, CaptureHandle*) { return Status::device_error; };
    backend->device.last_error = [](void*) { return "not permitted"; };
  });
  const SmallNetwork& network = test::small_networks()[0];
  ScionSetup s(test::config_of(network), network.frozen, device, network.graph());
  s.step();
  CHECK_THROWS_WITH(s.step(),
                    "capturing the training step of 4 images on cuda: not permitted. GRAFT_CAPTURE=0 runs it "
                    "call by call");
}

TEST_CASE("an observer sees every call of every step") {
  const SmallNetwork& network = test::small_networks()[0];
  ScionSetup s(test::config_of(network), network.frozen, test::cuda_device(DType::f32), network.graph());
  int steps = 0;
  s.device->observer = [&](Primitive p, const char*) { steps += p == Primitive::finish_step; };
  for (int i = 0; i < 3; ++i) s.step();
  CHECK(steps == 3);
}
