# Weights that PyTorch saved.
list(APPEND GRAFT_IO_SOURCES
  torch/byte_stream.cpp
  torch/container.cpp
  torch/element_type.cpp
  torch/foreign.cpp
  torch/pickle.cpp
  torch/pickle_calls.cpp
  torch/pickle_globals.cpp
  torch/state_dict.cpp
  torch/strided.cpp
  torch/torch_file.cpp
  torch/zip_archive.cpp)
list(APPEND GRAFT_IO_LINK graft_zlib)
