// Rows of one training step, batch_size + confinement_points of them, as src/compute/dsm_batch.cpp makes them:
//   data row i     x~ = x + sigma xi, target = xi / sigma, target_scale = 1; xi: normals (seed, training_noise, chain i / pair, step),
//                  negated for odd i of antithetic pairs
//   confinement p  x~ = R d, target = pull d, target_scale = sigma^2 / R; d and R from D + 1 normals (seed, confinement, chain p, step)
// points [rows, in_width] = [x~ u 1 0...], targets [rows, out_width], target_scale [rows]: overwritten, pads of targets left alone.
// A warp a row, 4 rows a block; a lane takes the four columns of a Philox block. Deterministic. Data rows are the CPU's bits; confinement points are
// worked out in double, where log, exp and erfc may differ by an ulp before the result is rounded to float.
// Moves 4 (K + in_width + D) bytes a row.
#include "dsm_rows.cuh"
#include "platform.cuh"

namespace tarn::cuda {
namespace {

constexpr int rows_a_block = 4;

__global__ void dsm_rows_kernel(DsmRowsCall q, DsmClock clock) {
  const std::int64_t row = static_cast<std::int64_t>(blockIdx.x) * rows_a_block + threadIdx.y;
  make_row(q, clock.records[*clock.now], row);
}

}  // namespace

void launch_dsm_rows(const DsmRowsCall& call, const DsmClock& clock, StreamHandle stream) {
  const std::int64_t rows = call.batch_size + call.confinement_points;
  if (rows <= 0) return;
  launch(dsm_rows_kernel,
         {dim3(static_cast<unsigned>((rows + rows_a_block - 1) / rows_a_block)), dim3(32, rows_a_block), 0, stream},
         call, clock);
}

}  // namespace tarn::cuda
