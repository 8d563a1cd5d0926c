// An HDF5 identifier that closes itself, and HDF5's error stack as one line.
#pragma once
#include <hdf5.h>

#include <mutex>
#include <string>
#include <utility>

#include "core/error.h"

namespace graft::io {

// The library prints nothing by itself; what it says on failure is fetched with hdf5_reason.
inline void silence_hdf5() { H5Eset_auto2(H5E_DEFAULT, nullptr, nullptr); }

// HDF5 may have been built without threads: hold this around every call of it, in one process.
inline std::recursive_mutex& hdf5_mutex() {
  static std::recursive_mutex mutex;
  return mutex;
}

// "unable to open file: bad superblock signature": the outermost and the innermost line of the error stack.
inline std::string hdf5_reason() {
  std::pair<std::string, std::string> ends;
  const auto keep = [](unsigned n, const H5E_error2_t* error, void* out) -> herr_t {
    auto& [outer, inner] = *static_cast<std::pair<std::string, std::string>*>(out);
    if (error->desc) (n == 0 ? outer : inner) = error->desc;
    return 0;
  };
  H5Ewalk2(H5E_DEFAULT, H5E_WALK_DOWNWARD, keep, &ends);
  if (ends.first.empty()) return "no reason given";
  return ends.second.empty() ? ends.first : ends.first + ": " + ends.second;
}

// Owns one identifier of any kind: they are all closed by dropping a reference.
class H5Handle {
 public:
  H5Handle() = default;
  explicit H5Handle(hid_t id) : id_(id) {}
  H5Handle(H5Handle&& other) noexcept : id_(std::exchange(other.id_, -1)) {}
  H5Handle& operator=(H5Handle&& other) noexcept {
    std::swap(id_, other.id_);
    return *this;
  }
  ~H5Handle() { close(); }

  hid_t get() const { return id_; }
  bool valid() const { return id_ >= 0; }
  bool close() {
    const hid_t id = std::exchange(id_, -1);
    if (id < 0) return true;
    const std::lock_guard lock(hdf5_mutex());
    return H5Idec_ref(id) >= 0;
  }

 private:
  hid_t id_ = -1;
};

}  // namespace graft::io
