// Frame: "GRAFTIX1", u32 kind (0 index, 1 refusal), u64 bytes of the body, u64 XXH3 of the body, body. Little-endian.
// index_decode.cpp is the other side; the helper links only this one.
#include <bit>
#include <cstring>

#include "io/hdf5/index.h"
#include "io/hdf5/index_frame.h"
#include "io/xxh3.h"

namespace graft::io {
namespace {

static_assert(std::endian::native == std::endian::little, "the frame is written as memory has it");

template <typename T>
void put(std::string& out, T value) {
  out.append(reinterpret_cast<const char*>(&value), sizeof value);
}

void put_text(std::string& out, std::string_view text) {
  put(out, static_cast<uint32_t>(text.size()));
  out.append(text);
}

void put_attributes(std::string& out, const std::vector<IndexAttribute>& attributes) {
  put(out, static_cast<uint32_t>(attributes.size()));
  for (const IndexAttribute& a : attributes) {
    put_text(out, a.name);
    put(out, static_cast<uint8_t>(a.value.index()));
    if (const auto* text = std::get_if<std::string>(&a.value)) put_text(out, *text);
    if (const auto* number = std::get_if<uint64_t>(&a.value)) put(out, *number);
  }
}

std::string frame(IndexFrame kind, const std::string& body) {
  std::string out(kIndexMagic);
  put(out, static_cast<uint32_t>(kind));
  put(out, static_cast<uint64_t>(body.size()));
  put(out, xxh3(body));
  return out += body;
}

}  // namespace

std::string encode_index(const Index& index) {
  std::string body;
  put_attributes(body, index.attributes);
  put(body, static_cast<uint32_t>(index.entries.size()));
  for (const IndexEntry& e : index.entries) {
    put_text(body, e.path);
    put(body, static_cast<uint8_t>(e.dtype));
    put(body, e.text_bytes);
    put(body, static_cast<uint8_t>(e.shape.size()));
    for (int64_t extent : e.shape) put(body, extent);
    put(body, e.offset);
    put(body, e.bytes);
    put_attributes(body, e.attributes);
  }
  return frame(IndexFrame::index, body);
}

std::string encode_refusal(std::string_view reason) {
  return frame(IndexFrame::refusal, std::string(reason.substr(0, kMaxReasonBytes)));
}

}  // namespace graft::io
