#include "bench/attributes.h"

#include <algorithm>
#include <charconv>

#include "core/error.h"

namespace graft::bench {

namespace {

constexpr int64_t kMost = int64_t{1} << 31;

std::vector<std::string> split(std::string_view text, std::string_view between) {
  std::vector<std::string> parts;
  for (size_t at = 0; at <= text.size();) {
    const size_t end = std::min(text.find_first_of(between, at), text.size());
    parts.emplace_back(text.substr(at, end - at));
    at = end + 1;
  }
  return parts;
}

std::optional<int64_t> whole(std::string_view text) {
  int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value > kMost) return {};
  return value;
}

constexpr std::pair<const char*, Activation> kActivations[] = {{"none", Activation::none},
                                                               {"relu", Activation::relu},
                                                               {"relu6", Activation::relu6},
                                                               {"silu", Activation::silu},
                                                               {"sigmoid", Activation::sigmoid}};
constexpr DType kTypes[] = {DType::f32, DType::bf16, DType::f16, DType::u8};

}  // namespace

Attributes::Attributes(std::string_view line, const Caps& caps) : caps_(caps) {
  for (const std::string& word : split(line, " \t\r")) {
    if (word.empty()) continue;
    if (operation_.empty()) {
      operation_ = line_ = word;
      continue;
    }
    const size_t equals = word.find('=');
    const std::string key = word.substr(0, equals), value = equals == word.npos ? "1" : word.substr(equals + 1);
    GRAFT_CHECK(!key.empty() && !value.empty(), "{}: \"{}\" is no attribute; write key=value, as in n=16", operation_,
                word);
    GRAFT_CHECK(std::none_of(given_.begin(), given_.end(), [&](const auto& g) { return g.first == key; }),
                "{}: {} is given twice", operation_, key);
    given_.emplace_back(key, value);
  }
}

const std::string* Attributes::value_of(std::string_view key) const {
  for (const auto& [name, value] : given_)
    if (name == key) return &value;
  return nullptr;
}

const std::string* Attributes::find(const char* key) {
  known_.emplace_back(key);
  return value_of(key);
}

void Attributes::wrong(const char* key, const std::string& value, const std::string& what) const {
  fail("{}: {}={} is not {}", operation_, key, value, what);
}

void Attributes::said(const char* key, const std::string& value, bool stands) {
  if (!stands) line_ += fmt::format(" {}={}", key, value);
}

int64_t Attributes::number(const char* key, std::optional<int64_t> standing, int64_t least, int64_t cap) {
  const std::string* text = find(key);
  GRAFT_CHECK(text || standing, "{}: {} is missing; write {}=NUMBER", operation_, key, key);
  const std::optional<int64_t> given = text ? whole(*text) : standing;
  if (!given || *given < least) wrong(key, *text, fmt::format("a whole number from {} to 2^31", least));
  const int64_t value = std::min(*given, cap);
  said(key, std::to_string(value), standing && value == *standing);
  return value;
}

int64_t Attributes::channels(const char* key, int64_t multiple) {
  // A capped number of channels is still one that the groups divide.
  const int64_t cap = caps_.channels == INT64_MAX ? INT64_MAX : (caps_.channels + multiple - 1) / multiple * multiple;
  return number(key, {}, 1, cap);
}

int64_t Attributes::pixels(const char* key) {
  if (caps_.pixels == INT64_MAX) return number(key);
  const auto largest = [&](const char* name) {  // of both axes; what is wrong with it is said where it is read
    int64_t most = 1;
    if (const std::string* text = value_of(name))
      for (const std::string& part : split(*text, "x")) most = std::max(most, whole(part).value_or(1));
    return most;
  };
  return number(key, {}, 1, std::max(caps_.pixels, largest("dilation") * (largest("window") - 1) + 1));
}

Extent2 Attributes::extent(const char* key, int32_t standing) {
  const std::string* text = find(key);
  if (!text) return {standing, standing};
  const auto parts = split(*text, "x");
  const auto h = whole(parts.front()), w = whole(parts.back());
  if (parts.size() > 2 || !h || !w || *h < 1 || *w < 1 || *h > 1024 || *w > 1024)
    wrong(key, *text, "a number from 1 to 1024, or two, as 3x5");
  said(key, *h == *w ? std::to_string(*h) : fmt::format("{}x{}", *h, *w), *h == standing && *w == standing);
  return {static_cast<int32_t>(*h), static_cast<int32_t>(*w)};
}

Padding Attributes::padding() {
  const std::string* text = find("pad");
  if (!text) return {};
  std::vector<int32_t> pads;
  for (const std::string& part : split(*text, ","))
    if (const auto pad = whole(part); pad && *pad >= 0 && *pad <= 1024) pads.push_back(static_cast<int32_t>(*pad));
  const auto commas = static_cast<size_t>(std::count(text->begin(), text->end(), ','));
  if (pads.size() != commas + 1 || (pads.size() != 1 && pads.size() != 4))
    wrong("pad", *text, "a number from 0 to 1024, or four: top,bottom,left,right");
  if (pads.size() == 1) pads.assign(4, pads[0]);
  const bool equal = std::count(pads.begin(), pads.end(), pads[0]) == 4;
  said("pad", equal ? std::to_string(pads[0]) : fmt::format("{}", fmt::join(pads, ",")), equal && pads[0] == 0);
  return {pads[0], pads[1], pads[2], pads[3]};
}

Activation Attributes::activation() {
  const std::string* text = find("act");
  if (!text) return Activation::none;
  for (const auto& [word, activation] : kActivations)
    if (word == *text) {
      said("act", word, activation == Activation::none);
      return activation;
    }
  wrong("act", *text, "one of none, relu, relu6, silu, sigmoid");
}

DType Attributes::dtype(const char* key, DType standing) {
  const std::string* text = find(key);
  if (!text) return standing;
  for (const DType type : kTypes)
    if (*text == name_of(type)) {
      said(key, *text, type == standing);
      return type;
    }
  wrong(key, *text, "one of f32, bf16, f16, u8");
}

bool Attributes::flag(const char* key) {
  const std::string* text = find(key);
  if (!text || *text == "0") return false;
  if (*text != "1") wrong(key, *text, "0 or 1");
  line_ += fmt::format(" {}", key);
  return true;
}

void Attributes::expect_all_read() const {
  for (const auto& [key, value] : given_)
    GRAFT_CHECK(std::find(known_.begin(), known_.end(), key) != known_.end(), "{} has no attribute {}; it has {}",
                operation_, key, fmt::join(known_, ", "));
}

std::string Attributes::line() const { return line_; }

}  // namespace graft::bench
