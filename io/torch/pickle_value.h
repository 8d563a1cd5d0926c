// What a pickle holds, as plain data. Values are small handles into the tables of one PickleValues; a container holds
// handles, so an object that is contained a thousand times, or in itself, costs what it costs once and frees simply.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "io/torch/element_type.h"

namespace graft::io::torch {

enum class Kind : uint8_t {
  none,
  boolean,
  integer,             // payload: the value
  real,                // its value is not kept; nothing graft reads depends on one
  text,                // payload: index in texts; str and bytes alike (Python 2 wrote names as bytes)
  tuple,               // payload: index in sequences
  list,                // …
  dict,                // …: key, value, key, value, in order of insertion
  global,              // payload: index in the list of known globals
  storage,             // payload: index in storages
  tensor,              // payload: index in tensors
  unsupported_tensor,  // payload: index in texts, what it is
  opaque,              // an object graft has no use for; payload: index in texts, its class
};

struct Value {
  Kind kind = Kind::none;
  int64_t payload = 0;
};

// Elements [first, first + numel) of the storage `key` of the file, which has root_numel of them.
struct StorageRef {
  std::string key;
  ElementType type = ElementType::unsupported;
  int64_t numel = 0, first = 0, root_numel = 0;
};

// Element (i, j, …) is element offset + i · strides[0] + j · strides[1] + … of the storage, counted in `type`.
// Every element lies inside the storage, and numel fits int64_t.
struct TensorRef {
  int64_t storage = 0;  // index in storages
  ElementType type = ElementType::unsupported;
  int64_t offset = 0, numel = 0;
  std::vector<int64_t> shape{}, strides{};
};

struct PickleValues {
  std::vector<std::string> texts;
  std::vector<std::vector<Value>> sequences;
  std::vector<StorageRef> storages;
  std::vector<TensorRef> tensors;

  const std::string& text(Value v) const { return texts[static_cast<size_t>(v.payload)]; }
  const std::vector<Value>& items(Value v) const { return sequences[static_cast<size_t>(v.payload)]; }
  std::vector<Value>& items(Value v) { return sequences[static_cast<size_t>(v.payload)]; }
  const StorageRef& storage(Value v) const { return storages[static_cast<size_t>(v.payload)]; }
  const TensorRef& tensor(Value v) const { return tensors[static_cast<size_t>(v.payload)]; }

  Value add_text(std::string text, Kind kind = Kind::text) {
    texts.push_back(std::move(text));
    return {kind, static_cast<int64_t>(texts.size()) - 1};
  }
  Value add_sequence(Kind kind, std::vector<Value> items) {
    sequences.push_back(std::move(items));
    return {kind, static_cast<int64_t>(sequences.size()) - 1};
  }
};

}  // namespace graft::io::torch
