// forward and gradients: arrays in, arrays out.
#include <catch2/catch.hpp>
#include <cmath>
#include <nlohmann/json.hpp>

#include "io/hdf5/graft_file.h"
#include "io/npy.h"
#include "tests/support/temporary_folder.h"
#include "tests/tools/fixtures.h"
#include "tests/tools/program.h"

using namespace graft::test;
using Catch::Matchers::Contains;
using graft::io::NpyFile;
using graft::io::NpyWriter;

namespace {

template <typename T>
void write_npy(const std::filesystem::path& path, const std::vector<int64_t>& shape, const std::vector<T>& values) {
  NpyWriter writer(path, graft::dtype_of<T>, shape);
  writer.append(std::span<const T>(values));
  writer.commit();
}

std::vector<float> read_floats(const std::filesystem::path& path) {
  const NpyFile file(path);
  std::vector<float> values(static_cast<size_t>(file.numel()));
  file.read(0, std::span(values));
  return values;
}

std::vector<float> some_images(int64_t count) {
  std::vector<float> values(static_cast<size_t>(count * 16 * 16 * 3));
  for (size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(std::sin(0.37 * static_cast<double>(i)));
  return values;
}

// out[n, c, s] = in[n, s, c]
std::vector<float> to_nchw(const std::vector<float>& in, int64_t count, int64_t pixels, int64_t channels) {
  std::vector<float> out(in.size());
  for (int64_t n = 0; n < count; ++n)
    for (int64_t s = 0; s < pixels; ++s)
      for (int64_t c = 0; c < channels; ++c)
        out[static_cast<size_t>((n * channels + c) * pixels + s)] =
            in[static_cast<size_t>((n * pixels + s) * channels + c)];
  return out;
}

}  // namespace

TEST_CASE("forward: rows do not depend on the batch, both layouts agree") {
  const TemporaryFolder folder;
  const std::string model = (folder / "tiny.h5").string(), in = (folder / "in.npy").string(),
                    out = (folder / "out.npy").string();
  write_tiny_model(model, {"a", "b", "c"});
  write_npy<float>(in, {5, 16, 16, 3}, some_images(5));
  const auto run = run_graft({"forward", model, in, "-o", out, "--batch", "2"});
  CHECK(run.code == 0);
  CHECK(NpyFile(out).shape() == std::vector<int64_t>{5, 3});
  const auto logits = read_floats(out);
  CHECK(run_graft({"forward", model, in, "-o", out, "--batch", "5"}).code == 0);
  CHECK(read_floats(out) == logits);

  write_npy<float>(in, {5, 3, 16, 16}, to_nchw(some_images(5), 5, 256, 3));
  CHECK(run_graft({"forward", model, in, "-o", out, "--layout", "nchw"}).code == 0);
  CHECK(read_floats(out) == logits);
  CHECK(run_graft({"forward", model, in, "-o", out, "--layout", "nchw", "--layer", "conv1"}).code == 0);
  CHECK(NpyFile(out).shape() == std::vector<int64_t>{5, 8, 8, 8});
  const auto nchw_layer = read_floats(out);
  write_npy<float>(in, {5, 16, 16, 3}, some_images(5));
  CHECK(run_graft({"forward", model, in, "-o", out, "--layer", "conv1"}).code == 0);
  CHECK(to_nchw(read_floats(out), 5, 64, 8) == nchw_layer);

  const auto swapped = run_graft({"forward", model, in, "-o", out, "--layout", "nchw"});
  CHECK(swapped.code == 1);
  CHECK_THAT(swapped.err, Contains("use --layout nhwc"));
}

TEST_CASE("gradients: the bias of the head gets the mean of softmax minus truth") {
  const TemporaryFolder folder;
  const std::string model = (folder / "tiny.h5").string(), in = (folder / "in.npy").string(),
                    labels = (folder / "labels.npy").string(), out = (folder / "out.npy").string(),
                    g = (folder / "g.h5").string();
  write_tiny_model(model, {"a", "b", "c"});
  write_npy<float>(in, {4, 16, 16, 3}, some_images(4));
  const std::vector<int64_t> truth = {2, 0, 1, 1};
  write_npy<int64_t>(labels, {4}, truth);
  REQUIRE(run_graft({"gradients", model, in, "--labels", labels, "-o", g}).code == 0);
  REQUIRE(run_graft({"forward", model, in, "-o", out}).code == 0);

  const auto logits = read_floats(out);
  double loss = 0, bias[3] = {};
  for (size_t n = 0; n < 4; ++n) {
    double sum = 0;
    for (size_t c = 0; c < 3; ++c) sum += std::exp(logits[n * 3 + c]);
    for (size_t c = 0; c < 3; ++c) {
      const double p = std::exp(logits[n * 3 + c]) / sum, t = truth[n] == static_cast<int64_t>(c);
      bias[c] += (p - t) / 4;
      loss -= t * std::log(p) / 4;
    }
  }
  const graft::io::GraftFile file(g);
  CHECK(file.read_raw("loss").as<double>()[0] == Approx(loss).epsilon(1e-5));
  const auto found = file.read_raw("fc.bias");
  for (size_t c = 0; c < 3; ++c) CHECK(found.as<float>()[c] == Approx(bias[c]).margin(1e-6));
  CHECK(file.read_raw("conv1.weight").shape == std::vector<int64_t>{8, 3, 3, 3});  // PyTorch's axes

  // batch statistics are another function
  REQUIRE(run_graft({"gradients", model, in, "--labels", labels, "-o", g, "--training"}).code == 0);
  CHECK(graft::io::GraftFile(g).read_raw("loss").as<double>()[0] != Approx(loss).epsilon(1e-5));
  REQUIRE(run_graft({"gradients", model, in, "--labels", labels, "-o", g, "--train", "fc"}).code == 0);
  const graft::io::GraftFile head(g);
  CHECK((head.contains("loss") && head.contains("fc.weight") && head.contains("fc.bias")));
  CHECK_FALSE((head.contains("conv1.weight") || head.contains("bn2.bias")));

  write_npy<int64_t>(labels, {4}, {0, 1, 3, 0});
  const auto outside = run_graft({"gradients", model, in, "--labels", labels, "-o", g});
  CHECK(outside.code == 1);
  CHECK_THAT(outside.err, Contains("label 3 of image 2 is out of range") && Contains("3 classes"));
  write_npy<int64_t>(labels, {3}, {0, 1, 2});
  CHECK_THAT(run_graft({"gradients", model, in, "--labels", labels, "-o", g}).err,
             Contains("4 images need labels [4]"));
  write_npy<float>(labels, {4}, {0, 1, 2, 0});
  CHECK_THAT(run_graft({"gradients", model, in, "--labels", labels, "-o", g}).err, Contains("astype('<i8')"));
}

TEST_CASE("arrays that are not what they claim are refused") {
  const TemporaryFolder folder;
  const std::string model = (folder / "tiny.h5").string(), in = (folder / "in.npy").string(),
                    out = (folder / "out.npy").string();
  write_tiny_model(model, {"a", "b"});
  write_npy<float>(in, {1, 16, 16, 3}, some_images(1));
  const std::string good = read_file(in);
  const auto refused = [&](const std::string& bytes, const char* why) {
    write_text(in, bytes);
    const auto run = run_graft({"forward", model, in, "-o", out});
    CHECK(run.code == 1);
    CHECK_THAT(run.err, Contains(why) && Contains("in.npy"));
    CHECK_FALSE(std::filesystem::exists(out));
  };
  const auto replaced = [&](const std::string& from, const std::string& to) {
    std::string bytes = good;
    return bytes.replace(bytes.find(from), from.size(), to);
  };
  refused("", "not a .npy file");
  refused("PK\3\4 not numpy at all", "not a .npy file");
  refused(good.substr(0, 40), "damaged");
  refused(good.substr(0, good.size() - 4), "damaged");
  refused(good + "abcd", "damaged");
  refused(replaced("<f4", ">f4"), ">f4");
  refused(replaced("<f4", "|O8"), "|O8");
  refused(replaced("False", "True "), "Fortran");
  refused(replaced("'shape': (1, 16, 16, 3)", "'shape': (9999999999, 9999999999, 16, 3)"), "damaged");
  refused(replaced("(1, 16, 16, 3)", "(-1, 16, 16, 3)"), "damaged");
  refused(replaced("'descr'", "__import__('os')"), "damaged");
  write_npy<float>(in, {1, 768}, some_images(1));
  CHECK_THAT(run_graft({"forward", model, in, "-o", out}).err, Contains("[1, 768]") && Contains("N, H, W, C"));
}
