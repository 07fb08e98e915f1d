// Steps of hierarchical models on a GPU, beside the products of such a step alone, through the same library, and what the card can do at most. JSON
// lines, each the median of several repeats between CUDA events. Under a minute on an H100.
// usage: gpu_hee_bench [small] [CASE ...]        cases as hee_case.hpp has them; small: a sixteenth of the usual sizes, for machines without a GPU, where times mean nothing
//   gemm, copy  ceilings
//   hee         a step; for "patches" a batch of 100 steps, half of them with statistics, and learning, divided by 100. Its energy (energy.hpp).
//               `products_us` the products of the step, in a graph as the step's are, `products_share` their part of the step, `products_tf32_us` the same rounded to tf32
//               `floor_us` their operations at the ceiling's rate, and `share` floor over step
#include <fmt/core.h>
#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <exception>
#include <span>
#include <string>
#include <vector>

#include "bus_id.hpp"
#include "ceilings.hpp"
#include "energy.hpp"
#include "hee_case.hpp"
#include "hee_session.hpp"
#include "hee_weights.hpp"
#include "measure.hpp"

namespace tarn::bench {
namespace {

constexpr int repeats = 7;
constexpr std::int64_t steps_a_graph = 8;  // as in the backend's own

/// The products of steps of inference, and of the sums of the local rule, on arrays of their own. Shapes and layouts are those of cuda::HeeStepper.
class Products {
 public:
  Products(const HeeCase& c, cuda::Context& context) : context_(context) {
    const auto array = [&](std::int64_t n, float scale) {
      return arrays_.emplace_back(device_normals(1, n, arrays_.size(), scale, context)).data();
    };
    std::vector<std::int64_t> n;
    std::vector<float*> states, results;
    for (const std::int64_t size : c.sizes) {
      n.push_back(cuda::hee_padded(size));
      states.push_back(array(c.B * n.back(), 1.0f));
      results.push_back(array(c.B * n.back(), 0.0f));
    }
    const float* const ones = array(c.B, 1.0f);
    for (std::size_t l = 1; l < n.size(); ++l) {
      const float *const W = array(n[l - 1] * n[l], 0.05f), *const b = array(n[l - 1], 0.0f);
      cuda::Product down = made(c.B, n[l - 1], n[l], states[l], W, results[l - 1]);  // W x + b
      down.transpose_b = true;
      down.ldb = n[l];
      down.bias = b;
      cuda::Product up = made(c.B, n[l], n[l - 1], states[l - 1], W, results[l]);  // W^T error
      step_.push_back(down);
      step_.push_back(up);
      cuda::Product sum = made(n[l - 1], n[l], c.B, states[l - 1], states[l], array(n[l - 1] * n[l], 0.0f));
      sum.transpose_a = true;
      sum.lda = n[l - 1];
      sum.beta = 1.0f;
      sums_.push_back(sum);
    }
    for (std::size_t l = 0; l < n.size(); ++l) {
      cuda::Product sum = made(1, n[l], c.B, ones, states[l], array(n[l], 0.0f));
      sum.beta = 1.0f;
      sums_.push_back(sum);
    }
  }

  /// Seconds of the products of one step, with those of the statistics in `collecting` (0 to 1) of the steps.
  double seconds(double collecting, Precision precision) {
    for (auto* products : {&step_, &sums_}) {
      for (cuda::Product& p : *products) {
        p.precision = precision;
        context_.blas->product(p,
                               context_.stream.handle());  // chooses its algorithm, which it may not do in a recording
      }
    }
    double sum = recorded(step_);
    if (collecting > 0.0) sum += collecting * recorded(sums_);
    return sum;
  }

 private:
  static cuda::Product made(std::int64_t m, std::int64_t n, std::int64_t k, const float* a, const float* b, float* c) {
    cuda::Product p;
    p.m = m;
    p.n = n;
    p.k = k;
    p.a = a;
    p.lda = k;
    p.b = b;
    p.ldb = n;
    p.c = c;
    p.ldc = n;
    return p;
  }
  double recorded(const std::vector<cuda::Product>& products) {
    context_.stream.synchronize();
    const cuda::CudaGraph graph(context_.stream, [&](cuda::StreamHandle stream) {
      for (std::int64_t i = 0; i < steps_a_graph; ++i)
        for (const cuda::Product& p : products) context_.blas->product(p, stream);
    });
    return device_seconds(context_, repeats, 8, [&] { graph.launch(context_.stream); }) / steps_a_graph;
  }

  cuda::Context& context_;
  std::vector<cuda::DeviceBuffer<float>> arrays_;
  std::vector<cuda::Product> step_, sums_;
};

/// Steps of a case as a run takes them.
class Steps {
 public:
  Steps(const HeeCase& c, cuda::Context& context)
      : case_(c),
        session_(cuda::make_cuda_hee_session(context, hee_model(c), hee_optimizer(c))),
        rates_(c.sizes.size() - 1, 0.01),
        // whole graphs and one step before them, about 20 ms at 40 TFLOP/s
        n_steps_(c.learns() ? 100
                            : 8 * std::clamp<std::int64_t>(static_cast<std::int64_t>(1e11 / c.flops()), 2, 25) + 1) {
    session_->set_rows({c.B, 1, 0});
    session_->set_observations(hee_observations(c));
  }
  std::int64_t n_steps() const { return n_steps_; }
  void run() {
    const std::int64_t collecting = case_.learns() ? n_steps_ / 2 : 0;
    infer(n_steps_ - collecting, false);
    if (collecting == 0) return;
    infer(collecting, true);
    session_->learn(rates_);
  }
  /// Throws where a chain was lost: its time is not that of a chain.
  void check() const {
    for (const std::int64_t step : session_->first_bad_step())
      if (step >= 0) fail("a chain was lost at step {}", step);
  }

 private:
  void infer(std::int64_t n, bool statistics) {
    steps_.n_steps = n;
    steps_.statistics = statistics;
    session_->infer(hee_dynamics(case_), steps_);
    steps_.first_step += static_cast<std::uint64_t>(n);
  }
  HeeCase case_;
  std::unique_ptr<HeeSession> session_;
  std::vector<double> rates_;
  std::int64_t n_steps_;
  HeeSteps steps_;
};

void measure(const HeeCase& c, cuda::Context& context, double ceiling, EnergyMeter& energy) {
  Steps steps(c, context);
  const auto n = static_cast<double>(steps.n_steps());
  const double step = device_seconds(context, repeats, 1, [&] { steps.run(); }) / n;
  const std::string used = energy.fields("chain_step", static_cast<double>(c.B) * n, [&] {
    steps.run();
    context.stream.synchronize();
  });
  steps.check();
  const double collecting = c.learns() ? 0.5 : 0.0;
  Products products(c, context);
  const double alone = products.seconds(collecting, Precision::fp32),
               alone_tf32 = products.seconds(collecting, Precision::tf32);
  const double flops = c.flops() * (1.0 + 0.5 * collecting);
  fmt::print(
      R"({{"bench": "hee", "kind": "{}", "sizes": [{}], "chains": {}, "steps": {}, "step_us": {:.2f}, "products_us": {:.2f}, )"
      R"("products_share": {:.3f}, "products_tf32_us": {:.2f}, "floor_us": {:.2f}, "share": {:.3f}, "tflop_per_s": {:.2f}, )"
      R"("chain_steps_per_s": {:.4g}, {}}})"
      "\n",
      c.kind, fmt::join(c.sizes, ", "), c.B, steps.n_steps(), 1e6 * step, 1e6 * alone, alone / step, 1e6 * alone_tf32,
      1e6 * flops / ceiling, flops / ceiling / step, 1e-12 * flops / step, static_cast<double>(c.B) / step, used);
  std::fflush(stdout);
}

int run(std::span<char*> words) {
  const bool is_small = !words.empty() && std::string(words[0]) == "small";
  std::vector<std::string> cases(words.begin() + (is_small ? 1 : 0), words.end());
  if (cases.empty()) {
    for (const char* const chains : {"1024", "4096", "16384"})
      for (const char* const kind : {"exact", "sampled"})
        cases.push_back(fmt::format("{}:784:1024:256:{}", chains, kind));
    for (const char* const chains : {"256", "4096"}) cases.push_back(fmt::format("{}:144:196:patches", chains));
    for (const char* const kind : {"exact", "sampled"}) cases.push_back(fmt::format("256:144:196:{}", kind));
  }
  std::vector<HeeCase> parsed;  // all of them before the first is measured
  for (const std::string& text : cases) {
    HeeCase c = hee_case(text);
    if (is_small) {
      c.B = (c.B + 63) / 64;
      for (std::int64_t& size : c.sizes) size = (size + 15) / 16;
    }
    parsed.push_back(c);
  }
  cuda::Context context(0);
  fmt::print("{{\"device\": \"{}\", \"multiprocessors\": {}}}\n", context.info.name, context.info.n_multiprocessors);
  EnergyMeter energy(pci_bus_id(0), is_small ? 0.05 : 1.0);
  fmt::print("{}\n", energy.idle_line());
  std::fflush(stdout);
  const std::int64_t n = is_small ? 128 : 8192;
  const double ceiling = square_rate(context, n, Precision::fp32);
  square_rate(context, n, Precision::tf32);
  copy_rate(context, (std::int64_t{1} << 28) / (is_small ? 4096 : 1));
  for (const HeeCase& c : parsed) measure(c, context, ceiling, energy);
  return 0;
}

}  // namespace
}  // namespace tarn::bench

int main(int argc, char** argv) try {
  return tarn::bench::run({argv + 1, static_cast<std::size_t>(argc - 1)});
} catch (const std::exception& error) {
  fmt::print(stderr, "hee_bench: {}\n", error.what());
  return 1;
}
