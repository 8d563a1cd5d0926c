// A line of the files that make_expected.py writes: what a picture should be.
#pragma once
#include <array>
#include <cmath>
#include <fstream>
#include <istream>
#include <sstream>
#include <string>

#include "tests/io/image/pixels.h"

namespace graft::test {

struct Expected {
  int width = 0, height = 0;
  uint32_t crc = 0;
  std::array<int64_t, 3> sums{};

  static Expected of(const io::Image& image) {
    Expected e{image.width, image.height, crc32(image.rgb), {}};
    for (size_t i = 0; i < image.rgb.size(); ++i) e.sums[i % 3] += image.rgb[i];
    return e;
  }
  // The mean of no channel is further away than `levels`.
  bool is_near(const Expected& other, double levels) const {
    const double pixels = static_cast<double>(width) * height;
    for (size_t c = 0; c < 3; ++c)
      if (std::abs(static_cast<double>(sums[c] - other.sums[c])) > levels * pixels) return false;
    return width == other.width && height == other.height;
  }
  friend bool operator==(const Expected&, const Expected&) = default;
  friend std::istream& operator>>(std::istream& in, Expected& e) {
    return in >> e.width >> e.height >> std::hex >> e.crc >> std::dec >> e.sums[0] >> e.sums[1] >> e.sums[2];
  }
  friend std::ostream& operator<<(std::ostream& out, const Expected& e) {
    return out << e.width << " x " << e.height << ", crc " << std::hex << e.crc << std::dec << ", sums " << e.sums[0]
               << ' ' << e.sums[1] << ' ' << e.sums[2];
  }
};

// Calls visit(line as a stream) for each line, and says how many there were.
template <typename Visit>
int for_each_line(const std::string& file, Visit visit) {
  std::ifstream in(image_data(file));
  int lines = 0;
  for (std::string line; std::getline(in, line); ++lines) {
    std::istringstream stream(line);
    visit(stream);
  }
  return lines;
}

}  // namespace graft::test
