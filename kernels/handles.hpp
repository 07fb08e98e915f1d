// What launchers take beside sizes and pointers. Plain C++: no toolkit is needed to include this.
#pragma once

struct CUstream_st;

namespace tarn::cuda {

/// A CUDA stream, opaque here; null is the default stream, which tarn does not use.
using StreamHandle = CUstream_st*;

}  // namespace tarn::cuda
