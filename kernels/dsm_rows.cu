// Rows of one training step, batch_size + confinement_points of them, as src/compute/dsm_batch.cpp makes them:
//   data row i     x~ = x + sigma xi, target = xi / sigma, target_scale = 1; xi: normals (seed, training_noise, chain i / pair, step),
//                  negated for odd i of antithetic pairs
//   confinement p  x~ = R d, target = pull d, target_scale = sigma^2 / R; d and R from D + 1 normals (seed, confinement, chain p, step)
// points [rows, in_width] = [x~ u 1 0...], targets [rows, out_width], target_scale [rows]: overwritten, pads of targets left alone.
// A warp a row, 4 rows a block; a lane takes the four columns of a Philox block. Deterministic. Data rows are the CPU's bits; confinement points are
// worked out in double, where log, exp and erfc may differ by an ulp before the result is rounded to float.
// Moves 4 (K + in_width + D) bytes a row.
#include "dsm_rows.hpp"
#include "normals.cuh"
#include "platform.cuh"
#include "tarn/core/stream.hpp"

namespace tarn::cuda {
namespace {

constexpr int rows_a_block = 4;
constexpr unsigned all_lanes = 0xffffffffu;

// Components 4 quad to 4 quad + 3 of a step with n components; those beyond n mean nothing.
__device__ void normals_of_quad(std::uint64_t seed, Stream stream, std::uint64_t chain, std::uint64_t step,
                                std::int64_t n, std::int64_t quad, float (&out)[4]) {
  const auto offset = step * static_cast<std::uint64_t>(step_stride(n)) + static_cast<std::uint64_t>(4 * quad);
  normals_of_block(seed, static_cast<std::uint64_t>(stream) << 48 | chain, offset / 4, out);
  // one or two components a step: several steps share the block
  if ((offset & 2) != 0) {
    out[0] = out[2];
    out[1] = out[3];
  }
  if ((offset & 1) != 0) out[0] = out[1];
}

__device__ void data_row(const DsmRowsCall& q, std::uint64_t step, std::int64_t row, const float* x) {
  const std::int64_t pair = q.antithetic ? 2 : 1;
  const float sign = q.antithetic && row % 2 == 1 ? -1.0f : 1.0f;
  for (std::int64_t quad = threadIdx.x; 4 * quad < q.in_width; quad += 32) {
    float xi[4] = {};
    if (4 * quad < q.n_outputs) {
      normals_of_quad(q.seed, Stream::training_noise, static_cast<std::uint64_t>(row / pair), step, q.n_outputs, quad,
                      xi);
    }
    for (int i = 0; i < 4; ++i) {
      const std::int64_t k = 4 * quad + i;
      float value = k == q.n_columns ? 1.0f : 0.0f;
      if (k < q.n_columns) value = x[k];
      if (k < q.n_outputs) {
        const float noise = mul(sign, xi[i]);
        value = add(value, mul(q.sigma, noise));
        q.targets[row * q.out_width + k] = mul(q.inverse_sigma, noise);
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

  // a normal of exactly zero length (D = 1, once in 2^25) gets some direction rather than none
  const double norm = square > 0.0 ? ::sqrt(square) : 1.0;
  const double uniform = 0.5 * ::erfc(-static_cast<double>(last) * ::sqrt(0.5));
  const double R = ::exp(q.log_low + (q.log_high - q.log_low) * uniform);
  for (std::int64_t quad = threadIdx.x; 4 * quad < q.in_width; quad += 32) {
    float normal[4] = {};
    if (4 * quad < D) normals_of_quad(q.seed, Stream::confinement, chain, step, D + 1, quad, normal);
    for (int i = 0; i < 4; ++i) {
      const std::int64_t k = 4 * quad + i;
      float value = k == q.n_columns ? 1.0f : 0.0f;
      if (k < D) {
        const double direction = square > 0.0 ? normal[i] / norm : (k == 0 ? 1.0 : 0.0);
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
  // inputs u of confinement point p are those of data row p mod batch_size
  const std::int64_t like = (row < q.batch_size ? row : row - q.batch_size) % q.batch_size;
  std::int64_t from = record.row_offset + (q.antithetic ? like / 2 : like);
  if (q.indices) from = q.indices[from];
  const float* x = q.data + from * q.n_columns;
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
