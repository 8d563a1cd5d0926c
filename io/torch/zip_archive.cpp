#include "io/torch/zip_archive.h"

#include <zlib.h>

#include <algorithm>
#include <span>

#include "core/error.h"
#include "io/torch/byte_stream.h"

namespace graft::io::torch {

namespace {

constexpr uint32_t kLocalHeader = 0x04034b50, kDirectoryEntry = 0x02014b50, kEndOfDirectory = 0x06054b50,
                   kZip64End = 0x06064b50, kZip64Locator = 0x07064b50;
constexpr int64_t kEndBytes = 22, kZip64EndBytes = 56, kZip64LocatorBytes = 20, kDirectoryEntryBytes = 46,
                  kLocalHeaderBytes = 30, kMaxComment = 0xffff;
constexpr uint64_t kMaxDirectory = uint64_t{64} << 20;  // some 600,000 entries
constexpr uint32_t kInZip64 = 0xffffffff;               // the value is in the zip64 record

struct Directory {
  uint64_t offset = 0, bytes = 0, entries = 0;
  int64_t end = 0;  // of the space it may lie in
};

// The end record stands last, followed by a comment that is nearly always empty.
int64_t find_end_record(const File& file) {
  const int64_t tail = std::min(file.size(), kEndBytes + kMaxComment);
  std::vector<std::byte> bytes(static_cast<size_t>(tail));
  file.read_at(file.size() - tail, bytes);
  const auto u8 = [&](int64_t at) { return static_cast<uint32_t>(bytes[static_cast<size_t>(at)]); };
  for (int64_t at = tail - kEndBytes; at >= 0; --at) {
    const uint32_t signature = u8(at) | u8(at + 1) << 8 | u8(at + 2) << 16 | u8(at + 3) << 24;
    const int64_t comment = u8(at + 20) | u8(at + 21) << 8;
    if (signature == kEndOfDirectory && at + kEndBytes + comment == tail) return file.size() - tail + at;
  }
  fail(
      "{} is cut short: it begins like a PyTorch file (a zip archive) and has no directory at its end; "
      "download or copy it again",
      file.name());
}

// Fills in what did not fit 32 bits.
void read_zip64(const File& file, int64_t end, Directory& directory) {
  if (end < kZip64LocatorBytes) return;
  ByteStream locator(file, end - kZip64LocatorBytes, end);
  if (locator.take_unsigned(4) != kZip64Locator) return;
  locator.skip(4);  // number of the disk
  const uint64_t at = locator.take_unsigned(8);
  directory.end = end - kZip64LocatorBytes;
  if (at > static_cast<uint64_t>(directory.end)) locator.damaged("its zip64 directory would lie at {}", at);

  ByteStream record(file, static_cast<int64_t>(at), directory.end);
  if (record.remaining() < kZip64EndBytes || record.take_unsigned(4) != kZip64End)
    record.damaged("it has no zip64 directory at {}", at);
  record.skip(8 + 2 + 2 + 4 + 4 + 8);  // size, versions, disks, entries on this disk
  directory.entries = record.take_unsigned(8);
  directory.bytes = record.take_unsigned(8);
  directory.offset = record.take_unsigned(8);
  directory.end = static_cast<int64_t>(at);
}

Directory find_directory(const File& file) {
  Directory directory;
  directory.end = find_end_record(file);
  ByteStream record(file, directory.end, file.size());
  record.skip(4 + 2 + 2 + 2);  // signature, disks, entries on this disk
  directory.entries = record.take_unsigned(2);
  directory.bytes = record.take_unsigned(4);
  directory.offset = record.take_unsigned(4);
  read_zip64(file, directory.end, directory);

  const auto end = static_cast<uint64_t>(directory.end);
  if (directory.bytes > end || directory.offset > end - directory.bytes)
    record.damaged("its directory of {} bytes would lie at {}", directory.bytes, directory.offset);
  if (directory.bytes > kMaxDirectory) record.damaged("its directory takes {} bytes", directory.bytes);
  if (directory.entries > directory.bytes / kDirectoryEntryBytes)
    record.damaged("its directory of {} bytes would have {} entries", directory.bytes, directory.entries);
  return directory;
}

}  // namespace

ZipArchive::ZipArchive(const File& file) : file_(file) {
  const Directory directory = find_directory(file);
  directory_ = static_cast<int64_t>(directory.offset);
  ByteStream in(file, directory_, directory_ + static_cast<int64_t>(directory.bytes));
  for (uint64_t i = 0; i < directory.entries; ++i) {
    if (in.take_unsigned(4) != kDirectoryEntry) in.damaged("entry {} of its directory is none", i);
    Entry entry;
    in.skip(2 + 2);  // versions
    entry.flags = static_cast<uint16_t>(in.take_unsigned(2));
    entry.method = static_cast<uint16_t>(in.take_unsigned(2));
    in.skip(2 + 2);  // time and date
    entry.crc = static_cast<uint32_t>(in.take_unsigned(4));
    entry.stored = in.take_unsigned(4);
    entry.size = in.take_unsigned(4);
    const uint64_t name_bytes = in.take_unsigned(2), extra_bytes = in.take_unsigned(2), comment = in.take_unsigned(2);
    in.skip(2 + 2 + 4);  // disk, attributes
    entry.header = in.take_unsigned(4);
    std::string name = in.take(name_bytes);

    const int64_t extra_end = in.position() + static_cast<int64_t>(std::min<uint64_t>(extra_bytes, in.remaining()));
    ByteStream extra(file, in.position(), extra_end);
    in.skip(extra_bytes + comment);
    while (extra.remaining() >= 4) {
      const uint64_t id = extra.take_unsigned(2), bytes = extra.take_unsigned(2);
      if (id != 1) {
        extra.skip(bytes);
        continue;
      }
      // Zip64: the values that did not fit, in this order.
      for (uint64_t* value : {&entry.size, &entry.stored, &entry.header})
        if (*value == kInZip64) *value = extra.take_unsigned(8);
      break;
    }
    if (!entries_.emplace(name, entry).second) in.damaged("it has two entries {}", printable(name));
    names_.push_back(std::move(name));
  }
}

Extent ZipArchive::find(const std::string& name) const {
  const auto found = entries_.find(name);
  GRAFT_CHECK(found != entries_.end(), "{} is damaged: it has no entry {}", file_.name(), printable(name));
  const Entry& entry = found->second;
  GRAFT_CHECK((entry.flags & 1) == 0, "{}: its entry {} is encrypted; graft cannot read it", file_.name(),
              printable(name));
  GRAFT_CHECK(entry.method == 0 && entry.stored == entry.size,
              "{}: its entry {} is compressed ({} bytes for {}), and torch.save compresses nothing; load the file in "
              "Python and save it again with torch.save",
              file_.name(), printable(name), entry.stored, entry.size);

  const auto end = static_cast<uint64_t>(directory_);
  GRAFT_CHECK(entry.header <= end, "{} is damaged: its entry {} would lie at {}", file_.name(), printable(name),
              entry.header);
  ByteStream local(file_, static_cast<int64_t>(entry.header), directory_);
  if (local.remaining() < kLocalHeaderBytes || local.take_unsigned(4) != kLocalHeader)
    local.damaged("its entry {} is not where the directory says", printable(name));
  local.skip(22);  // what the directory says again, or zeros
  const uint64_t name_bytes = local.take_unsigned(2), extra_bytes = local.take_unsigned(2);
  if (name_bytes != name.size() || local.take(name_bytes) != name)
    local.damaged("where its entry {} should be is another one", printable(name));
  local.skip(extra_bytes);
  if (entry.size > static_cast<uint64_t>(local.remaining()))
    local.damaged("its entry {} of {} bytes would not fit", printable(name), entry.size);
  return {.offset = local.position(), .bytes = static_cast<int64_t>(entry.size), .crc = entry.crc};
}

void check_crc(const File& file, const Extent& extent, const std::string& what) {
  if (extent.crc == 0) return;
  std::vector<std::byte> buffer(static_cast<size_t>(std::min<int64_t>(extent.bytes, 1 << 18)));
  uLong crc = crc32(0, nullptr, 0);
  for (int64_t done = 0; done < extent.bytes;) {
    const auto part = std::min<int64_t>(extent.bytes - done, static_cast<int64_t>(buffer.size()));
    file.read_at(extent.offset + done, std::span(buffer).first(static_cast<size_t>(part)));
    crc = crc32(crc, reinterpret_cast<const Bytef*>(buffer.data()), static_cast<uInt>(part));
    done += part;
  }
  GRAFT_CHECK(crc == extent.crc, "{} is damaged: the checksum of {} does not match; download or copy it again",
              file.name(), printable(what));
}

}  // namespace graft::io::torch
