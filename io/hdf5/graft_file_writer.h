// Writes graft's file: HDF5 that any HDF5 tool can read (docs/file-format.md has every object in it). The same calls
// with the same contents give the same bytes.
//
//   GraftFileWriter file("pets.h5");
//   file.set_attribute("architecture", "resnet18");
//   file.add_tensor("parameters", "fc.weight", DType::f32, {5, 512}, "OI", std::as_bytes(weight));
//   file.commit();
#pragma once
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "contract/dtype.h"

namespace graft::io {

class GraftFileWriter {
 public:
  // Nothing is at `target` before commit(), or what was there before: the file grows beside it (staged_file.h).
  explicit GraftFileWriter(const std::filesystem::path& target);
  ~GraftFileWriter();

  // Fills `chunk` with the elements from `first` on, in row-major order.
  using Fill = std::function<void(int64_t first, std::span<std::byte> chunk)>;

  // A data set /group/name with its sum. `group` is "parameters", "buffers" or "training" (or groups in it, with
  // slashes), or empty for what lies at the root; `axes` names the axes as the file has them, slowest first ("OIHW",
  // "OI", "C"), or is empty.
  void add_tensor(std::string_view group, std::string_view name, DType dtype, std::span<const int64_t> shape,
                  std::string_view axes, std::span<const std::byte> elements);
  void add_tensor(std::string_view group, std::string_view name, DType dtype, std::span<const int64_t> shape,
                  std::string_view axes, const Fill& fill);

  // A short text as attribute of the file, at most 16 KB. No text may contain a zero byte.
  void set_attribute(std::string_view name, std::string_view text);
  // A text of any length as a data set of one string: "graph", "training/state".
  void set_text(std::string_view path, std::string_view text);
  // A list of texts as a data set of strings: "class_names".
  void set_strings(std::string_view path, std::span<const std::string> texts);

  // Ends the file and puts it in place. Throws Error, as every call here does, when the disk is full or fails; then the
  // target is what it was.
  void commit();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace graft::io
