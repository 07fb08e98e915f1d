// Training steps of small networks with this nonlinearity (small_dsm.cuh).
#include "small_dsm.cuh"

namespace tarn::cuda {

template void launch_small_dsm_of<Nonlinearity::sigmoid>(const SmallDsmCall&, StreamHandle);

}  // namespace tarn::cuda
