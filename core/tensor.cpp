#include "core/tensor.h"

#include "core/recorder.h"
#include "core/tape.h"

namespace graft {

Tensor::Tensor(std::shared_ptr<Storage> storage, int64_t byte_offset, const Shape& shape, DType dtype)
    : storage_(std::move(storage)), byte_offset_(byte_offset), shape_(shape), dtype_(dtype) {}

TensorView Tensor::view() const {
  if (!defined()) return {};
  char* base = static_cast<char*>(storage_->data());
  return {.data = base ? base + byte_offset_ : nullptr, .shape = shape_, .dtype = dtype_};
}

Tensor Tensor::viewed_as(const Shape& shape) const {
  GRAFT_CHECK(shape.numel() == numel(), "a tensor of shape {} cannot be seen as {}", shape_, shape);
  return {storage_, byte_offset_, shape, dtype_};
}

Tensor Tensor::rows(int64_t first, int64_t count) const {
  GRAFT_CHECK(rank() > 0 && first >= 0 && count >= 0 && count <= shape_[0] - first,
              "rows {} to {} are not all in a tensor of shape {}", first, first + count, shape_);
  Shape shape = shape_;
  shape[0] = count;
  const int64_t row_bytes = shape_.count(1, shape_.rank) * static_cast<int64_t>(size_of(dtype_));
  return {storage_, byte_offset_ + first * row_bytes, shape, dtype_};
}

Tensor Tensor::detach() const { return {storage_, byte_offset_, shape_, dtype_}; }

bool Tensor::requires_grad() const { return autograd_ && autograd_->requires_grad; }

Tensor& Tensor::set_requires_grad(bool on) {
  GRAFT_CHECK(!autograd_ || !autograd_->producer,
              "only a tensor that was not computed can be told to require a gradient");
  GRAFT_CHECK(!on || is_float(dtype_), "a {} tensor has no gradient", name_of(dtype_));
  autograd_ = on ? std::make_shared<AutogradMeta>() : nullptr;
  if (on) autograd_->requires_grad = true;
  return *this;
}

void Tensor::require_type(DType wanted) const {
  GRAFT_CHECK(defined(), "an undefined tensor has no values");
  GRAFT_CHECK(dtype_ == wanted, "a {} tensor was used as {}", name_of(dtype_), name_of(wanted));
}

void Tensor::copy_to(void* host) const { device().to_host(host, view().data, bytes()); }

void Tensor::copy_from(const void* host) const {
  storage_->changed();
  device().from_host(view().data, host, bytes());
}

double Tensor::item() const {
  GRAFT_CHECK(defined() && numel() == 1, "item() needs a tensor of one element, this one has shape {}", shape_);
  switch (dtype_) {
    case DType::f64:
      return to_vector<double>()[0];
    case DType::f32:
      return static_cast<double>(to_vector<float>()[0]);
    case DType::i64:
      return static_cast<double>(to_vector<int64_t>()[0]);
    case DType::u8:
      return static_cast<double>(to_vector<uint8_t>()[0]);
    default:
      fail("item() of a {} tensor: cast it first", name_of(dtype_));
  }
}

Tensor empty(const std::shared_ptr<Device>& device, const Shape& shape, DType dtype) {
  GRAFT_CHECK(device != nullptr, "a tensor needs a device");
  int64_t bytes = static_cast<int64_t>(size_of(dtype));
  for (int axis = 0; axis < shape.rank; ++axis) {
    GRAFT_CHECK(shape[axis] >= 0, "a tensor cannot have shape {}", shape);
    GRAFT_CHECK(!__builtin_mul_overflow(bytes, shape[axis], &bytes), "a tensor of shape {} is too large", shape);
  }
  if (Recorder* recorder = Recorder::current())
    return {Storage::recorded(device, bytes, recorder->new_buffer(*device, bytes)), 0, shape, dtype};
  return {Storage::allocate(device, bytes), 0, shape, dtype};
}

Tensor empty_like(const Tensor& other) { return empty(other.shared_device(), other.shape(), other.dtype()); }

Tensor full(const std::shared_ptr<Device>& device, const Shape& shape, double value, DType dtype) {
  Tensor tensor = empty(device, shape, dtype);
  device->run(FillArgs{.y = tensor, .value = value});
  return tensor;
}

}  // namespace graft
