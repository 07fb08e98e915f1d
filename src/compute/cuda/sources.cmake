# Host side of the CUDA backend, as seen from src/compute. `_SHARED`: what the emulator of tests/simt compiles too;
# the rest talks to NVIDIA's libraries.
set(TARN_CUDA_SHARED_SOURCES cuda/cuda_backend.cpp cuda/context.cpp)
set(TARN_CUDA_HOST_SOURCES ${TARN_CUDA_SHARED_SOURCES} cuda/blas_lt.cpp)
