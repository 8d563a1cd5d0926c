// Reads graft's file (docs/file-format.md). Opening it makes its index, in the guarded helper unless the file is
// trusted; after that HDF5 has no part in it: tensors are ranges of bytes, read in chunks that stay in L2, and no
// element is handed out for good before the sum of its tensor has been found right.
#pragma once
#include <cstddef>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "io/file.h"
#include "io/hdf5/index.h"
#include "io/weights.h"

namespace graft::io {

enum class Trust {
  guarded,     // any file
  in_process,  // a file this program wrote: its index is made here, without the helper and its 2 ms
};

// A data set that is not a weight: the state of a training run, or whatever else a caller of the writer put there.
struct StoredArray {
  DType dtype = DType::none;
  std::vector<int64_t> shape;
  std::vector<std::byte> elements;  // row-major

  template <typename T>
  std::span<const T> as() const {
    return {reinterpret_cast<const T*>(elements.data()), elements.size() / sizeof(T)};
  }
};

class GraftFile : public WeightsReader {
 public:
  // Throws Error, which names the file, when it is missing, no graft file, damaged, or of a newer format.
  explicit GraftFile(const std::filesystem::path& path, Trust trust = Trust::guarded);
  ~GraftFile() override;

  // ---- weights: parameters by name, then buffers by name
  const std::vector<TensorEntry>& tensors() const override { return tensors_; }
  size_t parameter_count() const { return parameter_count_; }  // the first ones of tensors()
  const std::string& axes(size_t index) const;                 // "OIHW"; empty where the file says nothing

  // Ranges that follow one another from the first element to the last are read once: the sum is known at the last, and
  // where that throws, what was made from the ranges before must be thrown away. For any other range the whole tensor
  // is read for its sum first, a sum for each chunk is kept, and the range is checked against those.
  void read(size_t index, int64_t first, int64_t count, float* out) const override;

  // All of a tensor, in order and once: `use` gets `rows` rows of the slowest axis from `first_row` on, as f32;
  // chunk_rows at a time, or as many as fit into 256 KB where it is 0. The sum is known only at the end: where stream
  // throws, what was made from the chunks must be thrown away.
  using UseRows = std::function<void(int64_t first_row, int64_t rows, std::span<const float> elements)>;
  void stream(size_t index, int64_t chunk_rows, const UseRows& use) const;

  // ---- texts and arrays, by the names that the writer got
  std::optional<std::string> attribute(std::string_view name) const;
  std::optional<std::string> text(std::string_view path) const;                  // "graph"
  std::optional<std::vector<std::string>> strings(std::string_view path) const;  // "class_names"
  std::vector<std::string> list(std::string_view group) const;                   // paths of all data sets below it
  bool contains(std::string_view path) const;
  StoredArray read_raw(std::string_view path) const;  // in its own type

 private:
  struct ReadState;  // of one tensor
  const IndexEntry* find(std::string_view path) const;
  void add_tensors(const char* group);
  void read_checked(const IndexEntry& entry, const std::function<void(std::span<const std::byte>)>& use,
                    size_t chunk_bytes) const;
  std::vector<std::byte> read_whole(const IndexEntry& entry) const;
  bool read_in_order(size_t index, int64_t first, int64_t count, float* out) const;
  const std::vector<uint64_t>& chunk_sums(size_t index) const;
  [[noreturn]] void fail_damaged(const IndexEntry& entry) const;

  File file_;
  Index index_;
  std::vector<TensorEntry> tensors_;
  std::vector<const IndexEntry*> entries_;  // of tensors_
  size_t parameter_count_ = 0;
  std::unique_ptr<ReadState[]> states_;
};

}  // namespace graft::io
