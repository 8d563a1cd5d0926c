// EXIF orientation: how a camera was held. TIFF tag 0x0112 (Exif 2.32, §4.6.4), values 1..8.
#pragma once
#include "io/image/image.h"

namespace graft::io {

// Of a TIFF block, a JPEG file (APP1 "Exif") or a PNG file (eXIf chunk). 1, upright, where there is none or it is
// damaged: a photo is not refused for what stands beside its pixels. Reads nothing outside `bytes`, follows one offset.
int exif_orientation(std::span<const std::byte> tiff);
int jpeg_orientation(std::span<const std::byte> file);
int png_orientation(std::span<const std::byte> file);

// The picture as it is meant to be seen. Values outside 2..8 change nothing.
Image upright(Image image, int orientation);

}  // namespace graft::io
