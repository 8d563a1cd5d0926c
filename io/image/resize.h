// Antialiased resizing, the arithmetic of Pillow's Image.resize: bit for bit the same pixels.
#pragma once
#include "io/image/image.h"

namespace graft::io {

enum class Interpolation { bilinear, bicubic };  // triangle; Keys 1981 with a = −1/2

// Some pixels of an image that another owns.
struct ImageView {
  const uint8_t* rgb = nullptr;
  int width = 0, height = 0;
  size_t row_bytes = 0;

  ImageView() = default;
  ImageView(const Image& image)  // NOLINT(google-explicit-constructor): an image is a view of itself
      : rgb(image.rgb.data()), width(image.width), height(image.height), row_bytes(size_t{3} * image.width) {}

  // The part from (x, y) on; it must lie inside.
  ImageView part(int x, int y, int part_width, int part_height) const;
};

// Part of the source, in pixels from its upper left corner; may end between pixels. Pixels around it still take part
// where the filter reaches them. (To keep them out, resize a `part`.)
struct Box {
  float left = 0, top = 0, right = 0, bottom = 0;
};

// A window of the result: only its pixels are computed.
struct Window {
  int64_t x = 0, y = 0;
  int width = 0, height = 0;
};

// `source` scaled to width x height (which may be far larger than what memory holds), seen through `window`.
Image resize(const ImageView& source, int64_t width, int64_t height, Interpolation interpolation, const Window& window);
Image resize(const ImageView& source, int width, int height, Interpolation interpolation);
Image resize(const ImageView& source, int width, int height, Interpolation interpolation, const Box& box);

}  // namespace graft::io
