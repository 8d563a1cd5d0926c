// What graft throws.
#pragma once
#include <stdexcept>

namespace graft {

// Something the user gave cannot be used. The message stands alone: it names the file, layer or option, and what to do.
class Error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// The device failed, or its library: what it computed since the last wait is lost, what lies in files is not.
class DeviceError : public Error {
 public:
  using Error::Error;
};

// A defect of graft itself.
class InternalError : public std::logic_error {
 public:
  using std::logic_error::logic_error;
};

}  // namespace graft
