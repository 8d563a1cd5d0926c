#include "models/compile.h"

#include <mutex>
#include <utility>

#include "core/storage.h"
#include "models/fold.h"
#include "models/network.h"

namespace graft::models {

namespace {

bool same(const BatchNormFold& a, const BatchNormFold& b) { return a.layer == b.layer && a.eps == b.eps; }

bool same_constants(const InferencePlan& a, const InferencePlan& b) {
  return std::equal(a.constants.begin(), a.constants.end(), b.constants.begin(), b.constants.end(),
                    [](const PlanConstant& x, const PlanConstant& y) {
                      return x.buffer == y.buffer && x.tensor == y.tensor && x.is_weight == y.is_weight &&
                             std::equal(x.folds.begin(), x.folds.end(), y.folds.begin(), y.folds.end(), same);
                    });
}

// The memory of every parameter that a plan's constants are made of.
std::vector<std::shared_ptr<Storage>> parameters_of(const InferencePlan& plan, const Network& network) {
  std::vector<std::shared_ptr<Storage>> found;
  const auto add = [&](const std::string& name) { found.push_back(network.entry(name).tensor.storage()); };
  for (const PlanConstant& constant : plan.constants) {
    if (!constant.tensor.empty()) add(constant.tensor);
    for (const BatchNormFold& fold : constant.folds)
      for (const char* part : {".weight", ".bias", ".running_mean", ".running_var"}) add(fold.layer + part);
  }
  return found;
}

// Each version only grows, so while the sum stands still, all of them do.
uint64_t version_of(const std::vector<std::shared_ptr<Storage>>& parameters) {
  uint64_t sum = 0;
  for (const auto& p : parameters) sum += p->version();
  return sum;
}

}  // namespace

// Packed weights, shared by the pieces that read them in the same order. An execution keeps what it began with.
struct CompiledPiece::Weights {
  void follow(const Network& live, const InferencePlan& plan) {
    network = &live;
    parameters = parameters_of(plan, live);
  }

  std::mutex mutex;
  std::shared_ptr<Storage> packed;

  // Of a live network; otherwise there are none, and nothing changes.
  const Network* network = nullptr;
  std::vector<std::shared_ptr<Storage>> parameters;
  uint64_t version = 0;  // of the parameters, when they were packed
};

struct CompiledPiece::State {
  State(std::shared_ptr<Device> d, InferencePlan p)
      : device(std::move(d)), plan(std::move(p)), executable(nullptr, device->backend().compile.destroy) {
    const CompileFunctions& compile = device->backend().compile;
    std::vector<RecordedCall> calls;
    const Piece piece = piece_of(plan, calls);
    Executable* described = nullptr;
    device->check(compile.describe(device->backend().self, &piece, &described), "compiling");
    executable.reset(described);
    ExecutableInfo info;
    device->check(compile.info(described, &info), "compiling");

    const int32_t count = info.lifetime_count;
    std::vector<int64_t> offsets(static_cast<size_t>(count));
    std::vector<int32_t> scratch(2 * static_cast<size_t>(count));
    report.packed_bytes = info.packed_bytes;
    report.arena_bytes = plan_intervals(info.lifetimes, count, offsets.data(), scratch.data());
    report.arena_lower_bound = graft::arena_lower_bound(info.lifetimes, count);
    device->check(compile.plan(described, offsets.data()), "planning memory");
  }

  std::shared_ptr<Storage> pack(const ReadWeights& read) const {
    const MemoryScope scope("packed weights", memory_name());
    auto memory = Storage::allocate(device, report.packed_bytes);
    device->synchronize();  // packing is in no stream's order, and queued work may still use a block of the cache
    FoldingSource folding(plan, read);
    const ConstantSource source = folding.source();
    const Status status = device->backend().compile.fill(executable.get(), memory->data(), &source);
    folding.rethrow();
    device->check(status, "packing weights");
    return memory;
  }

  // For one execution; it goes back in the order of the stream.
  std::shared_ptr<Storage> take_arena() const {
    const MemoryScope scope("arena of compiled layers", memory_name());
    return Storage::allocate(device, report.arena_bytes);
  }

  // "conv1 to layer4.1"
  std::string memory_name() const {
    const auto& names = plan.layer_names;
    return names.empty() ? "" : fmt::format("of {} to {}", names.front(), names.back());
  }

  // The weights as they are now.
  std::shared_ptr<Storage> packed() const {
    const std::lock_guard lock(weights->mutex);
    if (weights->network)
      if (const uint64_t now = version_of(weights->parameters); !weights->packed || now != weights->version) {
        weights->packed = pack(weights->network->reader());
        weights->version = now;
      }
    return weights->packed;
  }

  std::shared_ptr<Device> device;
  InferencePlan plan;
  std::unique_ptr<Executable, void (*)(Executable*)> executable;
  CompileReport report;
  std::shared_ptr<Weights> weights;
};

CompiledPiece::CompiledPiece(std::shared_ptr<Device> device, InferencePlan plan, const ReadWeights& read)
    : state_(std::make_unique<State>(std::move(device), std::move(plan))) {
  state_->weights = std::make_shared<Weights>();
  state_->weights->packed = state_->pack(read);
}

CompiledPiece::CompiledPiece(const Network& network, InferencePlan plan)
    : state_(std::make_unique<State>(network.device(), std::move(plan))) {
  state_->weights = std::make_shared<Weights>();
  state_->weights->follow(network, state_->plan);
}

CompiledPiece::CompiledPiece(const CompiledPiece& sibling, InferencePlan plan, const ReadWeights& read)
    : state_(std::make_unique<State>(sibling.state_->device, std::move(plan))) {
  const State& other = *sibling.state_;
  if (same_constants(state_->plan, other.plan) &&
      state_->device->backend().compile.same_packing(state_->executable.get(), other.executable.get())) {
    state_->weights = other.weights;
  } else {
    state_->weights = std::make_shared<Weights>();
    if (other.weights->network)
      state_->weights->follow(*other.weights->network, state_->plan);
    else
      state_->weights->packed = state_->pack(read);
  }
}

CompiledPiece::~CompiledPiece() = default;
CompiledPiece::CompiledPiece(CompiledPiece&&) noexcept = default;
CompiledPiece& CompiledPiece::operator=(CompiledPiece&&) noexcept = default;

std::shared_ptr<Storage> CompiledPiece::packed() const { return state_->packed(); }

void CompiledPiece::run(std::span<const void* const> inputs, std::span<void* const> outputs) const {
  const auto arena = state_->take_arena();
  queue(inputs, outputs, *packed(), *arena, state_->device->stream());
}

void CompiledPiece::queue(std::span<const void* const> inputs, std::span<void* const> outputs, const Storage& packed,
                          const Storage& arena, StreamHandle stream) const {
  const State& s = *state_;
  GRAFT_CHECK(inputs.size() == s.plan.inputs.size() && outputs.size() == s.plan.outputs.size(),
              "a compiled piece with {} inputs and {} outputs was given {} and {}", s.plan.inputs.size(),
              s.plan.outputs.size(), inputs.size(), outputs.size());
  std::vector<void*> buffers(s.plan.buffers.size());
  for (size_t i = 0; i < inputs.size(); ++i)
    buffers[static_cast<size_t>(s.plan.inputs[i])] = const_cast<void*>(inputs[i]);
  for (size_t i = 0; i < outputs.size(); ++i) buffers[static_cast<size_t>(s.plan.outputs[i])] = outputs[i];

  ExecuteArgs args;
  args.packed = packed.data();
  args.arena = arena.data();
  args.buffers = buffers.data();
  int32_t failed = -1;
  args.failed = &failed;
  const Status status = s.device->backend().compile.execute(s.executable.get(), &args, stream);
  if (status == Status::ok || failed < 0) return s.device->check(status, "executing compiled layers");
  const PlanCall& call = s.plan.calls[static_cast<size_t>(failed)];
  const LayerScope scope(call.layer < 0 ? "" : s.plan.layer_names[static_cast<size_t>(call.layer)]);
  s.device->check(status, name_of(call.primitive), describe_call(call.primitive, call.args.bytes));
}

BoundPiece::BoundPiece(CompiledPiece piece, const std::vector<Tensor>& inputs, std::vector<Tensor> outputs,
                       std::string name)
    : piece_(std::move(piece)),
      inputs_(inputs),
      outputs_(std::move(outputs)),
      work_(piece_.state_->device, std::move(name)) {
  for (const Tensor& t : inputs_) input_addresses_.push_back(t.view().data);
  for (const Tensor& t : outputs_) output_addresses_.push_back(t.view().data);
}

void BoundPiece::run() {
  auto packed = piece_.packed();
  if (packed != packed_) work_.forget();
  packed_ = std::move(packed);
  if (!arena_) arena_ = piece_.state_->take_arena();
  work_.run(
      [this](StreamHandle stream) { piece_.queue(input_addresses_, output_addresses_, *packed_, *arena_, stream); });
  if (!work_.captured()) arena_.reset();  // goes back in the order of the stream
}

const CompileReport& CompiledPiece::report() const { return state_->report; }
const InferencePlan& CompiledPiece::plan() const { return state_->plan; }
bool CompiledPiece::shares_weights_with(const CompiledPiece& other) const {
  return state_->weights == other.state_->weights;
}
Shape CompiledPiece::input_shape(size_t i) const {
  return state_->plan.buffers[static_cast<size_t>(state_->plan.inputs.at(i))].shape;
}
Shape CompiledPiece::output_shape(size_t i) const {
  return state_->plan.buffers[static_cast<size_t>(state_->plan.outputs.at(i))].shape;
}

}  // namespace graft::models
