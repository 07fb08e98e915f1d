// Rows of training steps made on the device against those of the host.
#include "dsm_rows.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "compute/dsm_levels.hpp"
#include "context.hpp"
#include "cuda/device.hpp"
#include "cuda/memory.hpp"
#include "dsm_batch.hpp"

namespace tarn::cuda {
namespace {

constexpr std::int64_t guard_rows = 2;
constexpr float guard = -77.25f;

// A step's rows from `data`, or from those of its rows that `indices` names, by both; step numbers beyond 2^32.
void expect_rows(std::int64_t D, std::int64_t U, std::int64_t B, const DsmLevel& level, bool by_index) {
  Context context(0);
  const StreamHandle stream = context.stream.handle();
  const std::int64_t K = D + U, rows = B + level.confinement_points, drawn = level.antithetic ? B / 2 : B;
  const std::uint64_t seed = 0x0123456789abcdefu;
  const std::int64_t first_step = (std::int64_t{1} << 33) + 5;
  test::NormalSource source(K);
  NoisyBatches expected;
  expected.fill(source, level, D, B, seed, first_step, 3);
  Matrix<float> data(3 * drawn, K);
  source.fill(first_step, 3, data);

  std::vector<std::int64_t> indices(static_cast<std::size_t>(3 * drawn));
  Matrix<float> table(3 * drawn, K);
  for (std::int64_t i = 0; i < 3 * drawn; ++i) {
    const std::int64_t place = 3 * drawn - 1 - i;
    std::copy_n(data.row(i), K, table.row(by_index ? place : i));
    indices[static_cast<std::size_t>(i)] = place;
  }
  DeviceBuffer<float> device_table(table.size());
  DeviceBuffer<std::int64_t> device_indices(3 * drawn), now(1);
  copy_async<float>(device_table.data(), table.data(), table.size(), stream);
  copy_async<std::int64_t>(device_indices.data(), indices.data(), 3 * drawn, stream);

  DsmRowsCall q;
  q.data = device_table.data();
  q.indices = by_index ? device_indices.data() : nullptr;
  q.n_outputs = D;
  q.n_columns = K;
  q.in_width = (K + 4) / 4 * 4;
  q.out_width = (D + 3) / 4 * 4;
  q.batch_size = B;
  q.confinement_points = level.confinement_points;
  q.antithetic = level.antithetic;
  q.seed = seed;
  q.sigma = static_cast<float>(level.sigma);
  q.inverse_sigma = static_cast<float>(1.0 / level.sigma);
  q.sigma_squared = level.sigma * level.sigma;
  q.pull = level.confinement_pull;
  q.log_low = std::log(level.confinement_radius[0]);
  q.log_high = std::log(level.confinement_radius[1]);
  const std::int64_t with_guard = rows + guard_rows;
  std::vector<float> points(static_cast<std::size_t>(with_guard * q.in_width), guard),
      targets(static_cast<std::size_t>(with_guard * q.out_width), guard),
      scales(static_cast<std::size_t>(with_guard), guard);
  DeviceBuffer<float> device_points(with_guard * q.in_width), device_targets(with_guard * q.out_width),
      device_scales(with_guard);
  q.points = device_points.data();
  q.targets = device_targets.data();
  q.target_scale = device_scales.data();
  std::vector<DsmRecord> records(3);
  for (std::int64_t t = 0; t < 3; ++t)
    records[static_cast<std::size_t>(t)] = {{}, static_cast<std::uint64_t>(first_step + t), t * drawn};
  DeviceBuffer<DsmRecord> device_records(3);
  copy_async<DsmRecord>(device_records.data(), records.data(), 3, stream);

  for (std::int64_t t = 0; t < 3; ++t) {
    copy_async<float>(device_points.data(), points.data(), device_points.size(), stream);
    copy_async<float>(device_targets.data(), targets.data(), device_targets.size(), stream);
    copy_async<float>(device_scales.data(), scales.data(), device_scales.size(), stream);
    copy_async<std::int64_t>(now.data(), &t, 1, stream);
    launch_dsm_rows(q, {device_records.data(), now.data()}, stream);
    std::vector<float> p(points.size()), g(targets.size()), s(scales.size());
    copy_async<float>(p.data(), device_points.data(), device_points.size(), stream);
    copy_async<float>(g.data(), device_targets.data(), device_targets.size(), stream);
    copy_async<float>(s.data(), device_scales.data(), device_scales.size(), stream);
    context.stream.synchronize();
    const NoisyStep e = expected.step(t);
    const auto at = [](std::int64_t i) { return static_cast<std::size_t>(i); };
    for (std::int64_t i = 0; i < with_guard; ++i) {
      // data rows: the same bits; confinement points: double functions, which may differ by an ulp, rounded to float
      const auto close = [&](float found, float value) {
        if (i < B) return found == value;
        return std::fabs(found - value) <= 1.2e-7f * std::fabs(value);
      };
      const bool outside = i >= rows;
      for (std::int64_t k = 0; k < q.in_width; ++k) {
        const float value = k < K && !outside ? e.points[i * K + k] : (outside ? guard : (k == K ? 1.0f : 0.0f));
        ASSERT_TRUE(close(p[at(i * q.in_width + k)], value)) << "row " << i << " column " << k << " step " << t;
      }
      for (std::int64_t d = 0; d < q.out_width; ++d) {
        const float value = d < D && !outside ? e.targets[i * D + d] : guard;
        ASSERT_TRUE(close(g[at(i * q.out_width + d)], value)) << "row " << i << " target " << d << " step " << t;
      }
      ASSERT_TRUE(close(s[at(i)], outside ? guard : e.target_scale[i])) << "row " << i;
    }
  }
}

TEST(CudaDsmRows, AreTheHosts) {
  TARN_NEEDS_DEVICE();
  for (const std::int64_t D : {1, 2, 3, 4, 5, 31, 33, 257}) {
    for (const std::int64_t U : {0, 2}) {
      for (const std::int64_t B : {1, 2, 31, 34}) {
        SCOPED_TRACE("D " + std::to_string(D) + " U " + std::to_string(U) + " B " + std::to_string(B));
        expect_rows(D, U, B, test::confined_level(false, 0), B % 2 == 0);
        expect_rows(D, U, B, test::confined_level(false, 3), B % 2 == 1);
        if (B % 2 == 0) expect_rows(D, U, B, test::confined_level(true, 37), true);
        if (HasFatalFailure()) return;
      }
    }
  }
}

}  // namespace
}  // namespace tarn::cuda
