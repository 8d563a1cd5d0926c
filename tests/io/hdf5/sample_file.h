// A small file with one of everything, for the tests here: written, and read back into one comparable text.
#pragma once
#include <unistd.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <span>
#include <string>
#include <vector>

#include "io/hdf5/graft_file.h"
#include "io/hdf5/graft_file_writer.h"

namespace graft::test {

namespace fs = std::filesystem;

// A folder of its own, gone with the test.
struct ScratchFolder {
  fs::path path;
  ScratchFolder() {
    std::string name = (fs::temp_directory_path() / "graft-hdf5-XXXXXX").string();
    path = mkdtemp(name.data());
  }
  ~ScratchFolder() {
    std::error_code ignored;
    fs::remove_all(path, ignored);
  }
  fs::path operator/(const char* name) const { return path / name; }
};

inline std::string bytes_of(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

inline void write_bytes(const fs::path& path, std::string_view bytes) {
  std::ofstream(path, std::ios::binary).write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
}

template <typename T>
std::vector<T> ramp(size_t count, double scale, double offset = 0) {
  std::vector<T> values(count);
  for (size_t i = 0; i < count; ++i) values[i] = static_cast<T>(std::sin(static_cast<double>(i)) * scale + offset);
  return values;
}

template <typename T>
void add(io::GraftFileWriter& file, std::string_view group, std::string_view name, std::vector<int64_t> shape,
         std::string_view axes, const std::vector<T>& values) {
  file.add_tensor(group, name, dtype_of<T>, shape, axes, std::as_bytes(std::span(values)));
}

inline constexpr const char* kGraph = R"({"nodes": [{"op": "conv", "name": "conv1"}, {"op": "linear", "name": "fc"}]})";

// `version` changes every value, so that two samples differ everywhere and are equally long.
inline void write_sample(const fs::path& path, int version = 0) {
  io::GraftFileWriter file(path);
  file.set_attribute("architecture", "sample");
  file.set_attribute("licence", "CC0-1.0");
  file.set_attribute("source", "");
  file.set_attribute("preprocessing", R"({"resize": 256, "crop": 224, "mean": [0.485, 0.456, 0.406]})");
  file.set_text("graph", kGraph);
  const std::string classes[] = {"tench", "goldfish, Carassius auratus", "", "g\u00f6tterspeise"};
  file.set_strings("class_names", classes);
  add(file, "parameters", "conv1.weight", {4, 3, 3, 3}, "OIHW", ramp<float>(108, 1 + version));
  add(file, "parameters", "fc.weight", {5, 4}, "OI", ramp<float>(20, .1, version));
  add(file, "parameters", "fc.bias", {5}, "C", ramp<float>(5, 3, version));
  add(file, "buffers", "bn1.running_mean", {4}, "C", ramp<float>(4, .5, version));
  add(file, "buffers", "bn1.num_batches_tracked", {}, "", std::vector<int64_t>{version + 7});
  const std::vector<uint16_t> halves = {0x3c00, 0xc000, 0x0001, static_cast<uint16_t>(0x7c00 - version)};
  file.add_tensor("buffers", "halves", DType::f16, std::vector<int64_t>{4}, "", std::as_bytes(std::span(halves)));
  const std::vector<uint16_t> brains = {0x3f80, 0xc000, static_cast<uint16_t>(0x4049 + version)};
  file.add_tensor("buffers", "brains", DType::bf16, std::vector<int64_t>{3}, "", std::as_bytes(std::span(brains)));
  add(file, "buffers", "nothing", {0, 3}, "", std::vector<float>{});
  add(file, "training", "loss", {2}, "", ramp<double>(2, 1e-300, version));
  add(file, "training/optimizer/momentum", "fc.weight", {5, 4}, "OI", ramp<float>(20, 2, version));
  add(file, "training", "sampler", {3}, "", std::vector<uint8_t>{1, 2, static_cast<uint8_t>(version)});
  file.set_text("training/state", R"({"epoch": 3})");
  file.commit();
}

// Everything a reader can get out of a file, as one text: two files are the same when these are.
inline std::string contents(const io::GraftFile& file) {
  std::string all;
  const auto add_text = [&](std::string_view what, std::string_view value) {
    all += std::string(what) + " = " + std::string(value) + "\n";
  };
  for (const char* name : {"architecture", "licence", "source", "preprocessing"})
    add_text(name, file.attribute(name).value_or("(none)"));
  add_text("graph", file.text("graph").value_or("(none)"));
  add_text("state", file.text("training/state").value_or("(none)"));
  for (const std::string& name : file.strings("class_names").value_or(std::vector<std::string>{}))
    add_text("class", name);
  const auto add_bytes = [&](const void* data, size_t bytes) { all.append(static_cast<const char*>(data), bytes); };
  for (size_t i = 0; i < file.tensors().size(); ++i) {
    const io::TensorEntry& t = file.tensors()[i];
    add_text(i < file.parameter_count() ? "parameter" : "buffer", t.name + " " + name_of(t.dtype) + " " + file.axes(i));
    for (int64_t extent : t.shape) all += std::to_string(extent) + " ";
    std::vector<float> values(static_cast<size_t>(t.numel()));
    file.read(i, 0, t.numel(), values.data());
    add_bytes(values.data(), values.size() * sizeof(float));
  }
  for (const std::string& path : file.list("training")) {
    if (path == "training/state") continue;
    const io::StoredArray array = file.read_raw(path);
    add_text(path, name_of(array.dtype));
    for (int64_t extent : array.shape) all += std::to_string(extent) + " ";
    add_bytes(array.elements.data(), array.elements.size());
  }
  return all;
}

}  // namespace graft::test
