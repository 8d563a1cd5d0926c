#include "io/hdf5/graft_file_writer.h"

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstring>

#include "core/error.h"
#include "io/hdf5/fd_driver.h"
#include "io/hdf5/graft_file_format.h"
#include "io/hdf5/index.h"
#include "io/hdf5/indexer.h"
#include "io/staged_file.h"
#include "io/xxh3.h"

namespace graft::io {
namespace {

static_assert(std::endian::native == std::endian::little, "elements are written as memory has them");

// Zero-padded, UTF-8.
H5Handle string_type(size_t bytes) {
  H5Handle type(H5Tcopy(H5T_C_S1));
  H5Tset_size(type.get(), std::max<size_t>(bytes, 1));
  H5Tset_strpad(type.get(), H5T_STR_NULLPAD);
  H5Tset_cset(type.get(), H5T_CSET_UTF8);
  return type;
}

// Contiguous, its place in the file fixed at once, no fill values, no times.
H5Handle data_set_properties() {
  H5Handle properties(H5Pcreate(H5P_DATASET_CREATE));
  H5Pset_layout(properties.get(), H5D_CONTIGUOUS);
  H5Pset_alloc_time(properties.get(), H5D_ALLOC_TIME_EARLY);
  H5Pset_fill_time(properties.get(), H5D_FILL_TIME_NEVER);
  H5Pset_obj_track_times(properties.get(), false);
  return properties;
}

H5Handle group_properties() {
  H5Handle properties(H5Pcreate(H5P_GROUP_CREATE));
  H5Pset_obj_track_times(properties.get(), false);
  return properties;
}

}  // namespace

struct GraftFileWriter::Impl {
  explicit Impl(const std::filesystem::path& target) : stage(target) {
    const std::lock_guard lock(hdf5_mutex());
    silence_hdf5();
    driver.fd = stage.descriptor();
    H5Handle access = fd_access_properties(driver);
    // The 1.10 format: every piece of metadata ends in a checksum. Alignment is for the tensors' sake.
    H5Pset_libver_bounds(access.get(), H5F_LIBVER_V110, H5F_LIBVER_V110);
    H5Pset_alignment(access.get(), 1, kTensorAlignment);
    H5Handle creation(H5Pcreate(H5P_FILE_CREATE));
    H5Pset_obj_track_times(creation.get(), false);  // of the root group
    H5Pset_attr_phase_change(creation.get(), kMaxIndexAttributes, 0);
    file = H5Handle(H5Fcreate(kFdDriverName, H5F_ACC_TRUNC, creation.get(), access.get()));
    check(file.valid(), "the file");
    put_number(file.get(), kFormatVersionAttribute, kFormatVersion);
  }

  ~Impl() {
    const std::lock_guard lock(hdf5_mutex());
    if (driver.write_errno == 0) driver.write_errno = ECANCELED;  // nothing more is written
    file.close();
  }

  // A failed write shows only here: the driver hides it from HDF5.
  void check(bool ok, std::string_view what) const {
    GRAFT_CHECK(driver.write_errno == 0, "cannot write {}: {}", stage.target().string(),
                std::strerror(driver.write_errno));
    GRAFT_CHECK(ok, "cannot write {} into {}: {}", what, stage.target().string(), hdf5_reason());
  }

  void put_attribute(hid_t object, std::string_view name, hid_t type, const void* value) const {
    const std::string key(name);
    H5Handle space(H5Screate(H5S_SCALAR));
    H5Handle attribute(H5Acreate2(object, key.c_str(), type, space.get(), H5P_DEFAULT, H5P_DEFAULT));
    check(attribute.valid() && H5Awrite(attribute.get(), type, value) >= 0, name);
  }
  void put_number(hid_t object, std::string_view name, uint64_t value) const {
    put_attribute(object, name, H5T_STD_U64LE, &value);
  }
  void put_text(hid_t object, std::string_view name, std::string_view text) const {
    GRAFT_CHECK(text.size() <= kMaxAttributeBytes, "{}: the attribute {} may have {} bytes, not {}",
                stage.target().string(), name, kMaxAttributeBytes, text.size());
    const std::string padded = text.empty() ? std::string(1, '\0') : std::string(text);
    put_attribute(object, name, string_type(text.size()).get(), padded.data());
  }

  void check_name(std::string_view path) const {
    const bool plain =
        std::all_of(path.begin(), path.end(), [](char c) { return static_cast<unsigned char>(c) >= 32; });
    GRAFT_CHECK(plain && !path.empty() && path.size() < kMaxNameBytes && path.front() != '/' && path.back() != '/' &&
                    path.find("//") == path.npos,
                "cannot write {}: '{}' cannot be the name of a data set", stage.target().string(), path);
  }

  // Elements arrive in row-major order through `fill`, a chunk at a time; their sum is written when all have passed.
  void add(const std::string& path, hid_t type, std::span<const int64_t> shape, std::string_view axes,
           const Fill& fill) {
    check_name(path);
    GRAFT_CHECK(shape.size() <= kMaxIndexRank, "{} has {} axes, a file takes {}", path, shape.size(), kMaxIndexRank);
    const auto element = static_cast<int64_t>(H5Tget_size(type));
    int64_t count = 1;
    for (int64_t extent : shape)
      GRAFT_CHECK(extent >= 0 && !__builtin_mul_overflow(count, extent, &count) && count <= INT64_MAX / element / 2,
                  "{} has an impossible shape [{}]", path, fmt::join(shape, ", "));
    H5Handle set;
    const uint64_t offset = create(set, path, type, shape, axes);

    Xxh3 sum;
    const int64_t per_chunk = std::max<int64_t>(1, kChunkBytes / element);
    std::vector<std::byte> chunk(static_cast<size_t>(std::min(per_chunk, count) * element));
    for (int64_t first = 0; first < count; first += per_chunk) {
      const auto bytes = std::span(chunk).first(static_cast<size_t>(std::min(per_chunk, count - first) * element));
      fill(first, bytes);
      sum.update(bytes);
      write_at(driver, offset + static_cast<uint64_t>(first * element), bytes.data(), bytes.size());
      check(true, path);
    }
    const std::lock_guard lock(hdf5_mutex());
    put_number(set.get(), kSumAttribute, sum.digest());
    check(set.close(), path);
  }

  // Returns where the elements lie: in one piece, so they are written past HDF5, chunk by chunk.
  uint64_t create(H5Handle& set, const std::string& path, hid_t type, std::span<const int64_t> shape,
                  std::string_view axes) const {
    const std::lock_guard lock(hdf5_mutex());
    make_groups(path);
    const std::vector<hsize_t> extents(shape.begin(), shape.end());
    H5Handle space(shape.empty() ? H5Screate(H5S_SCALAR)
                                 : H5Screate_simple(static_cast<int>(shape.size()), extents.data(), nullptr));
    const H5Handle properties = data_set_properties();
    set = H5Handle(H5Dcreate2(file.get(), path.c_str(), type, space.get(), H5P_DEFAULT, properties.get(), H5P_DEFAULT));
    check(set.valid(), path);  // before a handle is closed, which would clear HDF5's reason
    if (!axes.empty()) put_text(set.get(), kAxesAttribute, axes);
    return H5Dget_offset(set.get());
  }

  void make_groups(const std::string& path) const {
    const H5Handle properties = group_properties();
    for (size_t end = path.find('/'); end != path.npos; end = path.find('/', end + 1)) {
      const std::string group = path.substr(0, end);
      if (H5Lexists(file.get(), group.c_str(), H5P_DEFAULT) > 0) continue;
      const H5Handle made(H5Gcreate2(file.get(), group.c_str(), H5P_DEFAULT, properties.get(), H5P_DEFAULT));
      check(made.valid(), group);
    }
  }

  H5Handle type_of(DType dtype) const {
    const std::lock_guard lock(hdf5_mutex());
    return hdf5_type_of(dtype);
  }

  void check_text(std::string_view where, std::string_view text) const {
    GRAFT_CHECK(text.find('\0') == text.npos, "cannot write {}: the text of {} contains a zero byte",
                stage.target().string(), where);
  }

  // Strings of the longest one's length, padded with zeros.
  void add_strings(std::string_view path, std::span<const int64_t> shape, std::span<const std::string_view> texts) {
    size_t width = 1;
    for (std::string_view text : texts) {
      check_text(path, text);
      width = std::max(width, text.size());
    }
    std::string all;
    for (std::string_view text : texts) {
      all += text;
      all.append(width - text.size(), '\0');
    }
    add(std::string(path), string_type(width).get(), shape, "", [&](int64_t first, std::span<std::byte> chunk) {
      std::memcpy(chunk.data(), all.data() + static_cast<size_t>(first) * width, chunk.size());
    });
  }

  void commit() {
    {
      const std::lock_guard lock(hdf5_mutex());
      const bool closed = file.close();
      check(closed, "the end");
    }
    stage.commit();
  }

  StagedFile stage;
  FdDriverState driver;
  H5Handle file;
};

GraftFileWriter::GraftFileWriter(const std::filesystem::path& target) : impl_(std::make_unique<Impl>(target)) {}
GraftFileWriter::~GraftFileWriter() = default;

void GraftFileWriter::add_tensor(std::string_view group, std::string_view name, DType dtype,
                                 std::span<const int64_t> shape, std::string_view axes, const Fill& fill) {
  GRAFT_CHECK(name.find('/') == name.npos, "'{}' cannot be the name of a tensor: it has a slash", name);
  impl_->add(group.empty() ? std::string(name) : fmt::format("{}/{}", group, name), impl_->type_of(dtype).get(), shape,
             axes, fill);
}

void GraftFileWriter::add_tensor(std::string_view group, std::string_view name, DType dtype,
                                 std::span<const int64_t> shape, std::string_view axes,
                                 std::span<const std::byte> elements) {
  uint64_t bytes = size_of(dtype);
  bool fits = true;
  for (int64_t extent : shape) fits = fits && !__builtin_mul_overflow(bytes, static_cast<uint64_t>(extent), &bytes);
  GRAFT_CHECK(fits && bytes == elements.size(), "{}: {} bytes are given for the shape [{}] of {}", name,
              elements.size(), fmt::join(shape, ", "), name_of(dtype));
  const auto element = static_cast<int64_t>(size_of(dtype));
  add_tensor(group, name, dtype, shape, axes, [&](int64_t first, std::span<std::byte> chunk) {
    std::memcpy(chunk.data(), elements.data() + first * element, chunk.size());
  });
}

void GraftFileWriter::set_attribute(std::string_view name, std::string_view text) {
  impl_->check_text(name, text);
  const std::lock_guard lock(hdf5_mutex());
  impl_->put_text(impl_->file.get(), name, text);
}

void GraftFileWriter::set_text(std::string_view path, std::string_view text) {
  impl_->add_strings(path, {}, std::span(&text, 1));
}

void GraftFileWriter::set_strings(std::string_view path, std::span<const std::string> texts) {
  const std::vector<std::string_view> views(texts.begin(), texts.end());
  const auto count = static_cast<int64_t>(views.size());
  impl_->add_strings(path, std::span(&count, 1), views);
}

void GraftFileWriter::commit() { impl_->commit(); }

}  // namespace graft::io
