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
constexpr unsigned all_lanes = 0xffffffffu;

__device__ void data_row(const DsmRowsCall& q, std::uint64_t step, std::int64_t row, const float* x) {
  for (std::int64_t quad = threadIdx.x; 4 * quad < q.in_width; quad += 32) {
    float xi[4] = {};
    if (4 * quad < q.n_outputs) noise_of_row(q, step, row, quad, xi);
    for (int i = 0; i < 4; ++i) {
      const std::int64_t k = 4 * quad + i;
      float value = k == q.n_columns ? 1.0f : 0.0f;
      if (k < q.n_columns) value = x[k];
      if (k < q.n_outputs) {
        value = add(value, mul(q.sigma, xi[i]));
        q.targets[row * q.out_width + k] = mul(q.inverse_sigma, xi[i]);
      }
      q.points[row * q.in_width + k] = value;
    }
  }
  if (threadIdx.x == 0) q.target_scale[row] = 1.0f;
}

__device__ void confinement_row(const DsmRowsCall& q, std::uint64_t step, std::int64_t row, const float* x) {
  const std::int64_t D = q.n_outputs;
  const auto chain = static_cast<std::uint64_t>(row - q.batch_size);
  double square = 0.0;
  float last = 0.0f;
  for (std::int64_t quad = threadIdx.x; 4 * quad <= D; quad += 32) {
    float normal[4];
    normals_of_quad(q.seed, Stream::confinement, chain, step, D + 1, quad, normal);
    for (int i = 0; i < 4; ++i) {
      const std::int64_t d = 4 * quad + i;
      if (d < D) square += static_cast<double>(normal[i]) * normal[i];
      if (d == D) last = normal[i];
    }
  }
  for (int lanes = 16; lanes > 0; lanes /= 2) square += __shfl_xor_sync(all_lanes, square, lanes);
  last = __shfl_sync(all_lanes, last, static_cast<int>(D / 4 % 32));

  const double R = confinement_radius(q, last);
  for (std::int64_t quad = threadIdx.x; 4 * quad < q.in_width; quad += 32) {
    float normal[4] = {};
    if (4 * quad < D) normals_of_quad(q.seed, Stream::confinement, chain, step, D + 1, quad, normal);
    for (int i = 0; i < 4; ++i) {
      const std::int64_t k = 4 * quad + i;
      float value = k == q.n_columns ? 1.0f : 0.0f;
      if (k < D) {
        const double direction = confinement_direction(normal[i], square, k);
        value = static_cast<float>(R * direction);
        q.targets[row * q.out_width + k] = static_cast<float>(q.pull * direction);
      } else if (k < q.n_columns) {
        value = x[k];
      }
      q.points[row * q.in_width + k] = value;
    }
  }
  if (threadIdx.x == 0) q.target_scale[row] = static_cast<float>(q.sigma_squared / R);
}

__global__ void dsm_rows_kernel(DsmRowsCall q, DsmClock clock) {
  const std::int64_t row = static_cast<std::int64_t>(blockIdx.x) * rows_a_block + threadIdx.y;
  if (row >= q.batch_size + q.confinement_points) return;
  const DsmRecord& record = clock.records[*clock.now];
  const float* x = data_of_row(q, record.row_offset, row);
  if (row < q.batch_size) {
    data_row(q, record.step, row, x);
  } else {
    confinement_row(q, record.step, row, x);
  }
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
