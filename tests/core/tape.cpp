#include "core/tape.h"

#include <pthread.h>

#include <catch2/catch.hpp>
#include <thread>

#include "core/ops.h"
#include "tests/support/devices.h"
#include "tests/support/random_tensor.h"

using namespace graft;
using Catch::Matchers::Contains;

namespace {

const std::shared_ptr<Device>& device() {
  static const auto d = test::reference_device();
  return d;
}
Tensor leaf(std::vector<double> values) {
  Tensor t = from_values<double>(device(), {static_cast<int64_t>(values.size())}, values);
  return t.set_requires_grad(true);
}
std::vector<double> grad(const Tensor& loss, const Tensor& wrt) {
  return gradients(loss, std::vector<Tensor>{wrt})[0].to_vector<double>();
}

}  // namespace

TEST_CASE("a tensor used twice gets the sum of both gradients") {
  const Tensor x = leaf({1, 2, 3});
  CHECK(grad(ops::sum(ops::add(ops::multiply(x, x), x)), x) == std::vector<double>{3, 5, 7});
}

TEST_CASE("a tape of 200,000 nodes is walked and ended on a small stack") {
  double gradient = 0;  // Catch2's assertions are for one thread
  const auto work = [](void* result) -> void* {
    const Tensor x = leaf({1}), one = leaf({1});
    Tensor y = x;
    for (int i = 0; i < 200'000; ++i) y = ops::add(y, one);
    *static_cast<double*>(result) = gradients(y, std::vector<Tensor>{one}, {}, {.retain = true})[0].item();
    y = {};  // the last owner
    return nullptr;
  };
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  REQUIRE(pthread_attr_setstacksize(&attributes, 1024 * 1024) == 0);  // 5 bytes a node; sanitizers need much of it
  pthread_t thread;
  REQUIRE(pthread_create(&thread, &attributes, work, &gradient) == 0);
  pthread_join(thread, nullptr);
  CHECK(gradient == 200'000);
  pthread_attr_destroy(&attributes);
}

TEST_CASE("add sends the same gradient both ways without mixing them up") {
  const Tensor a = leaf({1, 2}), b = leaf({3, 4});
  const Tensor s = ops::add(a, b);
  const auto g = gradients(ops::sum(ops::multiply(s, a)), std::vector<Tensor>{a, b});
  CHECK(g[0].to_vector<double>() == std::vector<double>{5, 8});  // 2a + b
  CHECK(g[1].to_vector<double>() == std::vector<double>{1, 2});  // a
}

TEST_CASE("a gradient nobody needs is not computed") {
  std::vector<std::string> ran;
  const auto observed = test::reference_device();
  const Tensor x = test::random_tensor(observed, {1, 4, 4, 2}, 1);
  Tensor w = test::random_tensor(observed, {3, 3, 3, 2}, 2);
  w.set_requires_grad(true);
  const Tensor loss = ops::sum(ops::relu(ops::conv2d(x, w, {}, {})));
  observed->observer = [&](Primitive p, const char*) { ran.push_back(name_of(p)); };
  gradients(loss, std::vector<Tensor>{w});
  CHECK(std::count(ran.begin(), ran.end(), "conv2d_backward_weight") == 1);
  CHECK(std::count(ran.begin(), ran.end(), "conv2d_backward_data") == 0);
}

TEST_CASE("the walk ends where nothing wanted lies beyond") {
  const Tensor x = leaf({1, 2, 3});
  const Tensor y = ops::multiply(x, x), loss = ops::sum(ops::multiply(y, y));
  int calls = 0;
  add_hook(x, [&](const Tensor&) { return ++calls, Tensor{}; });
  CHECK(grad(loss, y) == std::vector<double>{2, 8, 18});  // stops at y
  CHECK(calls == 0);
}

TEST_CASE("a tensor the output does not depend on gets zeros") {
  const Tensor x = leaf({1, 2}), other = leaf({5});
  CHECK(grad(ops::sum(x), other) == std::vector<double>{0});
}

TEST_CASE("a saved tensor changed in place is an error with the op's name") {
  const Tensor x = leaf({1, 2, 3});
  const Tensor y = ops::sigmoid(x), loss = ops::sum(y);
  y.assign(std::span<const double>(std::vector<double>{0, 0, 0}));
  CHECK_THROWS_WITH(grad(loss, x), Contains("activate") && Contains("changed in place"));
}

TEST_CASE("backward twice is an error, unless it was announced") {
  const Tensor x = leaf({1, 2, 3});
  const Tensor loss = ops::sum(ops::multiply(x, x));
  gradients(loss, std::vector<Tensor>{x}, {}, {.retain = true});
  CHECK(grad(loss, x) == std::vector<double>{2, 4, 6});
  CHECK_THROWS_WITH(grad(loss, x), Contains("second time"));
}

TEST_CASE("saved tensors are released while backward goes on") {
  const auto counted = test::reference_device();
  Tensor x = test::random_tensor(counted, {1 << 16}, 1);
  x.set_requires_grad(true);
  Tensor y = x;
  for (int i = 0; i < 8; ++i) y = ops::sigmoid(y);
  const Tensor loss = ops::sum(y);
  y = {};
  const int64_t before = counted->allocator().statistics().in_use;
  counted->allocator().reset_peak();
  const Tensor g = gradients(loss, std::vector<Tensor>{x})[0];
  const int64_t block = x.bytes();
  CHECK(counted->allocator().statistics().peak <= before + 3 * block);
  CHECK(counted->allocator().statistics().in_use <= before - 7 * block);
}

TEST_CASE("hooks see and replace gradients") {
  const Tensor x = leaf({1, 2});
  const Tensor y = ops::multiply(x, x);
  std::vector<double> seen;
  add_hook(y, [&](const Tensor& g) {
    seen = g.to_vector<double>();
    return full(device(), {2}, 10, DType::f64);
  });
  CHECK(grad(ops::sum(y), x) == std::vector<double>{20, 40});
  CHECK(seen == std::vector<double>{1, 1});
  const Tensor z = ops::sum(x);
  add_hook(z, [](const Tensor&) { return full(device(), {2}, 1, DType::f64); });
  CHECK_THROWS_WITH(grad(z, x), Contains("hook"));
}

TEST_CASE("NoGrad records nothing") {
  const Tensor x = leaf({1, 2});
  {
    const NoGrad guard;
    CHECK_FALSE(ops::multiply(x, x).requires_grad());
  }
  CHECK(ops::multiply(x, x).requires_grad());
  CHECK_FALSE(ops::multiply(x.detach(), x.detach()).requires_grad());
}

TEST_CASE("errors of backward name the layer of the forward") {
  const Tensor x = leaf({1, 2, 3});
  Tensor y;
  {
    const LayerScope scope("classifier");
    y = ops::sigmoid(x);
  }
  const Tensor loss = ops::sum(y);
  y.assign(std::span<const double>(std::vector<double>{0, 0, 0}));
  CHECK_THROWS_WITH(grad(loss, x), Contains("classifier: activate"));
}

TEST_CASE("a very deep tape needs no deep stack") {
  const Tensor x = leaf({1});
  Tensor y = x;
  for (int i = 0; i < 20'000; ++i) y = ops::add(y, x);
  CHECK(grad(y, x) == std::vector<double>{20'001});
}

TEST_CASE("threads have tapes of their own") {
  std::vector<std::thread> threads;
  std::vector<double> results(3);
  for (size_t t = 0; t < 3; ++t)
    threads.emplace_back([&results, t] {
      const Tensor x = leaf({static_cast<double>(t)});
      for (int i = 0; i < 50; ++i) {
        const NoGrad* guard = t == 1 ? new NoGrad : nullptr;
        delete guard;
        results[t] = grad(ops::sum(ops::multiply(x, x)), x)[0];
      }
    });
  for (auto& t : threads) t.join();
  CHECK(results == std::vector<double>{0, 2, 4});
}

TEST_CASE("core never reads what may still be queued") {
  const auto queue = test::queueing_device();
  const auto run = [](const std::shared_ptr<Device>& d) {
    const Tensor x = test::random_tensor(d, {2, 6, 6, 3}, 1);
    Tensor w = test::random_tensor(d, {4, 3, 3, 3}, 2), g = full(d, {4}, 1, DType::f64),
           b = full(d, {4}, 0, DType::f64);
    for (Tensor* t : {&w, &g, &b}) t->set_requires_grad(true);
    Tensor y = ops::conv2d(x, w, {}, {.pad = {1, 1, 1, 1}});
    y = ops::relu(ops::batch_norm_training(y, g, b, 1e-5).y);
    const Tensor logits = ops::flatten(ops::global_avg_pool(ops::max_pool(y, {.window = {2, 2}, .stride = {2, 2}})));
    const Tensor targets = from_values<int64_t>(d, {2}, {3, 0});
    const auto grads = gradients(ops::cross_entropy(logits, targets), std::vector<Tensor>{w, g, b});
    std::vector<std::vector<double>> values;
    for (const Tensor& t : grads) values.push_back(t.to_vector<double>());
    return values;
  };
  CHECK(run(queue) == run(device()));
}

TEST_CASE("gradients lie where they were asked to") {
  const Tensor a = leaf({1, 2}), b = leaf({3, 4}), c = leaf({5, 6}), away = leaf({7, 8});
  const Tensor flat = full(device(), {8}, -1, DType::f64);
  const std::vector<Tensor> into = {flat.rows(0, 2), flat.rows(2, 2), flat.rows(4, 2), flat.rows(6, 2)};
  // a is used twice: its gradient is a sum; c's is passed on by an op that makes none; `away` is not used
  const Tensor loss = ops::sum(ops::add(ops::add(ops::multiply(a, b), ops::multiply(a, a)), c));
  const std::vector<Tensor> wrt = {a, b, c, away};
  const auto version = flat.storage()->version();
  const auto g = gradients(loss, wrt, {}, {.into = into});
  CHECK(flat.to_vector<double>() == std::vector<double>{5, 8, 1, 2, 1, 1, 0, 0});  // 2a + b, a, 1, 0
  CHECK(flat.storage()->version() > version);
  for (size_t i = 0; i < 4; ++i) CHECK(g[i].view().data == into[i].view().data);
}

TEST_CASE("a gradient that is made once is made in its place, not copied there") {
  const auto observed = test::reference_device();
  const Tensor x = test::random_tensor(observed, {2, 3}, 1);
  Tensor w = test::random_tensor(observed, {4, 3}, 2), bias = test::random_tensor(observed, {4}, 3);
  const std::vector<Tensor> wrt = {w.set_requires_grad(true), bias.set_requires_grad(true)};
  const std::vector<Tensor> into = {empty_like(w), empty_like(bias)};
  const Tensor loss = ops::sum(ops::linear(x, w, bias));
  int copies = 0;
  observed->observer = [&](Primitive p, const char*) { copies += p == Primitive::cast; };
  gradients(loss, wrt, {}, {.into = into});
  CHECK(copies == 0);
}

TEST_CASE("a place of another shape or type is refused") {
  const Tensor x = leaf({1, 2});
  const std::vector<Tensor> wrt = {x}, longer = {full(device(), {3}, 0, DType::f64)}, narrow = {full(device(), {2}, 0)};
  CHECK_THROWS_WITH(gradients(ops::sum(x), wrt, {}, {.into = longer}), Contains("cannot lie in"));
  CHECK_THROWS_WITH(gradients(ops::sum(x), wrt, {}, {.into = narrow}), Contains("cannot lie in"));
}
