// Real weights and photos that are not part of the repository: in $GRAFT_TEST_DATA, or ../shared/data beside the
// checkout.
#pragma once
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <stdexcept>
#include <string>

namespace graft::test {

inline std::filesystem::path test_data() {
  if (const char* given = std::getenv("GRAFT_TEST_DATA")) return given;
  return std::filesystem::path(GRAFT_SOURCE_DIR).parent_path() / "shared" / "data";
}

// True when GRAFT_REQUIRE (a comma-separated list) names `what`: then its absence is a failure, not a skip.
inline bool is_required(const std::string& what) {
  const char* list = std::getenv("GRAFT_REQUIRE");
  return list && std::string(",").append(list).append(",").find("," + what + ",") != std::string::npos;
}

inline constexpr int kSkippedExitCode = 77;  // tests/CMakeLists.txt tells ctest
inline bool has_skipped = false;

// Says that a test is skipped or, where `what` is required, fails it.
inline void skip(const std::string& what, const std::string& why) {
  if (is_required(what)) throw std::runtime_error(what + " is required by GRAFT_REQUIRE: " + why);
  std::printf("SKIPPED %s: %s\n", what.c_str(), why.c_str());
  has_skipped = true;
}

// Use:  const auto file = need_data("photos/chelsea.png"); if (file.empty()) return;
inline std::filesystem::path need_data(const std::string& relative) {
  const auto path = test_data() / relative;
  if (std::filesystem::exists(path)) return path;
  skip("data", path.string() + " is not there");
  return {};
}

}  // namespace graft::test
