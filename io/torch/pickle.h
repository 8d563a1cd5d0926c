// A machine for Python's pickle language that executes nothing: it knows the opcodes torch.save writes (protocols 2 to
// 5), builds plain values, and looks names up in a fixed list (pickle_globals.h).
//
// The language: https://github.com/python/cpython/blob/main/Lib/pickletools.py. A stack of values; opcodes push,
// collect what lies above a mark into a container, or store into a memo and fetch from it. GLOBAL pushes a name, REDUCE
// applies it to a tuple of arguments: that is how a hostile pickle would run os.system, and how a tensor is made.
#pragma once
#include <unordered_map>
#include <vector>

#include "io/torch/byte_stream.h"
#include "io/torch/pickle_value.h"

namespace graft::io::torch {

// What a pickle may make graft hold. A tensor costs about 2 KB, so that is room for 30,000 of them.
inline constexpr int64_t kMaxPickleMemory = int64_t{64} << 20;

// What things cost of it, rounded up: a handle on a stack that doubles; the header of a container or text; a memo
// entry.
inline constexpr uint64_t kHandleBytes = 2 * sizeof(Value), kObjectBytes = 64, kMemoBytes = 64;

// A file that refers to a name outside the list gives: "… wants to call os.system; graft executes nothing …".
class Unpickler {
 public:
  // Values go to `values`, which later pickles of the same file may share.
  Unpickler(ByteStream& in, PickleValues& values) : in_(in), values_(values) {}

  // Reads one pickle, up to and including its STOP.
  Value load();

 private:
  void step(uint8_t opcode);

  void push(Value value) { stack_.push_back(value); }
  Value pop();
  Value& top();
  std::vector<Value> pop_to_mark();
  void charge(uint64_t bytes);  // of memory; refuses a pickle that takes too much

  void push_text(uint64_t bytes);
  void push_long(uint64_t bytes);
  void push_sequence(Kind kind, std::vector<Value> items);
  void push_small_tuple(size_t count);
  void push_global(const std::string& module, const std::string& name);
  void memoize(uint64_t key);
  void recall(uint64_t key);
  void extend(const std::vector<Value>& items, Kind kind);  // append to the list or dict on top

  Value reduce(Value callable, Value arguments);
  Value rebuild(size_t global, Value arguments);
  Value tensor_of(const std::vector<Value>& arguments, bool typed_by_argument);
  Value dict_of(const std::vector<Value>& arguments);
  Value persistent_load(Value id);
  std::vector<int64_t> extents_of(Value tuple, const char* what);

  ByteStream& in_;
  PickleValues& values_;
  std::vector<Value> stack_;
  std::vector<size_t> marks_;
  std::unordered_map<uint64_t, Value> memo_;
  int64_t memory_ = 0;
};

}  // namespace graft::io::torch
