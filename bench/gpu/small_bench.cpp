// Small-D chains on a GPU: one JSON line a case, with the share of what the schedulers can issue at most (issue_limit.cu). Every kernel
// where they compete (D = 1 and 2, relu), the chosen one elsewhere. Chains stay on the device; times are those of CUDA events, the median of
// nine. With the argument small, a handful of cases of a hundred chains, for machines without a GPU, where times mean nothing. Energy (energy.hpp) where the chosen kernel fills the card. Takes about a minute.
#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "bus_id.hpp"
#include "energy.hpp"
#include "issue_limit.hpp"
#include "noise.hpp"
#include "small_chains.hpp"
#include "tarn/core/noise.hpp"

namespace tarn {
namespace {

constexpr int repeats = 9;

/// Median seconds of `work(stream)`, after one call that does not count.
template <class F>
double seconds(const cuda::CudaStream& stream, F&& work) {
  work();
  std::vector<double> times;
  for (int i = 0; i < repeats; ++i) {
    cuda::CudaEvent start(true), end(true);
    start.record(stream.handle());
    work();
    end.record(stream.handle());
    end.synchronize();
    times.push_back(1e-3 * static_cast<double>(end.milliseconds_since(start)));
  }
  std::sort(times.begin(), times.end());
  return times[repeats / 2];
}

struct Network {
  std::vector<float> W_in, b, W_out;
  NetworkView view;

  Network(Nonlinearity phi, std::int64_t D, std::int64_t U, std::int64_t N)
      : W_in(normals(N, D + U, 1, 1.0)), b(normals(1, N, 2, 0.5)), W_out(normals(D, N, 3, 1.0 / std::sqrt(N))) {
    view = {D, U, N, phi, W_in.data(), b.data(), W_out.data(), nullptr, nullptr};
  }

 private:
  static std::vector<float> normals(std::int64_t rows, std::int64_t columns, std::uint64_t which, double scale) {
    Matrix<float> m(rows, columns);
    fill_normals(1, Stream::evaluation, 0, which, 1, m);
    std::vector<float> values(m.data(), m.data() + m.size());
    for (float& v : values) v *= static_cast<float>(scale);
    return values;
  }
};

class Bench {
 public:
  explicit Bench(bool is_small)
      : info_(cuda::device_info(0)),
        energy_(bench::pci_bus_id(0), is_small ? 0.05 : 1.0),
        call_seconds_(is_small ? 0.0 : 0.012),
        fills_the_card_(is_small ? 1 : 270336) {
    const int neurons = is_small ? 16 : 40000;
    fmt::print("{}\n", energy_.idle_line());
    const int threads = 512, blocks = info_.n_multiprocessors * 4;
    cuda::DeviceBuffer<float> out(std::int64_t{threads} * blocks);
    for (const int D : {1, 2}) {
      double done = 0.0;
      const double s = seconds(stream_, [&] {
        done = bench::launch_issue_limit(D, blocks, threads, neurons, out.data(), stream_.handle());
      });
      limit_[D] = done / s;
      fmt::print(
          "{{\"case\": \"issue limit\", \"device\": \"{}\", \"multiprocessors\": {}, \"D\": {}, "
          "\"neurons_per_s\": {:.4g}, \"instructions_per_s\": {:.4g}}}\n",
          info_.name, info_.n_multiprocessors, D, limit_[D], limit_[D] * (2 * D + 1));
    }
  }

  void noise(std::int64_t n_steps, std::int64_t n_chains, std::int64_t D) {
    cuda::DeviceBuffer<float> out(n_steps * n_chains * D);
    const double s = seconds(stream_, [&] {
      cuda::launch_fill_normals(1, Stream::dynamics, 0, 0, n_steps, n_chains, D, out.data(), stream_.handle());
    });
    const auto values = static_cast<double>(out.size());
    fmt::print(
        "{{\"case\": \"normals\", \"D\": {}, \"values\": {}, \"median_s\": {:.4g}, \"normals_per_s\": {:.4g}, "
        "\"GB_per_s\": {:.4g}}}\n",
        D, out.size(), s, values / s, 4e-9 * values / s);
  }

  /// `blocks` empty: the chosen kernel alone; else every kernel with each of these.
  void chains(Nonlinearity phi, std::int64_t D, std::int64_t U, std::int64_t N, std::int64_t n,
              const std::vector<int>& blocks, Integrator integrator = Integrator::euler_maruyama) {
    const Network host(phi, D, U, N);
    const cuda::SmallDeviceNetwork network(host.view, stream_.handle());
    cuda::DeviceBuffer<float> x(n * D), u(n * U);
    cuda::DeviceBuffer<std::int64_t> bad(n);
    cuda::zero_async(x.data(), x.size(), stream_.handle());
    cuda::zero_async(u.data(), u.size(), stream_.handle());
    cuda::zero_async(bad.data(), bad.size(), stream_.handle());
    cuda::DeviceChains on_device;
    on_device.n = n;
    on_device.x = x.data();
    on_device.u = u.data();
    on_device.first_bad_step = bad.data();
    LangevinSteps steps;
    steps.integrator = integrator;
    steps.dt = 1e-4f;

    const cuda::SmallVariant chosen = cuda::choose_small_variant(network, n, info_);
    std::vector<cuda::SmallVariant> variants{chosen};
    for (cuda::SmallVariant v : cuda::small_variants(network)) {
      const int largest = v.block;
      for (const int block : blocks) {
        v.block = block;
        if (block <= largest && v != chosen) variants.push_back(v);
      }
    }
    for (const cuda::SmallVariant& v : variants) {
      const auto run = [&] { cuda::advance_small(network, steps, on_device, info_, stream_.handle(), v); };
      steps.n_steps = 10;
      steps.n_steps = std::clamp<std::int64_t>(static_cast<std::int64_t>(10 * call_seconds_ / once(run)), 10, 100000);
      const double s = seconds(stream_, run);
      const double rate = static_cast<double>(n * steps.n_steps) / s;
      std::string energy;
      if (v == chosen && n >= fills_the_card_) {
        energy = ", " + energy_.fields("chain_step", static_cast<double>(n * steps.n_steps), [&] {
          run();
          stream_.synchronize();
        });
      }
      const bool has_limit = phi == Nonlinearity::relu && D <= 2 && U == 0;
      fmt::print(
          "{{\"case\": \"chains\", \"phi\": \"{}\", \"D\": {}, \"U\": {}, \"N\": {}, \"integrator\": \"{}\", "
          "\"chains\": {}, \"lanes\": {}, \"chains_a_thread\": {}, \"block\": {}, \"chosen\": {}, \"steps\": {}, "
          "\"median_s\": {:.4g}, \"chain_steps_per_s\": {:.4g}, \"share_of_issue_limit\": {}{}}}\n",
          name_of(phi), D, U, N, integrator == Integrator::euler_maruyama ? "em" : "lm", n, v.lanes, v.chains, v.block,
          v == chosen, steps.n_steps, s, rate,
          has_limit ? fmt::format("{:.3f}", rate * static_cast<double>(N) / limit_[D]) : "null", energy);
      std::fflush(stdout);
    }
  }

 private:
  template <class F>
  double once(F&& run) {
    run();
    cuda::CudaEvent start(true), end(true);
    start.record(stream_.handle());
    run();
    end.record(stream_.handle());
    end.synchronize();
    return 1e-3 * static_cast<double>(end.milliseconds_since(start));
  }

  cuda::DeviceInfo info_;
  cuda::CudaStream stream_;
  bench::EnergyMeter energy_;
  double call_seconds_;
  std::int64_t fills_the_card_;
  double limit_[3] = {};
};

void few_cases() {
  Bench bench(true);
  bench.noise(2, 100, 2);
  bench.chains(Nonlinearity::relu, 1, 0, 20, 100, {});
  bench.chains(Nonlinearity::tanh, 2, 1, 20, 100, {});
}

void all_cases() {
  Bench bench(false);
  bench.noise(64, 270336, 1);
  bench.noise(32, 270336, 2);
  bench.noise(1, 100000, 300);
  using enum Nonlinearity;
  for (const std::int64_t D : {1, 2}) {
    for (const std::int64_t n : {270336, 1081344}) bench.chains(relu, D, 0, 1000, n, {128, 256, 512});
    for (const std::int64_t n : {1000, 5000, 20000, 50000}) bench.chains(relu, D, 0, 1000, n, {64, 128, 256});
  }
  for (const std::int64_t N : {100, 257, 4000, 10000, 20000}) bench.chains(relu, 1, 0, N, 270336, {});
  bench.chains(relu, 1, 0, 1000, 270336, {}, Integrator::leimkuhler_matthews);
  for (const Nonlinearity phi : {leaky_relu, tanh, softplus, sigmoid}) bench.chains(phi, 1, 0, 1000, 270336, {256});
  for (const std::int64_t D : {3, 5, 8, 16}) {
    for (const std::int64_t n : {1000, 50000, 270336}) bench.chains(relu, D, 0, 1000, n, {128, 256});
  }
  bench.chains(relu, 2, 2, 1000, 270336, {256});
  bench.chains(relu, 16, 16, 1000, 270336, {256});
  bench.chains(relu, 16, 0, 20000, 50000, {256});
}

}  // namespace
}  // namespace tarn

int main(int argc, char** argv) {
  try {
    argc > 1 && std::string(argv[1]) == "small" ? tarn::few_cases() : tarn::all_cases();
  } catch (const std::exception& e) {
    fmt::print(stderr, "small_bench: {}\n", e.what());
    return 1;
  }
}
