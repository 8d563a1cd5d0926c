// Batches of images in .npy files, as other programs make them, in the order in which graft keeps them: NHWC.
#pragma once
#include <string>
#include <vector>

#include "contract/shape.h"
#include "io/npy.h"

namespace graft::tools {

enum class Layout { nhwc, nchw };

class ImageArray {
 public:
  // Throws Error unless the file holds float32 [N, H, W, C] (nhwc) or [N, C, H, W] (nchw) with `channels` channels.
  ImageArray(const std::filesystem::path& path, Layout layout, int64_t channels);

  const Shape& shape() const { return shape_; }  // [N, H, W, C]

  // Images [first, first + count) as NHWC.
  std::vector<float> read(int64_t first, int64_t count) const;

 private:
  io::NpyFile file_;
  Layout layout_;
  Shape shape_;
};

// Between the two orders, for `count` images.
std::vector<float> to_nhwc(const std::vector<float>& nchw, int64_t count, int64_t height, int64_t width,
                           int64_t channels);
std::vector<float> to_nchw(const std::vector<float>& nhwc, int64_t count, int64_t height, int64_t width,
                           int64_t channels);

}  // namespace graft::tools
