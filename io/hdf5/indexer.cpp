#include "io/hdf5/indexer.h"

#include <unistd.h>

#include <algorithm>
#include <map>
#include <mutex>
#include <set>
#include <string_view>

#include "io/hdf5/fd_driver.h"

namespace graft::io {
namespace {

class Indexer {
 public:
  explicit Indexer(hid_t file) : file_(file) {}

  Index run() {
    H5Handle root(H5Gopen2(file_, "/", H5P_DEFAULT));
    GRAFT_CHECK(root.valid(), "the HDF5 file is damaged: {}", hdf5_reason());
    index_.attributes = attributes(root.get(), "/");
    H5O_info_t info = object_info(root.get(), "/");
    addresses_.insert(info.addr);
    walk(root.get(), "", 1);
    std::sort(index_.entries.begin(), index_.entries.end(), [](auto& a, auto& b) { return a.path < b.path; });
    return std::move(index_);
  }

 private:
  static H5O_info_t object_info(hid_t object, const std::string& path) {
    H5O_info_t info;
    GRAFT_CHECK(H5Oget_info(object, &info) >= 0, "{} is damaged: {}", path, hdf5_reason());
    return info;
  }

  // The names in a group are collected first: HDF5 is not asked to iterate while other objects are opened.
  struct Names {
    std::vector<std::string> hard;
    std::string other;  // the name of a link that is not one
    bool too_long = false;
  };

  static herr_t keep_name(hid_t, const char* name, const H5L_info_t* link, void* out) noexcept try {
    auto& names = *static_cast<Names*>(out);
    names.too_long = std::char_traits<char>::length(name) > kMaxNameBytes;
    if (names.too_long) return 1;
    if (link->type != H5L_TYPE_HARD) {
      names.other = name;
      return 1;
    }
    names.hard.emplace_back(name);
    return names.hard.size() > kMaxIndexObjects ? 1 : 0;
  } catch (...) {
    return -1;
  }

  void walk(hid_t group, const std::string& path, int depth) {
    GRAFT_CHECK(depth <= kMaxIndexDepth, "{}: groups are nested more than {} deep", path, kMaxIndexDepth);
    H5G_info_t info;
    GRAFT_CHECK(H5Gget_info(group, &info) >= 0, "{}/ is damaged: {}", path, hdf5_reason());
    count_objects(info.nlinks);
    Names names;
    // Native order: by name HDF5 would first build a table of them all.
    const herr_t status = H5Literate(group, H5_INDEX_NAME, H5_ITER_NATIVE, nullptr, keep_name, &names);
    GRAFT_CHECK(!names.too_long, "{}/ has a name of more than {} bytes", path, kMaxNameBytes);
    GRAFT_CHECK(names.other.empty(), "{}/{} is a soft or external link, which graft does not follow", path,
                names.other);
    GRAFT_CHECK(status >= 0, "{}/ is damaged: {}", path, hdf5_reason());
    GRAFT_CHECK(names.hard.size() == info.nlinks, "{}/ is damaged: it has {} objects and lists {}", path, info.nlinks,
                names.hard.size());
    std::sort(names.hard.begin(), names.hard.end());
    for (const std::string& name : names.hard) visit(group, name, fmt::format("{}/{}", path, name), depth);
  }

  void visit(hid_t group, const std::string& name, const std::string& path, int depth) {
    GRAFT_CHECK(path.size() <= kMaxNameBytes, "{}… is a name of more than {} bytes", path.substr(0, 80), kMaxNameBytes);
    H5Handle object(H5Oopen(group, name.c_str(), H5P_DEFAULT));
    GRAFT_CHECK(object.valid(), "{} is damaged: {}", path, hdf5_reason());
    const H5O_info_t info = object_info(object.get(), path);
    GRAFT_CHECK(addresses_.insert(info.addr).second, "{} is another name of an object that has one", path);
    if (info.type == H5O_TYPE_GROUP) return walk(object.get(), path, depth + 1);
    GRAFT_CHECK(info.type == H5O_TYPE_DATASET, "{} is neither a group nor a data set", path);
    index_.entries.push_back(entry(object.get(), path));
  }

  void count_objects(hsize_t more) {
    GRAFT_CHECK(more <= kMaxIndexObjects - objects_, "the file holds more than {} objects", kMaxIndexObjects);
    objects_ += more;
  }

  IndexEntry entry(hid_t set, const std::string& path) {
    IndexEntry e;
    e.path = path;
    check_storage(set, path);
    read_type(set, e);
    read_shape(set, e);
    e.bytes = H5Dget_storage_size(set);
    const haddr_t offset = H5Dget_offset(set);
    GRAFT_CHECK(offset != HADDR_UNDEF || e.bytes == 0, "{} has no data", path);
    e.offset = offset == HADDR_UNDEF ? 0 : offset;
    e.attributes = attributes(set, path);
    return e;
  }

  // Asked before anything else of a data set: a virtual one would go and look for its sources.
  static void check_storage(hid_t set, const std::string& path) {
    H5Handle properties(H5Dget_create_plist(set));
    GRAFT_CHECK(properties.valid(), "{} is damaged: {}", path, hdf5_reason());
    GRAFT_CHECK(H5Pget_layout(properties.get()) == H5D_CONTIGUOUS,
                "{} is stored chunked, compact or virtual; graft reads data sets in one piece", path);
    GRAFT_CHECK(H5Pget_external_count(properties.get()) == 0, "{} lies in another file, which graft does not open",
                path);
    GRAFT_CHECK(H5Pget_nfilters(properties.get()) == 0, "{} goes through filters; graft reads plain data sets", path);
  }

  static void read_type(hid_t set, IndexEntry& e) {
    H5Handle type(H5Dget_type(set));
    GRAFT_CHECK(type.valid(), "{} is damaged: {}", e.path, hdf5_reason());
    GRAFT_CHECK(H5Tcommitted(type.get()) == 0, "{} has a named type, which graft does not read", e.path);
    if (H5Tget_class(type.get()) == H5T_STRING) {
      GRAFT_CHECK(H5Tis_variable_str(type.get()) == 0, "{} has strings of variable length; graft reads fixed ones",
                  e.path);
      e.text_bytes = H5Tget_size(type.get());
      return;
    }
    static const std::map<DType, H5Handle> kTypes = [] {
      std::map<DType, H5Handle> types;
      for (DType d : {DType::f64, DType::f32, DType::bf16, DType::f16, DType::i64, DType::u8})
        types.emplace(d, hdf5_type_of(d));
      return types;
    }();
    for (const auto& [dtype, known] : kTypes)
      if (H5Tequal(type.get(), known.get()) > 0) e.dtype = dtype;
    GRAFT_CHECK(e.dtype != DType::none, "{} has an element type that graft does not read", e.path);
  }

  static void read_shape(hid_t set, IndexEntry& e) {
    H5Handle space(H5Dget_space(set));
    GRAFT_CHECK(space.valid(), "{} is damaged: {}", e.path, hdf5_reason());
    GRAFT_CHECK(H5Sget_simple_extent_type(space.get()) != H5S_NULL, "{} has no elements at all", e.path);
    const int rank = H5Sget_simple_extent_ndims(space.get());
    GRAFT_CHECK(rank >= 0 && rank <= kMaxIndexRank, "{} has {} axes, at most {} are read", e.path, rank, kMaxIndexRank);
    hsize_t extents[kMaxIndexRank] = {};
    GRAFT_CHECK(H5Sget_simple_extent_dims(space.get(), extents, nullptr) == rank, "{} is damaged: {}", e.path,
                hdf5_reason());
    for (int axis = 0; axis < rank; ++axis) {
      GRAFT_CHECK(extents[axis] <= INT64_MAX, "{} claims an impossible shape", e.path);
      e.shape.push_back(static_cast<int64_t>(extents[axis]));
    }
  }

  static std::vector<IndexAttribute> attributes(hid_t object, const std::string& path) {
    const hsize_t count = object_info(object, path).num_attrs;
    GRAFT_CHECK(count <= kMaxIndexAttributes, "{} has more than {} attributes", path, kMaxIndexAttributes);
    std::vector<IndexAttribute> found;
    for (hsize_t i = 0; i < count; ++i) {
      H5Handle attribute(H5Aopen_by_idx(object, ".", H5_INDEX_NAME, H5_ITER_INC, i, H5P_DEFAULT, H5P_DEFAULT));
      GRAFT_CHECK(attribute.valid(), "an attribute of {} is damaged: {}", path, hdf5_reason());
      char name[kMaxNameBytes + 1];
      const ssize_t length = H5Aget_name(attribute.get(), sizeof name, name);
      GRAFT_CHECK(length >= 0 && static_cast<uint64_t>(length) <= kMaxNameBytes, "{} has an attribute with a long name",
                  path);
      found.push_back({name, value(attribute.get(), path + ", attribute " + name)});
    }
    return found;
  }

  static std::variant<std::string, uint64_t> value(hid_t attribute, const std::string& where) {
    H5Handle type(H5Aget_type(attribute)), space(H5Aget_space(attribute));
    GRAFT_CHECK(type.valid() && space.valid(), "{} is damaged: {}", where, hdf5_reason());
    GRAFT_CHECK(H5Sget_simple_extent_type(space.get()) == H5S_SCALAR && H5Tcommitted(type.get()) == 0,
                "{} is not a single value of a plain type", where);
    if (H5Tequal(type.get(), H5T_STD_U64LE) > 0) {
      uint64_t number = 0;
      GRAFT_CHECK(H5Aread(attribute, H5T_NATIVE_UINT64, &number) >= 0, "{} is damaged: {}", where, hdf5_reason());
      return number;
    }
    const bool is_text = H5Tget_class(type.get()) == H5T_STRING && H5Tis_variable_str(type.get()) == 0;
    GRAFT_CHECK(is_text, "{} is neither a fixed-length string nor a 64-bit number", where);
    const size_t bytes = H5Tget_size(type.get());
    GRAFT_CHECK(bytes <= kMaxAttributeBytes, "{} is a string of more than {} bytes", where, kMaxAttributeBytes);
    std::string text(bytes, '\0');
    GRAFT_CHECK(H5Aread(attribute, type.get(), text.data()) >= 0, "{} is damaged: {}", where, hdf5_reason());
    text.resize(std::min(text.find('\0'), text.size()));  // padded with zeros
    return text;
  }

  hid_t file_;
  Index index_;
  std::set<haddr_t> addresses_;
  hsize_t objects_ = 0;
};

// exponent_bits and mantissa_bits below a sign bit, little-endian.
H5Handle small_float(size_t exponent_bits, size_t mantissa_bits) {
  H5Handle type(H5Tcopy(H5T_IEEE_F32LE));
  const size_t bits = 1 + exponent_bits + mantissa_bits;
  const bool ok = H5Tset_fields(type.get(), bits - 1, mantissa_bits, exponent_bits, 0, mantissa_bits) >= 0 &&
                  H5Tset_size(type.get(), bits / 8) >= 0 && H5Tset_precision(type.get(), bits) >= 0 &&
                  H5Tset_ebias(type.get(), (size_t{1} << (exponent_bits - 1)) - 1) >= 0;
  GRAFT_CHECK(ok, "HDF5 refuses a 16-bit floating-point type: {}", hdf5_reason());
  return type;
}

}  // namespace

H5Handle hdf5_type_of(DType dtype) {
  switch (dtype) {
    case DType::f64:
      return H5Handle(H5Tcopy(H5T_IEEE_F64LE));
    case DType::f32:
      return H5Handle(H5Tcopy(H5T_IEEE_F32LE));
    case DType::f16:
      return small_float(5, 10);
    case DType::bf16:
      return small_float(8, 7);
    case DType::i64:
      return H5Handle(H5Tcopy(H5T_STD_I64LE));
    case DType::u8:
      return H5Handle(H5Tcopy(H5T_STD_U8LE));
    case DType::none:
      break;
  }
  fail("a data set needs an element type");
}

Index index_hdf5(int descriptor) {
  const std::lock_guard lock(hdf5_mutex());
  silence_hdf5();
  char start[8];
  GRAFT_CHECK(pread(descriptor, start, sizeof start, 0) == sizeof start &&
                  std::string_view(start, sizeof start) == "\x89HDF\r\n\x1a\n",
              "not an HDF5 file, so no model file: `graft convert` and `graft train` make those");
  FdDriverState state{.fd = descriptor};
  const H5Handle access = fd_access_properties(state);
  H5Handle file(H5Fopen(kFdDriverName, H5F_ACC_RDONLY, access.get()));
  GRAFT_CHECK(file.valid(), "the HDF5 file is cut short or damaged: copy it again, or make it again");
  return Indexer(file.get()).run();
}

}  // namespace graft::io
