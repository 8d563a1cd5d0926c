#include "io/torch/torch_file.h"

#include <algorithm>
#include <mutex>
#include <unordered_map>

#include "core/error.h"
#include "io/file.h"
#include "io/torch/byte_stream.h"
#include "io/torch/container.h"
#include "io/torch/foreign.h"
#include "io/torch/state_dict.h"
#include "io/torch/strided.h"

namespace graft::io {

namespace {

using namespace torch;

// Views can make much of little: a million elements that are one. More of them than this, over all tensors, is taken
// for an attack; tied weights of 16 layers in f32 still pass.
int64_t most_elements(const File& file) { return 4 * file.size() + (int64_t{1} << 20); }

Container read_container(const File& file) {
  ByteStream head(file, 0, file.size());
  const std::string start = head.take(static_cast<uint64_t>(std::min<int64_t>(file.size(), 4)));
  if (start == "PK\x03\x04" || start == "PK\x05\x06") return read_zip_container(file);
  if (start.size() >= 2 && start[0] == '\x80' && start[1] >= 2 && start[1] <= 5) return read_legacy_container(file);
  explain_foreign_file(file);
}

class TorchFile final : public WeightsReader {
 public:
  explicit TorchFile(const std::filesystem::path& path) : file_(File::open(path)) {
    const Container container = read_container(file_);
    int64_t elements = 0;
    for (const NamedTensor& named : find_state_dict(container.values, container.object, file_.name())) {
      const TensorRef& view = *named.tensor;
      GRAFT_CHECK(view.numel <= most_elements(file_) - elements,
                  "{} is damaged: its {} bytes would be tensors of more than {} elements", file_.name(), file_.size(),
                  most_elements(file_));
      elements += view.numel;

      const StorageRef& ref = container.values.storages[static_cast<size_t>(view.storage)];
      const Extent& extent = container.storages.at(ref.key);
      auto& storage = storages_[ref.key];
      if (!storage) storage = std::make_unique<Storage>(extent);
      tensors_.push_back({.name = named.name, .dtype = dtype_of_element(view.type), .shape = view.shape});
      places_.push_back({view, extent.offset + ref.first * size_of(ref.type), storage.get()});
    }
  }

  const std::vector<TensorEntry>& tensors() const override { return tensors_; }

  void read(size_t index, int64_t first, int64_t count, float* out) const override {
    GRAFT_CHECK(index < tensors_.size(), "{} has {} tensors; tensor {} is asked for", file_.name(), tensors_.size(),
                index);
    const Place& place = places_[index];
    GRAFT_CHECK(first >= 0 && count >= 0 && count <= place.view.numel && first <= place.view.numel - count,
                "{}: {} has {} elements; {} from {} on are asked for", file_.name(), printable(tensors_[index].name),
                place.view.numel, count, first);
    Storage& storage = *place.storage;
    std::call_once(storage.checked, [&] { check_crc(file_, storage.extent, tensors_[index].name); });
    const auto fetch = [&](int64_t begin, int64_t n, float* to) { fetch_range(place, begin, n, to); };
    read_strided(place.view, first, count, fetch, out);
  }

 private:
  struct Storage {
    explicit Storage(const Extent& e) : extent(e) {}
    Extent extent;
    std::once_flag checked;
  };

  struct Place {
    TensorRef view;
    int64_t begin = 0;  // of its storage, in the file
    Storage* storage = nullptr;
  };

  void fetch_range(const Place& place, int64_t first, int64_t count, float* out) const {
    constexpr int64_t kChunkBytes = int64_t{1} << 17;  // stays in L2 between the read and the conversion
    const int64_t size = size_of(place.view.type), chunk = std::min(count, kChunkBytes / size);
    std::vector<std::byte> raw(static_cast<size_t>(chunk * size));
    for (int64_t done = 0; done < count; done += chunk) {
      const int64_t part = std::min(chunk, count - done);
      file_.read_at(place.begin + (first + done) * size, std::span(raw).first(static_cast<size_t>(part * size)));
      convert_to_f32(place.view.type, raw.data(), part, out + done);
    }
  }

  File file_;
  std::vector<TensorEntry> tensors_;
  std::vector<Place> places_;  // of tensors_
  std::unordered_map<std::string, std::unique_ptr<Storage>> storages_;
};

}  // namespace

std::unique_ptr<WeightsReader> open_torch_file(const std::filesystem::path& path) {
  return std::make_unique<TorchFile>(path);
}

}  // namespace graft::io
