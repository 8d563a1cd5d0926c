#include "models/fold.h"

#include <algorithm>
#include <cmath>

namespace graft::models {

namespace {

std::vector<float> whole(const ReadWeights& read, const std::string& tensor, int64_t count) {
  std::vector<float> values(static_cast<size_t>(count));
  if (count > 0) read(tensor, 0, count, values.data());
  return values;
}

// s = weight / √(running_var + eps), in double
std::vector<double> scale_of(const BatchNormFold& fold, int64_t channels, const ReadWeights& read) {
  const auto weight = whole(read, fold.layer + ".weight", channels);
  const auto var = whole(read, fold.layer + ".running_var", channels);
  std::vector<double> scale(weight.size());
  for (size_t k = 0; k < scale.size(); ++k) scale[k] = weight[k] / std::sqrt(var[k] + fold.eps);
  return scale;
}

// Output channels: the slowest axis in files. In memory it is the last one of a depthwise weight [R, S, C].
int64_t rows_of(const Shape& memory) { return memory.rank == 3 ? memory[2] : memory[0]; }

}  // namespace

FoldingSource::FoldingSource(const InferencePlan& plan, const ReadWeights& read)
    : read_(read), entries_(plan.buffers.size()) {
  for (const PlanConstant& constant : plan.constants) {
    Entry& entry = entries_[static_cast<size_t>(constant.buffer)];
    const Shape& shape = plan.buffers[static_cast<size_t>(constant.buffer)].shape;
    entry.constant = &constant;
    entry.rows = rows_of(shape);
    entry.row = entry.rows == 0 ? 0 : shape.numel() / entry.rows;
    if (constant.is_weight)
      fold_scale(entry, read);
    else
      fold_bias(entry, read);
  }
}

void FoldingSource::fold_scale(Entry& entry, const ReadWeights& read) const {
  if (entry.constant->folds.empty()) return;
  std::vector<double> product(static_cast<size_t>(entry.rows), 1.0);
  for (const BatchNormFold& fold : entry.constant->folds) {
    const auto scale = scale_of(fold, entry.rows, read);
    for (size_t k = 0; k < product.size(); ++k) product[k] *= scale[k];
  }
  entry.scale.assign(product.begin(), product.end());
}

void FoldingSource::fold_bias(Entry& entry, const ReadWeights& read) const {
  std::vector<double> bias(static_cast<size_t>(entry.rows), 0.0);
  if (!entry.constant->tensor.empty()) {
    const auto values = whole(read, entry.constant->tensor, entry.rows);
    std::copy(values.begin(), values.end(), bias.begin());
  }
  for (const BatchNormFold& fold : entry.constant->folds) {
    const auto scale = scale_of(fold, entry.rows, read);
    const auto mean = whole(read, fold.layer + ".running_mean", entry.rows);
    const auto shift = whole(read, fold.layer + ".bias", entry.rows);
    for (size_t k = 0; k < bias.size(); ++k) bias[k] = (bias[k] - mean[k]) * scale[k] + shift[k];
  }
  entry.vector.assign(bias.begin(), bias.end());
}

Status FoldingSource::read_rows(int32_t buffer, int64_t first, int64_t rows, float* out) {
  if (buffer < 0 || static_cast<size_t>(buffer) >= entries_.size()) return Status::invalid_argument;
  const Entry& entry = entries_[static_cast<size_t>(buffer)];
  if (!entry.constant || first < 0 || rows < 0 || first > entry.rows - rows) return Status::invalid_argument;
  if (!entry.constant->is_weight) {
    std::copy_n(entry.vector.begin() + first, rows, out);
    return Status::ok;
  }
  try {
    read_(entry.constant->tensor, first * entry.row, rows * entry.row, out);
    return Status::ok;
  } catch (...) {
    error_ = std::current_exception();
    return Status::device_error;
  }
}

ConstantSource FoldingSource::source() {
  ConstantSource s;
  s.self = this;
  s.read = [](void* self, int32_t buffer, int64_t first, int64_t rows, float* out) {
    return static_cast<FoldingSource*>(self)->read_rows(buffer, first, rows, out);
  };
  s.scale = [](void* self, int32_t buffer) -> const float* {
    const auto& scale = static_cast<FoldingSource*>(self)->entries_[static_cast<size_t>(buffer)].scale;
    return scale.empty() ? nullptr : scale.data();
  };
  return s;
}

}  // namespace graft::models
