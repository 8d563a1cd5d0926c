// A trained network in graft's file: the graph, its weights, the names of its classes, and what a photo goes through
// first.
#pragma once
#include <filesystem>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "io/hdf5/graft_file.h"
#include "io/hdf5/graft_file_writer.h"
#include "io/image/preprocess.h"
#include "models/compile.h"
#include "models/graph.h"
#include "models/recognise.h"
#include "models/registry.h"

namespace graft::train {

// The text of a model file that says how it was trained.
inline constexpr const char* kTrainingText = "training_config";

// Everything about a model but its numbers.
struct ModelInfo {
  models::Graph graph;
  std::vector<std::string> classes;  // by index; empty where nobody named them
  io::Preprocessing preprocessing;
  std::string licence, source;  // of the weights
  std::string training;         // the TrainConfig it was made with, as JSON; empty for a converted model
  std::string made_by;          // versions, device and instruction set, as JSON (made_by.h); empty where nobody said
};

class ModelFile {
 public:
  // Throws Error, which names the file, when it is missing, damaged, or not a model.
  explicit ModelFile(const std::filesystem::path& path, io::Trust trust = io::Trust::guarded);

  const std::filesystem::path& path() const { return path_; }
  const ModelInfo& info() const { return info_; }
  const models::Graph& graph() const { return info_.graph; }

  // Weights in the file's order of axes, checked as they are read. For CompiledPiece; the file must outlive the
  // function.
  models::ReadWeights reader() const;
  void read(const std::string& tensor, int64_t first, int64_t count, float* out) const;
  std::vector<float> read_all(const std::string& tensor) const;
  bool contains(const std::string& tensor) const { return index_.contains(tensor); }

  // 16 hexadecimal digits of the names and sums of these tensors: part of what names the start of a run.
  std::string hash_of(const std::vector<std::string>& tensors) const;

 private:
  std::filesystem::path path_;
  std::unique_ptr<io::GraftFile> file_;
  ModelInfo info_;
  std::map<std::string, size_t> index_;
};

// Writes the graph, texts and every parameter and buffer of it; `read` is asked for each tensor in ranges, in order.
void write_model(io::GraftFileWriter& writer, const ModelInfo& info, const models::ReadWeights& read);

// Where weights come from, for the file that holds them.
struct Provenance {
  std::string licence, source;  // source empty: the name of the file
};

// A PyTorch file (or any reader) as a model: recognised, checked against its network, written. Returns what it was.
ModelInfo convert(const io::WeightsReader& weights, const std::string& source_name, std::string_view arch,
                  std::vector<std::string> classes, const std::filesystem::path& target,
                  const Provenance& provenance = {});

std::vector<models::NamedShape> named_shapes(const io::WeightsReader& weights);
std::string to_json(const io::Preprocessing& preprocessing);
io::Preprocessing preprocessing_from_json(std::string_view text, std::string_view source);

}  // namespace graft::train
