#include <catch2/catch.hpp>
#include <cstdlib>
#include <optional>

#include "tests/support/test_data.h"

using namespace graft::test;

namespace {

// An environment variable for the length of a scope.
class Environment {
 public:
  Environment(const char* name, const char* value) : name_(name) {
    if (const char* before = std::getenv(name)) before_ = before;
    setenv(name, value, 1);
  }
  ~Environment() {
    if (before_)
      setenv(name_, before_->c_str(), 1);
    else
      unsetenv(name_);
  }
  Environment(const Environment&) = delete;
  Environment& operator=(const Environment&) = delete;

 private:
  const char* name_;
  std::optional<std::string> before_;
};

}  // namespace

TEST_CASE("missing data is a skip, or a failure where it is required") {
  const Environment nowhere("GRAFT_TEST_DATA", "/nowhere");
  {
    const Environment required("GRAFT_REQUIRE", "nvcc,data");
    CHECK_THROWS_WITH(need_data("photos/chelsea.png"), Catch::Contains("data is required by GRAFT_REQUIRE"));
    CHECK_FALSE(has_skipped);
    CHECK_FALSE(is_required("dat"));
  }
  const Environment required("GRAFT_REQUIRE", "");
  CHECK(need_data("photos/chelsea.png").empty());
  CHECK(has_skipped);
  has_skipped = false;  // it was this test's subject, not its outcome
}
