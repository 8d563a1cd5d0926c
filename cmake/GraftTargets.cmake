# graft_library(name SOURCES a.cpp … [LINK graft::contract …] [PRIVATE_LINK …]): one folder, one static library, one alias.

set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)

find_program(GRAFT_CCACHE ccache)
if(GRAFT_CCACHE)
  set(CMAKE_CXX_COMPILER_LAUNCHER ${GRAFT_CCACHE})
endif()

add_library(graft_options INTERFACE)
if(GRAFT_STATIC_RUNTIME)
  # libgcc stays shared: its archive needs glibc 2.35, and a system has it as it has glibc. The HDF5 helper, static
  # altogether, has no part in this.
  target_link_options(graft_options INTERFACE -static-libstdc++)
  add_library(graft_arc4random OBJECT cmake/arc4random.cpp)
  set_target_properties(graft_arc4random PROPERTIES CXX_VISIBILITY_PRESET hidden)
  target_link_libraries(graft_options INTERFACE $<TARGET_OBJECTS:graft_arc4random>)
endif()
target_include_directories(graft_options INTERFACE ${PROJECT_SOURCE_DIR})
set(options -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wno-sign-conversion)
# Arguments structs are written with designated initialisers, and what is left out is meant to be absent.
list(APPEND options -Wno-missing-field-initializers)
# The same bits whatever the compiler thinks of a * b + c: only code that writes a fused multiply-add gets one.
list(APPEND options -ffp-contract=off)
if(GRAFT_WERROR)
  list(APPEND options -Werror)
endif()
if(GRAFT_SANITIZE)
  list(APPEND options -fsanitize=${GRAFT_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all)
  target_link_options(graft_options INTERFACE -fsanitize=${GRAFT_SANITIZE})
  # gcc 12 sees uninitialised std::function members where a sanitizer has split the code that sets them.
  list(APPEND options -Wno-maybe-uninitialized)
endif()
target_compile_options(graft_options INTERFACE "$<$<COMPILE_LANGUAGE:CXX>:${options}>")

function(graft_library name)
  cmake_parse_arguments(arg "" "" "SOURCES;LINK;PRIVATE_LINK" ${ARGN})
  add_library(graft_${name} STATIC ${arg_SOURCES})
  add_library(graft::${name} ALIAS graft_${name})
  target_link_libraries(graft_${name} PUBLIC graft_options ${arg_LINK} PRIVATE ${arg_PRIVATE_LINK})
endfunction()
