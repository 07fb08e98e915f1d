// Names of functions by their addresses, so that faults can say which kernel it was.
#pragma once

#include <string>

namespace simt {

/// "tarn::cuda::f<1>(...)" without the namespace and parameters where they are long; the address in hexadecimal if the
/// program's symbols do not tell.
std::string symbol_name(const void* function);

}  // namespace simt
