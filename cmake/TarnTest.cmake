# Tests whose code runs on several threads; the thread sanitizer looks at these, and ctest -L threads runs them.
set(TARN_THREADED_AREAS compute sampling training)
set(TARN_THREADED_TESTS noise_test scaling_filter_test learned_filter_test models_trainable_test models_score_test)
add_custom_target(tarn_threaded_tests COMMENT "Build the tests of threaded code")

if(TARN_SANITIZE)
  set(TARN_TEST_OPTIONS -O0)
else()
  set(TARN_TEST_OPTIONS $<$<CONFIG:Release>:-O1>)
endif()

# How the sources of tests are compiled: what takes a test's time is in the libraries, what takes the compiler's in the tests.
function(tarn_test_options name)
  target_compile_options(${name} PRIVATE ${TARN_TEST_OPTIONS})
  if(TARN_PRECOMPILE)
    target_compile_options(${name} PRIVATE ${TARN_PRECOMPILED_OPTIONS})
    target_precompile_headers(${name} REUSE_FROM tarn_test_headers)
    target_link_libraries(${name} PRIVATE OpenMP::OpenMP_CXX)  # some tests need it, and the header is of use to those alone that have its options
  endif()
endfunction()

# tarn_add_test(name SOURCES ... LIBRARIES ... [LABELS cpu|slow]): a GoogleTest program, each of its cases an entry of ctest.
function(tarn_add_test name)
  cmake_parse_arguments(ARG "" "" "SOURCES;LIBRARIES;LABELS" ${ARGN})
  add_executable(${name} ${ARG_SOURCES})
  target_link_libraries(${name} PRIVATE ${ARG_LIBRARIES} GTest::gtest GTest::gmock GTest::gtest_main)
  target_compile_definitions(${name} PRIVATE TARN_TEST_DATA="${PROJECT_SOURCE_DIR}/tests/data")
  target_include_directories(${name} PRIVATE "${PROJECT_SOURCE_DIR}/tests")
  tarn_test_options(${name})
  get_filename_component(area "${CMAKE_CURRENT_SOURCE_DIR}" NAME)
  if(area IN_LIST TARN_THREADED_AREAS OR name IN_LIST TARN_THREADED_TESTS)
    add_dependencies(tarn_threaded_tests ${name})
    set(default_label threads)
  else()
    set(default_label cpu)
  endif()
  if(NOT ARG_LABELS)
    set(ARG_LABELS ${default_label})  # one only: gtest_discover_tests takes lists of labels apart
  endif()
  gtest_discover_tests(${name} DISCOVERY_MODE PRE_TEST DISCOVERY_TIMEOUT 120
    PROPERTIES LABELS "${ARG_LABELS}" SKIP_REGULAR_EXPRESSION "\\[  SKIPPED \\]" TIMEOUT 600)
endfunction()
