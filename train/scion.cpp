#include "train/scion.h"

#include "core/ops.h"
#include "core/tape.h"
#include "models/shapes.h"

namespace graft::train {

namespace {

// Blocks of random numbers one step may use: more than any mask needs.
constexpr int64_t kRandomBlocksPerStep = int64_t{1} << 32;

}  // namespace

Scion::Scion(models::Network& network, const models::FreezePlan& freeze, const Rootstock& rootstock,
             const TrainConfig& config, const Optimizer& optimizer, StepState& state)
    : network_(network),
      freeze_(freeze),
      rootstock_(rootstock),
      config_(config),
      optimizer_(optimizer),
      averaged_(optimizer.averaged(network)),
      state_(state),
      labels_(full(network.device(), {rootstock.image_shape()[0]}, 0, DType::i64)) {}

StepPlan& Scion::training_plan(int64_t n) {
  if (const auto at = training_.find(n); at != training_.end()) return at->second;
  const auto given = rootstock_.values(n);
  const Tensor targets = labels(n);
  Device& device = *network_.device();

  Recorder recorder(network_.device());
  std::vector<bool> training(freeze_.frozen.size());
  for (size_t i = 0; i < training.size(); ++i) training[i] = !freeze_.frozen[i];
  const auto walked = network_.walk({.training = training,
                                     .random_state = state_.random_state,
                                     .given = given,
                                     .wanted = {network_.graph().outputs[0].node}});
  const Tensor loss = ops::cross_entropy(walked.values[0], targets, {}, config_.label_smoothing);
  const FlatParameters& parameters = optimizer_.parameters();
  std::vector<Tensor> wrt;
  for (const TrainedParameter& p : parameters.entries()) wrt.push_back(p.used());
  const std::vector<Tensor> into = parameters.parts(parameters.gradients());
  gradients(loss, wrt, {}, {.into = into});

  // Everything is looked at before anything moves.
  device.run(CheckFiniteArgs{.x = loss, .flag = state_.flag});
  optimizer_.check_gradients(state_);
  optimizer_.step(state_);
  for (const models::PendingStatistics& s : walked.statistics) {
    device.run(UpdateRunningStatsArgs{.mean = s.mean,
                                      .var = s.var,
                                      .flag = state_.flag,
                                      .running_mean = s.running_mean,
                                      .running_var = s.running_var,
                                      .momentum = s.momentum,
                                      .rows = s.rows});
    s.running_mean.storage()->changed();
    s.running_var.storage()->changed();
  }
  device.run(FinishStepArgs{
      .flag = state_.flag, .step = state_.step, .random_state = state_.random_state, .advance = kRandomBlocksPerStep});
  StepPlan plan(recorder.finish(), {loss, walked.values[0]}, {.name = fmt::format("training step of {} images", n)});
  return training_.emplace(n, std::move(plan)).first->second;
}

Scion::Result Scion::step(const std::vector<int64_t>& classes, double learning_rate) {
  const auto n = static_cast<int64_t>(classes.size());
  labels(n).assign(std::span<const int64_t>(classes));
  state_.learning_rate.assign(std::span<const double>(&learning_rate, 1));
  StepPlan& plan = training_plan(n);
  plan.execute();
  return {plan.result(0).item(), plan.result(1).to_vector<float>()};
}

void Scion::compile() {
  const Shape& images = rootstock_.image_shape();
  const models::Graph& graph = network_.graph();
  models::CompiledPiece piece(answering(), models::make_plan(graph, {.taps = {graph.outputs[0].node},
                                                                     .inputs = freeze_.taps,
                                                                     .batch = images[0],
                                                                     .height = images[1],
                                                                     .width = images[2],
                                                                     .compute = network_.compute()}));
  const auto given = rootstock_.values(images[0]);
  std::vector<Tensor> inputs;
  for (const models::NodeId tap : freeze_.taps) inputs.push_back(given.at(tap));
  const Tensor logits = empty(network_.device(), piece.output_shape(0));
  compiled_.emplace(std::move(piece), inputs, std::vector<Tensor>{logits}, "trained part, predicting");
}

Scion::Result Scion::predict(const std::vector<int64_t>& classes) {
  const auto n = static_cast<int64_t>(classes.size());
  if (!compiled_) compile();
  compiled_->run();  // rows beyond n are computed and not looked at
  const Tensor logits = compiled_->outputs()[0].rows(0, n);
  labels(n).assign(std::span<const int64_t>(classes));
  return {ops::cross_entropy(logits, labels(n), {}, config_.label_smoothing).item(), logits.to_vector<float>()};
}

Shape Scion::logits_shape() const {
  const Shape& images = rootstock_.image_shape();
  const models::Graph& graph = network_.graph();
  const auto answer = static_cast<size_t>(graph.outputs[0].node);
  return models::infer_shapes(graph, images[0], images[1], images[2])[answer];
}

const StepPlanStatistics& Scion::statistics(int64_t n) { return training_plan(n).statistics(); }

}  // namespace graft::train
