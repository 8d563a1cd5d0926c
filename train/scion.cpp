#include "train/scion.h"

#include <algorithm>

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

// Loss, gradients (into flat memory) and statistics of images [first, first + images), weighted by their share of the
// step's `of` images, so that the parts' gradients add up to those of the mean over all.
Scion::Part Scion::compute_part(int64_t index, int64_t first, int64_t images, int64_t of, const Tensor& into) {
  std::map<models::NodeId, Tensor> given;
  for (const auto& [node, value] : rootstock_.values(first + images)) given[node] = value.rows(first, images);
  std::vector<bool> training(freeze_.frozen.size());
  for (size_t i = 0; i < training.size(); ++i) training[i] = !freeze_.frozen[i];
  auto walked = network_.walk({.training = training,
                               .random_state = state_.random_state,
                               .part = index,
                               .given = given,
                               .wanted = {network_.graph().outputs[0].node}});
  const Tensor loss = ops::cross_entropy(walked.values[0], labels_.rows(first, images), {}, config_.label_smoothing);
  std::vector<Tensor> wrt;
  for (const TrainedParameter& p : optimizer_.parameters().entries()) wrt.push_back(p.used());
  const double share = static_cast<double>(images) / static_cast<double>(of);
  const Tensor weight = images == of ? Tensor{} : full(network_.device(), loss.shape(), share, loss.dtype());
  gradients(loss, wrt, weight, {.into = optimizer_.parameters().parts(into)});
  const NoGrad forward_only;
  return {images == of ? loss : ops::multiply(loss, weight), walked.values[0], std::move(walked.statistics)};
}

StepPlan& Scion::training_plan(int64_t n) {
  if (const auto at = training_.find(n); at != training_.end()) return at->second;
  Device& device = *network_.device();
  const FlatParameters& parameters = optimizer_.parameters();
  const Tensor& gradients = parameters.gradients();
  const int64_t at_once = config_.micro_batch > 0 ? config_.micro_batch : n;
  if (n > at_once && !part_gradients_.defined()) part_gradients_ = parameters.zeros("gradients");

  Recorder recorder(network_.device());
  Tensor loss;
  std::vector<Tensor> logits;
  std::vector<models::PendingStatistics> statistics;
  for (int64_t first = 0; first < n; first += at_once) {
    const Tensor& into = first == 0 ? gradients : part_gradients_;
    const Part part = compute_part(first / at_once, first, std::min(at_once, n - first), n, into);
    if (first > 0) device.run(AddArgs{.a = gradients, .b = into, .y = gradients});
    const NoGrad forward_only;
    loss = first == 0 ? part.loss : ops::add(loss, part.loss);
    logits.push_back(part.logits);
    statistics.insert(statistics.end(), part.statistics.begin(), part.statistics.end());
  }
  const Tensor all_logits = logits.size() == 1 ? logits[0] : ops::concat(logits, 0);  // their tape is done with

  // Everything is looked at before anything moves.
  device.run(CheckFiniteArgs{.x = loss, .flag = state_.flag});
  optimizer_.check_gradients(state_);
  optimizer_.step(state_);
  for (const models::PendingStatistics& s : statistics) {
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
  StepPlan plan(recorder.finish(), {loss, all_logits}, {.name = fmt::format("training step of {} images", n)});
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
