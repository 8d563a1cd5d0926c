#include "train/model_file.h"

#include <cmath>
#include <map>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "io/xxh3.h"
#include "models/graph_json.h"
#include "train/checkpoint.h"
#include "train/made_by.h"

namespace graft::train {

namespace {

constexpr const char* kGraphText = "graph";
constexpr const char* kClassesText = "class_names";

std::vector<int64_t> extents_of(const Shape& shape) { return {shape.extents, shape.extents + shape.rank}; }

}  // namespace

std::vector<models::NamedShape> named_shapes(const io::WeightsReader& weights) {
  std::vector<models::NamedShape> result;
  for (const io::TensorEntry& t : weights.tensors()) result.push_back({t.name, t.shape});
  return result;
}

std::string to_json(const io::Preprocessing& p) {
  return nlohmann::ordered_json{
      {"resize", p.resize},
      {"crop", p.crop},
      {"interpolation", p.interpolation == io::Interpolation::bicubic ? "bicubic" : "bilinear"},
      {"mean", p.mean},
      {"std", p.std}}
      .dump();
}

io::Preprocessing preprocessing_from_json(std::string_view text, std::string_view source) {
  try {
    const auto json = nlohmann::json::parse(text);
    io::Preprocessing p;
    p.resize = json.at("resize").get<int>();
    p.crop = json.at("crop").get<int>();
    const auto interpolation = json.at("interpolation").get<std::string>();
    GRAFT_CHECK(interpolation == "bicubic" || interpolation == "bilinear", "{}: unknown interpolation {}", source,
                interpolation);
    p.interpolation = interpolation == "bicubic" ? io::Interpolation::bicubic : io::Interpolation::bilinear;
    const auto channels = [&](const char* name, float(&out)[3]) {
      const auto& values = json.at(name);
      GRAFT_CHECK(values.is_array() && values.size() == 3, "{}: {} needs three numbers", source, name);
      for (size_t c = 0; c < 3; ++c) out[c] = values[c].get<float>();
    };
    channels("mean", p.mean);
    channels("std", p.std);
    io::check_preprocessing(p);
    return p;
  } catch (const nlohmann::json::exception& e) {
    fail("{}: its preprocessing cannot be read ({})", source, e.what());
  }
}

namespace {

// A file of graft's that holds no network.
std::string describe_other_file(const io::GraftFile& file) {
  if (file.text(kCheckpointConfig))
    return "the checkpoint of a training run, which `graft train --resume` reads; the model is the file without .last "
           "in its name";
  if (const auto layer = file.attribute("layer"))
    return fmt::format("a file of features, of layer {}, for other programs; give the model that made them", *layer);
  return "a file of graft's without a network in it; give a model, as `graft convert` and `graft train` make them";
}

}  // namespace

ModelFile::ModelFile(const std::filesystem::path& path, io::Trust trust)
    : path_(path), file_(std::make_unique<io::GraftFile>(path, trust)) {
  const std::string name = path.string();
  const auto graph = file_->text(kGraphText);
  GRAFT_CHECK(graph, "{}: this is {}", name, describe_other_file(*file_));
  info_.graph = models::graph_from_json(*graph, name);
  models::check_fits(info_.graph, named_shapes(*file_), name);
  if (const auto classes = file_->strings(kClassesText)) info_.classes = *classes;
  const int64_t outputs = models::classes_of(info_.graph);
  GRAFT_CHECK(info_.classes.empty() || static_cast<int64_t>(info_.classes.size()) == outputs,
              "{}: {} class names for {} classes", name, info_.classes.size(), outputs);
  if (const auto preprocessing = file_->attribute("preprocessing"))
    info_.preprocessing = preprocessing_from_json(*preprocessing, name);
  info_.licence = file_->attribute("licence").value_or("");
  info_.source = file_->attribute("source").value_or("");
  info_.made_by = file_->attribute("made_by").value_or("");
  info_.training = file_->text(kTrainingText).value_or("");
  for (size_t i = 0; i < file_->tensors().size(); ++i) index_[file_->tensors()[i].name] = i;
}

void ModelFile::read(const std::string& tensor, int64_t first, int64_t count, float* out) const {
  const auto at = index_.find(tensor);
  GRAFT_CHECK(at != index_.end(), "{}: there is no tensor {}", path_.string(), tensor);
  file_->read(at->second, first, count, out);
}

models::ReadWeights ModelFile::reader() const {
  return
      [this](const std::string& tensor, int64_t first, int64_t count, float* out) { read(tensor, first, count, out); };
}

std::vector<float> ModelFile::read_all(const std::string& tensor) const {
  const auto at = index_.find(tensor);
  GRAFT_CHECK(at != index_.end(), "{}: there is no tensor {}", path_.string(), tensor);
  std::vector<float> values(static_cast<size_t>(file_->tensors()[at->second].numel()));
  file_->read(at->second, 0, static_cast<int64_t>(values.size()), values.data());
  return values;
}

std::string ModelFile::hash_of(const std::vector<std::string>& tensors) const {
  std::string text;
  for (const std::string& tensor : tensors) {
    const std::vector<float> values = read_all(tensor);
    text += fmt::format("{} {:016x}\n", tensor, io::xxh3(std::as_bytes(std::span(values))));
  }
  return fmt::format("{:016x}", io::xxh3(std::as_bytes(std::span(text))));
}

void write_model(io::GraftFileWriter& writer, const ModelInfo& info, const models::ReadWeights& read) {
  writer.set_attribute("architecture", info.graph.name);
  writer.set_attribute("preprocessing", to_json(info.preprocessing));
  if (!info.licence.empty()) writer.set_attribute("licence", info.licence);
  if (!info.source.empty()) writer.set_attribute("source", info.source);
  if (!info.made_by.empty()) writer.set_attribute("made_by", info.made_by);
  writer.set_text(kGraphText, models::to_json(info.graph));
  if (!info.classes.empty()) writer.set_strings(kClassesText, info.classes);
  if (!info.training.empty()) writer.set_text(kTrainingText, info.training);
  for (const models::Parameter& p : models::parameters_of(info.graph)) {
    const auto fill = [&](int64_t first, std::span<std::byte> chunk) {
      read(p.name, first, static_cast<int64_t>(chunk.size() / sizeof(float)), reinterpret_cast<float*>(chunk.data()));
    };
    writer.add_tensor(p.is_buffer ? "buffers" : "parameters", p.name, DType::f32, extents_of(p.shape),
                      models::name_of(p.axes), fill);
  }
}

ModelInfo convert(const io::WeightsReader& weights, const std::string& source_name, std::string_view arch,
                  std::vector<std::string> classes, const std::filesystem::path& target, const Provenance& provenance) {
  const auto shapes = named_shapes(weights);
  ModelInfo info;
  info.graph = models::graph_for(shapes, source_name, arch);
  info.preprocessing = models::find_model(info.graph.name).preprocessing;
  info.licence = provenance.licence;
  info.made_by = made_by(nullptr);
  info.source = provenance.source.empty() ? std::filesystem::path(source_name).filename().string() : provenance.source;
  const int64_t outputs = models::classes_of(info.graph);
  GRAFT_CHECK(classes.empty() || static_cast<int64_t>(classes.size()) == outputs,
              "{} class names were given, {} has {} classes", classes.size(), source_name, outputs);
  info.classes = std::move(classes);

  std::map<std::string, size_t> index;
  for (size_t i = 0; i < shapes.size(); ++i) index[shapes[i].name] = i;
  io::GraftFileWriter writer(target);
  write_model(writer, info, [&](const std::string& tensor, int64_t first, int64_t count, float* out) {
    weights.read(index.at(tensor), first, count, out);
    for (int64_t i = 0; i < count; ++i)
      GRAFT_CHECK(std::isfinite(out[i]), "{}: {} holds a value that is not finite (element {}); the weights are broken",
                  source_name, tensor, first + i);
  });
  writer.commit();
  return info;
}

}  // namespace graft::train
