// Tensor: a handle to a dense block of numbers on a device. Copies of a handle share the numbers.
//
// Images are [N, H, W, C], always, on every device. A tensor with requires_grad, and whatever is computed from it
// outside of NoGrad, is followed by the tape (core/tape.h).
#pragma once
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "contract/tensor_view.h"
#include "core/error.h"
#include "core/storage.h"

namespace graft {

struct AutogradMeta;

class Tensor {
 public:
  Tensor() = default;  // undefined: the absent optional argument
  Tensor(std::shared_ptr<Storage> storage, int64_t byte_offset, const Shape& shape, DType dtype);

  bool defined() const { return storage_ != nullptr; }
  const Shape& shape() const { return shape_; }
  int64_t size(int axis) const { return shape_[axis]; }
  int rank() const { return shape_.rank; }
  int64_t numel() const { return shape_.numel(); }
  int64_t channels() const { return shape_.channels(); }
  DType dtype() const { return dtype_; }
  int64_t bytes() const { return numel() * static_cast<int64_t>(size_of(dtype_)); }
  Device& device() const { return storage_->device(); }
  const std::shared_ptr<Device>& shared_device() const { return storage_->shared_device(); }
  const std::shared_ptr<Storage>& storage() const { return storage_; }
  int64_t byte_offset() const { return byte_offset_; }

  // What a primitive gets: absent for an undefined tensor.
  TensorView view() const;
  operator TensorView() const { return view(); }  // NOLINT(google-explicit-constructor): op code reads as its formula

  // The same numbers seen with another shape of as many elements, or rows [first, first + count) of the first axis. Not
  // followed by the tape: ops::reshape is.
  Tensor viewed_as(const Shape& shape) const;
  Tensor rows(int64_t first, int64_t count) const;

  // The same numbers, unknown to the tape.
  Tensor detach() const;

  bool requires_grad() const;
  Tensor& set_requires_grad(bool on);  // of a leaf; throws Error for a computed tensor
  const std::shared_ptr<AutogradMeta>& autograd() const { return autograd_; }
  void set_autograd(std::shared_ptr<AutogradMeta> meta) { autograd_ = std::move(meta); }

  // To and from the host. T must be the tensor's own type.
  template <typename T>
  std::vector<T> to_vector() const {
    require_type(dtype_of<T>);
    std::vector<T> values(static_cast<size_t>(numel()));
    copy_to(values.data());
    return values;
  }
  template <typename T>
  void assign(std::span<const T> values) const {  // in place: the tape notices
    require_type(dtype_of<T>);
    GRAFT_CHECK(static_cast<int64_t>(values.size()) == numel(), "{} values do not fill a tensor of shape {}",
                values.size(), shape_);
    copy_from(values.data());
  }
  double item() const;  // the only element, of any floating-point or integer type
  void copy_to(void* host) const;
  void copy_from(const void* host) const;

 private:
  void require_type(DType wanted) const;

  std::shared_ptr<Storage> storage_;
  int64_t byte_offset_ = 0;
  Shape shape_;
  DType dtype_ = DType::none;
  std::shared_ptr<AutogradMeta> autograd_;
};

// Unwritten memory. Throws Error when the size overflows or an extent is negative.
Tensor empty(const std::shared_ptr<Device>& device, const Shape& shape, DType dtype = DType::f32);
Tensor empty_like(const Tensor& other);
Tensor full(const std::shared_ptr<Device>& device, const Shape& shape, double value, DType dtype = DType::f32);

template <typename T>
Tensor from_values(const std::shared_ptr<Device>& device, const Shape& shape, std::span<const T> values) {
  Tensor tensor = empty(device, shape, dtype_of<T>);
  tensor.assign(values);
  return tensor;
}
template <typename T>
Tensor from_values(const std::shared_ptr<Device>& device, const Shape& shape, const std::vector<T>& values) {
  return from_values(device, shape, std::span<const T>(values));
}

}  // namespace graft
