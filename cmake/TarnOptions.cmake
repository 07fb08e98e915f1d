# Language level, warnings and the floating-point rules that every target of the project obeys.
set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)

if(NOT CMAKE_BUILD_TYPE AND NOT CMAKE_CONFIGURATION_TYPES)
  set(CMAKE_BUILD_TYPE Release CACHE STRING "Build type" FORCE)
endif()
set(CMAKE_CXX_FLAGS_RELEASE "-O3")  # no -DNDEBUG: the few asserts are cheap and stay

# The noise is bit-identical on every build only under IEEE arithmetic without contraction.
if("${CMAKE_CXX_FLAGS} ${CMAKE_CXX_FLAGS_RELEASE} ${CMAKE_CXX_FLAGS_DEBUG}" MATCHES "-f(fast-math|unsafe-math-optimizations|associative-math|reciprocal-math|finite-math-only)|-Ofast")
  message(FATAL_ERROR "tarn: fast-math flags change the noise and hide NaN; found in CMAKE_CXX_FLAGS: ${CMAKE_CXX_FLAGS}. Remove them.")
endif()

add_library(tarn_flags INTERFACE)
target_compile_options(tarn_flags INTERFACE
  -ffp-contract=off -fno-math-errno -fno-trapping-math
  -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wno-sign-conversion -Wno-psabi)
target_include_directories(tarn_flags INTERFACE "${PROJECT_SOURCE_DIR}/include")
if(TARN_SANITIZE)
  target_compile_definitions(tarn_flags INTERFACE TARN_SANITIZED)
  target_compile_options(tarn_flags INTERFACE -fsanitize=${TARN_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all)
  target_link_options(tarn_flags INTERFACE -fsanitize=${TARN_SANITIZE})
endif()
if(TARN_FUZZ)
  if(NOT CMAKE_CXX_COMPILER_ID MATCHES "Clang")
    message(FATAL_ERROR "tarn: TARN_FUZZ needs clang, found ${CMAKE_CXX_COMPILER_ID}; use the preset clang-fuzz")
  endif()
  target_compile_options(tarn_flags INTERFACE -fsanitize=fuzzer-no-link
    "-fsanitize-coverage-ignorelist=${PROJECT_SOURCE_DIR}/tests/fuzz/coverage_ignore.txt")
endif()

# One unit for the command line, less optimisation of what only coordinates, no baseline beside the instruction set asked for, precompiled headers: together
# some minutes of processor time in a first build. Each change of a file then compiles more, ccache cannot help, and the program runs on machines like
# this one alone, so that it is for builds that happen once (scripts/quickstart.sh).
option(TARN_BUILD_ONCE "Make the first build fast and later ones slow" OFF)
set(TARN_PRECOMPILE "" CACHE STRING "What gets precompiled headers of the libraries it uses: TESTS, ALL or nothing (ALL with TARN_BUILD_ONCE)")
if(TARN_BUILD_ONCE)
  set(TARN_PRECOMPILE ALL)
elseif(NOT "${TARN_PRECOMPILE}" MATCHES "^(TESTS|ALL)?$")
  message(FATAL_ERROR "tarn: TARN_PRECOMPILE is \"${TARN_PRECOMPILE}\"; allowed: TESTS, ALL, or nothing")
endif()

find_program(TARN_CCACHE ccache)
if(TARN_CCACHE AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
  set(CMAKE_CXX_COMPILER_LAUNCHER ${TARN_CCACHE})
  if(TARN_PRECOMPILE)
    list(PREPEND CMAKE_CXX_COMPILER_LAUNCHER ${CMAKE_COMMAND} -E env CCACHE_SLOPPINESS=pch_defines,time_macros)  # else it lets these files be
  endif()
endif()

# What most files read, or most tests.
set(TARN_PRECOMPILED <algorithm> <cmath> <filesystem> <functional> <map> <memory> <optional> <span> <string> <vector> <fmt/format.h>)
# GCC 12 judges inlined strings wrongly, and takes a precompiled header of the system for one of ours.
set(TARN_PRECOMPILED_OPTIONS $<$<CXX_COMPILER_ID:GNU>:-Wno-array-bounds -Wno-restrict -Wno-stringop-overread -Wno-stringop-overflow>
  $<$<CXX_COMPILER_ID:Clang>:SHELL:-Xclang -fno-pch-timestamp>)  # for ccache

# For what coordinates and does not compute. With sanitizers optimising it is two thirds of its compile time.
if(TARN_SANITIZE AND NOT TARN_FUZZ)
  set(TARN_COORDINATING_OPTIONS -O0)
elseif(TARN_BUILD_ONCE)
  set(TARN_COORDINATING_OPTIONS -O1)
endif()

# tarn_add_library(area SOURCES ... PUBLIC libs... PRIVATE libs...): one library a folder; its links are the layering. Static, or shared with
# BUILD_SHARED_LIBS: sanitizers' code in each of three hundred test programs would fill gigabytes.
function(tarn_add_library area)
  cmake_parse_arguments(ARG "" "" "SOURCES;PUBLIC;PRIVATE" ${ARGN})
  add_library(tarn_${area} ${ARG_SOURCES})
  target_link_libraries(tarn_${area} PUBLIC $<BUILD_INTERFACE:tarn_flags> ${ARG_PUBLIC} PRIVATE ${ARG_PRIVATE})
  # What whoever links an installed tarn must compile with: inline math of the headers is the same bits everywhere.
  target_compile_features(tarn_${area} PUBLIC cxx_std_20)
  target_compile_options(tarn_${area} INTERFACE $<INSTALL_INTERFACE:-ffp-contract=off>)
  target_include_directories(tarn_${area} PRIVATE "${CMAKE_CURRENT_SOURCE_DIR}")
  if(area MATCHES "^(experiment|io|report)$")
    target_compile_options(tarn_${area} PRIVATE ${TARN_COORDINATING_OPTIONS})
  endif()
  if(TARN_PRECOMPILE STREQUAL "ALL")
    target_compile_options(tarn_${area} PRIVATE ${TARN_PRECOMPILED_OPTIONS})
    target_precompile_headers(tarn_${area} PRIVATE ${TARN_PRECOMPILED})
    if("nlohmann_json::nlohmann_json" IN_LIST ARG_PRIVATE)
      target_precompile_headers(tarn_${area} PRIVATE <nlohmann/json.hpp>)
    endif()
  endif()
endfunction()
