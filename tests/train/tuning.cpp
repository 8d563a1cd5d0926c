// Tuning files, and the timing of ways, on a device whose ways are the test's.
#include "train/tuning.h"

#include <catch2/catch.hpp>
#include <cstring>
#include <fstream>
#include <nlohmann/json.hpp>

#include "kernels/reference/reference_backend.h"
#include "tests/support/temporary_folder.h"
#include "train/made_by.h"
#include "train/measure_ways.h"

namespace graft::train {

namespace {

using Catch::Matchers::Contains;
using Json = nlohmann::json;

// What the device was told, and which of add's ways computes. Way "broken" fails.
struct Played {
  std::vector<std::string> chosen;  // "key → way"
  std::string way;
  Status (*add)(CallContext*, const void*) = nullptr;
};
Played& played() {
  static Played state;
  return state;
}

constexpr const char* kWays[] = {"first", "second", "broken"};

// The reference with three ways of add.
std::shared_ptr<Device> tunable_device() {
  Backend b;
  REQUIRE(graft_reference_backend(&b) == Status::ok);
  played() = {};
  auto& add = b.run[static_cast<int>(Primitive::add)];
  played().add = add;
  add = [](CallContext* call, const void* args) {
    // NOLINTNEXTLINE(clang-analyzer-core.CallAndMessage): it is set above
    return played().way == "broken" ? Status::unsupported : played().add(call, args);
  };
  b.tune.ways = [](void*, Primitive p, const void* args, char* key, int64_t room, int32_t* count) {
    const auto& views = static_cast<const AddArgs*>(args)->a;
    std::snprintf(key, static_cast<size_t>(room), "add %lld", static_cast<long long>(views.numel()));
    *count = p == Primitive::add ? 3 : 0;
    return Status::ok;
  };
  b.tune.way = [](void*, Primitive, const void*, int32_t index, char* name, int64_t room) {
    std::snprintf(name, static_cast<size_t>(room), "%s", kWays[index]);
    return Status::ok;
  };
  b.tune.choose = [](void*, const char* key, const char* name) {
    played().way = name != nullptr ? name : "";
    played().chosen.push_back(std::string(key) + " → " + (name != nullptr ? name : "the rule"));
    return Status::ok;
  };
  b.tune.versions = [](void*) -> const char* { return "played 1.2"; };
  return Device::create(b);
}

Tuning some_tuning(const Device& device) {
  Tuning t = new_tuning(device, "2026-02-28");
  t.choices = {{"add 4", "second", 0.1 + 0.2, "first", 0.5}, {"add 8", "first", 0.25, "first", 0.25}};
  return t;
}

OwnedCall add_call(int64_t n, Primitive primitive = Primitive::add) {
  OwnedCall call{.primitive = primitive};
  const TensorView view{nullptr, Shape{n}, DType::f32};
  new (call.args.bytes) AddArgs{.a = view, .b = view, .y = view};
  return call;
}

}  // namespace

TEST_CASE("a tuning file comes back to the bit, and its choices are made") {
  const auto device = tunable_device();
  const Tuning t = some_tuning(*device);
  CHECK(t.device == device->description());
  CHECK(t.versions == "played 1.2");
  const graft::test::TemporaryFolder folder;
  std::ofstream(folder / "t.json") << to_json(t);
  const Tuning again = read_tuning(folder / "t.json");
  CHECK(again == t);
  CHECK(device->tuning.empty());
  CHECK_FALSE(Json::parse(made_by(device.get())).contains("tuning"));
  apply(again, *device, "t.json");
  CHECK(played().chosen == std::vector<std::string>{"add 4 → second", "add 8 → first"});
  CHECK(Json::parse(made_by(device.get()))["tuning"] == device->tuning);
  CHECK(Json::parse(made_by(device.get()))["kernels"] == "played 1.2");
  const std::string hash = device->tuning;
  Tuning other = t;
  other.choices[0].milliseconds = 7;  // times choose nothing
  apply(other, *device, "t.json");
  CHECK(device->tuning == hash);
  other.choices[0].way = "first";
  apply(other, *device, "t.json");
  CHECK(device->tuning != hash);
}

TEST_CASE("a tuning file of another device or of other versions is refused, and nothing is chosen") {
  const auto device = tunable_device();
  Tuning t = some_tuning(*device);
  t.device = "NVIDIA A100";
  CHECK_THROWS_WITH(apply(t, *device, "t.json"), Contains("t.json was made on another device") &&
                                                     Contains("there: NVIDIA A100") && Contains("graft bench tune"));
  t = some_tuning(*device);
  t.versions = "played 1.1";
  CHECK_THROWS_WITH(apply(t, *device, "t.json"), Contains("other versions") && Contains("played 1.1"));
  CHECK(played().chosen.empty());
  CHECK(device->tuning.empty());

  Backend plain;
  REQUIRE(graft_reference_backend(&plain) == Status::ok);
  const auto reference = Device::create(plain);
  CHECK_THROWS_WITH(apply(t, *reference, "t.json"), Contains("nothing to tune"));
  CHECK_THROWS_WITH(new_tuning(*reference, "2026-02-28"), Contains("nothing to tune"));
}

TEST_CASE("what is no tuning file is refused, with the place") {
  const auto device = tunable_device();
  const Json good = Json::parse(to_json(some_tuning(*device)));
  const auto refused = [](const std::string& text, const char* why) {
    INFO(text);
    CHECK_THROWS_WITH(tuning_from_json(text, "t.json"), Contains("t.json") && Contains(why));
  };
  const auto changed = [&](auto&& change) {
    Json json = good;
    change(json);
    return json.dump();
  };
  refused("", "not JSON");
  refused(good.dump().substr(0, 100), "not JSON");
  refused("[1, 2]", "not an object");
  refused("\xff", "not JSON");
  refused(changed([](Json& j) { j.erase("versions"); }), "no field \"versions\"");
  refused(changed([](Json& j) { j["more"] = 1; }), "unknown field \"more\"");
  refused(changed([](Json& j) { j["graft_tuning"] = 2; }), "another than 1");
  refused(changed([](Json& j) { j["device"] = 3; }), "\"device\" is not a text");
  refused(changed([](Json& j) { j["device"] = "a\nb"; }), "cannot be printed");
  refused(changed([](Json& j) { j["date"] = ""; }), "empty");
  refused(changed([](Json& j) { j["choices"] = "all"; }), "\"choices\" is not a list");
  refused(changed([](Json& j) { j["choices"][1] = 5; }), "choice 2 is not an object");
  refused(changed([](Json& j) { j["choices"][0]["why"] = 5; }), "choice 1 has an unknown field \"why\"");
  refused(changed([](Json& j) { j["choices"][0].erase("rule"); }), "choice 1 has no field \"rule\"");
  refused(changed([](Json& j) { j["choices"][0]["way"] = nullptr; }), "choice 1: \"way\" is not a text");
  refused(changed([](Json& j) { j["choices"][0]["milliseconds"] = "3"; }), "\"milliseconds\" is not a time");
  refused(changed([](Json& j) { j["choices"][0]["milliseconds"] = -3; }), "\"milliseconds\" is not a time");
  refused(changed([](Json& j) { j["choices"][1]["call"] = "add 4"; }), "two choices for add 4");
  refused(std::string(100'000, '['), "not JSON");

  const graft::test::TemporaryFolder folder;
  std::ofstream(folder / "huge.json") << std::string((16 << 20) + 1, ' ');
  CHECK_THROWS_WITH(read_tuning(folder / "huge.json"), Contains("huge.json") && Contains("16777217 bytes"));
  CHECK_THROWS_WITH(read_tuning(folder / "missing.json"), Contains("missing.json"));
  CHECK_THROWS_WITH(read_tuning(folder.path()), Contains(folder.path().string()));
}

TEST_CASE("a network's calls are listed by key, each once, with their ways") {
  const auto device = tunable_device();
  const auto calls =
      tunable_calls(*device, {add_call(4), add_call(8), add_call(4, Primitive::multiply), add_call(4), add_call(4)});
  REQUIRE(calls.size() == 2);
  CHECK(calls[0].key == "add 4");
  CHECK(calls[0].count == 3);
  CHECK(calls[0].ways == std::vector<std::string>{"first", "second", "broken"});
  CHECK(calls[1].key == "add 8");
  CHECK(calls[1].count == 1);
}

TEST_CASE("ways are timed in turns, one that fails has no time, and the rule chooses again afterwards") {
  const auto device = tunable_device();
  const auto calls = tunable_calls(*device, {add_call(4)});
  const std::atomic<bool> go_on = false, stop = true;
  const auto times = time_ways(device, calls[0], {.samples = 2, .sample_seconds = 1e-6}, go_on);
  REQUIRE(times.size() == 3);
  CHECK(times[0].milliseconds > 0);
  CHECK(times[1].milliseconds > 0);
  CHECK(times[1].failure == "");
  CHECK_THAT(times[2].failure, Contains("unsupported"));
  CHECK(times[2].milliseconds == 0);
  const std::string first = "add 4 → first", second = "add 4 → second";
  CHECK(played().chosen ==
        std::vector<std::string>{first, second, "add 4 → broken", first, second, first, second, "add 4 → the rule"});

  played().chosen.clear();
  CHECK(time_ways(device, calls[0], {}, stop).empty());
  CHECK(played().chosen == std::vector<std::string>{"add 4 → the rule"});
}

TEST_CASE("the rule's way failing is an error that names the call") {
  const auto device = tunable_device();
  auto calls = tunable_calls(*device, {add_call(4)});
  std::swap(calls[0].ways[0], calls[0].ways[2]);
  const std::atomic<bool> go_on = false;
  CHECK_THROWS_WITH(time_ways(device, calls[0], {}, go_on), Contains("add on reference: unsupported"));
}

}  // namespace graft::train
