#include "train/config.h"

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include "core/error.h"

using namespace graft::train;
using Catch::Matchers::Contains;

namespace {
TrainConfig some_config() {
  TrainConfig c;
  c.model = "resnet20";
  c.classes = {"ants", "bees"};
  c.freeze = {"layer*"};
  c.learning_rate = 0.1 + 0.2;  // no short decimal
  c.seed = ~uint64_t{0};
  return c;
}
}  // namespace

TEST_CASE("a configuration comes back from its JSON to the bit") {
  const TrainConfig c = some_config();
  CHECK(config_from_json(to_json(c), "x.h5") == c);
}

TEST_CASE("a configuration's precision is written as a word") {
  for (const auto precision : {graft::Precision::f32, graft::Precision::tf32, graft::Precision::bf16}) {
    TrainConfig c = some_config();
    c.precision = precision;
    CHECK_THAT(to_json(c), Contains(std::string("\"precision\": \"") + name_of(precision) + '"'));
    CHECK(config_from_json(to_json(c), "x.h5").precision == precision);
  }
  std::string other = to_json(some_config());
  other.replace(other.find("\"f32\""), 5, "\"f12\"");
  CHECK_THROWS_WITH(config_from_json(other, "x.h5"), Contains("f32, tf32 or bf16"));
}

TEST_CASE("what differs between two configurations is named") {
  TrainConfig other = some_config();
  other.batch = 7;
  CHECK(differences(some_config(), some_config()) == "");
  CHECK_THAT(differences(some_config(), other), Contains("batch: 16 there, 7 here"));
}

TEST_CASE("configurations that make no sense are refused with the file's name") {
  CHECK_THROWS_WITH(config_from_json("{", "x.h5"), Contains("x.h5"));
  CHECK_THROWS_WITH(config_from_json("{}", "x.h5"), Contains("x.h5"));
  auto older = nlohmann::json::parse(to_json(TrainConfig{.classes = {"a", "b"}}));
  older.erase("ema");  // an option that is newer than the file
  CHECK_THROWS_WITH(config_from_json(older.dump(), "x.last.h5"),
                    Contains("x.last.h5") && Contains("another version of graft") && Contains("'ema'") &&
                        Contains("go on with that version") && Contains("--overwrite"));
  TrainConfig c = some_config();
  c.classes = {"ants"};
  CHECK_THROWS_WITH(check(c), Contains("two classes"));
  c = some_config();
  c.learning_rate = -1;
  CHECK_THROWS_WITH(check(c), Contains("learning rate"));
  c = some_config();
  c.ema = 1;
  CHECK_THROWS_WITH(check(c), Contains("average"));
  c = some_config();
  c.clip_norm = -1;
  CHECK_THROWS_WITH(check(c), Contains("clipped"));
}
