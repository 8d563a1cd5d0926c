#include "io/library_versions.h"

#include <H5public.h>
#include <fmt/format.h>
#include <jpeglib.h>
#include <png.h>

#include <cstddef>
#include <cstdio>  // jpeglib.h needs it

namespace graft::io {

std::vector<std::pair<std::string, std::string>> library_versions() {
  constexpr int kJpeg = LIBJPEG_TURBO_VERSION_NUMBER;  // 2001005 is 2.1.5
  return {{"hdf5", fmt::format("{}.{}.{}", H5_VERS_MAJOR, H5_VERS_MINOR, H5_VERS_RELEASE)},
          {"libjpeg_turbo", fmt::format("{}.{}.{}", kJpeg / 1'000'000, kJpeg / 1000 % 1000, kJpeg % 1000)},
          {"libpng", PNG_LIBPNG_VER_STRING}};
}

}  // namespace graft::io
