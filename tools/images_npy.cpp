#include "tools/images_npy.h"

#include "core/error.h"

namespace graft::tools {

namespace {

// out[n, b, a] = in[n, a, b]
std::vector<float> swap_axes(const std::vector<float>& in, int64_t count, int64_t a, int64_t b) {
  std::vector<float> out(in.size());
  for (int64_t n = 0; n < count; ++n)
    for (int64_t i = 0; i < a; ++i)
      for (int64_t j = 0; j < b; ++j)
        out[static_cast<size_t>((n * b + j) * a + i)] = in[static_cast<size_t>((n * a + i) * b + j)];
  return out;
}

}  // namespace

std::vector<float> to_nhwc(const std::vector<float>& nchw, int64_t count, int64_t height, int64_t width,
                           int64_t channels) {
  return swap_axes(nchw, count, channels, height * width);
}

std::vector<float> to_nchw(const std::vector<float>& nhwc, int64_t count, int64_t height, int64_t width,
                           int64_t channels) {
  return swap_axes(nhwc, count, height * width, channels);
}

ImageArray::ImageArray(const std::filesystem::path& path, Layout layout, int64_t channels)
    : file_(path), layout_(layout) {
  const auto& extents = file_.shape();
  const bool nhwc = layout == Layout::nhwc;
  GRAFT_CHECK(file_.dtype() == DType::f32, "{} holds {}, float32 is needed; use a.astype('<f4')", file_.name(),
              name_of(file_.dtype()));
  GRAFT_CHECK(extents.size() == 4, "{} has shape [{}]; images are [N, {}]", file_.name(), fmt::join(extents, ", "),
              nhwc ? "H, W, C" : "C, H, W");
  shape_ = nhwc ? Shape{extents[0], extents[1], extents[2], extents[3]}
                : Shape{extents[0], extents[2], extents[3], extents[1]};
  const bool other_way = extents[nhwc ? 1 : 3] == channels;
  GRAFT_CHECK(shape_[3] == channels, "{} has shape [{}], that is {} channels in {}; the network takes {}{}",
              file_.name(), fmt::join(extents, ", "), shape_[3], nhwc ? "NHWC" : "NCHW", channels,
              other_way ? fmt::format(": use --layout {}", nhwc ? "nchw" : "nhwc") : "");
  GRAFT_CHECK(file_.numel() > 0, "{} holds no images: its shape is [{}]", file_.name(), fmt::join(extents, ", "));
}

std::vector<float> ImageArray::read(int64_t first, int64_t count) const {
  const int64_t image = shape_.count(1, 4);
  std::vector<float> values(static_cast<size_t>(count * image));
  file_.read(first * image, std::span(values));
  return layout_ == Layout::nhwc ? values : to_nhwc(values, count, shape_[1], shape_[2], shape_[3]);
}

}  // namespace graft::tools
