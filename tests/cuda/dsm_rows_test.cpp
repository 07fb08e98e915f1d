// Rows of training steps made on the device against those of the host.
#include "dsm_rows.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "adam.hpp"
#include "compute/dsm_levels.hpp"
#include "context.hpp"
#include "cuda/device.hpp"
#include "cuda/memory.hpp"
#include "dsm_batch.hpp"

namespace tarn::cuda {
namespace {

constexpr std::int64_t guard_rows = 2;
constexpr float guard = -77.25f;

// The optimiser's step of the record that the clock stands at, and the rows of the one behind it.
class StepBefore {
 public:
  explicit StepBefore(StreamHandle stream) : stream_(stream), values_(4 * n), row_losses_(2), losses_(8), ticket_(1) {
    zero_async(values_.data(), values_.size(), stream);
    zero_async(row_losses_.data(), 2, stream);
    zero_async(ticket_.data(), 1, stream);
  }
  void make(const DsmRowsCall& rows, const DsmClock& clock) {
    float* v = values_.data();
    launch_last_adam({v, v + n, v + 2 * n, v + 3 * n, nullptr, nullptr, n, n}, clock, nullptr,
                     {row_losses_.data(), 1, nullptr, losses_.data(), ticket_.data()}, rows, stream_);
  }

 private:
  static constexpr std::int64_t n = 2052;  // three blocks
  StreamHandle stream_;
  DeviceBuffer<float> values_;
  DeviceBuffer<double> row_losses_;
  DeviceBuffer<DsmLossRecord> losses_;
  DeviceBuffer<unsigned> ticket_;
};

// A step's rows from `data`, or from those of its rows that `indices` names, by both; step numbers beyond 2^32. `ahead`: made with the step before.
void expect_rows(std::int64_t D, std::int64_t U, std::int64_t B, const DsmLevel& level, bool by_index, bool ahead) {
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
  std::vector<DsmRecord> records(4);
  records[0].is_followed = true;
  for (std::int64_t t = 0; t < 3; ++t) {
    records[static_cast<std::size_t>(t + 1)] = {adam_step({}, 1e-3, 1), static_cast<std::uint64_t>(first_step + t),
                                                t * drawn, t < 2};
  }
  DeviceBuffer<DsmRecord> device_records(4);
  copy_async<DsmRecord>(device_records.data(), records.data(), 4, stream);
  StepBefore before(stream);

  for (std::int64_t t = 0; t < 3; ++t) {
    copy_async<float>(device_points.data(), points.data(), device_points.size(), stream);
    copy_async<float>(device_targets.data(), targets.data(), device_targets.size(), stream);
    copy_async<float>(device_scales.data(), scales.data(), device_scales.size(), stream);
    const std::int64_t at_record = ahead ? t : t + 1;
    copy_async<std::int64_t>(now.data(), &at_record, 1, stream);
    const DsmClock clock{device_records.data(), now.data()};
    if (ahead) {
      before.make(q, clock);
    } else {
      launch_dsm_rows(q, clock, stream);
    }
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
        for (const bool ahead : {false, true}) {
          expect_rows(D, U, B, test::confined_level(false, 0), B % 2 == 0, ahead);
          expect_rows(D, U, B, test::confined_level(false, 3), B % 2 == 1, ahead);
          if (B % 2 == 0) expect_rows(D, U, B, test::confined_level(true, 37), true, ahead);
          if (HasFatalFailure()) return;
        }
      }
    }
  }
}

// Behind the last record of a stretch lie rows that are not there yet, or nothing: the optimiser leaves the batch alone then.
TEST(CudaDsmRows, NoneAreMadeBehindTheLast) {
  TARN_NEEDS_DEVICE();
  Context context(0);
  const StreamHandle stream = context.stream.handle();
  const DsmRecord last{adam_step({}, 1e-3, 1), 7, 0, false};
  DeviceBuffer<DsmRecord> record(1);
  DeviceBuffer<std::int64_t> now(1);
  std::vector<float> batch(3 * 8, guard);
  DeviceBuffer<float> data(3 * 4), points(3 * 8);
  copy_async(record.data(), &last, 1, stream);
  zero_async(now.data(), 1, stream);
  zero_async(data.data(), data.size(), stream);
  copy_async<float>(points.data(), batch.data(), points.size(), stream);
  DsmRowsCall q;
  q.data = data.data();
  q.n_outputs = q.n_columns = q.out_width = 4;
  q.in_width = 8;
  q.batch_size = 3;
  q.points = q.targets = q.target_scale = points.data();
  StepBefore(stream).make(q, {record.data(), now.data()});
  std::int64_t then = 0;
  copy_async<std::int64_t>(&then, now.data(), 1, stream);
  copy_async<float>(batch.data(), points.data(), points.size(), stream);
  context.stream.synchronize();
  EXPECT_EQ(then, 1);
  for (const float value : batch) EXPECT_EQ(value, guard);
}

}  // namespace
}  // namespace tarn::cuda
