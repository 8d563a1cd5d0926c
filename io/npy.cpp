#include "io/npy.h"

#include <bit>
#include <charconv>
#include <cstring>
#include <optional>
#include <string>

#include "core/error.h"

namespace graft::io {
namespace {

static_assert(std::endian::native == std::endian::little, "elements are taken as the file has them");

constexpr std::string_view kMagic = "\x93NUMPY";
constexpr int64_t kMaxHeader = 1 << 16;
constexpr size_t kMaxRank = 8;

// The header is a Python dict of three keys. Only the words NumPy writes are understood; nothing is evaluated.
class Header {
 public:
  explicit Header(std::string_view text) : rest_(text) {}

  struct Fields {
    std::optional<std::string> descr;
    std::optional<bool> fortran_order;
    std::optional<std::vector<int64_t>> shape;
  };

  // nullopt where the text is anything else.
  std::optional<Fields> parse() {
    Fields f;
    if (!take("{")) return {};
    while (!take("}")) {
      const auto key = text();
      if (!key || !take(":")) return {};
      bool ok = false;
      if (*key == "descr" && !f.descr) ok = (f.descr = text()).has_value();
      if (*key == "fortran_order" && !f.fortran_order) ok = (f.fortran_order = boolean()).has_value();
      if (*key == "shape" && !f.shape) ok = (f.shape = tuple()).has_value();
      if (!ok) return {};
      if (!take(",") && !rest_.starts_with("}")) return {};
      skip_blank();
    }
    return rest_.empty() && f.descr && f.fortran_order && f.shape ? std::optional(f) : std::nullopt;
  }

 private:
  void skip_blank() {
    const size_t at = rest_.find_first_not_of(" \n");
    rest_.remove_prefix(std::min(at, rest_.size()));
  }
  bool take(std::string_view word) {
    skip_blank();
    if (!rest_.starts_with(word)) return false;
    rest_.remove_prefix(word.size());
    skip_blank();
    return true;
  }
  std::optional<std::string> text() {
    skip_blank();
    if (rest_.empty() || (rest_[0] != '\'' && rest_[0] != '"')) return {};
    const size_t end = rest_.find(rest_[0], 1);
    if (end == rest_.npos) return {};
    std::string value(rest_.substr(1, end - 1));
    rest_.remove_prefix(end + 1);
    skip_blank();
    return value;
  }
  std::optional<bool> boolean() {
    if (take("True")) return true;
    if (take("False")) return false;
    return {};
  }
  std::optional<std::vector<int64_t>> tuple() {
    if (!take("(")) return {};
    std::vector<int64_t> extents;
    while (!take(")")) {
      int64_t value = -1;
      const auto [end, error] = std::from_chars(rest_.data(), rest_.data() + rest_.size(), value);
      if (error != std::errc() || value < 0 || extents.size() == kMaxRank) return {};
      rest_.remove_prefix(static_cast<size_t>(end - rest_.data()));
      extents.push_back(value);
      if (!take(",") && !rest_.starts_with(")")) return {};
    }
    return extents;
  }

  std::string_view rest_;
};

DType dtype_from(std::string_view descr) {
  if (descr == "<f4") return DType::f32;
  if (descr == "<f8") return DType::f64;
  if (descr == "<i8") return DType::i64;
  if (descr == "|u1") return DType::u8;
  return DType::none;
}

const char* descr_of(DType dtype) {
  switch (dtype) {
    case DType::f32:
      return "<f4";
    case DType::f64:
      return "<f8";
    case DType::i64:
      return "<i8";
    default:
      GRAFT_ASSERT(dtype == DType::u8);
      return "|u1";
  }
}

}  // namespace

NpyFile::NpyFile(const std::filesystem::path& path) : file_(File::open(path)) {
  const std::string name = file_.name();
  std::byte start[12] = {};
  const auto known = static_cast<size_t>(std::min<int64_t>(file_.size(), sizeof start));
  file_.read_at(0, std::span(start, known));
  GRAFT_CHECK(known >= 10 && std::memcmp(start, kMagic.data(), kMagic.size()) == 0,
              "{} is not a .npy file; numpy.save makes one", name);
  const int version = std::to_integer<int>(start[6]);
  GRAFT_CHECK(version >= 1 && version <= 3 && (version == 1 || known == 12), "{}: version {} of .npy is not known",
              name, version);
  int64_t length = 0;
  for (int i = 0; i < (version == 1 ? 2 : 4); ++i) length |= std::to_integer<int64_t>(start[8 + i]) << (8 * i);
  const int64_t begin = version == 1 ? 10 : 12;
  GRAFT_CHECK(length <= kMaxHeader && length <= file_.size() - begin, "{} is damaged: its header claims {} bytes", name,
              length);
  std::string text(static_cast<size_t>(length), '\0');
  file_.read_at(begin, std::as_writable_bytes(std::span(text)));
  const auto fields = Header(text).parse();
  GRAFT_CHECK(fields, "{} is damaged: its header cannot be read", name);
  dtype_ = dtype_from(*fields->descr);
  GRAFT_CHECK(dtype_ != DType::none,
              "{}: elements of type '{}'; float32 ('<f4') is read, and int64 ('<i8') for labels: use "
              "a.astype('<f4') or a.astype('<i8')",
              name, *fields->descr);
  GRAFT_CHECK(!*fields->fortran_order, "{} is in Fortran order; use numpy.ascontiguousarray", name);
  shape_ = *fields->shape;
  data_ = begin + length;
  numel_ = 1;
  int64_t bytes = 0;
  bool fits = true;
  for (int64_t extent : shape_) fits = fits && !__builtin_mul_overflow(numel_, extent, &numel_);
  fits = fits && !__builtin_mul_overflow(numel_, static_cast<int64_t>(size_of(dtype_)), &bytes);
  GRAFT_CHECK(fits && bytes == file_.size() - data_,
              "{} is damaged: its shape is [{}], its elements take {} bytes of the file", name, fmt::join(shape_, ", "),
              file_.size() - data_);
}

void NpyFile::read_bytes(DType wanted, int64_t first, std::span<std::byte> out) const {
  GRAFT_CHECK(dtype_ == wanted, "{} holds {}, {} is needed; use a.astype('{}')", name(), name_of(dtype_),
              name_of(wanted), descr_of(wanted));
  file_.read_at(data_ + first * static_cast<int64_t>(size_of(dtype_)), out);
}

NpyWriter::NpyWriter(const std::filesystem::path& target, DType dtype, std::span<const int64_t> shape)
    : stage_(target), dtype_(dtype), missing_(static_cast<int64_t>(size_of(dtype))) {
  for (int64_t extent : shape)
    GRAFT_CHECK(extent >= 0 && !__builtin_mul_overflow(missing_, extent, &missing_), "{}: impossible shape [{}]",
                target.string(), fmt::join(shape, ", "));
  std::string header = fmt::format("{{'descr': '{}', 'fortran_order': False, 'shape': ({}{}), }}", descr_of(dtype),
                                   fmt::join(shape, ", "), shape.size() == 1 ? "," : "");
  constexpr size_t kPrefix = 10, kAlignment = 64;
  header.append(kAlignment - 1 - (kPrefix + header.size()) % kAlignment, ' ');
  header += '\n';
  std::string start(kMagic);
  start += {'\1', '\0', static_cast<char>(header.size() & 0xFF), static_cast<char>(header.size() >> 8)};
  start += header;
  stage_.write(std::as_bytes(std::span(start)));
}

void NpyWriter::append_bytes(DType dtype, std::span<const std::byte> bytes) {
  GRAFT_ASSERT(dtype == dtype_ && static_cast<int64_t>(bytes.size()) <= missing_);
  stage_.write(bytes);
  missing_ -= static_cast<int64_t>(bytes.size());
}

void NpyWriter::commit() {
  GRAFT_ASSERT(missing_ == 0);
  stage_.commit();
}

}  // namespace graft::io
