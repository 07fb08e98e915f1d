// Device memory and page-locked memory: host memory full of NaN, with guards before and after.
#pragma once

#include <cstddef>
#include <string>

namespace simt {

/// Which allocation was written beyond its ends; empty if none.
std::string memory_damage();
/// Whether a kernel may be given the pointer: null, or within (or at the end of) what was allocated.
bool is_device_pointer(const void* pointer);

}  // namespace simt
