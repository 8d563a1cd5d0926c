// The two decoders behind decode_image, and what they share. Pixels as stored: no orientation applied.
#pragma once
#include "io/image/image.h"

namespace graft::io {

Image decode_jpeg(std::span<const std::byte> bytes, const std::string& name, const DecodeLimits& limits);
Image decode_png(std::span<const std::byte> bytes, const std::string& name, const DecodeLimits& limits);

// Throws Error unless an image of this size may be allocated.
void check_image_size(int64_t width, int64_t height, const std::string& name, const DecodeLimits& limits);

[[noreturn]] void fail_truncated(const std::string& name);
[[noreturn]] void fail_damaged(const std::string& name, const char* format, const char* reason);

}  // namespace graft::io
