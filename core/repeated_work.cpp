#include "core/repeated_work.h"

#include <cstdlib>
#include <string_view>
#include <utility>

#include "core/error.h"
#include "core/range.h"
#include "core/stream.h"

namespace graft {

bool capture_by_default() {
  const char* word = std::getenv("GRAFT_CAPTURE");
  return word == nullptr || std::string_view(word) != "0";
}

// On a stream of its own: what other threads give the device meanwhile must not slip in.
struct RepeatedWork::Capture {
  Capture(std::shared_ptr<Device> d, const std::string& name, const std::function<void(StreamHandle)>& queue)
      : device(std::move(d)), stream(device) {
    const Backend& b = device->backend();
    check(b.device.begin_capture(b.self, stream.handle()), name);
    try {
      queue(stream.handle());
    } catch (...) {
      if (b.device.end_capture(b.self, stream.handle(), &handle) == Status::ok) destroy();
      throw;
    }
    check(b.device.end_capture(b.self, stream.handle(), &handle), name);
  }
  ~Capture() { destroy(); }
  Capture(const Capture&) = delete;
  Capture& operator=(const Capture&) = delete;

  void replay(const std::string& name) const {
    const Backend& b = device->backend();
    device->check(b.device.replay(b.self, device->stream(), handle), ("replaying the " + name).c_str());
  }

  void check(Status status, const std::string& name) const {
    if (status == Status::ok) return;
    const Backend& b = device->backend();
    const std::string why = b.device.last_error ? b.device.last_error(b.self) : name_of(status);
    fail("capturing the {} on {}: {}. GRAFT_CAPTURE=0 runs it call by call", name, b.name, why);
  }

  void destroy() {
    if (handle) device->backend().device.destroy_capture(device->backend().self, handle);
    handle = nullptr;
  }

  std::shared_ptr<Device> device;
  Stream stream;  // kept: libraries remember the stream they worked on last
  CaptureHandle handle = nullptr;
};

RepeatedWork::RepeatedWork(std::shared_ptr<Device> device, std::string name, bool capture)
    : device_(std::move(device)), name_(std::move(name)), capture_allowed_(capture) {}
RepeatedWork::~RepeatedWork() = default;
RepeatedWork::RepeatedWork(RepeatedWork&&) noexcept = default;
RepeatedWork& RepeatedWork::operator=(RepeatedWork&&) noexcept = default;

bool RepeatedWork::captures() const {
  const DeviceFunctions& f = device_->backend().device;
  return capture_allowed_ && f.begin_capture && f.create_stream && !device_->observer;
}

void RepeatedWork::run(const std::function<void(StreamHandle)>& queue) {
  const Range range(*device_, name_.c_str());
  if (!captures() || !has_run_) {
    queue(device_->stream());
    has_run_ = true;
    return;
  }
  if (!capture_) capture_ = std::make_unique<Capture>(device_, name_, queue);
  capture_->replay(name_);
}

void RepeatedWork::forget() {
  capture_.reset();
  has_run_ = false;
}

}  // namespace graft
