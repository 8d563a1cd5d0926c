#include "core/usable_cpus.h"

#include <sched.h>

#include <catch2/catch.hpp>
#include <thread>

using namespace graft;

TEST_CASE("a quota is rounded up to whole processors") {
  CHECK(cpus_of_quota("200000 100000\n") == 2);
  CHECK(cpus_of_quota("200001 100000") == 3);
  CHECK(cpus_of_quota("50000 100000\n") == 1);
  CHECK(cpus_of_quota("1 1000000") == 1);
  CHECK(cpus_of_quota("9223372036854775807 1") == INT64_MAX);
}

TEST_CASE("no quota, and what is not one, limits nothing") {
  for (const char* text : {"max 100000\n", "", "\n", "100000", "100000 0", "0 100000", "-1 100000", "1e5 100000",
                           "100000 max", "99999999999999999999 1", "100000  100000", "100000 100000 1"}) {
    CAPTURE(text);
    CHECK(cpus_of_quota(text) == 0);
  }
}

TEST_CASE("a thread bound to one processor counts one") {
  int bound = 0;
  std::thread([&] {
    cpu_set_t all, one;
    REQUIRE(sched_getaffinity(0, sizeof all, &all) == 0);
    int first = 0;
    while (!CPU_ISSET(first, &all)) ++first;
    CPU_ZERO(&one);
    CPU_SET(first, &one);
    REQUIRE(sched_setaffinity(0, sizeof one, &one) == 0);
    bound = usable_cpus();
  }).join();
  CHECK(bound == 1);
  CHECK(usable_cpus() >= 1);
}
