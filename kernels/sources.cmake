# Device code, and the plain C++ beside it. tests/simt compiles all of it for the CPU, but for TARN_KERNEL_LIBRARY_SOURCES: Thrust
# and CUB, which have a twin there.
set(TARN_KERNEL_EMULATED_SOURCES
  adam.cu
  dsm_backward.cu
  dsm_descent.cu
  dsm_residual.cu
  dsm_rows.cu
  dsm_skew.cu
  epoch_keys.cu
  fused_bf16_warp.cu
  fused_bf16_warpgroup.cu
  fused_langevin.cu
  fused_tf32_warp.cu
  fused_tf32_warpgroup.cu
  hee_error.cu
  hee_learn.cu
  hee_rows.cu
  hee_update.cu
  bias_phi.cu
  langevin_update.cu
  moments.cu
  neuron_product.cu
  noise.cu
  reservoir.cu
  small_langevin_leaky_relu.cu
  small_langevin_relu.cu
  small_langevin_sigmoid.cu
  small_langevin_softplus.cu
  small_langevin_tanh.cu
  small_dsm_leaky_relu.cu
  small_dsm_relu.cu
  small_dsm_sigmoid.cu
  small_dsm_softplus.cu
  small_dsm_tanh.cu
  draw.cu
  probe.cu
  watch.cu
)
set(TARN_KERNEL_LIBRARY_SOURCES
  algorithms.cu
)
set(TARN_KERNEL_HOST_SOURCES check.cpp)
foreach(list TARN_KERNEL_EMULATED_SOURCES TARN_KERNEL_LIBRARY_SOURCES TARN_KERNEL_HOST_SOURCES)
  list(TRANSFORM ${list} PREPEND "${CMAKE_CURRENT_LIST_DIR}/")
endforeach()
set(TARN_KERNEL_SOURCES ${TARN_KERNEL_EMULATED_SOURCES} ${TARN_KERNEL_LIBRARY_SOURCES})
