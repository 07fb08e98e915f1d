// Steps of inference in hierarchical models, and the matrix products of those steps alone, in one run: what share of a step is products.
// One JSON line a case, medians of runs that take turns. Shares are of processor time over all threads, which other work on the machine
// disturbs less than the clock on the wall.
// usage: hee_bench [--rounds 9] [--threads 0] [B:n_0:n_1:...[:exact|:sampled|:patches] ...]
//   exact, sampled  Gaussian layers; interneurons as named, one a unit, one substep
//   patches         Gaussian observation, smoothed-Laplace units, exact: half of the steps collect statistics, then one step of learning
#include <fmt/format.h>
#include <omp.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <functional>
#include <string>
#include <vector>

#include "gemm.hpp"
#include "hee_case.hpp"
#include "hee_chains.hpp"
#include "tarn/core/isa.hpp"

namespace {

using namespace tarn;

using bench::HeeCase;

struct Seconds {
  double wall, processor;  // the latter of all threads together
};

Seconds seconds_of(const std::function<void()>& f) {
  const std::clock_t processor = std::clock();
  const auto start = std::chrono::steady_clock::now();
  f();
  return {std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count(),
          static_cast<double>(std::clock() - processor) / CLOCKS_PER_SEC};
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

/// The products of `n_steps` steps, and of the statistics where asked for, over the same tiles and threads, and nothing else.
class Products {
 public:
  Products(const HeeCase& c, int n_threads)
      : model_(bench::hee_model(c)), plan_(c.B), kernels_(cpu::gemm_kernels(current_isa())), n_threads_(n_threads) {
    const std::int64_t widest = *std::max_element(c.sizes.begin(), c.sizes.end());
    const std::int64_t n = tile_chains() * slots();
    for (int i = 0; i < n_threads; ++i) {
      Buffers b;
      for (const std::int64_t size : c.sizes) {
        b.errors.emplace_back(static_cast<std::size_t>(n * size), 1e-3f);
        b.states.emplace_back(static_cast<std::size_t>(tile_chains() * size), 1e-3f);
        b.results.emplace_back(static_cast<std::size_t>(tile_chains() * size), 0.0f);
      }
      b.rows.assign(static_cast<std::size_t>(n * (widest + 64)), 1e-3f);
      buffers_.push_back(std::move(b));
    }
    for (int l = 1; l <= model_.L(); ++l) largest_ = std::max(largest_, model_.W(l).size());
    sums_.assign(static_cast<std::size_t>(plan_.n_groups), AlignedVector<float>(largest_, 0.0f));
  }

  void run(std::int64_t n_steps, std::int64_t n_collecting) {
#pragma omp parallel for schedule(dynamic, 1) num_threads(n_threads_)
    for (std::int64_t g = 0; g < plan_.n_groups; ++g) {
      Buffers& b = buffers_[static_cast<std::size_t>(omp_get_thread_num())];
      for (std::int64_t i = plan_.group_begin(g); i < plan_.group_begin(g + 1); ++i) {
        for (std::int64_t t = 0; t < n_steps; ++t) step(b);
        for (std::int64_t t = 0; t < n_collecting; t += slots()) collect(b, sums_[static_cast<std::size_t>(g)]);
      }
    }
  }

 private:
  struct Buffers {
    std::vector<AlignedVector<float>> errors, states, results;
    AlignedVector<float> rows;
  };
  std::int64_t tile_chains() const { return plan_.tile_panels * cpu::panel_lanes; }
  std::int64_t slots() const { return std::max<std::int64_t>(1, 256 / tile_chains()); }

  void step(Buffers& b) const {
    for (int l = 1; l <= model_.L(); ++l) {
      const auto below = static_cast<std::size_t>(l - 1), here = static_cast<std::size_t>(l);
      product(model_.W(l), model_.stride(l), model_.size(l - 1), model_.size(l), b.states[here], b.results[below]);
      product(model_.transposed(l), model_.transposed_stride(l), model_.size(l), model_.size(l - 1), b.errors[below],
              b.results[here]);
    }
  }
  void product(const AlignedVector<float>& weights, std::int64_t stride, std::int64_t n_rows, std::int64_t n_k,
               const AlignedVector<float>& in, AlignedVector<float>& out) const {
    cpu::PanelProduct p;
    p.n_rows = n_rows;
    p.n_k = n_k;
    p.n_columns = tile_chains();
    p.weights = weights.data();
    p.weight_row = stride;
    p.in = in.data();
    p.in_panel = n_k * cpu::panel_lanes;
    p.out = out.data();
    p.out_panel = n_rows * cpu::panel_lanes;
    kernels_.product(p);
  }
  void collect(Buffers& b, AlignedVector<float>& sums) const {
    for (int l = 1; l <= model_.L(); ++l) {
      cpu::PanelProduct p;
      p.n_rows = model_.size(l - 1);
      p.n_k = tile_chains() * slots();
      p.n_columns = model_.size(l);
      p.weights = b.errors[static_cast<std::size_t>(l - 1)].data();
      p.weight_row = p.k_block = cpu::panel_lanes;
      p.weight_block = model_.size(l - 1) * cpu::panel_lanes;
      p.in = b.rows.data();
      p.in_panel = cpu::panel_lanes;
      p.in_row = model_.stride(l);
      p.out = sums.data();
      p.out_panel = cpu::panel_lanes;
      p.out_row = model_.stride(l);
      p.epilogue = cpu::Epilogue::add;
      kernels_.product(p);
    }
  }

  cpu::HeeModel model_;
  cpu::HeePlan plan_;
  const cpu::GemmKernels& kernels_;
  int n_threads_;
  std::size_t largest_ = 0;
  std::vector<Buffers> buffers_;
  std::vector<AlignedVector<float>> sums_;
};

void measure(const HeeCase& c, int rounds, Backend& backend) {
  const HeeParameters p = bench::hee_model(c);
  const bool learns = c.learns();
  const auto session = backend.make_hee_session(p, bench::hee_optimizer(c));
  session->set_rows({c.B, 1, 0});
  session->set_observations(bench::hee_observations(c));
  const HeeDynamics d = bench::hee_dynamics(c);
  double flops = c.flops();
  const auto n_steps = learns ? 100 : std::clamp<std::int64_t>(static_cast<std::int64_t>(2e10 / flops), 2, 200);
  const std::int64_t window = learns ? n_steps / 2 : 0;
  const std::vector<double> rates(p.W.size(), 0.01);

  Products products(c, backend.n_threads());
  HeeSteps steps;
  std::vector<double> whole, alone, processor, shares;
  for (int round = -1; round < rounds; ++round) {
    const Seconds step_time = seconds_of([&] {
      steps.n_steps = n_steps - window;
      steps.statistics = false;
      session->infer(d, steps);
      steps.first_step += static_cast<std::uint64_t>(steps.n_steps);
      if (!learns) return;
      steps.n_steps = window;
      steps.statistics = true;
      session->infer(d, steps);
      steps.first_step += static_cast<std::uint64_t>(steps.n_steps);
      session->learn(rates);
    });
    const Seconds product_time = seconds_of([&] { products.run(n_steps, window); });
    if (round < 0) continue;  // warming up
    whole.push_back(step_time.wall / static_cast<double>(n_steps));
    alone.push_back(product_time.wall / static_cast<double>(n_steps));
    processor.push_back(step_time.processor / static_cast<double>(n_steps));
    shares.push_back(product_time.processor / step_time.processor);
  }
  flops *= 1.0 + 0.5 * static_cast<double>(window) / static_cast<double>(n_steps);
  fmt::print(
      R"({{"what":"hee","peer":"tarn","kind":"{}","sizes":[{}],"B":{},"seconds":{:.6g},"processor_seconds":{:.6g},"products_seconds":{:.6g},"products_share":{:.4g},"products_gflop_per_s":{:.4g},"rate":{:.6g},"processor_rate":{:.6g},"rounds":{},"device":"{}"}})"
      "\n",
      c.kind, fmt::join(c.sizes, ","), c.B, median(whole), median(processor), median(alone), median(shares),
      flops / median(alone) * 1e-9, static_cast<double>(c.B) / median(whole),
      static_cast<double>(c.B) / median(processor), rounds, backend.description());
  std::fflush(stdout);
}

}  // namespace

int main(int argc, char** argv) try {
  int rounds = 9, threads = 0;
  std::vector<std::string> cases;
  for (int i = 1; i < argc; ++i) {
    const std::string word = argv[i];
    if ((word == "--rounds" || word == "--threads") && i + 1 < argc) {
      (word == "--rounds" ? rounds : threads) = std::max(std::atoi(argv[++i]), word == "--rounds" ? 1 : 0);
    } else {
      cases.push_back(word);
    }
  }
  if (cases.empty()) cases = {"1024:784:1024:256:exact", "1024:784:1024:256:sampled", "256:144:196:patches"};
  const auto backend = make_cpu_backend(threads);
  for (const std::string& text : cases) measure(bench::hee_case(text), rounds, *backend);
  return 0;
} catch (const std::exception& error) {
  fmt::print(stderr, "hee_bench: {}\n", error.what());
  return 2;
}
