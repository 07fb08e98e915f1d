# Host side of the CUDA backend, as seen from src/compute. `_SHARED`: what the emulator of tests/simt compiles too;
# the rest talks to NVIDIA's libraries.
set(TARN_CUDA_SHARED_SOURCES
  cuda/batch_feed.cpp
  cuda/dsm_gradient.cpp
  cuda/dsm_session.cpp
  cuda/dsm_step.cpp
  cuda/epoch_sorter.cpp
  cuda/hee_chains.cpp
  cuda/hee_session.cpp
  cuda/hee_steps.cpp
  cuda/hee_weights.cpp
  cuda/large_chains.cpp
  cuda/neuron_products.cpp
  cuda/product_trial.cpp
  cuda/reservoir_chains.cpp
  cuda/small_chains.cpp
  cuda/small_dsm_steps.cpp
  cuda/small_trial.cpp
  cuda/context.cpp
  cuda/cuda_backend.cpp
  cuda/cuda_chains.cpp
  cuda/cuda_network.cpp
  cuda/device_watch.cpp
  cuda/tuner.cpp
)
set(TARN_CUDA_HOST_SOURCES ${TARN_CUDA_SHARED_SOURCES} cuda/blas_lt.cpp)
