// What an HDF5 file holds and where: the answer of the guarded helper, and everything graft knows of a file's inside.
// HDF5 itself is used to make an index (indexer.h) and not to use one.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "contract/dtype.h"

namespace graft::io {

// Limits that no honest file comes near. The largest networks have some 2,000 tensors.
inline constexpr int kMaxIndexRank = 6;
inline constexpr int kMaxIndexDepth = 8;             // groups within groups
inline constexpr uint64_t kMaxIndexObjects = 65536;  // groups and data sets
inline constexpr uint64_t kMaxIndexAttributes = 64;  // of one object
inline constexpr uint64_t kMaxNameBytes = 1024;      // of one path, or one attribute's name
inline constexpr uint64_t kMaxAttributeBytes = 16384;
inline constexpr uint64_t kMaxIndexBytes = uint64_t{64} << 20;

struct IndexAttribute {
  std::string name;
  std::variant<std::string, uint64_t> value;
};

// One data set: contiguous, unfiltered, in this file.
struct IndexEntry {
  std::string path;  // "/parameters/layer1.0.conv1.weight"
  DType dtype = DType::none;
  uint64_t text_bytes = 0;  // of one element, where the elements are fixed-length strings; then dtype is none
  std::vector<int64_t> shape;
  uint64_t offset = 0, bytes = 0;  // where the elements lie in the file
  std::vector<IndexAttribute> attributes;

  uint64_t element_bytes() const { return dtype == DType::none ? text_bytes : size_of(dtype); }
};

struct Index {
  std::vector<IndexAttribute> attributes;  // of the root group
  std::vector<IndexEntry> entries;         // sorted by path
};

template <typename T>
const T* find_attribute(const std::vector<IndexAttribute>& attributes, std::string_view name) {
  for (const IndexAttribute& a : attributes)
    if (a.name == name) return std::get_if<T>(&a.value);
  return nullptr;
}

// ---- the answer of the helper: a frame with a length and a sum around an index, or around why there is none

std::string encode_index(const Index& index);
std::string encode_refusal(std::string_view reason);

// Throws Error beginning with `file`: with the helper's reason when it refused, or when the answer is not complete and
// well-formed. What it returns has passed check_index.
Index decode_answer(std::string_view answer, uint64_t file_bytes, const std::string& file);

// Every rule an index obeys, wherever it comes from: names are plain text, sizes follow from shapes without overflow,
// ranges lie inside a file of `file_bytes` and do not overlap. Throws Error beginning with `file`.
void check_index(const Index& index, uint64_t file_bytes, const std::string& file);

}  // namespace graft::io
