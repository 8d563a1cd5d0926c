#include "io/hdf5/fd_driver.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <new>
#if H5_VERSION_GE(1, 13, 0)
#include <H5FDdevelop.h>
#endif

namespace graft::io {
namespace {

struct FdDriverInfo {  // HDF5 copies it byte by byte
  FdDriverState* state;
};

struct FdFile {
  H5FD_t base;  // HDF5 sees this
  FdDriverState* state;
  haddr_t allocated;  // HDF5's "end of allocation"
  haddr_t bytes;      // of the file
};

FdFile* self(H5FD_t* file) { return reinterpret_cast<FdFile*>(file); }
const FdFile* self(const H5FD_t* file) { return reinterpret_cast<const FdFile*>(file); }

H5FD_t* open_file(const char* name, unsigned, hid_t access, haddr_t) {
  const auto* info = static_cast<const FdDriverInfo*>(H5Pget_driver_info(access));
  if (!info || info->state->opened || std::strcmp(name, kFdDriverName) != 0) return nullptr;
  struct stat status = {};
  if (fstat(info->state->fd, &status) != 0) return nullptr;
  info->state->opened = true;
  auto* file = new (std::nothrow) FdFile{{}, info->state, 0, static_cast<haddr_t>(status.st_size)};
  return file ? &file->base : nullptr;
}

herr_t close_file(H5FD_t* file) {
  delete self(file);
  return 0;
}

herr_t query(const H5FD_t*, unsigned long* flags) {
  *flags = 0;  // no aggregation of small pieces: it leaves unused gaps
  return 0;
}

haddr_t get_eoa(const H5FD_t* file, H5FD_mem_t) { return self(file)->allocated; }
haddr_t get_eof(const H5FD_t* file, H5FD_mem_t) { return self(file)->bytes; }
herr_t set_eoa(H5FD_t* file, H5FD_mem_t, haddr_t address) {
  self(file)->allocated = address;
  return 0;
}

herr_t read(H5FD_t* file, H5FD_mem_t, hid_t, haddr_t address, size_t bytes, void* out) {
  auto* at = static_cast<unsigned char*>(out);
  while (bytes > 0) {
    const ssize_t n = pread(self(file)->state->fd, at, bytes, static_cast<off_t>(address));
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return -1;  // an error, or the file is shorter than it claims
    at += n;
    address += static_cast<haddr_t>(n);
    bytes -= static_cast<size_t>(n);
  }
  return 0;
}

herr_t write(H5FD_t* file, H5FD_mem_t, hid_t, haddr_t address, size_t bytes, const void* data) {
  write_at(*self(file)->state, address, data, bytes);
  self(file)->bytes = std::max(self(file)->bytes, address + bytes);
  return 0;
}

herr_t truncate(H5FD_t* file, hid_t, hbool_t) {
  FdFile& f = *self(file);
  if (f.bytes == f.allocated) return 0;
  if (f.state->write_errno == 0 && ftruncate(f.state->fd, static_cast<off_t>(f.allocated)) != 0)
    f.state->write_errno = errno;
  f.bytes = f.allocated;
  return 0;
}

H5FD_class_t make_class() {
  H5FD_class_t c = {};
#if H5_VERSION_GE(1, 13, 0)
  c.version = H5FD_CLASS_VERSION;
  c.value = static_cast<H5FD_class_value_t>(600);  // 512 and up: private drivers
#endif
  c.name = "graft file descriptor";
  c.maxaddr = static_cast<haddr_t>(INT64_MAX);
  c.fc_degree = H5F_CLOSE_STRONG;
  c.fapl_size = sizeof(FdDriverInfo);
  c.open = open_file;
  c.close = close_file;
  c.query = query;
  c.get_eoa = get_eoa;
  c.set_eoa = set_eoa;
  c.get_eof = get_eof;
  c.read = read;
  c.write = write;
  c.truncate = truncate;
  const H5FD_mem_t one_list[] = H5FD_FLMAP_DICHOTOMY;
  std::memcpy(c.fl_map, one_list, sizeof one_list);
  return c;
}

}  // namespace

void write_at(FdDriverState& state, uint64_t offset, const void* data, size_t bytes) {
  const auto* at = static_cast<const unsigned char*>(data);
  while (bytes > 0 && state.write_errno == 0) {
    const ssize_t n = pwrite(state.fd, at, bytes, static_cast<off_t>(offset));
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) {
      state.write_errno = n < 0 ? errno : ENOSPC;
      return;
    }
    at += n;
    offset += static_cast<uint64_t>(n);
    bytes -= static_cast<size_t>(n);
  }
}

H5Handle fd_access_properties(FdDriverState& state) {
  static const H5FD_class_t kClass = make_class();
  static const hid_t kDriver = H5FDregister(&kClass);
  H5Handle properties(H5Pcreate(H5P_FILE_ACCESS));
  const FdDriverInfo info = {&state};
  GRAFT_CHECK(kDriver >= 0 && properties.valid() && H5Pset_driver(properties.get(), kDriver, &info) >= 0,
              "HDF5 refuses graft's file driver: {}", hdf5_reason());
  return properties;
}

}  // namespace graft::io
