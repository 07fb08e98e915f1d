# Libraries, all from the distribution; why each was chosen stands in docs/dependencies.md.

# One line for whoever lacks a library, in place of CMake's account of where it looked.
macro(tarn_missing what package)
  message(FATAL_ERROR "tarn: ${what} was not found. On Debian: apt-get install ${package} (all packages: scripts/packages.sh)")
endmacro()
include(TarnLibraries)
tarn_find(CLI11 libcli11-dev)  # the program alone needs it

if(TARN_BUILD_TESTS)
  find_path(TARN_RANDOM123_INCLUDE Random123/philox.h)
  if(NOT TARN_RANDOM123_INCLUDE)
    tarn_missing("Random123" "librandom123-dev")
  endif()
endif()

# The CUDA toolkit, where one is found and wanted.
set(TARN_HAVE_CUDA OFF)
if(NOT TARN_CUDA MATCHES "^(AUTO|ON|OFF)$")
  message(FATAL_ERROR "tarn: TARN_CUDA=${TARN_CUDA}; allowed: AUTO, ON, OFF")
endif()
if(NOT TARN_CUDA STREQUAL "OFF")
  find_package(CUDAToolkit QUIET)
  if(CUDAToolkit_FOUND)
    set(TARN_HAVE_CUDA ON)
  elseif(TARN_CUDA STREQUAL "ON")
    message(FATAL_ERROR "tarn: TARN_CUDA=ON, but no CUDA toolkit was found; set CUDAToolkit_ROOT or use TARN_CUDA=OFF")
  endif()
endif()
message(STATUS "tarn: CUDA=${TARN_CUDA}, toolkit in use: ${TARN_HAVE_CUDA}")
