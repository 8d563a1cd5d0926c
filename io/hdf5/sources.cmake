# graft's own file. What links the HDF5 library to look into a file is a library of its own: graft uses it in-process for
# files it trusts, and in the helper program for all others.
find_path(XXHASH_INCLUDE_DIR xxhash.h REQUIRED)

set(GRAFT_H5_INDEXER_SOURCES hdf5/fd_driver.cpp hdf5/indexer.cpp hdf5/index_encode.cpp xxh3.cpp)
graft_library(h5_indexer SOURCES ${GRAFT_H5_INDEXER_SOURCES} LINK graft::core PRIVATE_LINK graft_hdf5)
target_compile_definitions(graft_h5_indexer PRIVATE H5_USE_110_API)

# Compiled apart, never with sanitizers: they need system calls and memory that the helper gives up. Static: it starts
# in 1 ms and opens no library (the linker's warning about dlopen does not apply: helper_main.cpp has its own).
add_executable(graft-h5-index hdf5/helper_main.cpp hdf5/sandbox.cpp ../core/error.cpp ${GRAFT_H5_INDEXER_SOURCES})
target_compile_features(graft-h5-index PRIVATE cxx_std_20)
target_compile_options(graft-h5-index PRIVATE -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wno-sign-conversion
                                              $<$<BOOL:${GRAFT_WERROR}>:-Werror>)
target_compile_definitions(graft-h5-index PRIVATE H5_USE_110_API)
target_include_directories(graft-h5-index PRIVATE ${PROJECT_SOURCE_DIR})
target_link_libraries(graft-h5-index PRIVATE graft_hdf5 graft_fmt)
target_link_options(graft-h5-index PRIVATE -static-pie)
include(CheckLinkerFlag)
check_linker_flag(CXX -Wl,--no-warnings GRAFT_LINKER_NO_WARNINGS)
target_link_options(graft-h5-index PRIVATE $<$<BOOL:${GRAFT_LINKER_NO_WARNINGS}>:-Wl,--no-warnings>)
set_target_properties(graft-h5-index PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR})
install(TARGETS graft-h5-index RUNTIME DESTINATION ${GRAFT_HELPER_DIR})

list(APPEND GRAFT_IO_SOURCES hdf5/graft_file.cpp hdf5/graft_file_writer.cpp hdf5/guarded_index.cpp hdf5/index_decode.cpp
     staged_file.cpp)
list(APPEND GRAFT_IO_LINK graft_h5_indexer graft_hdf5)
set_source_files_properties(hdf5/guarded_index.cpp PROPERTIES
                            COMPILE_DEFINITIONS "GRAFT_HELPER_DIR=\"${GRAFT_HELPER_DIR}\";GRAFT_HELPER_FULL_DIR=\"${CMAKE_INSTALL_FULL_LIBEXECDIR}/graft\"")
set_source_files_properties(hdf5/graft_file_writer.cpp PROPERTIES COMPILE_DEFINITIONS H5_USE_110_API)
cmake_language(DEFER CALL add_dependencies graft_io graft-h5-index)  # once all parts are listed
