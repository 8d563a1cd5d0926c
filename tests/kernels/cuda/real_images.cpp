// ResNet-20 (He et al. 2016) with its published weights, on the CUDA kernels that g++ compiled: CIFAR photos get the
// classes that PyTorch gives them.
#include <catch2/catch.hpp>
#include <fstream>
#include <nlohmann/json.hpp>

#include "io/image/image.h"
#include "io/image/preprocess.h"
#include "io/torch/torch_file.h"
#include "kernels/cuda/cuda_backend.h"
#include "models/registry.h"
#include "tests/cuda_on_host/control.h"
#include "tests/support/devices.h"
#include "tests/support/test_data.h"
#include "train/predictor.h"

using namespace graft;
using Json = nlohmann::json;

namespace {

constexpr int kPhotosOfAClass = 1, kBatch = 2;

struct Photo {
  std::filesystem::path file;
  size_t predicted;  // by PyTorch
};

// The first photos of each class, in the order of names, as the expectations have them.
std::vector<Photo> photos_of(const std::filesystem::path& folder) {
  const Json predicted =
      Json::parse(std::ifstream(GRAFT_SOURCE_DIR "/tests/expectations/real/resnet20.json"))["predicted"];
  std::vector<Photo> photos;
  for (const auto& [name, classes] : predicted.items()) {
    std::vector<std::filesystem::path> files;
    for (const auto& entry : std::filesystem::directory_iterator(folder / name)) files.push_back(entry.path());
    std::sort(files.begin(), files.end());
    for (size_t i = 0; i < kPhotosOfAClass; ++i)
      photos.push_back({files[i], static_cast<size_t>(classes.get<std::string>().at(i) - '0')});
  }
  return photos;
}

std::vector<float> logits_on(std::shared_ptr<Device> device, const io::WeightsReader& weights,
                             const std::vector<float>& images) {
  const models::ReadWeights read = [&](const std::string& tensor, int64_t first, int64_t count, float* out) {
    const auto& all = weights.tensors();
    const auto at = std::find_if(all.begin(), all.end(), [&](const io::TensorEntry& e) { return e.name == tensor; });
    REQUIRE(at != all.end());
    weights.read(static_cast<size_t>(at - all.begin()), first, count, out);
  };
  const train::Predictor predictor(models::make_model("resnet20"), read, std::move(device), {.batch = kBatch});
  const size_t batch_floats = static_cast<size_t>(predictor.input_shape().numel());
  std::vector<float> logits;
  for (size_t at = 0; at < images.size(); at += batch_floats) {
    const auto some = predictor.logits(images.data() + at, kBatch);
    logits.insert(logits.end(), some.begin(), some.end());
  }
  return logits;
}

std::shared_ptr<Device> cuda_device(DType compute) {
  cuda_on_host::reset();
  Backend backend;
  REQUIRE(cuda::make_backend(0, &backend) == Status::ok);
  auto device = Device::create(backend);
  device->set_compute_type(compute);
  return device;
}

}  // namespace

TEST_CASE("ResNet-20 on the CUDA kernels classifies CIFAR photos as PyTorch does, in f32 and in bf16") {
  const auto file = test::need_data("resnet_cifar10/resnet20-12fca82f.th"),
             folder = test::need_data("cifar10_test1000");
  if (file.empty() || folder.empty()) return;
  const auto weights = io::open_torch_file(file);
  const auto preprocessing = models::find_model("resnet20").preprocessing;
  const std::vector<Photo> photos = photos_of(folder);
  REQUIRE(photos.size() % kBatch == 0);
  std::vector<float> images(photos.size() * 32 * 32 * 3);
  for (size_t i = 0; i < photos.size(); ++i)
    io::preprocess(io::read_image(photos[i].file), preprocessing, images.data() + i * 32 * 32 * 3);

  const auto exact = logits_on(test::cpu_device(), *weights, images);
  for (const auto& [compute, bound] : {std::pair{DType::f32, 2e-4}, {DType::bf16, 0.5}}) {
    INFO(name_of(compute));
    const auto logits = logits_on(cuda_device(compute), *weights, images);
    double largest = 0;
    for (size_t i = 0; i < logits.size(); ++i)
      largest = std::max(largest, static_cast<double>(std::abs(logits[i] - exact[i])));
    CHECK(largest < bound);
    for (size_t i = 0; i < photos.size(); ++i) {
      INFO(photos[i].file);
      const auto first = logits.begin() + static_cast<int64_t>(i) * 10;
      CHECK(static_cast<size_t>(std::max_element(first, first + 10) - first) == photos[i].predicted);
    }
  }
}
