// Rows of resize_images: photos of bytes, enlarged and shrunk, cropped, in windows, mirrored, and boxes that do not
// fit.
#include <array>

#include "tests/kernels/op_table/op_case.h"

namespace graft::test {
namespace {

using namespace op;

// A photo from `begin` on, its crop, what that becomes and the window's corner.
struct Photo {
  double begin, width, height;
  std::array<double, 4> crop;  // left, top, width, height
  std::array<double, 2> resized, corner = {0, 0};
  double mirrored = 0;
};

auto photos(std::initializer_list<Photo> list) {
  std::vector<double> fields;
  for (const Photo& p : list) {
    fields.insert(fields.end(), {p.begin, p.width, p.height});
    fields.insert(fields.end(), p.crop.begin(), p.crop.end());
    fields.insert(fields.end(), p.resized.begin(), p.resized.end());
    fields.insert(fields.end(), p.corner.begin(), p.corner.end());
    fields.push_back(p.mirrored);
  }
  return boxes{static_cast<int64_t>(list.size()), ResizeImagesArgs::kBoxFields}.filled(
      [fields](int64_t i, double) { return fields[static_cast<size_t>(i) % fields.size()]; });
}

auto whole(double begin, double width, double height, double to_width, double to_height) {
  return photos({{begin, width, height, {0, 0, width, height}, {to_width, to_height}}});
}

// ImageNet's, as fractions of white.
constexpr auto kNormalised = [](auto& row) {
  constexpr double kMean[] = {0.485, 0.456, 0.406}, kStd[] = {0.229, 0.224, 0.225};
  for (int c = 0; c < 3; ++c) row.args.mean[c] = kMean[c], row.args.std[c] = kStd[c];
  row.out.text += "normalised, ";
};
auto deviation(double value) {
  return [=](auto& row) { row.args.std[1] = value; };
}

constexpr ResizeFilter kBilinear = ResizeFilter::bilinear, kBicubic = ResizeFilter::bicubic;

}  // namespace

void add_image_rows(OpEntries& table) {
  op_case<ResizeImagesArgs>(table, [](auto&) {})
      .loose<pixels>()
      .row(pixels{5 * 7 * 3}, whole(0, 7, 5, 7, 5), y{1, 5, 7, 3}, filter(kBilinear))  // as it is
      .row(pixels{5 * 7 * 3}, whole(0, 7, 5, 7, 5), y{1, 5, 7, 3}, filter(kBicubic), kNormalised)
      .row(pixels{16 * 12 * 3 + 5}, whole(5, 12, 16, 6, 8), y{1, 8, 6, 3}, filter(kBilinear), kNormalised)
      .row(pixels{16 * 12 * 3}, whole(0, 12, 16, 5, 7), y{1, 7, 5, 3}, filter(kBicubic), kNormalised)
      .row(pixels{4 * 3 * 3}, whole(0, 3, 4, 10, 9), y{1, 9, 10, 3}, filter(kBilinear))
      .row(pixels{4 * 3 * 3}, whole(0, 3, 4, 17, 13), y{1, 13, 17, 3}, filter(kBicubic), kNormalised)
      .row(pixels{3}, whole(0, 1, 1, 4, 3), y{1, 3, 4, 3}, filter(kBicubic))
      .row(pixels{97 * 61 * 3}, whole(0, 61, 97, 2, 3), y{1, 3, 2, 3}, filter(kBilinear))  // long windows
      .row(pixels{97 * 61 * 3}, whole(0, 61, 97, 2, 1), y{1, 1, 2, 3}, filter(kBicubic), kNormalised)
      // three photos behind each other: a crop, a window of what it becomes, mirrored; blocks that begin in each
      .row(pixels{20 * 30 * 3 + 11 * 13 * 3 + 40 * 9 * 3},
           photos({{0, 30, 20, {4, 3, 19, 15}, {16, 16}, {0, 0}, 1},
                   {1800, 13, 11, {0, 0, 13, 11}, {23, 21}, {3, 2}},
                   {2229, 9, 40, {2, 11, 7, 29}, {20, 31}, {3, 15}, 1}}),
           y{3, 16, 16, 3}, filter(kBilinear), kNormalised)
      .row(pixels{20 * 30 * 3 + 11 * 13 * 3},
           photos({{1800, 13, 11, {1, 2, 12, 9}, {17, 19}, {0, 2}, 1}, {0, 30, 20, {29, 0, 1, 20}, {17, 17}}}),
           y{2, 17, 17, 3}, filter(kBicubic), kNormalised)
      // hard edges: sums beyond black and white, clamped between the axes and behind them
      .row(pixels{15 * 15 * 3}.filled(values({0, 255, 255, 0, 0, 255, 255})), whole(0, 15, 15, 29, 31), y{1, 31, 29, 3},
           filter(kBicubic))
      .row(pixels{15 * 15 * 3}.filled(values({0, 0, 0, 255, 255, 255})), whole(0, 15, 15, 8, 31), y{1, 31, 8, 3},
           filter(kBicubic), kNormalised)
      // boxes that do not fit: NaN, beside one that does
      .row(pixels{4 * 4 * 3},
           photos({{0, 4, 4, {0, 0, 4, 4}, {4, 4}},
                   {1, 4, 4, {0, 0, 4, 4}, {4, 4}},   // the last byte is missing
                   {-3, 4, 4, {0, 0, 4, 4}, {4, 4}},  // begins before
                   {0, 4, 4, {1, 0, 4, 4}, {4, 4}},   // a crop beyond the right edge
                   {0, 4, 4, {0, -1, 4, 4}, {4, 4}},  // above the upper one
                   {0, 4, 4, {0, 0, 0, 4}, {4, 4}},   // of nothing
                   {0, 4, 4, {0, 0, 4, 4}, {3, 4}},   // resized to less than the window
                   {0, 4, 4, {0, 0, 4, 4}, {4, 4}, {0, 1}},
                   {0, 0x100000000p0, 0x100000000p0, {0, 0, 4, 4}, {4, 4}},  // a product that overflows
                   {0, 4, 4, {0, 0, 4, 4}, {0x1000001p0, 4}}}),              // sides beyond 2^24
           y{10, 4, 4, 3}, filter(kBilinear))
      .row(pixels{0}, whole(0, 1, 1, 2, 2), y{1, 2, 2, 3}, filter(kBilinear))
      .row(pixels{12}, boxes{0, 12}, y{0, 2, 2, 3}, filter(kBilinear))
      .row(pixels{12}, whole(0, 2, 2, 1, 1), y{1, 0, 1, 3}, filter(kBilinear))
      .row(pixels{12}, whole(0, 2, 2, 2, 2), y{1, 2, 2, 4}, invalid("four channels"))
      .row(pixels{12}, whole(0, 2, 2, 2, 2), y{1, 2, 2, 3}, filter(2), invalid("no such filter"))
      .row(pixels{12}, whole(0, 2, 2, 2, 2), y{1, 2, 2, 3}, deviation(0), invalid("nothing to divide by"))
      .row(pixels{12}, whole(0, 2, 2, 2, 2), y{1, 2, 2, 3}, deviation(kInf), invalid("infinite"))
      .row(pixels{2, 2, 3}, whole(0, 2, 2, 2, 2), y{1, 2, 2, 3}, invalid("pixels of shape"));
}

}  // namespace graft::test
