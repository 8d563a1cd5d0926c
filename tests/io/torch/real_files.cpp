// Weights that others trained and published: sums of their tensors, as PyTorch reads them.
#include <cmath>

#include "tests/io/torch/bytes.h"
#include "tests/support/test_data.h"

using namespace graft;
using namespace graft::test;

namespace {

struct TensorFacts {
  size_t index;
  const char* name;
  std::vector<int64_t> shape;
  double sum, abs_sum;
};

struct FileFacts {
  const char* path;
  size_t tensors;
  int64_t elements;
  double sum, abs_sum;
  std::vector<TensorFacts> some;
};

const FileFacts kFiles[] = {
#include "tests/io/torch/real_facts.inc"
};

struct Sums {
  double x = 0, abs = 0;
};

Sums sums_of(const std::vector<float>& values) {
  Sums sums;
  for (float v : values) {
    sums.x += v;
    sums.abs += std::abs(v);
  }
  return sums;
}

}  // namespace

TEST_CASE("real weights files hold what PyTorch reads from them") {
  for (const FileFacts& facts : kFiles) {
    const auto path = need_data(facts.path);
    if (path.empty()) return;
    INFO(facts.path);
    const auto file = io::open_torch_file(path);
    REQUIRE(file->tensors().size() == facts.tensors);

    int64_t elements = 0;
    Sums all;
    for (size_t i = 0; i < facts.tensors; ++i) {
      const Sums sums = sums_of(read_all(*file, i));
      elements += file->tensors()[i].numel();
      all.x += sums.x;
      all.abs += sums.abs;
      for (const TensorFacts& tensor : facts.some) {
        if (tensor.index != i) continue;
        CHECK(file->tensors()[i].name == tensor.name);
        CHECK(file->tensors()[i].shape == tensor.shape);
        CHECK(sums.x == Approx(tensor.sum).epsilon(1e-12).margin(1e-12 * tensor.abs_sum));
        CHECK(sums.abs == Approx(tensor.abs_sum).epsilon(1e-12));
      }
    }
    CHECK(elements == facts.elements);
    CHECK(all.x == Approx(facts.sum).epsilon(1e-10));
    CHECK(all.abs == Approx(facts.abs_sum).epsilon(1e-10));
  }
}
