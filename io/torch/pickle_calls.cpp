// The opcodes that would be calls in Python: each name of the fixed list builds a plain value of its arguments.
#include <algorithm>

#include "io/torch/pickle.h"
#include "io/torch/pickle_globals.h"

namespace graft::io::torch {

void Unpickler::push_global(const std::string& module, const std::string& name) {
  const std::string full = module + "." + name;
  const size_t global = find_global(full);
  GRAFT_CHECK(global != kNoGlobal,
              "{}: the file wants to call {}; graft executes nothing from a weights file. If you trust the file, load "
              "it in Python and save the tensors alone: torch.save(model.state_dict(), …)",
              in_.file().name(), printable(full));
  push({Kind::global, static_cast<int64_t>(global)});
}

Value Unpickler::reduce(Value callable, Value arguments) {
  if (arguments.kind != Kind::tuple) in_.damaged("a call whose arguments are no tuple");
  if (callable.kind == Kind::opaque) return callable;
  if (callable.kind != Kind::global) in_.damaged("a call of what cannot be called");
  return rebuild(static_cast<size_t>(callable.payload), arguments);
}

Value Unpickler::rebuild(size_t index, Value arguments) {
  const Global& global = global_at(index);
  const std::vector<Value>& items = values_.items(arguments);
  switch (global.role) {
    case Role::rebuild_tensor:
      return tensor_of(items, false);
    case Role::rebuild_tensor_v3:
      return tensor_of(items, true);
    case Role::rebuild_parameter:
      if (items.empty()) in_.damaged("a parameter without a tensor");
      return items[0];
    case Role::rebuild_from_type: {
      // (function, class, arguments, state): the function is one of the three above, so this goes one level deep.
      if (items.size() < 3 || items[0].kind != Kind::global || items[2].kind != Kind::tuple)
        in_.damaged("a tensor without its arguments");
      const auto inner = static_cast<size_t>(items[0].payload);
      if (global_at(inner).role == Role::rebuild_from_type) in_.damaged("a tensor within itself");
      return rebuild(inner, items[2]);
    }
    case Role::dict:
      return dict_of(items);
    case Role::tuple:
      if (items.size() != 1 || (items[0].kind != Kind::tuple && items[0].kind != Kind::list))
        in_.damaged("a torch.Size without extents");
      return items[0];
    case Role::unsupported_tensor:
    case Role::opaque:
      charge(2 * kObjectBytes);
      return values_.add_text(std::string(global.name),
                              global.role == Role::opaque ? Kind::opaque : Kind::unsupported_tensor);
    case Role::storage:
    case Role::dtype:
      break;
  }
  in_.damaged("{} is called", global.name);
}

// OrderedDict(), OrderedDict([(key, value), …]), dict({…}), defaultdict(factory)
Value Unpickler::dict_of(const std::vector<Value>& arguments) {
  charge(kObjectBytes);
  std::vector<Value> items;
  for (const Value& argument : arguments) {
    if (argument.kind != Kind::dict && argument.kind != Kind::list) continue;
    charge(2 * values_.items(argument).size() * kHandleBytes);
    if (argument.kind == Kind::dict) {
      items.insert(items.end(), values_.items(argument).begin(), values_.items(argument).end());
      continue;
    }
    for (const Value& pair : values_.items(argument)) {
      if ((pair.kind != Kind::tuple && pair.kind != Kind::list) || values_.items(pair).size() != 2)
        in_.damaged("a dict made of what are no pairs");
      items.insert(items.end(), values_.items(pair).begin(), values_.items(pair).end());
    }
  }
  return values_.add_sequence(Kind::dict, std::move(items));
}

// ---- tensors

// ('storage', class, key, device, numel[, view]): a storage that lies outside the pickle. Its view, in files of early
// versions, is None or (key, offset, numel).
Value Unpickler::persistent_load(Value id) {
  if (id.kind != Kind::tuple) in_.damaged("a storage without a description");
  const std::vector<Value>& items = values_.items(id);
  if (items.size() < 5 || items[0].kind != Kind::text || values_.text(items[0]) != "storage" ||
      items[1].kind != Kind::global || items[2].kind != Kind::text || items[4].kind != Kind::integer)
    in_.damaged("a storage without a description");
  const Global& type = global_at(static_cast<size_t>(items[1].payload));
  if (type.role != Role::storage) in_.damaged("a storage of type {}", type.name);

  StorageRef storage{.key = values_.text(items[2]), .type = type.type};
  storage.numel = storage.root_numel = items[4].payload;
  if (storage.numel < 0) in_.damaged("a storage of {} elements", storage.numel);
  if (items.size() > 5 && items[5].kind != Kind::none) {
    if (items[5].kind != Kind::tuple || values_.items(items[5]).size() != 3) in_.damaged("a storage without its view");
    const std::vector<Value>& view = values_.items(items[5]);
    if (view[1].kind != Kind::integer || view[2].kind != Kind::integer) in_.damaged("a storage without its view");
    storage.first = view[1].payload;
    storage.numel = view[2].payload;
    if (storage.first < 0 || storage.numel < 0 || storage.numel > storage.root_numel ||
        storage.first > storage.root_numel - storage.numel)
      in_.damaged("a view of elements {} to {} of a storage of {}", storage.first, storage.numel, storage.root_numel);
  }
  charge(sizeof(StorageRef) + kObjectBytes + storage.key.size());
  values_.storages.push_back(std::move(storage));
  return {Kind::storage, static_cast<int64_t>(values_.storages.size()) - 1};
}

std::vector<int64_t> Unpickler::extents_of(Value tuple, const char* what) {
  constexpr size_t kMaxAxes = 64;  // as in PyTorch
  if (tuple.kind != Kind::tuple && tuple.kind != Kind::list) in_.damaged("a tensor without a {}", what);
  if (values_.items(tuple).size() > kMaxAxes) in_.damaged("a tensor of {} axes", values_.items(tuple).size());
  std::vector<int64_t> extents;
  for (const Value& item : values_.items(tuple)) {
    if (item.kind != Kind::integer) in_.damaged("a {} that is no number", what);
    if (item.payload < 0) in_.damaged("a tensor with a negative {}, {}", what, item.payload);
    extents.push_back(item.payload);
  }
  return extents;
}

// (storage, offset, size, stride, requires_grad, hooks[, dtype]); all its elements must lie in the storage.
Value Unpickler::tensor_of(const std::vector<Value>& items, bool typed_by_argument) {
  const size_t needed = typed_by_argument ? 7 : 4;
  if (items.size() < needed || items[1].kind != Kind::integer) in_.damaged("a tensor without its arguments");
  if (items[0].kind != Kind::storage) in_.damaged("a tensor without a storage");
  const StorageRef& storage = values_.storage(items[0]);

  TensorRef tensor{.storage = items[0].payload, .type = storage.type, .offset = items[1].payload};
  if (typed_by_argument) {
    const Global* type = items[6].kind == Kind::global ? &global_at(static_cast<size_t>(items[6].payload)) : nullptr;
    if (!type || type->role != Role::dtype) in_.damaged("a tensor without a type");
    tensor.type = type->type;
  }
  if (tensor.type == ElementType::unsupported)
    return values_.add_text("a type of elements graft does not read", Kind::unsupported_tensor);

  tensor.shape = extents_of(items[2], "size");
  tensor.strides = extents_of(items[3], "stride");
  if (tensor.shape.size() != tensor.strides.size())
    in_.damaged("a tensor with {} sizes and {} strides", tensor.shape.size(), tensor.strides.size());
  tensor.numel = 1;
  int64_t end = 0;  // one past its last byte in the storage
  bool overflow = tensor.offset < 0 || __builtin_add_overflow(tensor.offset, 1, &end), empty = false;
  for (size_t axis = 0; axis < tensor.shape.size(); ++axis) {
    int64_t reach = 0;
    empty |= tensor.shape[axis] == 0;
    overflow |= __builtin_mul_overflow(tensor.numel, std::max<int64_t>(tensor.shape[axis], 1), &tensor.numel) ||
                __builtin_mul_overflow(std::max<int64_t>(tensor.shape[axis] - 1, 0), tensor.strides[axis], &reach) ||
                __builtin_add_overflow(end, reach, &end);
  }
  if (empty) tensor.numel = end = 0;
  for (size_t axis = 0; axis < tensor.shape.size(); ++axis)
    if (tensor.shape[axis] <= 1) tensor.strides[axis] = 0;  // never taken, and may be anything
  int64_t storage_bytes = 0;
  overflow |= __builtin_mul_overflow(end, size_of(tensor.type), &end) ||
              __builtin_mul_overflow(storage.numel, size_of(storage.type), &storage_bytes);
  if (overflow || end > storage_bytes)
    in_.damaged("a tensor of shape [{}], strides [{}] and offset {} in a storage of {} elements",
                fmt::join(tensor.shape, ", "), fmt::join(tensor.strides, ", "), tensor.offset, storage.numel);

  charge(sizeof(TensorRef) + 2 * kObjectBytes + tensor.shape.size() * 2 * sizeof(int64_t));
  values_.tensors.push_back(std::move(tensor));
  return {Kind::tensor, static_cast<int64_t>(values_.tensors.size()) - 1};
}

}  // namespace graft::io::torch
