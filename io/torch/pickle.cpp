#include "io/torch/pickle.h"

#include <algorithm>

#include "io/torch/pickle_globals.h"

namespace graft::io::torch {

namespace {

enum Opcode : uint8_t {
  kMark = '(',
  kStop = '.',
  kPop = '0',
  kPopMark = '1',
  kDup = '2',
  kBinBytes = 'B',
  kShortBinBytes = 'C',
  kBinFloat = 'G',
  kBinInt = 'J',
  kBinInt1 = 'K',
  kBinInt2 = 'M',
  kNone = 'N',
  kBinPersId = 'Q',
  kReduce = 'R',
  kBinString = 'T',
  kShortBinString = 'U',
  kBinUnicode = 'X',
  kEmptyList = ']',
  kAppend = 'a',
  kBuild = 'b',
  kGlobal = 'c',
  kDict = 'd',
  kAppends = 'e',
  kBinGet = 'h',
  kLongBinGet = 'j',
  kList = 'l',
  kBinPut = 'q',
  kLongBinPut = 'r',
  kSetItem = 's',
  kTuple = 't',
  kSetItems = 'u',
  kEmptyDict = '}',
  kEmptyTuple = ')',
  kProto = 0x80,
  kNewObj = 0x81,
  kTuple1 = 0x85,
  kTuple2 = 0x86,
  kTuple3 = 0x87,
  kNewTrue = 0x88,
  kNewFalse = 0x89,
  kLong1 = 0x8a,
  kLong4 = 0x8b,
  kShortBinUnicode = 0x8c,
  kBinUnicode8 = 0x8d,
  kBinBytes8 = 0x8e,
  kEmptySet = 0x8f,
  kAddItems = 0x90,
  kFrozenSet = 0x91,
  kNewObjEx = 0x92,
  kStackGlobal = 0x93,
  kMemoize = 0x94,
  kFrame = 0x95,
  kByteArray8 = 0x96,
};

// What things cost, rounded up: a handle on a stack that doubles; the header of a container or text; a memo entry.
constexpr uint64_t kHandleBytes = 2 * sizeof(Value), kObjectBytes = 64, kMemoBytes = 64;

}  // namespace

Value Unpickler::load() {
  for (;;) {
    const uint8_t opcode = in_.take_byte();
    if (opcode == kStop) return pop();
    charge(kHandleBytes);  // no opcode pushes more than one value, and none is free: a long file ends, too
    step(opcode);
  }
}

void Unpickler::step(uint8_t opcode) {
  switch (opcode) {
    case kProto: {
      const int protocol = in_.take_byte();
      if (protocol < 2 || protocol > 5) in_.damaged("its pickle has protocol {}, torch.save writes 2 to 5", protocol);
      return;
    }
    case kFrame:
      in_.take_unsigned(8);
      return;  // a hint for readers that buffer

    case kNone:
      return push({});
    case kNewTrue:
      return push({Kind::boolean, 1});
    case kNewFalse:
      return push({Kind::boolean, 0});
    case kBinInt:
      return push({Kind::integer, static_cast<int32_t>(in_.take_unsigned(4))});
    case kBinInt1:
      return push({Kind::integer, in_.take_byte()});
    case kBinInt2:
      return push({Kind::integer, static_cast<int64_t>(in_.take_unsigned(2))});
    case kLong1:
      return push_long(in_.take_byte());
    case kLong4:
      return push_long(in_.take_unsigned(4));
    case kBinFloat:
      in_.skip(8);
      return push({Kind::real});

    case kShortBinString:
    case kShortBinBytes:
    case kShortBinUnicode:
      return push_text(in_.take_byte());
    case kBinString:
    case kBinBytes:
    case kBinUnicode:
      return push_text(in_.take_unsigned(4));
    case kBinBytes8:
    case kByteArray8:
    case kBinUnicode8:
      return push_text(in_.take_unsigned(8));

    case kMark:
      marks_.push_back(stack_.size());
      return;
    case kPop:
      pop();
      return;
    case kPopMark:
      pop_to_mark();
      return;
    case kDup:
      return push(top());

    case kEmptyTuple:
      return push_sequence(Kind::tuple, {});
    case kTuple1:
      return push_small_tuple(1);
    case kTuple2:
      return push_small_tuple(2);
    case kTuple3:
      return push_small_tuple(3);
    case kTuple:
      return push_sequence(Kind::tuple, pop_to_mark());
    case kEmptyList:
    case kEmptySet:
      return push_sequence(Kind::list, {});
    case kList:
    case kFrozenSet:
      return push_sequence(Kind::list, pop_to_mark());
    case kEmptyDict:
      return push_sequence(Kind::dict, {});
    case kDict: {
      std::vector<Value> items = pop_to_mark();
      push_sequence(Kind::dict, {});
      return extend(items, Kind::dict);
    }
    case kAppend:
      return extend({pop()}, Kind::list);
    case kAppends:
    case kAddItems:
      return extend(pop_to_mark(), Kind::list);
    case kSetItem: {
      const Value value = pop(), key = pop();
      return extend({key, value}, Kind::dict);
    }
    case kSetItems:
      return extend(pop_to_mark(), Kind::dict);

    case kBinPut:
      return memoize(in_.take_unsigned(1));
    case kLongBinPut:
      return memoize(in_.take_unsigned(4));
    case kMemoize:
      return memoize(memo_.size());
    case kBinGet:
      return recall(in_.take_unsigned(1));
    case kLongBinGet:
      return recall(in_.take_unsigned(4));

    case kGlobal: {
      const std::string module = in_.take_line();
      return push_global(module, in_.take_line());
    }
    case kStackGlobal: {
      const Value name = pop(), module = pop();
      if (name.kind != Kind::text || module.kind != Kind::text) in_.damaged("a global whose name is not text");
      return push_global(std::string(values_.text(module)), std::string(values_.text(name)));
    }
    case kNewObjEx:
      pop();
      [[fallthrough]];  // keyword arguments: only opaque classes have any
    case kReduce:
    case kNewObj: {
      const Value arguments = pop(), callable = pop();
      return push(reduce(callable, arguments));
    }
    case kBuild:  // attributes of an object: nothing that the weights depend on
      pop();
      top();
      return;
    case kBinPersId:
      return push(persistent_load(pop()));

    default:
      in_.damaged("opcode {:#04x} is none that torch.save writes", opcode);
  }
}

// ---- the stack, the memo and the memory they take

void Unpickler::charge(uint64_t bytes) {
  memory_ += static_cast<int64_t>(bytes);  // each charge is at most the size of the file: no overflow before the check
  GRAFT_CHECK(memory_ <= kMaxPickleMemory,
              "{}: the objects beside its tensors take more than {} MiB; save the weights alone: "
              "torch.save(model.state_dict(), …)",
              in_.file().name(), kMaxPickleMemory >> 20);
}

Value& Unpickler::top() {
  if (stack_.size() <= (marks_.empty() ? 0 : marks_.back())) in_.damaged("its pickle takes from an empty stack");
  return stack_.back();
}

Value Unpickler::pop() {
  const Value value = top();
  stack_.pop_back();
  return value;
}

std::vector<Value> Unpickler::pop_to_mark() {
  if (marks_.empty()) in_.damaged("its pickle looks for a mark that is not there");
  std::vector<Value> items(stack_.begin() + static_cast<std::ptrdiff_t>(marks_.back()), stack_.end());
  stack_.resize(marks_.back());
  marks_.pop_back();
  return items;
}

void Unpickler::memoize(uint64_t key) {
  charge(kMemoBytes);
  memo_[key] = top();
}

void Unpickler::recall(uint64_t key) {
  const auto found = memo_.find(key);
  if (found == memo_.end()) in_.damaged("its pickle refers to object {}, which it has not made", key);
  push(found->second);
}

// ---- plain values

void Unpickler::push_text(uint64_t bytes) {
  if (bytes > static_cast<uint64_t>(in_.remaining()))
    in_.damaged("a text of {} bytes should follow, {} are left", bytes, in_.remaining());
  charge(kObjectBytes + bytes);
  push(values_.add_text(in_.take(bytes)));
}

// A two's complement integer. One of more than 8 bytes is kept as its bytes: only the file's magic number is looked at.
void Unpickler::push_long(uint64_t bytes) {
  if (bytes > 8) return push_text(bytes);
  uint64_t value = in_.take_unsigned(static_cast<int>(bytes));
  if (bytes > 0 && bytes < 8 && (value >> (8 * bytes - 1) & 1) != 0) value |= ~uint64_t{0} << (8 * bytes);
  push({Kind::integer, static_cast<int64_t>(value)});
}

void Unpickler::push_sequence(Kind kind, std::vector<Value> items) {
  charge(kObjectBytes + items.size() * sizeof(Value));
  push(values_.add_sequence(kind, std::move(items)));
}

void Unpickler::push_small_tuple(size_t count) {
  std::vector<Value> items(count);
  for (size_t i = count; i-- > 0;) items[i] = pop();
  push_sequence(Kind::tuple, std::move(items));
}

void Unpickler::extend(const std::vector<Value>& items, Kind kind) {
  const Value target = top();
  if (kind == Kind::dict && items.size() % 2 != 0) in_.damaged("a dict with a key that has no value");
  if (target.kind == Kind::opaque) return;
  if (target.kind != kind) in_.damaged("items are added to what is neither a list nor a dict");
  charge(items.size() * kHandleBytes);
  std::vector<Value>& old = values_.items(target);
  old.insert(old.end(), items.begin(), items.end());
}

// ---- what would be calls in Python

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
