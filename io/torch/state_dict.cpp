#include "io/torch/state_dict.h"

#include <algorithm>
#include <unordered_set>

#include "core/error.h"
#include "io/torch/byte_stream.h"

namespace graft::io::torch {

namespace {

constexpr int kMaxDepth = 4;  // {'checkpoint': {'model': {'state_dict': {…}}}}
constexpr size_t kMaxListed = 12;

// Under which name checkpoints keep their weights, the most telling first.
constexpr std::string_view kUsualNames[] = {"state_dict", "model_state_dict", "model_state", "model",  "net",
                                            "network",    "module",           "weights",     "params", "checkpoint"};

bool is_tensor(Value v) { return v.kind == Kind::tensor || v.kind == Kind::unsupported_tensor; }

class Search {
 public:
  Search(const PickleValues& values, std::string file)
      : values_(values), file_(std::move(file)), answers_(values.sequences.size(), Answer::unknown) {}

  // A dict with a tensor under a name is the one. (Beside tensors there may be counters, `_extra_state`, ….) Each dict
  // is looked through once, however often a hostile file refers to it.
  bool is_state_dict(Value v) {
    if (v.kind != Kind::dict) return false;
    Answer& answer = answers_[static_cast<size_t>(v.payload)];
    if (answer == Answer::unknown) answer = has_named_tensor(values_.items(v)) ? Answer::yes : Answer::no;
    return answer == Answer::yes;
  }

  Value find(Value object) {
    Value at = object;
    for (int depth = 0; depth < kMaxDepth && at.kind == Kind::dict; ++depth) {
      if (is_state_dict(at)) return at;
      const Value* next = usual_child(at);
      if (!next) next = only_state_dict(at);
      if (!next) break;
      at = *next;
    }
    fail("{} holds no dict of named tensors; {}. In Python: torch.save(model.state_dict(), \"weights.pth\")", file_,
         describe(object));
  }

  std::vector<NamedTensor> tensors_of(Value dict) const {
    std::vector<NamedTensor> tensors;
    const auto& items = values_.items(dict);
    std::unordered_set<std::string> seen;
    for (size_t i = 0; i < items.size(); i += 2) {
      if (items[i].kind != Kind::text || !is_tensor(items[i + 1])) continue;
      const std::string& name = values_.text(items[i]);
      GRAFT_CHECK(items[i + 1].kind == Kind::tensor, "{}: {} cannot be read: {}", file_, printable(name),
                  values_.text(items[i + 1]));
      GRAFT_CHECK(seen.insert(name).second, "{} is damaged: it has two tensors {}", file_, printable(name));
      tensors.push_back({name, &values_.tensor(items[i + 1])});
    }
    return tensors;
  }

 private:
  enum class Answer : uint8_t { unknown, no, yes };

  static bool has_named_tensor(const std::vector<Value>& items) {
    for (size_t i = 0; i < items.size(); i += 2)
      if (items[i].kind == Kind::text && is_tensor(items[i + 1])) return true;
    return false;
  }

  // The state dict under a usual name, or else any dict under one: it may have the state dict in it.
  const Value* usual_child(Value dict) {
    const auto& items = values_.items(dict);
    const Value* found = nullptr;
    for (std::string_view usual : kUsualNames)
      for (size_t i = 0; i < items.size(); i += 2) {
        if (items[i].kind != Kind::text || values_.text(items[i]) != usual) continue;
        if (is_state_dict(items[i + 1])) return &items[i + 1];
        if (!found && items[i + 1].kind == Kind::dict) found = &items[i + 1];
      }
    return found;
  }

  const Value* only_state_dict(Value dict) {
    const auto& items = values_.items(dict);
    const Value* found = nullptr;
    for (size_t i = 0; i < items.size(); i += 2) {
      if (!is_state_dict(items[i + 1])) continue;
      if (found) return nullptr;
      found = &items[i + 1];
    }
    return found;
  }

  // "it has epoch (a number), optimizer (a dict of 2), …"
  std::string describe(Value object) {
    if (object.kind != Kind::dict) return "it is " + kind_of(object);
    const auto& items = values_.items(object);
    if (items.empty()) return "it is an empty dict";
    std::string text = "it has ";
    for (size_t i = 0; i < items.size(); i += 2) {
      if (i > 0) text += ", ";
      if (i == 2 * kMaxListed) return text + fmt::format("and {} more", items.size() / 2 - kMaxListed);
      text += (items[i].kind == Kind::text ? printable(values_.text(items[i])) : kind_of(items[i])) + " (" +
              kind_of(items[i + 1]) + ")";
    }
    return text;
  }

  std::string kind_of(Value v) {
    switch (v.kind) {
      case Kind::none:
        return "None";
      case Kind::boolean:
        return "a boolean";
      case Kind::integer:
      case Kind::real:
        return "a number";
      case Kind::text:
        return "text";
      case Kind::tuple:
        return fmt::format("a tuple of {}", values_.items(v).size());
      case Kind::list:
        return fmt::format("a list of {}", values_.items(v).size());
      case Kind::dict:
        return fmt::format("a dict of {}{}", values_.items(v).size() / 2, is_state_dict(v) ? " with tensors" : "");
      case Kind::global:
        return "a name";
      case Kind::storage:
        return "a storage";
      case Kind::tensor:
        return fmt::format("a tensor [{}]", fmt::join(values_.tensor(v).shape, ", "));
      case Kind::unsupported_tensor:
      case Kind::opaque:
        return printable(values_.text(v));
    }
    return "?";
  }

  const PickleValues& values_;
  std::string file_;
  std::vector<Answer> answers_;  // by sequence
};

void strip_common_prefix(std::vector<NamedTensor>& tensors, std::string_view prefix) {
  const auto has_prefix = [&](const NamedTensor& t) { return t.name.starts_with(prefix); };
  if (std::all_of(tensors.begin(), tensors.end(), has_prefix))
    for (NamedTensor& t : tensors) t.name.erase(0, prefix.size());
}

}  // namespace

std::vector<NamedTensor> find_state_dict(const PickleValues& values, Value object, const std::string& name) {
  Search search(values, name);
  std::vector<NamedTensor> tensors = search.tensors_of(search.find(object));
  strip_common_prefix(tensors, "module.");
  strip_common_prefix(tensors, "_orig_mod.");
  strip_common_prefix(tensors, "module.");  // a compiled DataParallel
  return tensors;
}

}  // namespace graft::io::torch
