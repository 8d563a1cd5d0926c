// JPEG by libjpeg-turbo: baseline and progressive, Huffman or arithmetic, gray, YCbCr, RGB, CMYK and YCCK.
//
// The settings are those of Pillow (accurate integer DCT, smooth chroma upsampling), so the pixels are equal up to
// differences between libjpeg versions. The library reports errors by longjmp. Each of its calls runs inside
// `guarded`, whose step holds no object with a destructor; everything that owns memory lives outside.
#include <csetjmp>
#include <cstdio>
// jpeglib.h needs <cstdio> before it
#include <jpeglib.h>

#include "core/error.h"
#include "io/image/codecs.h"

namespace graft::io {
namespace {

class JpegDecoder {
 public:
  JpegDecoder(std::span<const std::byte> bytes, const std::string& name, const DecodeLimits& limits)
      : name_(name), limits_(limits) {
    info_.err = jpeg_std_error(&errors_);
    info_.client_data = this;
    errors_.error_exit = [](j_common_ptr info) { self(info).leave(info); };
    errors_.emit_message = [](j_common_ptr, int) {};  // warnings: as Pillow, the picture is taken as it is
    guarded([&] { jpeg_create_decompress(&info_); });

    // The whole file is here, so running out of bytes means that it is cut: libjpeg is told to wait, and gives up.
    source_.next_input_byte = reinterpret_cast<const JOCTET*>(bytes.data());
    source_.bytes_in_buffer = bytes.size();
    source_.init_source = source_.term_source = [](j_decompress_ptr) {};
    source_.fill_input_buffer = [](j_decompress_ptr) -> boolean { return FALSE; };
    source_.resync_to_restart = jpeg_resync_to_restart;
    source_.skip_input_data = [](j_decompress_ptr info, long count) {
      if (count <= 0) return;
      const size_t skipped = std::min(static_cast<size_t>(count), info->src->bytes_in_buffer);
      info->src->next_input_byte += skipped;
      info->src->bytes_in_buffer -= skipped;
    };
    info_.src = &source_;

    progress_.progress_monitor = [](j_common_ptr info) { self(info).check_scans(); };
    info_.progress = &progress_;
  }
  ~JpegDecoder() { jpeg_destroy_decompress(&info_); }
  JpegDecoder(const JpegDecoder&) = delete;
  JpegDecoder& operator=(const JpegDecoder&) = delete;

  Image decode() {
    int header = JPEG_SUSPENDED;
    guarded([&] { header = jpeg_read_header(&info_, TRUE); });
    if (header != JPEG_HEADER_OK) fail_truncated(name_);
    check_image_size(info_.image_width, info_.image_height, name_, limits_);

    Image image{static_cast<int>(info_.image_width), static_cast<int>(info_.image_height), {}};
    const size_t row_bytes = size_t{3} * info_.image_width;
    const bool four_inks = info_.num_components == 4;
    std::vector<uint8_t> inks(four_inks ? size_t{4} * info_.image_width : 0);
    info_.out_color_space = four_inks ? JCS_CMYK : JCS_RGB;  // gray becomes RGB too

    bool started = false;
    guarded([&] { started = jpeg_start_decompress(&info_) == TRUE; });  // reads all scans of a progressive file
    if (!started) fail_truncated(name_);
    image.rgb.resize(row_bytes * info_.image_height);

    bool complete = true;
    guarded([&] {
      while (complete && info_.output_scanline < info_.output_height) {
        JSAMPROW to = image.rgb.data() + row_bytes * info_.output_scanline, row = four_inks ? inks.data() : to;
        complete = jpeg_read_scanlines(&info_, &row, 1) == 1;
        if (four_inks && complete) inks_to_rgb(inks.data(), image.width, to);
      }
    });
    if (!complete) fail_truncated(name_);
    return image;
  }

 private:
  static JpegDecoder& self(j_common_ptr info) { return *static_cast<JpegDecoder*>(info->client_data); }

  // Runs `step`, which calls libjpeg. It must not throw, nor hold what needs destroying: an error jumps out of it.
  template <typename Step>
  void guarded(const Step& step) {
    if (setjmp(jump_) == 0)
      step();
    else
      fail_damaged(name_, "JPEG", message_);
  }

  [[noreturn]] void leave(j_common_ptr info) {
    (*info->err->format_message)(info, message_);
    std::longjmp(jump_, 1);
  }

  // A few kilobytes can hold thousands of scans, each a walk over all pixels.
  void check_scans() {
    const int64_t pixels = int64_t{1} * info_.image_width * info_.image_height;
    if (info_.input_scan_number * pixels <= limits_.scan_pixels || info_.input_scan_number <= kScansAlwaysRead) return;
    std::snprintf(message_, sizeof message_, "%d scans, more than any camera or program writes",
                  info_.input_scan_number);
    std::longjmp(jump_, 1);
  }

  // Adobe's convention, inverted inks, for every file with four components, as Pillow has it:
  // R = (255 − K) − (255 − K)·C / 255, rounded.
  static void inks_to_rgb(const uint8_t* inks, int width, uint8_t* rgb) {
    for (int x = 0; x < width; ++x, inks += 4, rgb += 3)
      for (int c = 0; c < 3; ++c) {
        const int not_k = inks[3], product = (255 - inks[c]) * not_k + 128;
        rgb[c] = static_cast<uint8_t>(not_k - (((product >> 8) + product) >> 8));
      }
  }

  static constexpr int kScansAlwaysRead = 20;  // libjpeg's own script for YCbCr has 10

  const std::string& name_;
  const DecodeLimits& limits_;
  jpeg_decompress_struct info_{};
  jpeg_error_mgr errors_{};
  jpeg_source_mgr source_{};
  jpeg_progress_mgr progress_{};
  std::jmp_buf jump_;
  char message_[JMSG_LENGTH_MAX] = {};
};

}  // namespace

Image decode_jpeg(std::span<const std::byte> bytes, const std::string& name, const DecodeLimits& limits) {
  return JpegDecoder(bytes, name, limits).decode();
}

}  // namespace graft::io
