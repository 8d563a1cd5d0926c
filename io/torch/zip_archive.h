// Where the entries of a zip archive lie. Only stored entries can be read, as torch.save writes them: then an entry is
// a range of the file, nothing is ever unpacked, and a zip bomb has nothing to go off with.
//
// The format: PKWARE's APPNOTE.TXT, sections 4.3 and 4.5.3 (zip64).
#pragma once
#include <cstdint>
#include <string>
#include <unordered_map>
#include <vector>

#include "io/file.h"

namespace graft::io::torch {

// Bytes [offset, offset + bytes) of the file, and their CRC-32; 0: none was stored (torch can be told to leave it out).
struct Extent {
  int64_t offset = 0, bytes = 0;
  uint32_t crc = 0;
};

class ZipArchive {
 public:
  // Reads the central directory of `file`, which must outlive this. Throws Error when it is damaged.
  explicit ZipArchive(const File& file);

  const std::vector<std::string>& names() const { return names_; }  // in the directory's order
  bool contains(const std::string& name) const { return entries_.contains(name); }

  // Throws Error when there is no such entry, when it is compressed or encrypted, or does not lie inside the file.
  Extent find(const std::string& name) const;

 private:
  struct Entry {
    uint64_t stored = 0, size = 0, header = 0;  // bytes in the file, bytes unpacked, offset of the local header
    uint32_t crc = 0;
    uint16_t flags = 0, method = 0;
  };

  const File& file_;
  std::vector<std::string> names_;
  std::unordered_map<std::string, Entry> entries_;
  int64_t directory_ = 0;  // where it begins: entries lie before it
};

// Throws Error when the bytes of `extent` do not have its CRC-32.
void check_crc(const File& file, const Extent& extent, const std::string& what);

}  // namespace graft::io::torch
