// Time of a training step on the device with a resident table, beside the time that its memory alone takes. JSON lines, each the median of
// several repeats. Under a minute on an H100.
//   copy    device to device, bytes read and written: the bandwidth that floors are computed from
//   adam    the optimiser's launch alone, 28 bytes a parameter
//   train   whole steps, host time from call to losses, by each way that a session can take ("way": "default" is what it takes by itself, "before" is
//           products cut by the library, "neuron kernel" our own for the two products with a column a neuron, "one pass" gradients that are summed with the optimiser's step, "blocks B" a small network's kernel with so many blocks,
//           "autotune" by algorithms that were chosen by measurement).
//           `floor_us`: weights, moments and gradient are read, and written where they change, 8 x 4 bytes a parameter; `ratio`: step over floor. What a session takes by itself with its energy (energy.hpp)
//   product the products of a step, one at a time, by the library's first algorithm and by the fastest one ("autotune"); "outputs" once for each number of slices of its sum
//   neurons the two products with a column a neuron by our own kernel, what follows them included, once for each tile
//   map     (I + J)^-1 where J is trained
// usage: gpu_train_bench [small] [D:N:B]        small: with D:N:B, for machines without a GPU, where times mean nothing
#include <chrono>
#include <cmath>
#include <cstdio>
#include <exception>
#include <utility>
#include <vector>

#include "adam.hpp"
#include "bus_id.hpp"
#include "ceilings.hpp"
#include "dsm_descent.hpp"
#include "dsm_session.hpp"
#include "dsm_skew.hpp"
#include "energy.hpp"
#include "measure.hpp"
#include "memory.hpp"
#include "neuron_product.hpp"
#include "noise.hpp"
#include "small_dsm.hpp"
#include "tarn/core/noise.hpp"

namespace {

using namespace tarn;
using namespace tarn::cuda;

constexpr int repeats = 7;

using bench::median;

template <class Work>
double device_seconds(const Context& context, int times, Work&& work) {
  return bench::device_seconds(context, repeats, times, std::forward<Work>(work));
}

Matrix<float> normals(std::int64_t rows, std::int64_t cols, std::uint64_t which, double scale) {
  Matrix<float> m(rows, cols);
  fill_normals(7, Stream::evaluation, 0, which, 1, m);
  for (std::int64_t i = 0; i < m.size(); ++i) m.data()[i] *= static_cast<float>(scale);
  return m;
}

class Table final : public BatchSource {
 public:
  explicit Table(Matrix<float> rows) : rows_(std::make_shared<const Matrix<float>>(std::move(rows))) {}
  std::int64_t n_columns() const override { return rows_->cols(); }
  std::int64_t steps_per_epoch(std::int64_t batch_size) const override { return rows_->rows() / batch_size; }
  void fill(std::int64_t, std::int64_t, MatrixView<float>) override { fail("bench: rows were not resident"); }
  std::shared_ptr<const Matrix<float>> table() const override { return rows_; }
  std::optional<EpochOrder> shuffled() const override { return EpochOrder{1, Stream::batch_order}; }

 private:
  std::shared_ptr<const Matrix<float>> rows_;
};

void adam_alone(const Context& context, std::int64_t n, double bandwidth) {
  std::vector<DeviceBuffer<float>> arrays;
  for (int i = 0; i < 4; ++i) {
    arrays.emplace_back(n);
    zero_async(arrays.back().data(), n, context.stream.handle());
  }
  DeviceBuffer<DsmRecord> records(1);
  DeviceBuffer<std::int64_t> now(1);
  const DsmRecord record{adam_step({}, 1e-4, 1), 0, 0};
  copy_async(records.data(), &record, 1, context.stream.handle());
  zero_async(now.data(), 1, context.stream.handle());
  context.stream.synchronize();
  const double seconds = device_seconds(context, 10, [&] {
    launch_adam({arrays[0].data(), arrays[1].data(), arrays[2].data(), arrays[3].data(), nullptr, nullptr, n, n},
                {records.data(), now.data()}, nullptr, context.stream.handle());
  });
  const double rate = 28.0 * static_cast<double>(n) / seconds;
  std::printf(
      "{\"bench\": \"adam\", \"parameters\": %lld, \"us\": %.2f, \"gb_per_s\": %.0f, \"share_of_copy\": %.3f}\n",
      static_cast<long long>(n), 1e6 * seconds, 1e-9 * rate, rate / bandwidth);
}

double step_seconds(DsmSession& session, Table& table, const DsmLevel& level, std::int64_t batch_size, std::size_t n) {
  const std::vector<float> rates(n, 1e-4f);
  std::vector<DsmLoss> losses(n);
  std::vector<double> seconds;
  std::int64_t step = 0;
  for (int i = 0; i < repeats + 1; ++i) {
    const auto start = std::chrono::steady_clock::now();
    session.run(table, level, batch_size, 1, step, rates, losses);
    const std::chrono::duration<double> taken = std::chrono::steady_clock::now() - start;
    step += static_cast<std::int64_t>(n);
    if (i > 0) seconds.push_back(taken.count() / static_cast<double>(n));
  }
  if (!std::isfinite(losses.back().loss)) fail("bench: the loss is not finite");
  return median(seconds);
}

struct Case {
  std::int64_t D, N, B;
  std::size_t n_steps;
  Nonlinearity phi = Nonlinearity::relu;
  double clip_norm = 0.0;
};

void train(Context& context, const Case& c, double bandwidth, bench::EnergyMeter& energy) {
  DsmParameters p;
  p.phi = c.phi;
  p.n_outputs = c.D;
  p.W_in = normals(c.N, c.D, 1, 1.0 / std::sqrt(static_cast<double>(c.D)));
  p.b = normals(1, c.N, 2, 0.5);
  p.V = normals(c.D, c.N, 3, 1.0 / std::sqrt(static_cast<double>(c.N)));
  DsmLevel level;
  level.sigma = 0.3;
  OptimizerSettings optimizer;
  optimizer.clip_norm = c.clip_norm;
  Table table(normals(c.D == 1 ? 10000 : 60000, c.D, 4, 1.0));
  const double floor = static_cast<double>(c.N * (2 * c.D + 1)) * 32.0 / bandwidth;
  const double flops = static_cast<double>(c.B * c.N) * static_cast<double>(10 * c.D + 4);
  const auto measure_on = [&](Context& on, const std::string& way, const DsmPaths& paths) {
    const auto session = make_cuda_session(on, p, optimizer, paths);
    const double seconds = step_seconds(*session, table, level, c.B, c.n_steps);
    std::string used;
    if (way == "default" || way == "tf32") {
      const std::vector<float> rates(c.n_steps, 1e-4f);
      std::vector<DsmLoss> losses(c.n_steps);
      std::int64_t step = (repeats + 1) * static_cast<std::int64_t>(c.n_steps);
      used = ", " + energy.fields("training_step", static_cast<double>(c.n_steps), [&] {
        session->run(table, level, c.B, 1, step, rates, losses);
        step += static_cast<std::int64_t>(c.n_steps);
      });
    }
    std::printf(
        "{\"bench\": \"train\", \"phi\": \"%s\", \"D\": %lld, \"N\": %lld, \"B\": %lld, \"clip\": %g, \"way\": \"%s\", "
        "\"step_us\": %.2f, \"floor_us\": %.2f, \"ratio\": %.2f, \"tflop_per_s\": %.2f%s}\n",
        std::string(name_of(c.phi)).c_str(), static_cast<long long>(c.D), static_cast<long long>(c.N),
        static_cast<long long>(c.B), c.clip_norm, way.c_str(), 1e6 * seconds, 1e6 * floor, seconds / floor,
        1e-12 * flops / seconds, used.c_str());
    std::fflush(stdout);
  };
  const auto measure = [&](const std::string& way, const DsmPaths& paths) { measure_on(context, way, paths); };
  measure("default", {});
  measure("before", {.slices = false, .small = false});
  if (c.D > small_dsm_most_outputs) {
    measure("neuron kernel", {.neuron_tile = -1});
    measure("one pass", {.descent = true});
    measure("no graphs", {.graphs = false});
    measure("tf32", {.precision = Precision::tf32});
    measure("tf32, one pass", {.descent = true, .precision = Precision::tf32});
    Context measuring(0);
    measuring.tuner.begin({});
    measure_on(measuring, "autotune", {});
    measure_on(measuring, "tf32, autotune", {.precision = Precision::tf32});
  } else {
    measure("products", {.small = false});
    for (const int blocks : {1, 4, 8, 16, 24, 32, 48, 64}) {
      if (small_dsm_plan(c.D, c.D, c.N, c.B, 3, blocks).shared_bytes() <= context.info.shared_bytes_a_block)
        measure(fmt::format("blocks {}", blocks), {.small_blocks = blocks});
    }
  }
}

// The five products of a step, one at a time: what is left of a step beside them and the optimiser is launches and gaps.
void products_alone(Context& context, std::int64_t D, std::int64_t N, std::int64_t B) {
  const std::int64_t in = (D + 4) / 4 * 4, out = (D + 3) / 4 * 4;
  DeviceBuffer<float> points(B * in), hidden(B * N), deltas(B * out), W(N * in), V(D * N), dW(N * in), dV(D * N);
  DeviceBuffer<float> sums(B * out * 100);
  for (DeviceBuffer<float>* buffer : {&points, &hidden, &deltas, &W, &V})
    launch_fill_normals(1, Stream::evaluation, 0, 0, 1, 1, buffer->size(), buffer->data(), context.stream.handle());
  struct Named {
    const char* name;
    Product product;
  };
  const Named all[] = {
      {"hidden", {B, N, in, points.data(), in, false, W.data(), in, true, hidden.data(), N, 0.0f, nullptr, true}},
      {"outputs", {B, D, N, hidden.data(), N, false, V.data(), N, true, deltas.data(), out}},
      {"back", {B, N, D, deltas.data(), out, false, V.data(), N, false, hidden.data(), N}},
      {"dV", {D, N, B, deltas.data(), out, true, hidden.data(), N, false, dV.data(), N}},
      {"dW", {N, in, B, hidden.data(), N, true, points.data(), in, false, dW.data(), in}},
  };
  const bool tuned = context.tuner.is_on();
  const auto measure = [&](const Named& one) {
    const double seconds =
        device_seconds(context, 20, [&] { context.blas->product(one.product, context.stream.handle()); });
    const Product& q = one.product;
    std::printf(
        "{\"bench\": \"product\", \"name\": \"%s\", \"D\": %lld, \"N\": %lld, \"B\": %lld, \"slices\": %lld, "
        "\"autotune\": %s, \"us\": %.2f, \"tflop_per_s\": %.1f}\n",
        one.name, static_cast<long long>(D), static_cast<long long>(N), static_cast<long long>(B),
        static_cast<long long>(q.batch), tuned ? "true" : "false", 1e6 * seconds,
        2e-12 * static_cast<double>(q.m * q.n * q.k * q.batch) / seconds);
  };
  for (const Named& one : all) measure(one);
  for (const std::int64_t slices : {10, 20, 25, 50, 100}) {
    Named one = all[1];
    Product& q = one.product;
    q.batch = slices;
    q.k = q.stride_a = q.stride_b = N / slices;
    q.c = sums.data();
    q.stride_c = B * out;
    measure(one);
  }
}

// Products with a column a neuron by our own kernel.
void neuron_products_alone(const Context& context, std::int64_t D, std::int64_t N, std::int64_t B) {
  const std::int64_t in = (D + 4) / 4 * 4, out = (D + 3) / 4 * 4, width = (N + 3) / 4 * 4;
  DeviceBuffer<float> points(B * in), hidden(B * width), deltas(B * out), W(N * in), V(D * width), result(B * width);
  for (DeviceBuffer<float>* buffer : {&points, &hidden, &deltas, &W, &V})
    launch_fill_normals(1, Stream::evaluation, 0, 0, 1, 1, buffer->size(), buffer->data(), context.stream.handle());
  const NeuronProductCall forward{Nonlinearity::relu, B,     N,      in, points.data(), in, W.data(), in,
                                  result.data(),      width, nullptr};
  const NeuronProductCall back{Nonlinearity::relu, B, N, D, deltas.data(), out, V.data(), width, result.data(), width,
                               hidden.data()};
  for (const int tile : neuron_tiles) {
    const auto measure = [&](const char* name, const NeuronProductCall& q, auto launch) {
      const double seconds = device_seconds(context, 20, [&] { launch(q, tile, context.stream.handle()); });
      std::printf(
          "{\"bench\": \"neurons\", \"name\": \"%s\", \"D\": %lld, \"N\": %lld, \"B\": %lld, \"tile\": %d, \"us\": "
          "%.2f, "
          "\"tflop_per_s\": %.1f}\n",
          name, static_cast<long long>(D), static_cast<long long>(N), static_cast<long long>(B), tile, 1e6 * seconds,
          2e-12 * static_cast<double>(q.n_rows * q.n_neurons * q.n_terms) / seconds);
    };
    measure("hidden", forward, launch_neuron_forward);
    measure("back", back, launch_neuron_back);
  }
}

// Gradients and optimiser in one pass, alone.
void descent_alone(const Context& context, std::int64_t D, std::int64_t N, std::int64_t B, double bandwidth) {
  const std::int64_t in = (D + 4) / 4 * 4, out = (D + 3) / 4 * 4, n = N * in + D * N;
  DeviceBuffer<float> points(B * in), hidden(B * N), back(B * N), deltas(B * out), weights(n), first(n), second(n);
  DeviceBuffer<double> row_losses(2 * B);
  DeviceBuffer<DsmLossRecord> losses(1000);
  DeviceBuffer<DsmRecord> records(1000);
  DeviceBuffer<std::int64_t> now(1);
  DeviceBuffer<unsigned> ticket(1);
  const StreamHandle stream = context.stream.handle();
  for (DeviceBuffer<float>* buffer : {&points, &hidden, &back, &deltas, &weights})
    launch_fill_normals(1, Stream::evaluation, 0, 0, 1, 1, buffer->size(), buffer->data(), stream);
  for (DeviceBuffer<float>* buffer : {&first, &second}) zero_async(buffer->data(), n, stream);
  zero_async(row_losses.data(), 2 * B, stream);
  zero_async(now.data(), 1, stream);
  zero_async(ticket.data(), 1, stream);
  const std::vector<DsmRecord> host(1000, DsmRecord{adam_step({}, 1e-4, 1), 0, 0});
  copy_async(records.data(), host.data(), 1000, stream);
  context.stream.synchronize();
  DsmDescentCall q;
  q.n_rows = q.batch_size = static_cast<int>(B);
  q.n_neurons = q.hidden_width = static_cast<int>(N);
  q.n_outputs = static_cast<int>(D);
  q.in_width = static_cast<int>(in);
  q.out_width = static_cast<int>(out);
  q.v_begin = N * in;
  q.points = points.data();
  q.activations = hidden.data();
  q.back = back.data();
  q.deltas = deltas.data();
  q.adam = {nullptr, weights.data(), first.data(), second.data(), nullptr, nullptr, n, n};
  q.row_losses = row_losses.data();
  q.losses = losses.data();
  q.ticket = ticket.data();
  q.clock = {records.data(), now.data()};
  const double seconds = device_seconds(context, 20, [&] { launch_dsm_descent(q, stream); });
  const double bytes = 24.0 * static_cast<double>(n);
  std::printf(
      "{\"bench\": \"descent\", \"D\": %lld, \"N\": %lld, \"B\": %lld, \"us\": %.2f, \"share_of_copy\": %.3f, "
      "\"tflop_per_s\": %.1f}\n",
      static_cast<long long>(D), static_cast<long long>(N), static_cast<long long>(B), 1e6 * seconds,
      bytes / seconds / bandwidth, 2e-12 * static_cast<double>(B * n) / seconds);
}

void map_alone(const Context& context, std::int64_t D) {
  const Matrix<float> A = normals(D, D, 5, 1.0);
  DeviceBuffer<float> device(D * D), map(D * D);
  DeviceBuffer<double> scratch(skew_scratch(D));
  copy_async<float>(device.data(), A.data(), D * D, context.stream.handle());
  context.stream.synchronize();
  const double seconds = device_seconds(context, 2, [&] {
    launch_skew_map(device.data(), D, 1.0, scratch.data(), map.data(), D, context.stream.handle());
  });
  std::printf("{\"bench\": \"map\", \"D\": %lld, \"us\": %.1f}\n", static_cast<long long>(D), 1e6 * seconds);
}

}  // namespace

int main(int argc, char** argv) try {
  const bool is_small = argc > 1 && std::string(argv[1]) == "small";
  const char* const one = argc > 1 + is_small ? argv[1 + is_small] : nullptr;
  if (is_small && !one) fail("small wants a case, D:N:B");
  Context context(0);
  std::printf("{\"device\": \"%s\", \"multiprocessors\": %d}\n", context.info.name.c_str(),
              context.info.n_multiprocessors);
  bench::EnergyMeter energy(bench::pci_bus_id(0), is_small ? 0.05 : 1.0);
  std::printf("%s\n", energy.idle_line().c_str());
  const double bandwidth =
      bench::copy_rate(context, std::int64_t{1} << (is_small ? 16 : 28));  // 1 GiB, far beyond the cache
  if (one) {                                                               // for profilers
    long long D = 0, N = 0, B = 0;
    if (std::sscanf(one, "%lld:%lld:%lld", &D, &N, &B) != 3 || D < 1 || N < 1 || B < 1)
      fail("\"{}\" is not D:N:B", one);
    train(context, {D, N, B, 20}, bandwidth, energy);
    neuron_products_alone(context, D, N, B);
    return 0;
  }
  adam_alone(context, 300 * 20000 * 2, bandwidth);
  for (const std::int64_t B : {32, 64, 128}) descent_alone(context, 300, 20000, B, bandwidth);
  products_alone(context, 300, 20000, 64);
  neuron_products_alone(context, 300, 20000, 64);
  {
    Context measuring(0);
    measuring.tuner.begin({});
    products_alone(measuring, 300, 20000, 64);
  }
  for (const Case& c :
       {Case{300, 20000, 64, 200}, Case{300, 20000, 64, 200, Nonlinearity::tanh},
        Case{300, 20000, 64, 200, Nonlinearity::relu, 1.0}, Case{300, 20000, 128, 200}, Case{300, 20000, 1024, 50},
        Case{300, 2000, 64, 500}, Case{100, 4000, 128, 500}, Case{1, 1000, 32, 1000}, Case{1, 1000, 256, 1000},
        Case{1, 4000, 32, 1000}, Case{2, 1000, 32, 1000}, Case{2, 1000, 32, 1000, Nonlinearity::tanh},
        Case{16, 1000, 64, 500}, Case{1, 1000, 32, 1000, Nonlinearity::relu, 1.0}})
    train(context, c, bandwidth, energy);
  for (const std::int64_t D : {16, 100, 300}) map_alone(context, D);
  return 0;
} catch (const std::exception& error) {
  std::fprintf(stderr, "train_bench: %s\n", error.what());
  return 1;
}
