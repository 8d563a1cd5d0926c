// The happens-before checker alone: histories of touches to one word, and which of them race.
#include <catch2/catch.hpp>
#include <memory>

#include "tests/cuda_on_host/race_checker.h"
#include "tests/cuda_on_host/tests/arrays.h"

namespace graft::cuda_on_host::test {
namespace {

constexpr auto kRead = Access::read, kWrite = Access::write, kAtomic = Access::atomic;

class History {
 public:
  History() : word_(std::make_unique<DeviceArray<float>>(1)) {
    must(cudaDeviceSynchronize());
    race_checker().forget_operations();
  }
  ~History() {
    word_.reset();
    reset();
  }

  // Operation `number` of a chain, with what came before it of each.
  void operation(OperationId id, Clock before = {}) {
    before.resize(std::max<size_t>(before.size(), id.chain + 1));
    before[id.chain] = id.number;
    race_checker().begin_operation(id, before, "an operation");
    block(0);
  }
  void block(uint32_t number) { race_checker().begin_block(number); }
  bool races(uint32_t thread, Access access, size_t first_byte = 0, size_t bytes = 4) {
    race_checker().begin_thread(thread, 0, 0);
    const std::string problem =
        race_checker().operation_access(reinterpret_cast<char*>(word_->data()) + first_byte, bytes, access);
    race_checker().begin_thread(0, 0, 0);
    return !problem.empty();
  }

 private:
  std::unique_ptr<DeviceArray<float>> word_;
};

}  // namespace

TEST_CASE("within a block") {
  if (!kRaceBuild) return;
  History h;
  h.operation({0, 1});
  CHECK(!h.races(0, kWrite));
  CHECK(!h.races(0, kRead));
  SECTION("another lane, warp or both") {
    CHECK(h.races(1, kRead));
    CHECK(h.races(1, kWrite));
    CHECK(h.races(1, kAtomic));
    CHECK(h.races(32, kRead));
  }
  SECTION("a barrier orders all") {
    race_checker().barrier();
    CHECK(!h.races(40, kRead));
    CHECK(!h.races(41, kRead));
    CHECK(h.races(40, kWrite));  // 41 reads
    race_checker().barrier();
    CHECK(!h.races(2, kWrite));
  }
  SECTION("a fence orders its lanes") {
    race_checker().warp_fence(0, 0b0011);
    CHECK(!h.races(1, kRead));
    CHECK(h.races(2, kRead));
    race_checker().warp_fence(0, 0b0110);  // through lane 1, lane 2 has met lane 0
    CHECK(!h.races(2, kRead));
    CHECK(h.races(3, kRead));
  }
  SECTION("readers of several lanes must all be met") {
    race_checker().barrier();
    CHECK(!h.races(0, kRead));
    CHECK(!h.races(1, kRead));
    race_checker().warp_fence(0, 0b0110);
    CHECK(h.races(2, kWrite));
    race_checker().warp_fence(0, 0b0101);
    CHECK(!h.races(2, kWrite));
  }
  SECTION("readers of several warps") {
    race_checker().barrier();
    CHECK(!h.races(0, kRead));
    CHECK(!h.races(32, kRead));
    CHECK(h.races(0, kWrite));
  }
}

TEST_CASE("between blocks") {
  if (!kRaceBuild) return;
  History h;
  h.operation({0, 1});
  SECTION("readers of two blocks and a writer of one, past a barrier") {
    CHECK(!h.races(0, kRead));
    h.block(1);
    CHECK(!h.races(0, kRead));
    race_checker().barrier();
    CHECK(h.races(0, kWrite));
  }
  SECTION("a writer and a reader") {
    CHECK(!h.races(0, kWrite));
    h.block(1);
    CHECK(h.races(0, kRead));
  }
  SECTION("atomics do not race with atomics") {
    CHECK(!h.races(0, kAtomic));
    CHECK(!h.races(1, kAtomic));
    h.block(1);
    CHECK(!h.races(0, kAtomic));
    CHECK(h.races(0, kRead));
  }
  SECTION("but with writes") {
    CHECK(!h.races(0, kWrite));
    h.block(1);
    CHECK(h.races(0, kAtomic));
  }
  SECTION("atomics of two blocks, then a write of the second") {
    CHECK(!h.races(0, kAtomic));
    h.block(1);
    CHECK(!h.races(0, kAtomic));
    CHECK(h.races(0, kWrite));
  }
}

TEST_CASE("bytes of a word") {
  if (!kRaceBuild) return;
  History h;
  h.operation({0, 1});
  CHECK(!h.races(0, kWrite, 0, 2));
  CHECK(!h.races(1, kWrite, 2, 1));
  CHECK(!h.races(2, kWrite, 3, 1));
  CHECK(h.races(1, kRead, 1, 1));
  CHECK(h.races(1, kRead));
  CHECK(!h.races(1, kRead, 2, 1));
}

TEST_CASE("between operations") {
  if (!kRaceBuild) return;
  History h;
  h.operation({0, 1});
  CHECK(!h.races(5, kWrite));
  h.operation({0, 2});  // the same stream
  CHECK(!h.races(9, kWrite));
  h.operation({1, 1}, {1});  // another, which waited for the first alone
  CHECK(h.races(5, kRead));
  h.operation({1, 2}, {2});
  CHECK(!h.races(5, kRead));
  h.operation({2, 1}, {2});  // a third, which does not know of the second's read
  CHECK(h.races(5, kWrite));
  h.operation({2, 2}, {2, 2});
  CHECK(!h.races(5, kWrite));
}

}  // namespace graft::cuda_on_host::test
