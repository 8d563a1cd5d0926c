#include "io/hdf5/graft_file.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>

#include "core/error.h"
#include "io/hdf5/graft_file_format.h"
#include "io/hdf5/guarded_index.h"
#include "io/hdf5/indexer.h"
#include "io/text.h"
#include "io/torch/element_type.h"
#include "io/xxh3.h"

namespace graft::io {
namespace {

static_assert(std::endian::native == std::endian::little, "elements are read as memory has them");

Index open_index(const File& file, Trust trust) {
  if (trust == Trust::guarded) return guarded_index(file);
  Index index;
  try {
    index = index_hdf5(file.descriptor());
  } catch (const Error& error) {
    fail("{}: {}", file.name(), error.what());
  }
  file.check_unchanged();
  check_index(index, static_cast<uint64_t>(file.size()), file.name());
  return index;
}

void convert(DType dtype, std::span<const std::byte> in, float* out) {
  using torch::ElementType;
  constexpr ElementType kTypes[kDTypeCount] = {ElementType::unsupported, ElementType::f64, ElementType::f32,
                                               ElementType::bf16,        ElementType::f16, ElementType::i64,
                                               ElementType::u8};
  torch::convert_to_f32(kTypes[static_cast<size_t>(dtype)], in.data(), static_cast<int64_t>(in.size() / size_of(dtype)),
                        out);
}

// The likeliest mistake has a remedy: weights as PyTorch saves them, a zip archive or a pickle of protocol 2 to 5.
void check_not_torch(const File& file, const std::filesystem::path& path) {
  std::array<char, 4> start{};
  file.read_at(0, std::as_writable_bytes(std::span(start))
                      .first(static_cast<size_t>(std::min<int64_t>(file.size(), int64_t{start.size()}))));
  const bool zip = std::string_view(start.data(), 4) == std::string_view("PK\x03\x04", 4);
  const bool pickle = start[0] == '\x80' && start[1] >= 2 && start[1] <= 5;
  if (!zip && !pickle) return;
  auto converted = path.filename();
  fail("{} is a PyTorch file ({}); make a model file of it first: graft convert {} -o {}", file.name(),
       zip ? "a zip archive" : "a pickle", file.name(), printable(converted.replace_extension(".h5")));
}

// More than the text of any network: what a reader of texts takes into memory at once.
constexpr uint64_t kMaxTextBytes = uint64_t{64} << 20;

std::string unpadded(std::string_view text) { return std::string(text.substr(0, text.find('\0'))); }

}  // namespace

struct GraftFile::ReadState {
  std::mutex mutex;
  std::optional<Xxh3> sum;  // of the elements before `next`, while ranges follow one another
  int64_t next = 0;
  std::vector<uint64_t> sums;  // of each kChunkBytes; empty: not known yet
};

GraftFile::GraftFile(const std::filesystem::path& path, Trust trust)
    : file_(File::open(path)), index_((check_not_torch(file_, path), open_index(file_, trust))) {
  const auto* version = find_attribute<uint64_t>(index_.attributes, kFormatVersionAttribute);
  GRAFT_CHECK(version, "{} is HDF5, but not a file that graft wrote; `graft convert` makes one from weights",
              file_.name());
  GRAFT_CHECK(*version == kFormatVersion, "{} has format {}, this graft reads format {}", file_.name(), *version,
              kFormatVersion);
  for (const IndexEntry& e : index_.entries)
    GRAFT_CHECK(find_attribute<uint64_t>(e.attributes, kSumAttribute), "{}: {} has no sum; convert the weights again",
                file_.name(), e.path);
  add_tensors(kParametersGroup);
  parameter_count_ = tensors_.size();
  add_tensors(kBuffersGroup);
  states_ = std::make_unique<ReadState[]>(tensors_.size());
}

GraftFile::~GraftFile() = default;

void GraftFile::add_tensors(const char* group) {
  const std::string prefix = fmt::format("/{}/", group);
  for (const IndexEntry& e : index_.entries) {
    if (!e.path.starts_with(prefix)) continue;
    GRAFT_CHECK(e.dtype != DType::none, "{}: {} is a text where a tensor belongs", file_.name(), e.path);
    tensors_.push_back({e.path.substr(prefix.size()), e.dtype, e.shape});
    entries_.push_back(&e);
  }
}

const std::string& GraftFile::axes(size_t index) const {
  static const std::string kNone;
  const auto* axes = find_attribute<std::string>(entries_.at(index)->attributes, kAxesAttribute);
  return axes ? *axes : kNone;
}

void GraftFile::fail_damaged(const IndexEntry& entry) const {
  fail("{} is damaged: the sum of {} is wrong; convert or train it again", file_.name(), entry.path.substr(1));
}

// Every byte passes `use` once, in order; then the sum is compared.
void GraftFile::read_checked(const IndexEntry& entry, const std::function<void(std::span<const std::byte>)>& use,
                             size_t chunk_bytes) const {
  std::vector<std::byte> buffer(std::min<uint64_t>(chunk_bytes, entry.bytes));
  Xxh3 sum;
  for (uint64_t done = 0; done < entry.bytes;) {
    const auto chunk = std::span(buffer).first(std::min<uint64_t>(chunk_bytes, entry.bytes - done));
    file_.read_at(static_cast<int64_t>(entry.offset + done), chunk);
    sum.update(chunk);
    use(chunk);
    done += chunk.size();
  }
  if (sum.digest() != *find_attribute<uint64_t>(entry.attributes, kSumAttribute)) fail_damaged(entry);
}

void GraftFile::stream(size_t index, int64_t chunk_rows, const UseRows& use) const {
  const IndexEntry& entry = *entries_.at(index);
  const int64_t rows = entry.shape.empty() ? 1 : entry.shape[0];
  const auto element = static_cast<int64_t>(size_of(entry.dtype));
  const int64_t row = rows == 0 ? 0 : static_cast<int64_t>(entry.bytes) / rows / element;  // in elements
  if (row == 0) return;                                                                    // nothing to hand out
  if (chunk_rows <= 0) chunk_rows = kChunkBytes / (row * element);
  chunk_rows = std::clamp<int64_t>(chunk_rows, 1, rows);
  std::vector<float> converted(entry.dtype == DType::f32 ? 0 : static_cast<size_t>(chunk_rows * row));
  int64_t first = 0;
  const auto use_chunk = [&](std::span<const std::byte> chunk) {
    const auto n = static_cast<int64_t>(chunk.size()) / (row * element);
    const float* elements = converted.data();
    if (entry.dtype == DType::f32)
      elements = reinterpret_cast<const float*>(chunk.data());  // a vector's memory: aligned
    else
      convert(entry.dtype, chunk, converted.data());
    use(first, n, {elements, static_cast<size_t>(n * row)});
    first += n;
  };
  read_checked(entry, use_chunk, static_cast<size_t>(chunk_rows * row * element));
}

const std::vector<uint64_t>& GraftFile::chunk_sums(size_t index) const {
  ReadState& known = states_[index];
  const std::lock_guard lock(known.mutex);
  if (known.sums.empty()) {
    std::vector<uint64_t> sums;
    read_checked(
        *entries_[index], [&](std::span<const std::byte> chunk) { sums.push_back(xxh3(chunk)); }, kChunkBytes);
    known.sums = std::move(sums);
  }
  return known.sums;
}

// False: the range does not follow the one before.
bool GraftFile::read_in_order(size_t index, int64_t first, int64_t count, float* out) const {
  const IndexEntry& entry = *entries_[index];
  ReadState& state = states_[index];
  const std::lock_guard lock(state.mutex);
  if (first == 0) {
    state.sum.emplace();
    state.next = 0;
  }
  if (!state.sum || first != state.next) return false;
  const auto element = static_cast<int64_t>(size_of(entry.dtype));
  const int64_t per_chunk = kChunkBytes / element;
  std::vector<std::byte> buffer(entry.dtype == DType::f32 ? 0
                                                          : static_cast<size_t>(std::min(per_chunk, count) * element));
  for (int64_t done = 0; done < count; done += per_chunk) {
    const auto n = static_cast<size_t>(std::min(per_chunk, count - done));
    const auto bytes = entry.dtype == DType::f32 ? std::as_writable_bytes(std::span(out + done, n))
                                                 : std::span(buffer).first(n * static_cast<size_t>(element));
    file_.read_at(static_cast<int64_t>(entry.offset) + (first + done) * element, bytes);
    state.sum->update(bytes);
    if (entry.dtype != DType::f32) convert(entry.dtype, bytes, out + done);
  }
  state.next = first + count;
  if (state.next < tensors_[index].numel()) return true;
  const bool right = state.sum->digest() == *find_attribute<uint64_t>(entry.attributes, kSumAttribute);
  state.sum.reset();
  if (!right) fail_damaged(entry);
  return true;
}

void GraftFile::read(size_t index, int64_t first, int64_t count, float* out) const {
  const IndexEntry& entry = *entries_.at(index);
  const int64_t numel = tensors_[index].numel();
  GRAFT_CHECK(first >= 0 && count >= 0 && first <= numel && count <= numel - first,
              "{}: elements {} to {} + {} are asked of {}, which has {}", file_.name(), first, first, count,
              tensors_[index].name, numel);
  if (count == 0 || read_in_order(index, first, count, out)) return;
  const auto& sums = chunk_sums(index);
  const auto element = static_cast<int64_t>(size_of(entry.dtype));
  const int64_t begin = first * element, end = begin + count * element;
  std::vector<std::byte> buffer(std::min<uint64_t>(kChunkBytes, entry.bytes));
  for (int64_t chunk = begin / kChunkBytes; chunk * kChunkBytes < end; ++chunk) {
    const int64_t at = chunk * kChunkBytes;
    const auto bytes =
        std::span(buffer).first(static_cast<size_t>(std::min(kChunkBytes, static_cast<int64_t>(entry.bytes) - at)));
    file_.read_at(static_cast<int64_t>(entry.offset) + at, bytes);
    if (xxh3(bytes) != sums[static_cast<size_t>(chunk)]) fail_damaged(entry);
    const int64_t from = std::max(begin, at), to = std::min(end, at + static_cast<int64_t>(bytes.size()));
    convert(entry.dtype, bytes.subspan(static_cast<size_t>(from - at), static_cast<size_t>(to - from)),
            out + (from - begin) / element);
  }
}

const IndexEntry* GraftFile::find(std::string_view path) const {
  const auto at =
      std::lower_bound(index_.entries.begin(), index_.entries.end(), path,
                       [](const IndexEntry& e, std::string_view p) { return std::string_view(e.path).substr(1) < p; });
  return at != index_.entries.end() && std::string_view(at->path).substr(1) == path ? &*at : nullptr;
}

std::vector<std::byte> GraftFile::read_whole(const IndexEntry& entry) const {
  std::vector<std::byte> all(entry.bytes);  // which the file has: check_index
  auto* at = all.data();
  const auto append = [&](std::span<const std::byte> chunk) { at = std::copy(chunk.begin(), chunk.end(), at); };
  read_checked(entry, append, kChunkBytes);
  return all;
}

std::optional<std::string> GraftFile::attribute(std::string_view name) const {
  const auto* text = find_attribute<std::string>(index_.attributes, name);
  return text ? std::optional(*text) : std::nullopt;
}

std::optional<std::string> GraftFile::text(std::string_view path) const {
  const IndexEntry* entry = find(path);
  if (!entry) return std::nullopt;
  GRAFT_CHECK(entry->text_bytes > 0 && entry->shape.empty() && entry->bytes <= kMaxTextBytes,
              "{}: {} is not a text of at most {} MB", file_.name(), path, kMaxTextBytes >> 20);
  const auto bytes = read_whole(*entry);
  return unpadded({reinterpret_cast<const char*>(bytes.data()), bytes.size()});
}

std::optional<std::vector<std::string>> GraftFile::strings(std::string_view path) const {
  const IndexEntry* entry = find(path);
  if (!entry) return std::nullopt;
  GRAFT_CHECK(entry->text_bytes > 0 && entry->shape.size() == 1 && entry->bytes <= kMaxTextBytes,
              "{}: {} is not a list of texts of at most {} MB", file_.name(), path, kMaxTextBytes >> 20);
  const auto bytes = read_whole(*entry);
  const std::string_view all(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  std::vector<std::string> texts;
  for (size_t at = 0; at < all.size(); at += entry->text_bytes)
    texts.push_back(unpadded(all.substr(at, entry->text_bytes)));
  return texts;
}

std::vector<std::string> GraftFile::list(std::string_view group) const {
  const std::string prefix = fmt::format("/{}/", group);
  std::vector<std::string> paths;
  for (const IndexEntry& e : index_.entries)
    if (e.path.starts_with(prefix)) paths.push_back(e.path.substr(1));
  return paths;
}

bool GraftFile::contains(std::string_view path) const { return find(path) != nullptr; }

StoredArray GraftFile::read_raw(std::string_view path) const {
  const IndexEntry* entry = find(path);
  GRAFT_CHECK(entry, "{} has no {}", file_.name(), path);
  GRAFT_CHECK(entry->dtype != DType::none, "{}: {} is a text, not an array", file_.name(), path);
  return {entry->dtype, entry->shape, read_whole(*entry)};
}

}  // namespace graft::io
