// The parent's side of the helper's answer. The helper may have been taken over by the file it read, so nothing in the
// answer is believed: every length is checked against what remains, every rule of an index is checked again.
#include <algorithm>
#include <cstring>
#include <set>

#include "core/error.h"
#include "io/hdf5/index.h"
#include "io/hdf5/index_frame.h"
#include "io/xxh3.h"

namespace graft::io {
namespace {

class Reader {
 public:
  Reader(std::string_view rest, const std::string& file) : rest_(rest), file_(file) {}

  template <typename T>
  T number() {
    T value;
    std::memcpy(&value, take(sizeof value).data(), sizeof value);
    return value;
  }

  std::string_view text(uint64_t limit) {
    const auto bytes = number<uint32_t>();
    require(bytes <= limit);
    return take(bytes);
  }

  // A count of things that take at least `least` bytes each: never more than can follow.
  size_t count(uint64_t limit, size_t least) {
    const auto n = number<uint32_t>();
    require(n <= limit && n <= rest_.size() / least);
    return n;
  }

  void require(bool condition) const {
    GRAFT_CHECK(condition,
                "{}: the answer of graft-h5-index is not an index; is it of the same version as this program?", file_);
  }
  bool at_end() const { return rest_.empty(); }

 private:
  std::string_view take(size_t bytes) {
    require(bytes <= rest_.size());
    const auto head = rest_.substr(0, bytes);
    rest_.remove_prefix(bytes);
    return head;
  }

  std::string_view rest_;
  const std::string& file_;
};

std::vector<IndexAttribute> read_attributes(Reader& in) {
  std::vector<IndexAttribute> attributes(in.count(kMaxIndexAttributes, 9));
  for (IndexAttribute& a : attributes) {
    a.name = in.text(kMaxNameBytes);
    const auto kind = in.number<uint8_t>();
    in.require(kind <= 1);
    if (kind == 0)
      a.value = std::string(in.text(kMaxAttributeBytes));
    else
      a.value = in.number<uint64_t>();
  }
  return attributes;
}

Index read_index(Reader& in) {
  Index index;
  index.attributes = read_attributes(in);
  index.entries.resize(in.count(kMaxIndexObjects, 34));
  for (IndexEntry& e : index.entries) {
    e.path = in.text(kMaxNameBytes);
    const auto dtype = in.number<uint8_t>();
    in.require(dtype < kDTypeCount);
    e.dtype = static_cast<DType>(dtype);
    e.text_bytes = in.number<uint64_t>();
    const auto rank = in.number<uint8_t>();
    in.require(rank <= kMaxIndexRank);
    e.shape.resize(rank);
    for (int64_t& extent : e.shape) extent = in.number<int64_t>();
    e.offset = in.number<uint64_t>();
    e.bytes = in.number<uint64_t>();
    e.attributes = read_attributes(in);
  }
  in.require(in.at_end());
  return index;
}

// What can be shown in a terminal and in a message: no control characters.
bool is_plain(std::string_view text) {
  return std::none_of(text.begin(), text.end(), [](char c) { return static_cast<unsigned char>(c) < 32 || c == 127; });
}

std::string plain(std::string_view text) {
  std::string out(text.substr(0, kMaxReasonBytes));
  for (char& c : out)
    if (!is_plain({&c, 1})) c = '?';
  return out;
}

bool is_path(std::string_view path) {
  return path.size() > 1 && path.size() <= kMaxNameBytes && path.front() == '/' && path.back() != '/' &&
         path.find("//") == path.npos && is_plain(path);
}

void check_attributes(const std::vector<IndexAttribute>& attributes, const std::string& where) {
  std::set<std::string_view> names;
  for (const IndexAttribute& a : attributes) {
    GRAFT_CHECK(!a.name.empty() && is_plain(a.name), "{} has an attribute whose name is not plain text", where);
    GRAFT_CHECK(names.insert(a.name).second, "{} has two attributes {}", where, a.name);
  }
}

// Elements of the entry's shape times their size; the shape of a hostile file may overflow that.
void check_size(const IndexEntry& e, const std::string& where) {
  GRAFT_CHECK((e.dtype == DType::none) == (e.text_bytes > 0), "{} has no element type", where);
  GRAFT_CHECK(e.shape.size() <= kMaxIndexRank, "{} has more than {} axes", where, kMaxIndexRank);
  uint64_t bytes = e.element_bytes();
  bool fits = bytes <= INT64_MAX;
  for (int64_t extent : e.shape)
    fits = fits && extent >= 0 && !__builtin_mul_overflow(bytes, static_cast<uint64_t>(extent), &bytes) &&
           bytes <= INT64_MAX;
  GRAFT_CHECK(fits, "{} claims an impossible shape [{}]", where, fmt::join(e.shape, ", "));
  GRAFT_CHECK(bytes == e.bytes, "{} takes {} bytes in the file, its shape needs {}", where, e.bytes, bytes);
}

}  // namespace

void check_index(const Index& index, uint64_t file_bytes, const std::string& file) {
  check_attributes(index.attributes, file);
  const IndexEntry* before = nullptr;
  std::vector<const IndexEntry*> placed;
  for (const IndexEntry& e : index.entries) {
    GRAFT_CHECK(is_path(e.path), "{}: '{}' is not the name of a data set", file, plain(e.path));
    GRAFT_CHECK(!before || before->path < e.path, "{}: {} is there twice", file, e.path);
    before = &e;
    const std::string where = file + ": " + e.path;
    check_attributes(e.attributes, where);
    check_size(e, where);
    if (e.bytes == 0) continue;
    GRAFT_CHECK(e.offset > 0 && e.offset <= file_bytes && e.bytes <= file_bytes - e.offset,
                "{} would lie at bytes {} to {} + {}, the file has {}; it is cut short or damaged", where, e.offset,
                e.offset, e.bytes, file_bytes);
    placed.push_back(&e);
  }
  std::sort(placed.begin(), placed.end(), [](auto* a, auto* b) { return a->offset < b->offset; });
  for (size_t i = 1; i < placed.size(); ++i)
    GRAFT_CHECK(placed[i - 1]->offset + placed[i - 1]->bytes <= placed[i]->offset, "{}: {} and {} overlap", file,
                placed[i - 1]->path, placed[i]->path);
}

Index decode_answer(std::string_view answer, uint64_t file_bytes, const std::string& file) {
  Reader header(answer.substr(0, kIndexHeaderBytes), file);
  header.require(answer.size() >= kIndexHeaderBytes && answer.starts_with(kIndexMagic));
  header.number<uint64_t>();  // the magic
  const auto kind = header.number<uint32_t>();
  const auto bytes = header.number<uint64_t>(), sum = header.number<uint64_t>();
  const auto body = answer.substr(kIndexHeaderBytes);
  header.require(bytes == body.size() && sum == xxh3(body));
  GRAFT_CHECK(kind != static_cast<uint32_t>(IndexFrame::refusal), "{}: {}", file, plain(body));
  header.require(kind == static_cast<uint32_t>(IndexFrame::index));
  Reader in(body, file);
  Index index = read_index(in);
  check_index(index, file_bytes, file);
  return index;
}

}  // namespace graft::io
