// NumPy's .npy: one array (numpy.org, "NEP 1"; versions 1 to 3). Read: f32, f64, i64 and u8, little-endian, in C order.
#pragma once
#include <filesystem>
#include <memory>
#include <span>
#include <vector>

#include "contract/dtype.h"
#include "io/file.h"
#include "io/staged_file.h"

namespace graft::io {

class NpyFile {
 public:
  // Reads the header. Throws Error, with the file's name and what NumPy call helps, for anything else than the above,
  // and where the elements do not fill the file exactly.
  explicit NpyFile(const std::filesystem::path& path);

  DType dtype() const { return dtype_; }
  const std::vector<int64_t>& shape() const { return shape_; }
  int64_t numel() const { return numel_; }
  std::string name() const { return file_.name(); }

  // Elements [first, first + out.size()) in row-major order. T must be the file's own type.
  template <typename T>
  void read(int64_t first, std::span<T> out) const {
    read_bytes(dtype_of<T>, first, std::as_writable_bytes(out));
  }

 private:
  void read_bytes(DType wanted, int64_t first, std::span<std::byte> out) const;

  File file_;
  DType dtype_ = DType::none;
  std::vector<int64_t> shape_;
  int64_t numel_ = 0, data_ = 0;  // data_: where the elements begin
};

// Writes one, in order, beside its target; it appears with commit().
class NpyWriter {
 public:
  NpyWriter(const std::filesystem::path& target, DType dtype, std::span<const int64_t> shape);

  template <typename T>
  void append(std::span<const T> elements) {
    append_bytes(dtype_of<T>, std::as_bytes(elements));
  }
  void commit();  // throws Error unless all elements have been given

 private:
  void append_bytes(DType dtype, std::span<const std::byte> bytes);

  StagedFile stage_;
  DType dtype_;
  int64_t missing_ = 0;  // bytes still to come
};

}  // namespace graft::io
