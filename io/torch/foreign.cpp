#include "io/torch/foreign.h"

#include <algorithm>
#include <cctype>
#include <string>
#include <string_view>

#include "core/error.h"
#include "io/torch/byte_stream.h"

namespace graft::io::torch {

namespace {

using namespace std::string_view_literals;

struct Signature {
  size_t offset;
  std::string_view bytes;
  const char* what;  // "FILE is not a PyTorch file: it <what>"
};

constexpr Signature kSignatures[] = {
    {0, "version https://git-lfs"sv,
     "is a git-lfs pointer, which stands for the file; fetch the file itself: git lfs pull"},
    {0, "\x89HDF\r\n\x1a\n"sv, "is an HDF5 file; if graft wrote it, it needs no conversion"},
    {257, "ustar"sv,
     "is a tar archive, perhaps of PyTorch before 0.2 (load it in an old PyTorch and save it again) or of several "
     "files "
     "(unpack it)"},
    {0, "\x1f\x8b"sv, "is compressed with gzip; unpack it: gunzip, or tar xzf for a .tar.gz"},
    {0, "BZh"sv, "is compressed with bzip2; unpack it: bunzip2"},
    {0,
     "\xfd"
     "7zXZ"sv,
     "is compressed with xz; unpack it: unxz"},
    {0, "\x28\xb5\x2f\xfd"sv, "is compressed with zstd; unpack it: unzstd"},
    {0, "\x93NUMPY"sv, "is a NumPy array without names"},
    {0, "GGUF"sv, "is a GGUF file (of language models)"},
    {0, "\x89PNG"sv, "is a PNG image"},
    {0, "\xff\xd8\xff"sv, "is a JPEG image"},
    {4, "TFL3"sv, "is a TensorFlow Lite model"},
};

// The header of a safetensors file is JSON, after its length.
bool is_safetensors(const std::string& head, int64_t size) {
  if (head.size() < 9 || head[8] != '{') return false;
  uint64_t header = 0;
  for (int i = 7; i >= 0; --i) header = header << 8 | static_cast<uint8_t>(head[static_cast<size_t>(i)]);
  return header <= static_cast<uint64_t>(size - 8);
}

bool is_web_page(std::string head) {
  std::transform(head.begin(), head.end(), head.begin(), [](unsigned char c) { return std::tolower(c); });
  const auto begin = head.find_first_not_of(" \t\r\n\xef\xbb\xbf");
  return begin != std::string::npos &&
         (head.compare(begin, 9, "<!doctype") == 0 || head.compare(begin, 5, "<html") == 0);
}

}  // namespace

void explain_foreign_file(const File& file) {
  constexpr int64_t kHeadBytes = 512;
  GRAFT_CHECK(file.size() > 0, "{} is empty; download or copy it again", file.name());
  ByteStream in(file, 0, file.size());
  const std::string head = in.take(static_cast<uint64_t>(std::min(file.size(), kHeadBytes)));

  for (const Signature& s : kSignatures)
    GRAFT_CHECK(head.size() < s.offset + s.bytes.size() || head.compare(s.offset, s.bytes.size(), s.bytes) != 0,
                "{} is not a PyTorch file: it {}", file.name(), s.what);
  GRAFT_CHECK(!is_web_page(head),
              "{} is not a PyTorch file: it is a web page, perhaps one that says why a download failed; open it in a "
              "browser, and download the file itself (on GitHub: the \"raw\" link)",
              file.name());
  GRAFT_CHECK(!is_safetensors(head, file.size()),
              "{} is not a PyTorch file: it is a safetensors file; in Python: "
              "torch.save(safetensors.torch.load_file(\"{}\"), \"weights.pth\")",
              file.name(), file.path().filename().string());
  fail("{} is not a PyTorch file (it begins with {}); graft reads what torch.save(model.state_dict(), …) writes",
       file.name(), printable(head.substr(0, 16)));
}

}  // namespace graft::io::torch
