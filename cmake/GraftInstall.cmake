# `cmake --install`: the command, the guarded HDF5 helper, one static library with all of graft's objects, the public headers, a
# package for find_package(graft) and one for pkg-config. A consumer sees graft/*.h and nothing else.
include(CMakePackageConfigHelpers)

add_library(graft_archive STATIC)
# Without fmt: a program that uses it too would have it twice. Consumers link the system's, as packagers want.
foreach(part contract core reference kernels_cpu h5_indexer io models train graft)
  target_sources(graft_archive PRIVATE $<TARGET_OBJECTS:graft_${part}>)
endforeach()
set_target_properties(graft_archive PROPERTIES OUTPUT_NAME graft LINKER_LANGUAGE CXX)

install(TARGETS graft_archive ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})
if(TARGET graft_tool)
  install(TARGETS graft_tool RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
endif()
if(TARGET graft_cuda)
  install(TARGETS graft_cuda LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR})
endif()
install(FILES graft/graft.h graft/classifier.h graft/error.h graft/kernel.h graft/model.h graft/options.h graft/trainer.h
        DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/graft)
install(FILES core/exception.h DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/graft/core)
# Of whom writes a kernel: graft/kernel.h and what it includes, found with -I include/graft.
foreach(header backend conv_params dtype plan_intervals primitives recording shape status tensor_view)
  install(FILES contract/${header}.h DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/graft/contract)
endforeach()
install(FILES LICENSE NOTICE DESTINATION ${CMAKE_INSTALL_DOCDIR})

configure_package_config_file(cmake/graftConfig.cmake.in ${PROJECT_BINARY_DIR}/graftConfig.cmake
                              INSTALL_DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/graft
                              PATH_VARS CMAKE_INSTALL_INCLUDEDIR CMAKE_INSTALL_LIBDIR GRAFT_HELPER_DIR)
write_basic_package_version_file(${PROJECT_BINARY_DIR}/graftConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/graftConfig.cmake ${PROJECT_BINARY_DIR}/graftConfigVersion.cmake
        DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/graft)

get_filename_component(GRAFT_HDF5_DIR ${GRAFT_libhdf5_a} DIRECTORY)
# From where graft.pc lies, so that `cmake --install --prefix` and a moved tree give the right paths.
file(RELATIVE_PATH GRAFT_PC_TO_PREFIX ${CMAKE_INSTALL_FULL_LIBDIR}/pkgconfig ${CMAKE_INSTALL_PREFIX})
string(REGEX REPLACE "/$" "" GRAFT_PC_TO_PREFIX "${GRAFT_PC_TO_PREFIX}")
configure_file(cmake/graft.pc.in ${PROJECT_BINARY_DIR}/graft.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/graft.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
