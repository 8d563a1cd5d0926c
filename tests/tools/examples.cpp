// The examples of every --help are commands that work.
#include <algorithm>
#include <catch2/catch.hpp>
#include <fstream>
#include <numeric>
#include <regex>
#include <set>
#include <sstream>

#include "io/npy.h"
#include "models/registry.h"
#include "tests/support/temporary_folder.h"
#include "tests/tools/fixtures.h"
#include "tests/tools/program.h"

using namespace graft::test;
namespace fs = std::filesystem;

namespace {

const std::vector<std::string> kClasses = {"blue", "green", "red"};

// A network's own layers, on pictures of 32 x 32 pixels.
void write_network(const fs::path& file, const char* name) {
  write_tiny_model(file, kClasses, 1, [&](graft::train::ModelInfo& info) {
    info.graph = graft::models::with_classes(graft::models::make_model(name), 3);
    info.preprocessing.resize = info.preprocessing.crop = 32;
  });
}

template <typename T>
void write_npy(const fs::path& path, const std::vector<int64_t>& shape, const std::vector<T>& values) {
  graft::io::NpyWriter writer(path, graft::dtype_of<T>, shape);
  writer.append(std::span<const T>(values));
  writer.commit();
}

// The files that the examples name.
void make_inputs(const fs::path& folder) {
  fs::create_directories(folder);
  write_network(folder / "resnet18.h5", "resnet18");
  write_network(folder / "lite0.h5", "efficientnet_lite0");
  write_tiny_model(folder / "tiny.h5", kClasses);
  write_tiny_model(folder / "pets.h5", kClasses);
  make_squares(folder / "photos", 4);
  make_squares(folder / "cifar", 4);
  make_squares(folder / "pets" / "train", 4);
  make_squares(folder / "pets" / "val", 2);
  write_png(folder / "photo.jpg", 32, {40, 50, 200}, 7);  // graft goes by a file's first bytes
  write_npy<float>(folder / "images.npy", {2, 32, 32, 3}, std::vector<float>(2 * 32 * 32 * 3, 0.5f));
  write_npy<int64_t>(folder / "labels.npy", {2}, {0, 2});
}

// "  graft predict pets.h5 photo.jpg    a remark" -> predict, pets.h5, photo.jpg
std::vector<std::string> words_of(const std::string& line) {
  const std::string command = line.substr(8, line.find("    ", 8) - 8);
  const std::regex word("'([^']*)'|(\\S+)");
  std::vector<std::string> words;
  for (std::sregex_iterator at(command.begin(), command.end(), word), end; at != end; ++at)
    words.push_back((*at)[1].matched ? (*at)[1] : (*at)[2]);
  return words;
}

// The same command with less to compute, on the device that is here.
std::vector<std::string> shortened(std::vector<std::string> words) {
  for (size_t i = 0; i + 1 < words.size(); ++i) {
    if (words[i] == "--epochs" || words[i] == "--batch") words[i + 1] = "2";
    if (words[i] == "--device") words[i + 1] = "auto";
    if (words[i] == "--precision") words[i + 1] = "f32";
  }
  if (words[0] != "bench") return words;
  if (words[1] == "kernels") words.insert(words.end(), {"--batch", "1", "--runs", "1", "--cold-runs", "1"});
  if (words[1] == "kernels" && std::ranges::count(words, "--filter") == 0)
    words.insert(words.end(), {"--filter", "pool"});
  words.insert(words.end(), {"--seconds", "0"});
  return words;
}

// Commands that need what is not here, run by other tests: weights that PyTorch saved (real_data.cpp), LibTorch and a
// kernel of the reader's own (tests/bench), a device with something to tune (cuda_commands.cpp).
bool needs_more(const std::vector<std::string>& words) {
  const auto has = [&](const char* word) { return std::ranges::count(words, word) > 0; };
  return words[0] == "convert" || has("--peers") || has("--kernel") || has("tune") || has("--tuning");
}

}  // namespace

TEST_CASE("the examples of every help work, one after the other") {
  const TemporaryFolder folder;
  make_inputs(folder / "inputs");
  const std::vector<std::vector<std::string>> pages = {
      {},           {"models"},          {"inspect"},          {"predict"},        {"evaluate"},
      {"features"}, {"train"},           {"convert"},          {"gradients"},      {"forward"},
      {"bench"},    {"bench", "models"}, {"bench", "kernels"}, {"bench", "train"}, {"bench", "tune"},
      {"devices"}};
  int page_number = 0;
  for (std::vector<std::string> page : pages) {
    const fs::path here = folder / std::to_string(page_number++);
    fs::copy(folder / "inputs", here, fs::copy_options::recursive | fs::copy_options::create_hard_links);
    if (page.empty() || page[0] == "train") fs::remove(here / "pets.h5");  // the examples make it
    page.push_back("--help");
    std::istringstream help(run_graft(page).out);
    int examples = 0;
    for (std::string line; std::getline(help, line);) {
      if (!line.starts_with("  graft ") && line != "  graft") continue;
      auto words = words_of(line);
      ++examples;
      if (needs_more(words)) continue;
      std::string out;  // "… > out"
      if (words.size() > 2 && words[words.size() - 2] == ">") {
        out = words.back();
        words.resize(words.size() - 2);
      }
      const auto run = run_graft(shortened(words), {.folder = here});
      INFO(line << "\n" << run.err);
      CHECK(run.code == 0);
      if (!out.empty()) std::ofstream(here / out) << run.out;
    }
    CHECK(examples >= 1);
  }
}
