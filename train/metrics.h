// How well predictions fit: loss, accuracy, what was taken for what.
#pragma once
#include <cstdint>
#include <span>
#include <vector>

namespace graft::train {

// Indices of the `k` largest values, largest first; of equals the first. NaN is never among them before a number.
std::vector<int64_t> top_k(std::span<const float> values, int64_t k);

// p = softmax(logits), in double.
std::vector<double> softmax(std::span<const float> logits);

// −log softmax(logits)[label], the mean of n rows; in double.
double mean_cross_entropy(std::span<const float> logits, std::span<const int64_t> labels);

class Metrics {
 public:
  explicit Metrics(int64_t classes = 0) : classes_(classes), confusion_(static_cast<size_t>(classes * classes)) {}

  // logits [n, classes]; `mean_loss` of these n images.
  void add(std::span<const float> logits, std::span<const int64_t> labels, double mean_loss);

  int64_t images() const { return images_; }
  double loss() const { return images_ ? loss_sum_ / static_cast<double>(images_) : 0; }
  double top1() const { return images_ ? static_cast<double>(top1_) / static_cast<double>(images_) : 0; }
  double top5() const { return images_ ? static_cast<double>(top5_) / static_cast<double>(images_) : 0; }
  int64_t confusion(int64_t truth, int64_t predicted) const {
    return confusion_[static_cast<size_t>(truth * classes_ + predicted)];
  }
  int64_t classes() const { return classes_; }
  std::vector<double> recall() const;  // by class, of its images; 0 where it has none

  // For checkpoints: the sums of a half-done epoch. The confusion table is not among them.
  struct Sums {
    int64_t images = 0, top1 = 0, top5 = 0;
    double loss = 0;
  };
  Sums sums() const { return {images_, top1_, top5_, loss_sum_}; }
  void restore(const Sums& s) { images_ = s.images, top1_ = s.top1, top5_ = s.top5, loss_sum_ = s.loss; }

 private:
  int64_t classes_;
  int64_t images_ = 0, top1_ = 0, top5_ = 0;
  double loss_sum_ = 0;
  std::vector<int64_t> confusion_;
};

}  // namespace graft::train
