#include "train/checkpoint.h"

#include <nlohmann/json.hpp>

#include "io/hdf5/graft_file.h"
#include "io/hdf5/graft_file_writer.h"

namespace graft::train {

NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(EpochRecord, epoch, train_loss, train_accuracy, validation_loss, validation_accuracy,
                                   learning_rate)

namespace {

constexpr const char* kState = "training/state";

std::vector<int64_t> extents_of(const Shape& shape) { return {shape.extents, shape.extents + shape.rank}; }

std::vector<std::byte> bytes_of(const Tensor& t) {
  std::vector<std::byte> bytes(static_cast<size_t>(t.bytes()));
  t.copy_to(bytes.data());
  return bytes;
}

// Every tensor that moves in a step, by the name it has in the file. Memory order: only this program reads them.
std::map<std::string, Tensor> moving_tensors(const models::Network& network, const models::FreezePlan& freeze,
                                             const Optimizer& optimizer, const StepState& step) {
  std::map<std::string, Tensor> tensors;
  for (const TrainedParameter& p : optimizer.parameters().entries())
    tensors["training/parameters/" + p.name] = p.tensor;
  for (const auto& [name, tensor] : optimizer.buffers()) tensors["training/optimizer/" + name] = tensor;
  for (const auto& entry : network.entries())
    if (entry.info.is_buffer && !freeze.frozen[static_cast<size_t>(entry.info.node)])
      tensors["training/buffers/" + entry.info.name] = entry.tensor;
  tensors["training/step"] = step.step;
  tensors["training/random_state"] = step.random_state;
  return tensors;
}

std::string state_to_json(const RunState& s) {
  return nlohmann::json{
      {"loader", {{"epoch", s.loader.epoch}, {"next", s.loader.next}}},
      {"sums", {{"images", s.sums.images}, {"top1", s.sums.top1}, {"top5", s.sums.top5}, {"loss", s.sums.loss}}},
      {"history", s.history},
      {"best_epoch", s.best_epoch},
      {"skipped", {{"train", s.skipped_train}, {"validation", s.skipped_validation}}}}
      .dump(2);
}

RunState state_from_json(const std::string& text, const std::string& source) {
  try {
    const auto json = nlohmann::json::parse(text);
    RunState s;
    s.loader = {json.at("loader").at("epoch").get<uint64_t>(), json.at("loader").at("next").get<uint64_t>()};
    const auto& sums = json.at("sums");
    s.sums = {sums.at("images").get<int64_t>(), sums.at("top1").get<int64_t>(), sums.at("top5").get<int64_t>(),
              sums.at("loss").get<double>()};
    s.history = json.at("history").get<std::vector<EpochRecord>>();
    s.best_epoch = json.at("best_epoch").get<int64_t>();
    s.skipped_train = json.at("skipped").at("train").get<std::set<std::string>>();
    s.skipped_validation = json.at("skipped").at("validation").get<std::set<std::string>>();
    return s;
  } catch (const nlohmann::json::exception& e) {
    fail("{}: the state of the run cannot be read ({})", source, e.what());
  }
}

}  // namespace

std::filesystem::path checkpoint_path(const std::filesystem::path& output) {
  auto path = output;
  return path.replace_extension(".last" + output.extension().string());
}

void save_checkpoint(const std::filesystem::path& path, const TrainConfig& config, const RunState& state,
                     const models::Network& network, const models::FreezePlan& freeze, const Optimizer& optimizer,
                     const StepState& step) {
  io::GraftFileWriter writer(path);
  writer.set_text(kCheckpointConfig, to_json(config));
  writer.set_text(kState, state_to_json(state));
  for (const auto& [name, tensor] : moving_tensors(network, freeze, optimizer, step)) {
    const size_t slash = name.rfind('/');
    writer.add_tensor(name.substr(0, slash), name.substr(slash + 1), tensor.dtype(), extents_of(tensor.shape()), "",
                      bytes_of(tensor));
  }
  writer.commit();
}

RunProgress read_progress(const std::filesystem::path& path) {
  const std::string name = path.string();
  const io::GraftFile file(path);
  const auto config = file.text(kCheckpointConfig), state = file.text(kState);
  GRAFT_CHECK(config && state, "{}: this is not a checkpoint of a training run", name);
  return {static_cast<int64_t>(state_from_json(*state, name).history.size()), config_from_json(*config, name).epochs};
}

RunState load_checkpoint(const std::filesystem::path& path, const TrainConfig& config, models::Network& network,
                         const models::FreezePlan& freeze, const Optimizer& optimizer, const StepState& step) {
  const std::string name = path.string();
  const io::GraftFile file(path);
  const auto config_text = file.text(kCheckpointConfig), state_text = file.text(kState);
  GRAFT_CHECK(config_text && state_text, "{}: this is not a checkpoint of a training run", name);
  const TrainConfig there = config_from_json(*config_text, name);
  GRAFT_CHECK(there == config,
              "{} belongs to a run with other settings:\n{}"
              "give the same settings to go on, or begin again: --overwrite in place of --resume",
              name, differences(there, config));
  RunState state = state_from_json(*state_text, name);

  std::vector<std::pair<Tensor, std::vector<std::byte>>> loaded;  // all is read and checked before anything changes
  for (const auto& [path_in_file, tensor] : moving_tensors(network, freeze, optimizer, step)) {
    GRAFT_CHECK(file.contains(path_in_file), "{}: {} is missing", name, path_in_file);
    io::StoredArray array = file.read_raw(path_in_file);
    GRAFT_CHECK(array.dtype == tensor.dtype() && array.shape == extents_of(tensor.shape()), "{}: {} has another shape",
                name, path_in_file);
    loaded.emplace_back(tensor, std::move(array.elements));
  }
  for (const auto& [tensor, bytes] : loaded) tensor.copy_from(bytes.data());
  network.refresh_copies();
  return state;
}

}  // namespace graft::train
