// Files that are something else: the error says what, and what to do.
#include "tests/io/torch/bytes.h"

using namespace graft;
using namespace graft::test;

TEST_CASE("a file that is something else is named") {
  const auto [bytes, message] = GENERATE(table<std::string, std::string>({
      {"", "is empty"},
      {"<!DOCTYPE html><title>404</title>", "a web page"},
      {"\n  <HTML>", "a web page"},
      {"version https://git-lfs.github.com/spec/v1\noid sha256:00\n", "git lfs pull"},
      {little(20, 8) + R"({"w":{"dtype":"F32"}})", "a safetensors file"},
      {"\x89HDF\r\n\x1a\n", "an HDF5 file"},
      {std::string(257, 'x') + "ustar" + std::string(300, '\0'), "a tar archive"},
      {"\x1f\x8b\x08", "gunzip"},
      {"\x93NUMPY", "a NumPy array"},
      {"hello\x1bthere", "it begins with hello?there"},
      {"PK\x03\x04 and then nothing", "is cut short"},
      {"\x80\x04N.", "not one that torch.save wrote"},
      {zip_file({{.name = "word/document.xml"}}), "it has no data.pkl (its first entry is word/document.xml)"},
      {zip_file({}), "its first entry is missing"},
      {zip_file({{.name = "m/data.pkl", .data = pickle("}")}, {.name = "m/code/__torch__.py"}}),
       "a TorchScript program"},
      {zip_file({{.name = "m/data.pkl", .data = pickle("}")}, {.name = "m/byteorder", .data = "big"}}), "big-endian"},
  }));
  const TempFile file(bytes);
  CHECK_THAT(error_of(file.path()), Catch::StartsWith(file.path().string()) && Catch::Contains(message));
}
