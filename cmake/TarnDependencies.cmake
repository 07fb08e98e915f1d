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

include(TarnCuda)
