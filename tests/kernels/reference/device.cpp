#include <cstdint>
#include <cstring>

#include "contract/recording.h"
#include "tests/kernels/reference/support.h"

namespace graft::test {
namespace {

TEST_CASE("the entry fills the whole table and checks who asks") {
  CHECK(graft_reference_backend(nullptr) == Status::invalid_argument);
  Backend other;
  other.version = kContractVersion + 1;
  CHECK(graft_reference_backend(&other) == Status::unsupported);
  other = {};
  other.bytes -= 8;
  CHECK(graft_reference_backend(&other) == Status::unsupported);
  CHECK(other.name == nullptr);

  const Backend& b = reference();
  CHECK(std::string(b.name) == "reference");
  CHECK(b.bytes == sizeof(Backend));
  CHECK(b.version == kContractVersion);
  for (int i = 0; i < kPrimitiveCount; ++i) {
    CHECK(b.run[i] != nullptr);
    CHECK(b.workspace_bytes(b.self, static_cast<Primitive>(i), nullptr) == 0);
  }
  CHECK(b.device.begin_capture == nullptr);  // replaying would gain nothing
  CHECK(b.device.last_error(b.self) != nullptr);
  CHECK(b.device.description(b.self) != nullptr);
  b.destroy(b.self);
}

TEST_CASE("memory is aligned, and absurd sizes are an answer") {
  const Backend& b = reference();
  for (int64_t bytes : {0, 1, 63, 1000}) {
    void* memory = nullptr;
    REQUIRE(b.device.allocate(b.self, bytes, &memory) == Status::ok);
    CHECK(memory != nullptr);
    CHECK(reinterpret_cast<uintptr_t>(memory) % kArenaAlignment == 0);
    std::memset(memory, 1, static_cast<size_t>(bytes));
    b.device.release(b.self, memory, bytes);
  }
  void* memory = &memory;
  CHECK(b.device.allocate(b.self, INT64_MAX, &memory) == Status::out_of_memory);
  CHECK(memory == nullptr);
  CHECK(b.device.allocate(b.self, -1, &memory) == Status::invalid_argument);
  CHECK(b.device.allocate(b.self, 1, nullptr) == Status::invalid_argument);
}

TEST_CASE("streams and events order what is already done") {
  const Backend& b = reference();
  StreamHandle stream = nullptr;
  EventHandle event = nullptr;
  REQUIRE(b.device.create_stream(b.self, &stream) == Status::ok);
  REQUIRE(b.device.create_event(b.self, &event) == Status::ok);
  CHECK((stream != nullptr && event != nullptr));
  int from = 42, to = 0;
  CHECK(b.device.copy(b.self, stream, &to, &from, sizeof to, CopyKind::host_to_device) == Status::ok);
  CHECK(b.device.record_event(b.self, event, stream) == Status::ok);
  CHECK(b.device.wait_event(b.self, stream, event) == Status::ok);
  CHECK(b.device.synchronize_event(b.self, event) == Status::ok);
  CHECK(b.device.synchronize(b.self, stream) == Status::ok);
  CHECK(to == 42);
  CHECK(b.device.copy(b.self, stream, nullptr, nullptr, 0, CopyKind::device_to_device) == Status::ok);
  CHECK(b.device.copy(b.self, stream, &to, nullptr, 1, CopyKind::device_to_device) == Status::invalid_argument);
  CHECK(b.device.copy(b.self, stream, &to, &from, -1, CopyKind::device_to_device) == Status::invalid_argument);
  b.device.destroy_event(b.self, event);
  b.device.destroy_stream(b.self, stream);
}

}  // namespace
}  // namespace graft::test
