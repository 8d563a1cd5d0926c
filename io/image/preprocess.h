// From a photo to what a network takes, with torchvision's meaning of every step.
#pragma once
#include <cstdint>
#include <optional>

#include "io/image/resize.h"

namespace graft::io {

// Resize, CenterCrop, ToTensor, Normalize. The defaults are torchvision's for ImageNet.
struct Preprocessing {
  int resize = 256;  // the short side, in pixels; the long one is truncated. 0: as it is
  int crop = 224;    // the middle square; black where the picture is smaller. 0: all of it
  float mean[3] = {0.485f, 0.456f, 0.406f};
  float std[3] = {0.229f, 0.224f, 0.225f};  // both on a scale of 0..1
  Interpolation interpolation = Interpolation::bilinear;

  friend bool operator==(const Preprocessing&, const Preprocessing&) = default;
};

// Throws Error where a size is negative or a std not positive and finite.
void check_preprocessing(const Preprocessing& preprocessing);

// Random changes for training. A crop of min_area..max_area of the picture, 3/4 to 4/3 as wide as high, is resized to
// the network's square (torchvision's RandomResizedCrop; `resize` plays no part), then mirrored every other time.
struct Augmentation {
  float min_area = 0.08f, max_area = 1;
  bool flip = true;

  friend bool operator==(const Augmentation&, const Augmentation&) = default;
};

struct CropRegion {
  int x = 0, y = 0, width = 0, height = 0;
  friend bool operator==(const CropRegion&, const CropRegion&) = default;
};

struct Draw {
  CropRegion region;
  bool flip = false;
};

// What happens to sample `index` in `epoch`, whoever asks.
Draw draw_augmentation(const Augmentation&, int width, int height, uint64_t seed, uint64_t epoch, uint64_t index);

struct OutputSize {
  int height = 0, width = 0;
};
// Of a picture after resize and crop. Throws Error where no crop bounds it and it is larger than what is read.
OutputSize output_size(int width, int height, const Preprocessing& preprocessing);

// out [height, width, 3] as output_size says, f32: (rgb / 255 − mean) / std.
void preprocess(const ImageView& image, const Preprocessing& preprocessing, float* out);

// out [crop, crop, 3].
void preprocess_augmented(const ImageView& image, const Preprocessing& preprocessing, const Draw& draw, float* out);

}  // namespace graft::io
