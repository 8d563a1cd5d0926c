#include "train/metrics.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "core/error.h"

namespace graft::train {

std::vector<int64_t> top_k(std::span<const float> values, int64_t k) {
  std::vector<int64_t> order(values.size());
  std::iota(order.begin(), order.end(), 0);
  const auto count = std::min<size_t>(values.size(), static_cast<size_t>(std::max<int64_t>(k, 0)));
  const auto before = [&](int64_t a, int64_t b) {
    const float x = values[static_cast<size_t>(a)], y = values[static_cast<size_t>(b)];
    if (std::isnan(x) != std::isnan(y)) return std::isnan(y);
    return x != y && !std::isnan(x) ? x > y : a < b;
  };
  std::partial_sort(order.begin(), order.begin() + static_cast<std::ptrdiff_t>(count), order.end(), before);
  order.resize(count);
  return order;
}

std::vector<double> softmax(std::span<const float> logits) {
  std::vector<double> p(logits.begin(), logits.end());
  if (p.empty()) return p;
  const double largest = *std::max_element(p.begin(), p.end());
  double sum = 0;
  for (double& v : p) sum += v = std::exp(v - largest);
  for (double& v : p) v /= sum;
  return p;
}

double mean_cross_entropy(std::span<const float> logits, std::span<const int64_t> labels) {
  if (labels.empty()) return 0;
  const size_t classes = logits.size() / labels.size();
  double loss = 0;
  for (size_t i = 0; i < labels.size(); ++i) {
    const auto row = logits.subspan(i * classes, classes);
    GRAFT_CHECK(labels[i] >= 0 && static_cast<size_t>(labels[i]) < classes, "label {} is not one of {} classes",
                labels[i], classes);
    const double largest = *std::max_element(row.begin(), row.end());
    double sum = 0;
    for (const float z : row) sum += std::exp(z - largest);
    loss += std::log(sum) + largest - row[static_cast<size_t>(labels[i])];
  }
  return loss / static_cast<double>(labels.size());
}

void Metrics::add(std::span<const float> logits, std::span<const int64_t> labels, double mean_loss) {
  GRAFT_ASSERT(static_cast<int64_t>(logits.size()) == static_cast<int64_t>(labels.size()) * classes_);
  for (size_t i = 0; i < labels.size(); ++i) {
    GRAFT_CHECK(labels[i] >= 0 && labels[i] < classes_, "label {} is not one of {} classes", labels[i], classes_);
    const auto top = top_k(logits.subspan(i * static_cast<size_t>(classes_), static_cast<size_t>(classes_)), 5);
    top1_ += top[0] == labels[i];
    top5_ += std::find(top.begin(), top.end(), labels[i]) != top.end();
    ++confusion_[static_cast<size_t>(labels[i] * classes_ + top[0])];
  }
  images_ += static_cast<int64_t>(labels.size());
  loss_sum_ += mean_loss * static_cast<double>(labels.size());
}

std::vector<double> Metrics::recall() const {
  std::vector<double> result;
  for (int64_t truth = 0; truth < classes_; ++truth) {
    int64_t total = 0;
    for (int64_t predicted = 0; predicted < classes_; ++predicted) total += confusion(truth, predicted);
    result.push_back(total ? static_cast<double>(confusion(truth, truth)) / static_cast<double>(total) : 0);
  }
  return result;
}

}  // namespace graft::train
