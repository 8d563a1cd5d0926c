// A seed that changes with the commit: tests that draw from a large set cover all of it over time, and a failure can be
// repeated with GRAFT_COMMIT=<hash>.
#pragma once
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>

namespace graft::test {

inline std::string commit() {
  if (const char* given = std::getenv("GRAFT_COMMIT")) return given;
  std::string hash;
  if (FILE* git = popen("git -C '" GRAFT_SOURCE_DIR "' rev-parse HEAD 2>/dev/null", "r")) {
    char line[128];
    if (std::fgets(line, sizeof line, git)) hash = line;
    pclose(git);
  }
  while (!hash.empty() && hash.back() == '\n') hash.pop_back();
  return hash.empty() ? "no commit" : hash;
}

// FNV-1a of the commit's hash.
inline uint64_t commit_seed() {
  uint64_t seed = 0xcbf29ce484222325ull;
  for (const char c : commit()) seed = (seed ^ static_cast<unsigned char>(c)) * 0x100000001b3ull;
  return seed;
}

}  // namespace graft::test
