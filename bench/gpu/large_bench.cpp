// Chain-steps a second of the large-D path on the device, beside what the same card does in the products alone. One JSON line a
// measurement, each the median of several repeats between CUDA events. Under a minute on an H100.
//   gemm         products by the backend's own Blas: 8192^3 in each precision (bf16: of bf16 matrices), and the two of a float32 step
//   copy         device to device, bytes read and written
//   advance      output mode; `share` is its rate of arithmetic over that of 8192^3 in its precision, `share_of_products` over the step's own two
//   reservoir    reservoir mode; both with their energy (energy.hpp)
#include <algorithm>
#include <cstdio>
#include <exception>
#include <string>
#include <vector>

#include "bench_network.hpp"
#include "bus_id.hpp"
#include "ceilings.hpp"
#include "energy.hpp"
#include "large_chains.hpp"
#include "large_steps.hpp"
#include "measure.hpp"
#include "memory.hpp"
#include "reservoir_chains.hpp"
#include "tarn/core/noise.hpp"

namespace {

using namespace tarn;
using namespace tarn::cuda;

int repeats = 7;

struct Case {
  std::int64_t D, N, chains, n_steps;
  Nonlinearity phi;
  bool reservoir;
  Precision precision = Precision::fp32;
};

void chains(Context& context, const Case& k, double ceiling, bench::EnergyMeter& energy) {
  context.precision = k.precision;
  double products = 0.0;
  if (!k.reservoir && k.phi == Nonlinearity::relu && k.precision == Precision::fp32)
    products = bench::product_seconds(context, k.chains, k.N, k.D, true) +
               bench::product_seconds(context, k.chains, k.D, k.N, false);
  const bench::BenchNetwork net(k.D, k.N, 0.05f, k.phi);
  const LargeDeviceNetwork network(net.view, context.stream.handle(), k.precision, large_plan(net.view, context),
                                   engine_of(context.info));
  LargeWorkspace workspace;
  DeviceBuffer<float> x = bench::device_normals(k.chains, k.D, 3, 1.0f, context), r, P;
  if (k.reservoir) {
    r = bench::device_normals(k.chains, k.N, 4, 0.01f, context);
    P = bench::device_normals(k.N, k.D, 5, 0.01f, context);
  }
  const std::vector<std::int64_t> well(static_cast<std::size_t>(k.chains), -1);
  DeviceBuffer<std::int64_t> bad(k.chains);
  copy_async(bad.data(), well.data(), k.chains, context.stream.handle());
  DeviceChains d;
  d.n = k.chains;
  d.x = x.data();
  d.r = r.data();
  d.P = P.data();
  d.first_bad_step = bad.data();
  LangevinSteps steps;
  steps.dt = 1e-4f;
  steps.n_steps = k.n_steps;
  const auto advance = [&] {
    if (k.reservoir) {
      advance_reservoir(network, steps, d, workspace, context);
    } else {
      advance_large(network, steps, d, workspace, context);
    }
    steps.first_step += static_cast<std::uint64_t>(steps.n_steps);
  };
  const double step = bench::device_seconds(context, repeats, 1, advance) / static_cast<double>(k.n_steps);
  const double flops = (k.reservoir ? 6.0 : 4.0) * static_cast<double>(k.chains * k.N) * static_cast<double>(k.D);
  std::printf(
      "{\"bench\": \"%s\", \"precision\": \"%s\", \"phi\": \"%s\", \"D\": %lld, \"N\": %lld, \"chains\": %lld, "
      "\"steps\": %lld, "
      "\"ms_a_step\": "
      "%.4f, \"chain_steps_per_s\": %.4g, \"tflop_per_s\": %.2f, \"share\": %.3f",
      k.reservoir ? "reservoir" : "advance", std::string(name_of(k.precision)).c_str(),
      std::string(name_of(k.phi)).c_str(), static_cast<long long>(k.D), static_cast<long long>(k.N),
      static_cast<long long>(k.chains), static_cast<long long>(k.n_steps), 1e3 * step,
      static_cast<double>(k.chains) / step, 1e-12 * flops / step, flops / step / ceiling);
  if (products > 0.0) std::printf(", \"share_of_products\": %.3f", products / step);
  steps.n_steps = std::clamp<std::int64_t>(static_cast<std::int64_t>(0.02 / step), 1, k.n_steps);
  const std::string used = energy.fields("chain_step", static_cast<double>(k.chains * steps.n_steps), [&] {
    advance();
    context.stream.synchronize();
  });
  std::printf(", %s}\n", used.c_str());
  std::fflush(stdout);
}

}  // namespace

// `large_bench small` goes through the motions with a few chains and neurons: for machines without a GPU, where times mean nothing.
int main(int argc, char** argv) try {
  const bool is_small = argc > 1 && std::string(argv[1]) == "small";
  const std::int64_t less = is_small ? 100 : 1;
  if (is_small) repeats = 1;
  Context context(0);
  std::printf("{\"device\": \"%s\", \"multiprocessors\": %d}\n", context.info.name.c_str(),
              context.info.n_multiprocessors);
  bench::EnergyMeter energy(bench::pci_bus_id(0), is_small ? 0.05 : 1.0);
  std::printf("%s\n", energy.idle_line().c_str());
  const std::int64_t n = 8192 / less;
  double ceiling[3];
  for (const Precision precision : {Precision::fp32, Precision::tf32, Precision::bf16}) {
    const bool stands_in = is_small && precision == Precision::bf16;  // the emulator has no matrices of bf16
    ceiling[static_cast<std::size_t>(precision)] =
        bench::square_rate(context, n, stands_in ? Precision::tf32 : precision);
  }
  bench::copy_rate(context, (std::int64_t{1} << 28) / less);
  const Nonlinearity relu = Nonlinearity::relu, tanh = Nonlinearity::tanh;
  const Precision bf16 = Precision::bf16, tf32 = Precision::tf32;
  for (Case k : {Case{300, 20000, 1024, 64, relu, false}, Case{300, 20000, 16384, 16, relu, false},
                 Case{300, 2000, 16384, 128, relu, false}, Case{300, 2000, 1024, 512, relu, false},
                 Case{300, 2000, 16384, 128, tanh, false}, Case{300, 2000, 16384, 64, relu, true},
                 Case{300, 20000, 4096, 32, relu, false, bf16}, Case{300, 20000, 16384, 32, relu, false, bf16},
                 Case{300, 20000, 16384, 32, tanh, false, bf16}, Case{300, 20000, 65536, 8, relu, false, bf16},
                 Case{300, 2000, 16384, 256, relu, false, bf16}, Case{100, 4000, 65536, 64, relu, false, bf16},
                 Case{300, 20000, 4096, 16, relu, false, tf32}, Case{300, 20000, 16384, 16, relu, false, tf32},
                 Case{300, 20000, 65536, 8, relu, false, tf32}, Case{100, 4000, 65536, 64, relu, false, tf32}}) {
    k.N /= less;
    k.chains /= less;
    if (is_small) {
      k.n_steps = 2;
      k.N = std::min<std::int64_t>(k.N, 40);
      k.chains = std::min<std::int64_t>(k.chains, 40);
    }
    chains(context, k, ceiling[static_cast<std::size_t>(k.precision)], energy);
  }
  return 0;
} catch (const std::exception& error) {
  std::fprintf(stderr, "large_bench: %s\n", error.what());
  return 1;
}
