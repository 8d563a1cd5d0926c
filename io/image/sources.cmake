list(APPEND GRAFT_IO_SOURCES
  dataset.cpp
  dataset_hash.cpp
  loader.cpp
  text.cpp
  image/image.cpp
  image/jpeg.cpp
  image/orientation.cpp
  image/png.cpp
  image/preprocess.cpp
  image/resize.cpp)
list(APPEND GRAFT_IO_LINK graft_jpeg graft_png)
