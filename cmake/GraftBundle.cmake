# The bundle: all that a machine with an NVIDIA driver needs to run and to check graft there, in one folder that may lie
# anywhere (docs/gpu.md).
#
#   cmake --build --preset cuda --target bundle                          build/cuda/graft-0.1.0-gpu.tar.gz, checked
#   cmake --install build/cuda --component bundle --strip --prefix DIR   the folder alone
#
# A plain `cmake --install` leaves it out.
set(bundle COMPONENT bundle EXCLUDE_FROM_ALL)
install(TARGETS graft_tool test_gpu RUNTIME DESTINATION bin ${bundle})
install(TARGETS graft-h5-index RUNTIME DESTINATION libexec/graft ${bundle})
install(TARGETS graft_cuda LIBRARY DESTINATION lib ${bundle})
install(PROGRAMS tools/gpu_check DESTINATION tools ${bundle})
install(DIRECTORY tools/gpu DESTINATION tools ${bundle} FILES_MATCHING PATTERN "*.py")
install(PROGRAMS bench/pytorch_gpu.py DESTINATION bench ${bundle})
install(FILES docs/gpu.md DESTINATION docs ${bundle})
install(FILES LICENSE NOTICE DESTINATION . ${bundle})

add_custom_target(bundle
  COMMAND ${PROJECT_SOURCE_DIR}/tests/bundle/run ${PROJECT_BINARY_DIR} graft-${PROJECT_VERSION}-gpu
  DEPENDS graft_tool test_gpu graft-h5-index graft_cuda graft_stub_driver
  USES_TERMINAL)
