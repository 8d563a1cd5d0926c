#include "io/torch/pickle.h"

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

}  // namespace graft::io::torch
