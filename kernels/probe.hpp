// Whether this build's device code runs on the present device.
#pragma once

#include <cuda_runtime_api.h>

namespace tarn::cuda {

/// `cudaErrorNoKernelImageForDevice` or the like where it does not. Launches nothing.
cudaError_t probe_kernels();

}  // namespace tarn::cuda
