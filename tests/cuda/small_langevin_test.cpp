// Small-D chains and drifts on the device are the CPU's bit by bit, whatever kernel runs and however its weights reach shared memory.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <optional>
#include <vector>

#include "compute/langevin_checks.hpp"
#include "cuda/device.hpp"
#include "sanitized.hpp"
#include "small_chains.hpp"

namespace tarn {
namespace {

using cuda::SmallVariant;
using test::expect_same;
using Chains = test::HostChains;
using Net = test::LargeCase;  // its formulas hold for any D

using test::all_integrators;

// Rows between two rows that must stay as they are.
template <class T>
class Guarded {
 public:
  Guarded(const T* rows, std::int64_t n, std::int64_t columns, T mark, const cuda::CudaStream& stream)
      : n_(n), columns_(columns), mark_(mark), all_((n + 2) * columns) {
    std::vector<T> host(static_cast<std::size_t>(all_.size()), mark);
    if (rows) std::copy_n(rows, n * columns, host.begin() + columns);
    cuda::copy_async(all_.data(), host.data(), all_.size(), stream.handle());
    stream.synchronize();
  }
  T* data() { return all_.data() + columns_; }
  void download(T* to, const cuda::CudaStream& stream) {
    std::vector<T> host(static_cast<std::size_t>(all_.size()));
    cuda::copy_async(host.data(), all_.data(), all_.size(), stream.handle());
    stream.synchronize();
    std::copy_n(host.begin() + columns_, n_ * columns_, to);
    for (std::int64_t i = 0; i < columns_; ++i) {
      ASSERT_EQ(host[static_cast<std::size_t>(i)], mark_) << "written before the first row";
      ASSERT_EQ(host[static_cast<std::size_t>((n_ + 1) * columns_ + i)], mark_) << "written behind the last row";
    }
  }

 private:
  std::int64_t n_, columns_;
  T mark_;
  cuda::DeviceBuffer<T> all_;
};

std::string text(const Net& net, const SmallVariant& v) {
  return fmt::format("{} D {} U {} N {}, {} lanes, {} chains a thread, blocks of {}", name_of(net.phi), net.D, net.U,
                     net.N, v.lanes, v.chains, v.block);
}

class SmallLangevinOnDevice : public ::testing::Test {
 protected:
  void SetUp() override {
    TARN_NEEDS_DEVICE();
    info = cuda::device_info(0);
    stream.emplace();
  }

  void advance(const Net& net, const LangevinSteps& steps, Chains& chains, std::optional<SmallVariant> variant = {}) {
    const cuda::SmallDeviceNetwork network(net.view(), stream->handle());
    const std::int64_t n = chains.x.rows();
    Guarded<float> x(chains.x.data(), n, net.D, 7.0f, *stream), v(chains.v.data(), n, net.D, 7.0f, *stream);
    Guarded<std::int64_t> bad(chains.bad.data(), n, 1, -7, *stream);
    cuda::DeviceBuffer<float> u(chains.u.size()), clamp(chains.clamp.size());
    cuda::copy_async(u.data(), chains.u.data(), u.size(), stream->handle());
    cuda::copy_async(clamp.data(), chains.clamp.data(), clamp.size(), stream->handle());
    cuda::DeviceChains on_device;
    on_device.n = n;
    on_device.x = x.data();
    on_device.v = v.data();
    on_device.u = u.data();
    on_device.clamp = clamp.data();
    on_device.first_bad_step = bad.data();
    cuda::advance_small(network, steps, on_device, info, stream->handle(), variant);
    x.download(chains.x.data(), *stream);
    v.download(chains.v.data(), *stream);
    bad.download(chains.bad.data(), *stream);
  }

  Matrix<float> drift(const Net& net, const Matrix<float>& points, std::optional<SmallVariant> variant = {}) {
    const cuda::SmallDeviceNetwork network(net.view(), stream->handle());
    cuda::DeviceBuffer<float> in(points.size());
    cuda::copy_async(in.data(), points.data(), in.size(), stream->handle());
    Guarded<float> out(nullptr, points.rows(), net.D, 7.0f, *stream);
    cuda::drift_small(network, in.data(), points.rows(), out.data(), info, stream->handle(), variant);
    Matrix<float> result(points.rows(), net.D);
    out.download(result.data(), *stream);
    return result;
  }

  /// Every kernel that takes the network, with one warp a block, or with the largest block where `large`.
  std::vector<SmallVariant> variants(const Net& net, bool large = false) {
    auto all = cuda::small_variants(cuda::SmallDeviceNetwork(net.view(), stream->handle()));
    for (SmallVariant& v : all) {
      if (!large) v.block = 32;
    }
    return all;
  }

  void expect_the_cpus(const Net& net, const LangevinSteps& steps, const Chains& before, const Chains& expected,
                       const std::vector<SmallVariant>& kernels) {
    for (const SmallVariant& v : kernels) {
      SCOPED_TRACE(text(net, v));
      Chains found = before;
      advance(net, steps, found, v);
      ASSERT_NO_FATAL_FAILURE(expect_same(found.x, expected.x, "chains"));
      ASSERT_NO_FATAL_FAILURE(expect_same(found.v, expected.v, "momentum"));
      ASSERT_EQ(found.bad, expected.bad);
    }
  }

  cuda::DeviceInfo info;
  std::optional<cuda::CudaStream> stream;
  const std::unique_ptr<Backend> cpu = make_cpu_backend(1);
};

// Late ones: blocks are counted in more than 32 bits, and the first one serves in part.
LangevinSteps late_steps(std::int64_t n, Integrator integrator) {
  LangevinSteps s = test::some_steps(n, integrator);
  s.first_chain = (std::uint64_t{1} << 48) - 1000;
  s.first_step = 0x3fffffffeu;
  return s;
}

TEST_F(SmallLangevinOnDevice, StepsAreTheCpusForAllSizesAndKernels) {
  constexpr std::int64_t numbers_of_chains[] = {1, 31, 33, 5};
  std::size_t which = 0;
  for (const Nonlinearity phi : test::all_nonlinearities) {
    for (const std::int64_t D : {1, 2, 3, 4, 5, 9, 16}) {
      for (const std::int64_t U : {0, 1, 2, 16}) {
        for (const std::int64_t N : {1, 31, 32, 33, 257}) {
          // 9 has no divisor with a number of cases in common: every function, size and number of chains is still there.
          if (++which % 9 != 0 && test::sanitized) continue;
          Net net(phi, D, U, N);
          if (N == 31 || N == 257) net.add_shift();
          if (N == 33 || N == 257) net.add_map();
          const auto prepared = cpu->prepare(net.view());
          const std::int64_t n = numbers_of_chains[which % std::size(numbers_of_chains)];
          for (const Integrator integrator : all_integrators) {
            Chains before(net, n);
            if (N == 32 || N == 257) before.hold_every(2);
            LangevinSteps steps = late_steps(5, integrator);
            if (N == 1) steps.noise_scale = 0.0f;  // the drift alone
            if (N == 31) steps.noise_scale = 0.5f;
            Chains expected = before;
            cpu->advance(*prepared, steps, expected.block());
            expect_the_cpus(net, steps, before, expected, variants(net));
            if (HasFatalFailure()) return;
          }
        }
      }
    }
  }
}

TEST_F(SmallLangevinOnDevice, ManyChainsInLargeBlocksAreTheCpus) {
  for (const Nonlinearity phi : {Nonlinearity::relu, Nonlinearity::leaky_relu, Nonlinearity::tanh}) {
    for (const std::int64_t D : {1, 2, 4}) {
      Net net(phi, D, 0, 65);
      const auto prepared = cpu->prepare(net.view());
      const LangevinSteps steps = late_steps(6, Integrator::leimkuhler_matthews);
      for (const std::int64_t n : {65, 257}) {
        Chains before(net, n), expected = before;
        cpu->advance(*prepared, steps, expected.block());
        auto all = variants(net, true);
        all.push_back(cuda::choose_small_variant(cuda::SmallDeviceNetwork(net.view(), stream->handle()), n, info));
        expect_the_cpus(net, steps, before, expected, all);
        if (HasFatalFailure()) return;
      }
    }
  }
}

TEST_F(SmallLangevinOnDevice, WeightsThatDoNotFitIntoSharedMemoryAreStreamed) {
  for (const Nonlinearity phi : {Nonlinearity::relu, Nonlinearity::softplus}) {
    for (const std::int64_t D : {1, 2, 3, 9, 16}) {
      Net net(phi, D, D == 3 ? 2 : 0, 1000);
      const auto prepared = cpu->prepare(net.view());
      const LangevinSteps steps = late_steps(3, D == 2 ? Integrator::baoab : Integrator::euler_maruyama);
      Chains before(net, 33), expected = before;
      cpu->advance(*prepared, steps, expected.block());
      const Matrix<float> points = test::normal_matrix(33, net.D + net.U, 12);
      Matrix<float> expected_drift(33, D);
      cpu->drift(*prepared, points, expected_drift);
      for (const std::int64_t bytes : {256, 4096, 15000}) {  // from one row at a time on
        info.shared_bytes_a_block = bytes;
        for (const SmallVariant& v : variants(net)) {
          SCOPED_TRACE(text(net, v));
          expect_the_cpus(net, steps, before, expected, {v});
          expect_same(drift(net, points, v), expected_drift, "drift");
          if (HasFatalFailure()) return;
        }
      }
    }
  }
}

TEST_F(SmallLangevinOnDevice, DriftIsTheCpus) {
  for (const Nonlinearity phi : test::all_nonlinearities) {
    for (const std::int64_t D : {1, 2, 3, 5, 9, 16}) {
      for (const std::int64_t U : {0, 1, 16}) {
        for (const std::int64_t n : {1, 33}) {
          Net net(phi, D, U, 65);
          if (U == 1) net.add_shift();
          if (n == 33) net.add_map();
          Matrix<float> points = test::normal_matrix(n, D + U, 12);
          if (n == 33) {
            points(4, 0) = 1e38f;
            points(5, D + U - 1) = INFINITY;  // where there are inputs, some functions of it are finite
            points(6, 0) = NAN;
            points(7, 0) = -0.0f;
          }
          Matrix<float> expected(n, D);
          cpu->drift(*cpu->prepare(net.view()), points, expected);
          for (const SmallVariant& v : variants(net)) {
            SCOPED_TRACE(text(net, v));
            expect_same(drift(net, points, v), expected, "drift");
            if (HasFatalFailure()) return;
          }
        }
      }
    }
  }
}

TEST_F(SmallLangevinOnDevice, BadChainsAreQuarantinedAtTheStepOfTheCpu) {
  for (const std::int64_t D : {1, 2, 5}) {
    Net net(Nonlinearity::relu, D, 0, 33);
    const auto prepared = cpu->prepare(net.view());
    LangevinSteps steps = late_steps(40, D == 2 ? Integrator::baoab : Integrator::euler_maruyama);
    steps.bound = 2.5f;
    Chains before(net, 100);
    before.x(3, 0) = NAN;
    before.x(4, 0) = INFINITY;
    before.x(5, 0) = 3e38f;
    before.bad[6] = 2;  // known to be bad since step 2
    before.x(6, 0) = NAN;
    Chains expected = before;
    cpu->advance(*prepared, steps, expected.block());
    const auto n_bad =
        std::count_if(expected.bad.begin(), expected.bad.end(), [](std::int64_t step) { return step >= 0; });
    ASSERT_GT(n_bad, 6);
    ASSERT_LT(n_bad, 95);
    expect_the_cpus(net, steps, before, expected, variants(net));
    if (HasFatalFailure()) return;
  }
}

TEST_F(SmallLangevinOnDevice, CallsMayEndAnywhere) {
  for (const std::int64_t D : {1, 2, 3}) {
    for (const Integrator integrator : all_integrators) {
      Net net(Nonlinearity::relu, D, 0, 40);
      const LangevinSteps all = late_steps(11, integrator);
      Chains together(net, 33), apart = together;
      advance(net, all, together);
      for (std::int64_t done = 0, n = 1; done < all.n_steps; done += n, n = done == 1 ? 7 : 3) {
        LangevinSteps some = all;
        some.first_step += static_cast<std::uint64_t>(done);
        some.n_steps = n;
        advance(net, some, apart);
      }
      expect_same(apart.x, together.x, "in several calls");
      expect_same(apart.v, together.v, "in several calls");
    }
  }
}

TEST_F(SmallLangevinOnDevice, RefusesWhatIsNotThere) {
  Net net(Nonlinearity::relu, 1, 0, 5);
  Chains chains(net, 3);
  const LangevinSteps steps = late_steps(1, Integrator::euler_maruyama);
  EXPECT_THROW(advance(net, steps, chains, SmallVariant{2, 1, 64}), Error);
  EXPECT_THROW(advance(net, steps, chains, SmallVariant{32, 1, 48}), Error);
  EXPECT_THROW(advance(net, steps, chains, SmallVariant{32, 1, 1024}), Error);
  Net wide(Nonlinearity::relu, 17, 0, 5);
  EXPECT_THROW(cuda::SmallDeviceNetwork(wide.view(), stream->handle()), Error);
}

}  // namespace
}  // namespace tarn
