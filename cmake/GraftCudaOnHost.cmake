# CUDA's kernels and its runtime, executed on the host (tests/cuda_on_host). Needs CUDA's headers, not its compiler, and Boost.Context.
#
#   graft_cuda_on_host_library(name SOURCES a.cu b.cpp … [LINK …])   a plug-in's sources, compiled by the host's compiler
#
# In a plain build the kernels (.cu) carry the hooks of -fsanitize=thread, whose library is not linked: tests/cuda_on_host defines the
# hooks and checks for races. In an address+undefined build they carry those sanitizers like everything else.
set(GRAFT_CUDA_ON_HOST AUTO CACHE STRING "Tests of the CUDA kernels on the host: AUTO, ON (what they need must be there) or OFF")

find_path(GRAFT_CUDA_HEADERS cuda_runtime_api.h HINTS ENV CUDA_PATH PATHS /usr/local/cuda PATH_SUFFIXES include NO_DEFAULT_PATH)
find_path(GRAFT_CUDA_HEADERS cuda_runtime_api.h)
find_path(GRAFT_BOOST_HEADERS boost/context/detail/fcontext.hpp)
find_library(GRAFT_BOOST_CONTEXT NAMES libboost_context.a boost_context)

set(GRAFT_HAVE_CUDA_ON_HOST OFF)
if(GRAFT_CUDA_ON_HOST STREQUAL "OFF")
  set(GRAFT_NO_CUDA_ON_HOST "GRAFT_CUDA_ON_HOST is OFF")
elseif(GRAFT_SANITIZE MATCHES "thread")
  set(GRAFT_NO_CUDA_ON_HOST "it defines the thread sanitizer's hooks itself")
elseif(NOT GRAFT_CUDA_HEADERS OR NOT GRAFT_BOOST_HEADERS OR NOT GRAFT_BOOST_CONTEXT)
  set(GRAFT_NO_CUDA_ON_HOST "it needs CUDA's headers (CUDA_PATH) and Boost.Context (libboost-context-dev)")
  if(GRAFT_CUDA_ON_HOST STREQUAL "ON")
    message(FATAL_ERROR "GRAFT_CUDA_ON_HOST is ON: ${GRAFT_NO_CUDA_ON_HOST}")
  endif()
else()
  set(GRAFT_HAVE_CUDA_ON_HOST ON)
endif()
if(NOT GRAFT_HAVE_CUDA_ON_HOST)
  message(STATUS "The CUDA kernels are not tested on the host: ${GRAFT_NO_CUDA_ON_HOST}")
endif()

function(graft_cuda_on_host_library name)
  cmake_parse_arguments(arg "" "" "SOURCES;LINK" ${ARGN})
  add_library(${name} STATIC ${arg_SOURCES})
  target_link_libraries(${name} PUBLIC graft_options graft_cuda_on_host ${arg_LINK})
  # A kernel source says <cuda_on_host.h>: it does not know where its tests lie.
  target_include_directories(${name} PRIVATE ${PROJECT_SOURCE_DIR}/tests/cuda_on_host)
  # Identical functions stay apart, so that each kernel has its own name; CUDA's pragmas are not the host compiler's.
  set(options -Wno-unknown-pragmas -fno-ipa-icf)
  if(NOT GRAFT_SANITIZE MATCHES "address")
    list(APPEND options -O1 -g1 -fsanitize=thread --param=tsan-instrument-func-entry-exit=0)
  endif()
  set(kernels ${arg_SOURCES})
  list(FILTER kernels INCLUDE REGEX "\\.cu$")
  set_source_files_properties(${kernels} PROPERTIES LANGUAGE CXX COMPILE_OPTIONS "${options}")
endfunction()
