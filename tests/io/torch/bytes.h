// Files made byte by byte: pickles, the two containers around them, and a place for them on disk.
#pragma once
#include <sys/mman.h>
#include <unistd.h>
#include <zlib.h>

#include <catch2/catch.hpp>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <utility>
#include <vector>

#include "core/error.h"
#include "io/torch/torch_file.h"

namespace graft::test {

inline std::string little(uint64_t value, int bytes) {
  std::string out;
  for (int i = 0; i < bytes; ++i) out += static_cast<char>(i < 8 ? value >> (8 * i) : 0);
  return out;
}

// ---- pickles: each function gives opcodes that leave one value on the stack

inline std::string text(const std::string& s) { return "X" + little(s.size(), 4) + s; }
inline std::string integer(int64_t value) { return "\x8a\x08" + little(static_cast<uint64_t>(value), 8); }
inline std::string global(const std::string& module, const std::string& name) {
  return "c" + module + "\n" + name + "\n";
}
inline std::string tuple(const std::string& items) { return "(" + items + "t"; }
inline std::string integers(const std::vector<int64_t>& values) {
  std::string items;
  for (int64_t value : values) items += integer(value);
  return tuple(items);
}
inline std::string dict(const std::string& items) { return "}(" + items + "u"; }
inline std::string pickle(const std::string& value) { return "\x80\x02" + value + "."; }

inline std::string storage(int64_t numel, const std::string& view = "", const std::string& type = "FloatStorage",
                           const std::string& key = "0") {
  return tuple(text("storage") + global("torch", type) + text(key) + text("cpu") + integer(numel) + view) + "Q";
}
inline std::string tensor(const std::string& storage, int64_t offset, const std::vector<int64_t>& shape,
                          const std::vector<int64_t>& strides) {
  return global("torch._utils", "_rebuild_tensor_v2") +
         tuple(storage + integer(offset) + integers(shape) + integers(strides) + "\x89" +
               global("collections", "OrderedDict") + ")R") +
         "R";
}

// ---- containers

inline std::string floats(const std::vector<float>& values) {
  return {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(float)};
}

// `object`: opcodes of the object; when it refers to a storage, "0" follows with `numel` (as claimed) and `data`.
inline std::string legacy_file(const std::string& object, uint64_t numel, const std::string& data) {
  const std::string magic("\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.", 15);
  return magic + pickle(integer(1001)) + pickle(dict(text("little_endian") + "\x88")) + pickle(object) +
         (object.find(text("storage")) == std::string::npos ? pickle("]")
                                                            : pickle("](" + text("0") + "e") + little(numel, 8) + data);
}

struct ZipEntry {
  std::string name{}, data{};
  uint16_t method = 0, flags = 0;
  uint32_t claimed_size = 0;  // unpacked, when it is not data.size()
};

inline std::string zip_file(const std::vector<ZipEntry>& entries, bool zip64 = false) {
  std::string out, directory;
  for (const ZipEntry& e : entries) {
    const auto size = static_cast<uint32_t>(e.claimed_size ? e.claimed_size : e.data.size());
    const auto crc = static_cast<uint32_t>(
        crc32(0, reinterpret_cast<const Bytef*>(e.data.data()), static_cast<uInt>(e.data.size())));
    const std::string extra =
        zip64 ? little(1, 2) + little(24, 2) + little(size, 8) + little(e.data.size(), 8) + little(out.size(), 8) : "";
    directory += little(0x02014b50, 4) + little(0, 4) + little(e.flags, 2) + little(e.method, 2) + little(0, 4) +
                 little(crc, 4) + little(zip64 ? ~0u : static_cast<uint32_t>(e.data.size()), 4) +
                 little(zip64 ? ~0u : size, 4) + little(e.name.size(), 2) + little(extra.size(), 2) + little(0, 2) +
                 little(0, 8) + little(zip64 ? ~0u : out.size(), 4) + e.name + extra;
    out += little(0x04034b50, 4) + little(0, 22) + little(e.name.size(), 2) + little(0, 2) + e.name + e.data;
  }
  const uint64_t at = out.size(), count = entries.size();
  out += directory;
  if (zip64) {
    const uint64_t record = out.size();
    out += little(0x06064b50, 4) + little(44, 8) + little(0, 2 + 2 + 4 + 4) + little(count, 8) + little(count, 8) +
           little(directory.size(), 8) + little(at, 8);
    out += little(0x07064b50, 4) + little(0, 4) + little(record, 8) + little(1, 4);
  }
  return out + little(0x06054b50, 4) + little(0, 4) + little(zip64 ? 0xffff : count, 2) +
         little(zip64 ? 0xffff : count, 2) + little(zip64 ? ~0u : directory.size(), 4) + little(zip64 ? ~0u : at, 4) +
         little(0, 2);
}

inline std::string zip_weights(const std::string& object, const std::string& data, bool zip64 = false) {
  return zip_file({{.name = "a/data.pkl", .data = pickle(object)}, {.name = "a/data/0", .data = data}}, zip64);
}

// ---- on disk

class TempFile {
 public:
  explicit TempFile(const std::string& content = "", const std::string& name = "weights.pth") {
    std::string folder = (std::filesystem::temp_directory_path() / "graft-XXXXXX").string();
    REQUIRE(::mkdtemp(folder.data()));
    path_ = std::filesystem::path(folder) / name;
    write(content);
  }
  ~TempFile() { std::filesystem::remove_all(path_.parent_path()); }
  TempFile(const TempFile&) = delete;
  TempFile& operator=(const TempFile&) = delete;

  void write(const std::string& content) const {
    std::ofstream(path_, std::ios::binary).write(content.data(), static_cast<std::streamsize>(content.size()));
  }
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

// A file without a disk, for tests that write thousands.
class MemoryFile {
 public:
  explicit MemoryFile(const std::string& content = "") : descriptor_(::memfd_create("graft", MFD_CLOEXEC)) {
    REQUIRE(descriptor_ >= 0);
    write(content);
  }
  ~MemoryFile() { ::close(descriptor_); }
  MemoryFile(const MemoryFile&) = delete;
  MemoryFile& operator=(const MemoryFile&) = delete;

  void write(const std::string& content) const {
    REQUIRE(::ftruncate(descriptor_, 0) == 0);
    REQUIRE(::pwrite(descriptor_, content.data(), content.size(), 0) == static_cast<ssize_t>(content.size()));
  }
  std::filesystem::path path() const { return "/proc/self/fd/" + std::to_string(descriptor_); }

 private:
  int descriptor_;
};

inline std::string read_bytes(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  REQUIRE(in);
  return {std::istreambuf_iterator<char>(in), {}};
}

inline std::filesystem::path committed_file(const std::string& name) {
  return std::filesystem::path(GRAFT_SOURCE_DIR) / "tests/io/torch/files" / name;
}

inline std::vector<float> read_all(const io::WeightsReader& file, size_t index) {
  std::vector<float> out(static_cast<size_t>(file.tensors()[index].numel()));
  file.read(index, 0, static_cast<int64_t>(out.size()), out.data());
  return out;
}

inline std::vector<float> read_all(const io::WeightsReader& file, const std::string& name) {
  for (size_t i = 0; i < file.tensors().size(); ++i)
    if (file.tensors()[i].name == name) return read_all(file, i);
  FAIL("no tensor " << name);
  return {};
}

// The message of the Error that opening and reading `path` gives; "" when there is none.
inline std::string error_of(const std::filesystem::path& path) {
  try {
    const auto file = io::open_torch_file(path);
    for (size_t i = 0; i < file->tensors().size(); ++i) read_all(*file, i);
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}
inline std::string error_of_bytes(const std::string& bytes) { return error_of(MemoryFile(bytes).path()); }

}  // namespace graft::test
