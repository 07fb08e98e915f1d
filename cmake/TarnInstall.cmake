# cmake --install: the program, the libraries, the public headers, and what find_package(tarn) reads.
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

# tarn::tarn stands for all of the libraries.
add_library(tarn_all INTERFACE)
add_library(tarn::tarn ALIAS tarn_all)
target_link_libraries(tarn_all INTERFACE tarn_experiment)
set_target_properties(tarn_all PROPERTIES EXPORT_NAME tarn)
set(tarn_installed tarn_all)
foreach(area ${tarn_areas})
  set_target_properties(tarn_${area} PROPERTIES EXPORT_NAME ${area})
  list(APPEND tarn_installed tarn_${area})
endforeach()

if(BUILD_SHARED_LIBS)  # wherever the prefix lies
  foreach(area ${tarn_areas})
    set_target_properties(tarn_${area} PROPERTIES INSTALL_RPATH "$ORIGIN")
  endforeach()
  set_target_properties(tarn PROPERTIES INSTALL_RPATH "$ORIGIN/../${CMAKE_INSTALL_LIBDIR}")
endif()
set(tarn_package_dir "${CMAKE_INSTALL_LIBDIR}/cmake/tarn")
install(TARGETS tarn RUNTIME DESTINATION "${CMAKE_INSTALL_BINDIR}")
install(TARGETS ${tarn_installed} EXPORT tarn-targets
  ARCHIVE DESTINATION "${CMAKE_INSTALL_LIBDIR}"
  LIBRARY DESTINATION "${CMAKE_INSTALL_LIBDIR}"
  INCLUDES DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}")
install(DIRECTORY include/tarn DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}" FILES_MATCHING PATTERN "*.hpp")
install(FILES LICENSE README.md CHANGELOG.md CITATION.cff DESTINATION "${CMAKE_INSTALL_DOCDIR}")
install(EXPORT tarn-targets NAMESPACE tarn:: DESTINATION "${tarn_package_dir}")

configure_package_config_file(cmake/tarn-config.cmake.in "${PROJECT_BINARY_DIR}/tarn-config.cmake" INSTALL_DESTINATION "${tarn_package_dir}"
  NO_SET_AND_CHECK_MACRO NO_CHECK_REQUIRED_COMPONENTS_MACRO)
write_basic_package_version_file("${PROJECT_BINARY_DIR}/tarn-config-version.cmake" COMPATIBILITY SameMinorVersion)
install(FILES "${PROJECT_BINARY_DIR}/tarn-config.cmake" "${PROJECT_BINARY_DIR}/tarn-config-version.cmake" cmake/TarnLibraries.cmake
  DESTINATION "${tarn_package_dir}")
