#include "train/tuning.h"

#include <algorithm>
#include <initializer_list>
#include <nlohmann/json.hpp>
#include <set>

#include "core/error.h"
#include "io/file.h"
#include "io/text.h"
#include "io/xxh3.h"

namespace graft::train {

namespace {

using Json = nlohmann::ordered_json;

constexpr int kFormat = 1;
constexpr int64_t kMostBytes = int64_t{16} << 20;  // a file of a large network has some 100 KB

const TuneFunctions& ways_of(const Device& device) {
  const TuneFunctions& tune = device.backend().tune;
  GRAFT_CHECK(tune.ways != nullptr && tune.way != nullptr && tune.choose != nullptr && tune.versions != nullptr,
              "the {} device has one way for each call: there is nothing to tune", device.name());
  return tune;
}

// One JSON object, of which exactly these fields are read.
class Fields {
 public:
  Fields(const Json& json, std::string where, std::initializer_list<const char*> names)
      : json_(json), where_(std::move(where)) {
    GRAFT_CHECK(json.is_object(), "{} is not an object", where_);
    for (const auto& [key, value] : json.items())
      GRAFT_CHECK(std::find(names.begin(), names.end(), key) != names.end(), "{} has an unknown field \"{}\"", where_,
                  io::printable(std::string_view(key)));
    for (const char* name : names) GRAFT_CHECK(json.contains(name), "{} has no field \"{}\"", where_, name);
  }

  std::string text(const char* name) const {
    const Json& value = json_.at(name);
    GRAFT_CHECK(value.is_string(), "{}: \"{}\" is not a text", where_, name);
    auto text = value.get<std::string>();
    GRAFT_CHECK(!text.empty() && io::is_printable_utf8(text), "{}: \"{}\" is empty or cannot be printed", where_, name);
    return text;
  }
  double milliseconds(const char* name) const {
    const Json& value = json_.at(name);
    GRAFT_CHECK(value.is_number() && value.get<double>() >= 0, "{}: \"{}\" is not a time", where_, name);
    return value.get<double>();
  }
  const Json& list(const char* name) const {
    GRAFT_CHECK(json_.at(name).is_array(), "{}: \"{}\" is not a list", where_, name);
    return json_.at(name);
  }
  void is_format(const char* name) const {
    GRAFT_CHECK(json_.at(name) == kFormat, "{}: its format is another than {}, the one that this graft reads", where_,
                kFormat);
  }

 private:
  const Json& json_;
  std::string where_;
};

}  // namespace

Tuning new_tuning(const Device& device, std::string date) {
  const TuneFunctions& tune = ways_of(device);
  return {.device = device.description(),
          .versions = tune.versions(device.backend().self),
          .date = std::move(date),
          .choices = {}};
}

std::string to_json(const Tuning& t) {
  Json choices = Json::array();
  for (const TuningChoice& c : t.choices)
    choices.push_back({{"call", c.call},
                       {"way", c.way},
                       {"milliseconds", c.milliseconds},
                       {"rule", c.rule},
                       {"rule_milliseconds", c.rule_milliseconds}});
  const Json json = {{"graft_tuning", kFormat},
                     {"device", t.device},
                     {"versions", t.versions},
                     {"date", t.date},
                     {"choices", std::move(choices)}};
  return json.dump(1) + "\n";
}

Tuning tuning_from_json(std::string_view text, std::string_view source) {
  const Json json = Json::parse(text, nullptr, false);
  GRAFT_CHECK(!json.is_discarded(), "{} is no tuning file: it is not JSON", source);
  const Fields file(json, std::string(source), {"graft_tuning", "device", "versions", "date", "choices"});
  file.is_format("graft_tuning");
  Tuning t{.device = file.text("device"), .versions = file.text("versions"), .date = file.text("date"), .choices = {}};
  std::set<std::string> calls;
  for (const Json& item : file.list("choices")) {
    const Fields choice(item, fmt::format("{}: choice {}", source, t.choices.size() + 1),
                        {"call", "way", "milliseconds", "rule", "rule_milliseconds"});
    t.choices.push_back({.call = choice.text("call"),
                         .way = choice.text("way"),
                         .milliseconds = choice.milliseconds("milliseconds"),
                         .rule = choice.text("rule"),
                         .rule_milliseconds = choice.milliseconds("rule_milliseconds")});
    GRAFT_CHECK(calls.insert(t.choices.back().call).second, "{}: two choices for {}", source, t.choices.back().call);
  }
  return t;
}

Tuning read_tuning(const std::filesystem::path& path) {
  const io::File file = io::File::open(path);
  GRAFT_CHECK(file.size() <= kMostBytes, "{} is no tuning file: it has {} bytes, the largest may have {}", file.name(),
              file.size(), kMostBytes);
  std::string text(static_cast<size_t>(file.size()), '\0');
  file.read_at(0, std::as_writable_bytes(std::span(text)));
  return tuning_from_json(text, file.name());
}

void apply(const Tuning& t, Device& device, std::string_view source) {
  const TuneFunctions& tune = ways_of(device);
  void* self = device.backend().self;
  const std::string there = device.description(), versions = tune.versions(self);
  constexpr const char* kWhatHelps = "`graft bench tune` makes one for this machine; leave it out to go without";
  GRAFT_CHECK(t.device == there, "{} was made on another device\n  there: {}\n  here:  {}\n{}", source, t.device, there,
              kWhatHelps);
  GRAFT_CHECK(t.versions == versions, "{} was made with other versions\n  there: {}\n  here:  {}\n{}", source,
              t.versions, versions, kWhatHelps);
  std::string all;
  for (const TuningChoice& c : t.choices) {
    device.check(tune.choose(self, c.call.c_str(), c.way.c_str()), "choose a way");
    all += c.call + '\n' + c.way + '\n';
  }
  device.tuning = fmt::format("{:016x}", io::xxh3(all));
}

}  // namespace graft::train
