#include "core/step_plan.h"

#include <catch2/catch.hpp>
#include <functional>

#include "core/ops.h"
#include "core/tape.h"
#include "tests/support/devices.h"
#include "tests/support/random_tensor.h"

using namespace graft;

namespace {

// A residual block with a projection shortcut and a classifier: every pattern the rewrites know.
struct SmallNet {
  explicit SmallNet(std::shared_ptr<Device> device, Activation activation = Activation::relu)
      : d(std::move(device)), first(activation) {
    const auto parameter = [&](const Shape& shape, uint64_t seed, double scale) {
      Tensor t = test::random_tensor(d, shape, seed, DType::f32, scale);
      parameters.push_back(t.set_requires_grad(true));
      return t;
    };
    w1 = parameter({8, 3, 3, 4}, 1, 0.5);
    w2 = parameter({8, 3, 3, 8}, 2, 0.3);
    ws = parameter({8, 1, 1, 4}, 3, 0.7);
    for (int i = 0; i < 3; ++i) {
      gamma.push_back(parameter({8}, 10 + static_cast<uint64_t>(i), 1));
      beta.push_back(parameter({8}, 20 + static_cast<uint64_t>(i), 0.3));
    }
    head = parameter({5, 8}, 30, 1);
    x = test::random_tensor(d, {3, 7, 9, 4}, 40, DType::f32);
    targets = from_values<int64_t>(d, {3}, {0, 3, 4});
  }

  Tensor norm(const Tensor& t, size_t i) const { return ops::batch_norm_training(t, gamma[i], beta[i], 1e-5).y; }

  Tensor loss() const {
    const Conv2dParams same = {.pad = {1, 1, 1, 1}};
    Tensor y = ops::activate(norm(ops::conv2d(x, w1, {}, same), 0), first);
    y = norm(ops::conv2d(y, w2, {}, same), 1);
    y = ops::relu(ops::add(y, norm(ops::conv2d(x, ws, {}, {}), 2)));
    y = ops::max_pool(ops::add(y, y), {.window = {3, 3}, .stride = {2, 2}, .pad = {1, 1, 1, 1}});
    return ops::cross_entropy(ops::linear(ops::flatten(ops::global_avg_pool(y)), head, {}), targets);
  }

  std::shared_ptr<Device> d;
  Activation first;  // behind the first norm, without a residual
  Tensor w1, w2, ws, head, x, targets;
  std::vector<Tensor> gamma, beta, parameters;
};

StepPlan plan_of(const SmallNet& net, bool fuse) {
  Recorder recorder(net.d);
  std::vector<Tensor> results = {net.loss()};
  for (const Tensor& g : gradients(results[0], net.parameters)) results.push_back(g);
  return {recorder.finish(), results, {.fuse = fuse}};
}

double largest_difference(const std::vector<float>& a, const std::vector<float>& b) {
  double worst = 0, norm = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    worst = std::max(worst, static_cast<double>(std::abs(a[i] - b[i])));
    norm = std::max(norm, static_cast<double>(std::abs(b[i])));
  }
  return worst / norm;
}

}  // namespace

TEST_CASE("a plan computes what eager execution does, fused or not") {
  for (Activation first : {Activation::relu, Activation::relu6, Activation::silu, Activation::sigmoid})
    for (bool fuse : {false, true}) {
      const SmallNet net(test::reference_device(), first);
      const Tensor loss = net.loss();
      const auto eager = gradients(loss, net.parameters);
      INFO("fuse " << fuse << ", activation " << static_cast<int>(first));
      StepPlan plan = plan_of(net, fuse);
      for (int run = 0; run < 2; ++run) {
        plan.execute();
        CHECK(plan.result(0).item() == Approx(loss.item()).epsilon(1e-6));
        for (size_t i = 0; i < eager.size(); ++i) {
          INFO("parameter " << i);
          CHECK(largest_difference(plan.result(i + 1).to_vector<float>(), eager[i].to_vector<float>()) < 2e-5);
        }
      }
    }
}

TEST_CASE("fusing leaves no separate add, relu or mask behind a batch norm") {
  for (Activation first : {Activation::relu, Activation::silu, Activation::sigmoid}) {
    INFO("activation " << static_cast<int>(first));
    const SmallNet net(test::reference_device(), first);
    const auto count = [](const StepPlan& plan, Primitive p) {
      return std::count_if(plan.calls().begin(), plan.calls().end(),
                           [&](const OwnedCall& c) { return c.primitive == p; });
    };
    const StepPlan plain = plan_of(net, false), fused = plan_of(net, true);
    CHECK(count(plain, Primitive::activate) == 2);
    CHECK(count(plain, Primitive::activate_backward) == 2);
    CHECK(count(fused, Primitive::activate) == 0);
    CHECK(count(fused, Primitive::activate_backward) == 0);
    CHECK(count(fused, Primitive::batch_norm_backward) == 3);
    CHECK(fused.statistics().calls < plain.statistics().calls);
  }
}

TEST_CASE("a plan takes new inputs and allocates nothing") {
  const SmallNet net(test::reference_device());
  StepPlan plan = plan_of(net, true);
  plan.execute();
  const double before = plan.result(0).item();
  const auto statistics = net.d->allocator().statistics();
  net.x.assign(std::span<const float>(std::vector<float>(static_cast<size_t>(net.x.numel()), 0.25f)));
  plan.execute();
  CHECK(plan.result(0).item() != before);
  CHECK(net.d->allocator().statistics().allocations == statistics.allocations);
  CHECK(plan.statistics().arena_bytes >= plan.statistics().lower_bound_bytes);
  CHECK(plan.statistics().arena_bytes <= plan.statistics().lower_bound_bytes * 5 / 4);
}

TEST_CASE("each execution of a plan counts the changes in place that it makes") {
  const auto d = test::reference_device();
  const Tensor w = full(d, {3}, 1).set_requires_grad(true), untouched = full(d, {3}, 2);
  Recorder recorder(d);
  const Tensor y = ops::multiply(w, untouched);
  d->run(AddArgs{.a = w, .b = y, .y = w});
  w.storage()->changed();
  StepPlan plan(recorder.finish(), {y});
  const Tensor square = ops::multiply(w, w);
  const uint64_t before = w.storage()->version();
  plan.execute();
  plan.execute();
  CHECK(w.storage()->version() == before + 2);
  CHECK(untouched.storage()->version() == 0);
  CHECK(w.to_vector<float>() == std::vector<float>(3, 9));
  CHECK_THROWS_WITH(gradients(ops::sum(square), {{w}}), Catch::Contains("changed in place"));
}

TEST_CASE("a plan on a queueing device waits for nothing and is right") {
  const SmallNet net(test::reference_device()), queued(test::queueing_device());
  StepPlan now = plan_of(net, true), later = plan_of(queued, true);
  now.execute();
  later.execute();
  CHECK(later.result(0).item() == now.result(0).item());
  for (size_t i = 1; i <= net.parameters.size(); ++i)
    CHECK(later.result(i).to_vector<float>() == now.result(i).to_vector<float>());
}

TEST_CASE("a kept tensor is not fused away") {
  const auto d = test::reference_device();
  const Tensor x = test::random_tensor(d, {4, 6}, 1, DType::f32), w = full(d, {6}, 1), b = full(d, {6}, 0);
  Recorder recorder(d);
  const Tensor y = ops::batch_norm_training(x, w, b, 1e-5).y, z = ops::relu(y);
  StepPlan plan(recorder.finish(), {y, z});
  plan.execute();
  const Tensor eager = ops::batch_norm_training(x, w, b, 1e-5).y;
  CHECK(plan.result(0).to_vector<float>() == eager.to_vector<float>());
  CHECK(plan.result(1).to_vector<float>() == ops::relu(eager).to_vector<float>());
}

TEST_CASE("a batch norm takes one residual and one activation, not the next ones too") {
  const auto d = test::reference_device();
  const Tensor x = test::random_tensor(d, {4, 6}, 1, DType::f32), w = full(d, {6}, 1), b = full(d, {6}, 0),
               r1 = test::random_tensor(d, {4, 6}, 2, DType::f32), r2 = test::random_tensor(d, {4, 6}, 3, DType::f32);
  const auto norm = [&] { return ops::batch_norm_training(x, w, b, 1e-5).y; };
  const auto two_residuals = [&] { return ops::relu(ops::add(ops::add(norm(), r1), r2)); };
  const auto two_activations = [&] { return ops::relu(ops::add(ops::relu6(ops::add(norm(), r1)), r2)); };
  for (const std::function<Tensor()>& chain : {std::function<Tensor()>(two_residuals), {two_activations}}) {
    Recorder recorder(d);
    const Tensor y = chain();
    StepPlan plan(recorder.finish(), {y});
    plan.execute();
    CHECK(largest_difference(plan.result(0).to_vector<float>(), chain().to_vector<float>()) < 1e-6);
  }
}

TEST_CASE("a failing call of a plan names its layer") {
  Backend backend = test::reference_device()->backend();
  backend.self = nullptr;
  backend.destroy = nullptr;
  backend.run[static_cast<int>(Primitive::softmax)] = [](CallContext*, const void*) { return Status::unsupported; };
  const auto d = Device::create(backend);
  const Tensor x = full(d, {2, 3}, 1);
  Recorder recorder(d);
  const LayerScope scope("head");
  const Tensor y = ops::softmax(x);
  StepPlan plan(recorder.finish(), {y});
  CHECK_THROWS_WITH(plan.execute(),
                    Catch::Contains("head: softmax on reference: unsupported") && Catch::Contains("[2, 3] f32"));
}
