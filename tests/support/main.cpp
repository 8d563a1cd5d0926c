// The main function of every test program. A run in which a test skipped itself and none failed exits with a code of
// its own, by which ctest tells a skip from a pass; a failure is never taken for a skip.
#define CATCH_CONFIG_RUNNER
#include <catch2/catch.hpp>
#include <cstdlib>

#include "tests/support/test_data.h"

int main(int argc, char** argv) {
  // The helper lies beside the program graft, not beside the tests.
  setenv("GRAFT_H5_INDEX", GRAFT_BUILD_FOLDER "/graft-h5-index", 0);
  const int failures = Catch::Session().run(argc, argv);
  if (failures != 0) return 1;
  return graft::test::has_skipped ? graft::test::kSkippedExitCode : 0;
}
