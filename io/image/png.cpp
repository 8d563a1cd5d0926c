// PNG by libpng: every colour type and bit depth, interlaced or not, reduced to 8-bit RGB over white.
//
// libpng reports errors by longjmp; see jpeg.cpp for the rule that keeps this safe. Only the chunks that make pixels
// are given to it: the compressed ones (iCCP, zTXt, iTXt), which can hold bombs, are skipped unread.
#include <png.h>

#include <cstdio>
#include <cstring>

#include "core/error.h"
#include "io/image/codecs.h"

namespace graft::io {
namespace {

class PngDecoder {
 public:
  PngDecoder(std::span<const std::byte> bytes, const std::string& name, const DecodeLimits& limits)
      : name_(name), limits_(limits), rest_(bytes) {}
  ~PngDecoder() { png_destroy_read_struct(&png_, &info_, nullptr); }
  PngDecoder(const PngDecoder&) = delete;
  PngDecoder& operator=(const PngDecoder&) = delete;

  Image decode() {
    png_ = png_create_read_struct(
        PNG_LIBPNG_VER_STRING, this,
        [](png_structp png, png_const_charp message) {
          auto& self = *static_cast<PngDecoder*>(png_get_error_ptr(png));
          std::snprintf(self.message_, sizeof self.message_, "%s", message);
          png_longjmp(png, 1);
        },
        [](png_structp, png_const_charp) {});
    info_ = png_ ? png_create_info_struct(png_) : nullptr;
    GRAFT_CHECK(info_, "{}: libpng cannot start: out of memory, or its version differs from the one built with", name_);

    check_claimed_size();
    guarded([&] { open(); });
    const int width = static_cast<int>(png_get_image_width(png_, info_));
    const int height = static_cast<int>(png_get_image_height(png_, info_));
    const size_t row_bytes = png_get_rowbytes(png_, info_);  // after the transformations: 3 or 4 bytes a pixel
    const bool alpha = png_get_channels(png_, info_) == 4;
    GRAFT_ASSERT(row_bytes == size_t{1} * width * (alpha ? 4 : 3));

    Image image{width, height, std::vector<uint8_t>(row_bytes * height)};
    uint8_t* pixels = image.rgb.data();
    guarded([&] {
      for (int pass = 0; pass < passes_; ++pass)  // an interlaced image is completed over seven passes
        for (int y = 0; y < height; ++y) png_read_row(png_, pixels + row_bytes * y, nullptr);
    });
    if (alpha) blend_over_white(image);
    return image;
  }

 private:
  // The first chunk is IHDR: length 13, "IHDR", width, height, … Looked at before libpng sizes anything by it.
  void check_claimed_size() const {
    if (rest_.size() < 8 + 8 + 13) fail_truncated(name_);
    const auto* header = reinterpret_cast<const uint8_t*>(rest_.data()) + 8;
    if (std::memcmp(header, "\0\0\0\x0DIHDR", 8) != 0) fail_damaged(name_, "PNG", "it does not begin with its header");
    check_image_size(png_get_uint_32(header + 8), png_get_uint_32(header + 12), name_, limits_);
  }

  void open() {
    png_set_user_limits(png_, static_cast<png_uint_32>(limits_.side), static_cast<png_uint_32>(limits_.side));
    png_set_chunk_malloc_max(png_, 1 << 20);
    png_set_keep_unknown_chunks(png_, PNG_HANDLE_CHUNK_NEVER, nullptr, -1);  // all that do not make pixels …
    png_byte transparency[] = {'t', 'R', 'N', 'S', 0};
    png_set_keep_unknown_chunks(png_, PNG_HANDLE_CHUNK_AS_DEFAULT, transparency, 1);  // … but this one
    png_set_read_fn(png_, this, [](png_structp png, png_bytep to, size_t count) {
      auto& self = *static_cast<PngDecoder*>(png_get_io_ptr(png));
      if (count > self.rest_.size()) {
        self.truncated_ = true;
        png_error(png, "truncated");
      }
      std::memcpy(to, self.rest_.data(), count);
      self.rest_ = self.rest_.subspan(count);
    });
    png_read_info(png_, info_);
    png_set_expand(png_);       // palette to RGB, gray of 1, 2, 4 bits to 8, tRNS to alpha
    png_set_strip_16(png_);     // the upper byte
    png_set_gray_to_rgb(png_);  // gray to three equal channels
    passes_ = png_set_interlace_handling(png_);
    png_read_update_info(png_, info_);
  }

  // Runs `step`, which calls libpng. It must not throw, nor hold what needs destroying: an error jumps out of it.
  template <typename Step>
  void guarded(const Step& step) {
    if (setjmp(png_jmpbuf(png_)) == 0) {
      step();
      return;
    }
    if (truncated_) fail_truncated(name_);
    fail_damaged(name_, "PNG", message_);
  }

  // R·α + 255·(1 − α), rounded; four bytes a pixel become three, in place.
  static void blend_over_white(Image& image) {
    const size_t pixels = size_t{1} * image.width * image.height;
    const uint8_t* from = image.rgb.data();
    uint8_t* to = image.rgb.data();
    for (size_t i = 0; i < pixels; ++i, from += 4, to += 3) {
      const int alpha = from[3];
      for (int c = 0; c < 3; ++c) {
        const int sum = from[c] * alpha + 255 * (255 - alpha) + 128;
        to[c] = static_cast<uint8_t>(((sum >> 8) + sum) >> 8);
      }
    }
    image.rgb.resize(pixels * 3);
  }

  const std::string& name_;
  const DecodeLimits& limits_;
  std::span<const std::byte> rest_;  // what libpng has not read
  png_structp png_ = nullptr;
  png_infop info_ = nullptr;
  int passes_ = 1;
  bool truncated_ = false;
  char message_[160] = {};
};

}  // namespace

Image decode_png(std::span<const std::byte> bytes, const std::string& name, const DecodeLimits& limits) {
  return PngDecoder(bytes, name, limits).decode();
}

}  // namespace graft::io
