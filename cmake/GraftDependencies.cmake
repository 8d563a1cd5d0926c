# Third-party libraries, all from Debian, all linked statically so that `graft` depends on the C and C++ run-times alone.

find_package(Threads REQUIRED)

# fmt: Debian has no static library; cmake/fmt.cpp compiles its one source from the installed headers.
find_path(FMT_INCLUDE_DIR fmt/format-inl.h REQUIRED)
add_library(graft_fmt STATIC ${PROJECT_SOURCE_DIR}/cmake/fmt.cpp)
target_include_directories(graft_fmt SYSTEM PUBLIC ${FMT_INCLUDE_DIR})
target_compile_features(graft_fmt PUBLIC cxx_std_20)

# graft_static_library(target file.a …): an imported static library, found by file name.
function(graft_static_library target)
  foreach(file IN LISTS ARGN)
    string(MAKE_C_IDENTIFIER "GRAFT_${file}" var)
    find_library(${var} NAMES ${file} PATH_SUFFIXES hdf5/serial REQUIRED)
    list(APPEND files ${${var}})
  endforeach()
  add_library(${target} INTERFACE)
  target_link_libraries(${target} INTERFACE ${files})
endfunction()

graft_static_library(graft_zlib libz.a)
graft_static_library(graft_png libpng16.a libz.a)
graft_static_library(graft_jpeg libjpeg.a)
graft_static_library(graft_hdf5 libhdf5.a libsz.a libaec.a libz.a)
target_link_libraries(graft_hdf5 INTERFACE m dl Threads::Threads)
find_path(HDF5_INCLUDE_DIR hdf5.h PATH_SUFFIXES hdf5/serial REQUIRED)
target_include_directories(graft_hdf5 SYSTEM INTERFACE ${HDF5_INCLUDE_DIR})
