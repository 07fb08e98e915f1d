// The optimiser's kernel against the CPU's, bit for bit; the norm of a gradient against double.
#include "adam.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "compute/large_reference.hpp"
#include "context.hpp"
#include "cpu/large_dsm_kernels.hpp"
#include "cuda/device.hpp"
#include "cuda/memory.hpp"
#include "tarn/compute/dsm.hpp"

namespace tarn::cuda {
namespace {

constexpr float guard = -77.25f;  // after the end of every array

struct Arrays {
  std::vector<AlignedVector<float>> values;  // gradient, weights, first, second, largest, average
  explicit Arrays(std::int64_t n) {
    for (std::uint64_t which = 0; which < 6; ++which) {
      const Matrix<float> m = test::normal_matrix(1, n, 60 + which, which == 1 ? 1.0 : 0.1);
      values.emplace_back(m.data(), m.data() + n);
      if (which == 3 || which == 4)
        for (float& v : values.back()) v *= v;  // second moments
      values.back().resize(static_cast<std::size_t>(n + 16), guard);
    }
  }
};

OptimizerSettings settings_of(OptimizerKind kind, bool amsgrad, double ema) {
  OptimizerSettings o;
  o.kind = kind;
  o.weight_decay = 1e-2;
  o.amsgrad = amsgrad;
  o.ema = ema;
  return o;
}

TEST(CudaAdam, SameBitsAsTheCpu) {
  TARN_NEEDS_DEVICE();
  Context context(0);
  const StreamHandle stream = context.stream.handle();
  for (const OptimizerKind kind : {OptimizerKind::adam, OptimizerKind::adamw}) {
    for (const bool amsgrad : {false, true}) {
      for (const double ema : {0.0, 0.99}) {
        for (const float clipped : {1.0f, 0.37f}) {
          for (const std::int64_t n : {16, 48, 1040}) {
            Arrays host(n);
            const std::int64_t n_decayed = n / 2 / 16 * 16;
            std::vector<DeviceBuffer<float>> device;
            for (const auto& v : host.values) {
              device.emplace_back(n + 16);
              copy_async(device.back().data(), v.data(), n + 16, stream);
            }
            AdamStep step = adam_step(settings_of(kind, amsgrad, ema), 1e-3, 3);
            std::vector<DsmRecord> records(2);
            records[1].adam = step;  // the clock stands at the second
            const std::int64_t now = 1;
            DeviceBuffer<DsmRecord> device_records(2);
            DeviceBuffer<std::int64_t> device_now(1);
            DeviceBuffer<float> scale(1);
            copy_async<DsmRecord>(device_records.data(), records.data(), 2, stream);
            copy_async(device_now.data(), &now, 1, stream);
            copy_async(scale.data(), &clipped, 1, stream);
            launch_adam({device[0].data(), device[1].data(), device[2].data(), device[3].data(),
                         amsgrad ? device[4].data() : nullptr, ema > 0.0 ? device[5].data() : nullptr, n, n_decayed},
                        {device_records.data(), device_now.data()}, clipped == 1.0f ? nullptr : scale.data(), stream);
            std::vector<std::vector<float>> found(6, std::vector<float>(static_cast<std::size_t>(n + 16)));
            for (std::size_t k = 0; k < 6; ++k) copy_async<float>(found[k].data(), device[k].data(), n + 16, stream);
            context.stream.synchronize();

            step.gradient_scale = clipped;
            const auto& cpu = tarn::cpu::large_dsm_kernels(current_isa());
            const auto at = [&](std::int64_t i) {
              auto& v = host.values;
              return tarn::cpu::AdamArrays{v[0].data() + i, v[1].data() + i, v[2].data() + i,
                                           v[3].data() + i, v[4].data() + i, v[5].data() + i};
            };
            cpu.adam(step, at(0), n_decayed);
            step.l2 = 0.0f;
            step.shrink = 1.0f;
            cpu.adam(step, at(n_decayed), n - n_decayed);
            for (std::size_t k = 0; k < 6; ++k) {
              for (std::size_t i = 0; i < found[k].size(); ++i)
                ASSERT_EQ(found[k][i], host.values[k][i]) << "array " << k << " entry " << i << " of " << n;
            }
          }
        }
      }
    }
  }
}

// The same step, and its end by whichever block is the last: losses where the clock stood, the clock one further, again and again.
TEST(CudaAdam, EndsTheTrainingStep) {
  TARN_NEEDS_DEVICE();
  Context context(0);
  const StreamHandle stream = context.stream.handle();
  for (const std::int64_t n : {4, 1024, 1028, 21504}) {  // one block to 21 of them
    for (const std::int64_t batch_size : {1, 37, 700}) {
      Arrays host(n);
      std::vector<DeviceBuffer<float>> alone, ending;
      for (const auto& v : host.values) {
        for (auto* to : {&alone, &ending}) {
          to->emplace_back(n + 16);
          copy_async(to->back().data(), v.data(), n + 16, stream);
        }
      }
      std::vector<DsmRecord> records(3);
      for (std::size_t i = 0; i < 3; ++i) records[i].adam = adam_step({}, 1e-3 / static_cast<double>(i + 1), 3);
      std::vector<double> row_losses;
      for (std::int64_t i = 0; i < 2 * batch_size; ++i) row_losses.push_back(static_cast<double>(i % 11) - 3.25);
      const double norm = 7.5;
      const unsigned no_ticket = 0;
      DeviceBuffer<DsmRecord> device_records(3);
      DeviceBuffer<std::int64_t> now_alone(1), now_ending(1);
      DeviceBuffer<double> device_rows(2 * batch_size), device_norm(1);
      DeviceBuffer<DsmLossRecord> losses(3);
      DeviceBuffer<unsigned> ticket(1);
      copy_async<DsmRecord>(device_records.data(), records.data(), 3, stream);
      copy_async<double>(device_rows.data(), row_losses.data(), 2 * batch_size, stream);
      copy_async(device_norm.data(), &norm, 1, stream);
      copy_async(ticket.data(), &no_ticket, 1, stream);
      zero_async(now_alone.data(), 1, stream);
      zero_async(now_ending.data(), 1, stream);
      const auto arrays = [&](std::vector<DeviceBuffer<float>>& of) {
        return AdamArrays{of[0].data(), of[1].data(), of[2].data(), of[3].data(), nullptr, nullptr, n, n};
      };
      for (int step = 0; step < 3; ++step) {
        const DsmClock with{device_records.data(), now_alone.data()};
        launch_adam(arrays(alone), with, nullptr, stream);
        const std::int64_t next = step + 1;
        context.stream.synchronize();
        copy_async(now_alone.data(), &next, 1, stream);
        context.stream.synchronize();
        launch_last_adam(
            arrays(ending), {device_records.data(), now_ending.data()}, nullptr,
            {device_rows.data(), batch_size, step == 1 ? nullptr : device_norm.data(), losses.data(), ticket.data()},
            {}, stream);
      }
      std::vector<float> a(static_cast<std::size_t>(n + 16)), b = a;
      for (std::size_t k = 1; k < 4; ++k) {
        copy_async<float>(a.data(), alone[k].data(), n + 16, stream);
        copy_async<float>(b.data(), ending[k].data(), n + 16, stream);
        context.stream.synchronize();
        ASSERT_EQ(a, b) << "array " << k << " of " << n;
      }
      std::vector<DsmLossRecord> found(3);
      std::int64_t now = 0;
      unsigned left = 1;
      copy_async<DsmLossRecord>(found.data(), losses.data(), 3, stream);
      copy_async<std::int64_t>(&now, now_ending.data(), 1, stream);
      copy_async<unsigned>(&left, ticket.data(), 1, stream);
      context.stream.synchronize();
      EXPECT_EQ(now, 3);
      EXPECT_EQ(left, 0u);
      double loss = 0.0, excess = 0.0;
      for (std::size_t i = 0; i < row_losses.size(); ++i)
        (i % 2 == 0 ? loss : excess) += row_losses[i] / static_cast<double>(batch_size);
      for (std::size_t step = 0; step < 3; ++step) {
        EXPECT_NEAR(found[step].loss, loss, 1e-12);
        EXPECT_NEAR(found[step].excess, excess, 1e-12);
        EXPECT_EQ(found[step].gradient_norm, step == 1 ? 0.0 : norm);
      }
    }
  }
}

TEST(CudaAdam, NormAndClipping) {
  TARN_NEEDS_DEVICE();
  Context context(0);
  const StreamHandle stream = context.stream.handle();
  for (const std::int64_t n : {4, 260, 1028, 300004}) {
    const Matrix<float> gradient = test::normal_matrix(1, n, 70);
    double square = 0.0;
    for (std::int64_t i = 0; i < n; ++i) square += static_cast<double>(gradient.data()[i]) * gradient.data()[i];
    const double expected = std::sqrt(square);
    DeviceBuffer<float> device(n), scale(1);
    DeviceBuffer<double> norm(1 + norm_partials);
    copy_async(device.data(), gradient.data(), n, stream);
    for (const double clip : {0.5 * expected, 2.0 * expected}) {
      launch_gradient_norm(device.data(), n, clip, norm.data() + 1, norm.data(), scale.data(), stream);
      double found = 0.0;
      float found_scale = 0.0f;
      copy_async<double>(&found, norm.data(), 1, stream);
      copy_async<float>(&found_scale, scale.data(), 1, stream);
      context.stream.synchronize();
      EXPECT_NEAR(found / expected, 1.0, 1e-13) << n;
      EXPECT_EQ(found_scale, clip < expected ? static_cast<float>(clip / found) : 1.0f);
    }
  }
}

}  // namespace
}  // namespace tarn::cuda
