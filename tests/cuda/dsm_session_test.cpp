// Training on the device: whole runs against double and the CPU; the same bits however a run is cut, fed or launched.
#include "dsm_session.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <tuple>

#include "compute/large_session_checks.hpp"
#include "cuda/device.hpp"
#include "tarn/data/batches.hpp"

namespace tarn {
namespace {

using test::confined_level;
using test::everything;
using test::expect_same;
using test::normal_matrix;
using test::NormalSource;
using test::scaled_level;
using test::some_parameters;
using test::Trained;

test::MakeSession on_device() {
  return [cuda = std::shared_ptr<Backend>(test::cuda_backend())](const DsmParameters& p, const OptimizerSettings& o) {
    return cuda->make_dsm_session(p, o);
  };
}

TEST(CudaDsmSession, AdamWithDecayAndRunningMean) {
  TARN_NEEDS_DEVICE();
  test::expect_adam_with_decay_and_running_mean(on_device());
}

TEST(CudaDsmSession, AmsgradWithInputsAndOddSizes) {
  TARN_NEEDS_DEVICE();
  test::expect_amsgrad_with_inputs_and_odd_sizes(on_device());
}

TEST(CudaDsmSession, AdamwWithClipping) {
  TARN_NEEDS_DEVICE();
  test::expect_adamw_with_clipping(on_device());
}

TEST(CudaDsmSession, AntitheticPairsAndConfinementPoints) {
  TARN_NEEDS_DEVICE();
  test::expect_antithetic_pairs_and_confinement_points(on_device());
}

TEST(CudaDsmSession, TrainsAJ) {
  TARN_NEEDS_DEVICE();
  for (const double clip : {0.0, 0.5}) {
    DsmParameters p = some_parameters(Nonlinearity::tanh, 17, 1, 40);
    p.A = normal_matrix(17, 17, 6);
    p.skew_strength = 1.5;
    OptimizerSettings o;
    o.weight_decay = 1e-2;
    o.clip_norm = clip;
    o.ema = 0.9;
    test::expect_training(on_device(), p, o, scaled_level(), 16, std::vector<float>(10, 1e-3f));
  }
}

// One call or many, with recorded graphs or without: the same bits.
TEST(CudaDsmSession, SameBitsHoweverARunIsCutAndLaunched) {
  TARN_NEEDS_DEVICE();
  cuda::Context context(0);
  const DsmParameters p = some_parameters(Nonlinearity::softplus, 20, 2, 70);
  const std::vector<float> rates(21, 1e-3f);
  const auto run = [&](bool graphs, std::size_t steps_a_call) {
    const auto session = cuda::make_cuda_session(context, p, everything(), {.graphs = graphs});
    return test::train(*session, p, confined_level(true, 5), 14, rates, steps_a_call);
  };
  const Trained plain = run(false, 100);
  for (const std::size_t steps : {1u, 4u, 9u, 100u}) {
    SCOPED_TRACE(steps);
    expect_same(run(true, steps), plain);
  }
}

// Sums cut into slices or not, products with neurons by the library or the kernel, gradients in the optimiser's pass or in memory, batches of one
// chunk, of two, and too large for that pass: all against double. 800 neurons are cut into six slices with pads, whose activations are not zero.
TEST(CudaDsmSession, EveryWayAgreesWithDouble) {
  TARN_NEEDS_DEVICE();
  cuda::Context context(0);
  OptimizerSettings o;
  o.weight_decay = 1e-2;
  o.ema = 0.9;
  o.amsgrad = true;
  for (const auto& [phi, D, N, B] : {std::tuple{Nonlinearity::softplus, 17, 802, 20},
                                     {Nonlinearity::relu, 70, 131, 100},
                                     {Nonlinearity::sigmoid, 19, 801, 150}}) {
    for (const cuda::DsmPaths& paths : {cuda::DsmPaths{}, {.slices = false}, {.descent = true}, {.neuron_tile = -1}}) {
      SCOPED_TRACE(::testing::Message() << name_of(phi) << ", N " << N << ", slices " << paths.slices << ", descent "
                                        << paths.descent << ", tile " << paths.neuron_tile);
      test::expect_training([&](const auto& p, const auto& s) { return cuda::make_cuda_session(context, p, s, paths); },
                            some_parameters(phi, D, 0, N), o, confined_level(false, 3), B,
                            std::vector<float>(4, 1e-3f));
    }
  }
}

// With tf32 the operands of three products are rounded to 2^-11: the loss is off by less than 1e-3, and not by nothing.
TEST(CudaDsmSession, Tf32StaysNear) {
  TARN_NEEDS_DEVICE();
  const DsmParameters p = some_parameters(Nonlinearity::relu, 40, 0, 130);
  const std::vector<float> rates(8, 1e-3f);
  const auto run = [&](Precision precision) {
    const auto backend = make_backend("cuda", 0, precision);
    return test::train(*backend->make_dsm_session(p, {}), p, scaled_level(), 24, rates, 8);
  };
  const Trained exact = run(Precision::fp32), rounded = run(Precision::tf32), coarse = run(Precision::bf16);
  for (std::size_t t = 0; t < rates.size(); ++t) {
    EXPECT_NEAR(rounded.losses[t].loss, exact.losses[t].loss, 1e-3 * exact.losses[t].loss) << "step " << t;
    EXPECT_NE(rounded.losses[t].loss, exact.losses[t].loss) << "step " << t;
  }
  expect_same(coarse, rounded);
}

// Our kernel for products is float32's alone.
TEST(CudaDsmSession, TheTileIsForFloat32) {
  TARN_NEEDS_DEVICE();
  cuda::Context context(0);
  const DsmParameters p = some_parameters(Nonlinearity::relu, 40, 0, 130);
  const auto run = [&](Precision precision, int tile) {
    const auto session = cuda::make_cuda_session(context, p, {}, {.precision = precision, .neuron_tile = tile});
    return test::train(*session, p, scaled_level(), 24, std::vector<float>(3, 1e-3f), 3);
  };
  expect_same(run(Precision::tf32, -1), run(Precision::tf32, 0));
  if (!test::emulated) return;  // a library may add in our order
  EXPECT_NE(run(Precision::fp32, -1).parameters.V, run(Precision::fp32, 0).parameters.V);
}

// A source without a table, and one whose indices come from the host.
class Plain final : public BatchSource {
 public:
  Plain(const Matrix<float>& rows, std::uint64_t seed, bool has_table) : source_(rows, seed), has_table_(has_table) {}
  std::int64_t n_columns() const override { return source_.n_columns(); }
  std::int64_t steps_per_epoch(std::int64_t batch_size) const override { return source_.steps_per_epoch(batch_size); }
  void fill(std::int64_t first_step, std::int64_t n_steps, MatrixView<float> out) override {
    ++fills;
    source_.fill(first_step, n_steps, out);
  }
  std::shared_ptr<const Matrix<float>> table() const override { return has_table_ ? source_.table() : nullptr; }
  void indices(std::int64_t first_step, std::int64_t n_steps, std::int64_t batch_size, std::int64_t* out) override {
    source_.indices(first_step, n_steps, batch_size, out);
  }
  int fills = 0;

 private:
  DatasetBatches source_;
  bool has_table_;
};

// By one kernel for many steps (D = 4), and by kernels of which the optimiser's makes the next step's rows (D = 20).
TEST(CudaDsmSession, SameBitsHoweverRowsArrive) {
  TARN_NEEDS_DEVICE();
  const auto cuda = test::cuda_backend();
  for (const auto& [D, antithetic] : {std::pair{4, false}, {4, true}, {20, false}, {20, true}}) {
    SCOPED_TRACE(::testing::Message() << "D " << D << ", antithetic " << antithetic);
    const Matrix<float> rows = normal_matrix(61, D + 1, 40);
    const DsmParameters p = some_parameters(Nonlinearity::relu, D, 1, 33);
    const DsmLevel level = confined_level(antithetic, 5);
    const auto run = [&](BatchSource& source) {
      Trained out;
      const std::vector<float> rates(230, 1e-3f);
      out.losses.resize(rates.size());
      const auto session = cuda->make_dsm_session(p, everything());
      // enough steps for both halves of the buffers to come round again, over many epochs
      for (const std::size_t begin : {0u, 7u, 27u}) {
        const std::size_t n = begin == 0 ? 7 : (begin == 7 ? 20 : 203);
        session->run(source, level, 6, 8, static_cast<std::int64_t>(begin), std::span(rates).subspan(begin, n),
                     std::span(out.losses).subspan(begin, n));
      }
      out.parameters = session->parameters();
      out.averaged = session->averaged();
      return out;
    };
    DatasetBatches sorted_on_device(rows, 3);
    Plain uploaded(rows, 3, false), indexed(rows, 3, true);
    const Trained expected = run(uploaded);
    expect_same(run(sorted_on_device), expected);
    expect_same(run(indexed), expected);
    EXPECT_GT(uploaded.fills, 2);
    EXPECT_EQ(indexed.fills, 0);
  }
}

// Another source of the same shape is not taken for the one that is on the device.
TEST(CudaDsmSession, SeesThatTheTableIsAnother) {
  TARN_NEEDS_DEVICE();
  const auto cuda = test::cuda_backend();
  const DsmParameters p = some_parameters(Nonlinearity::relu, 5, 0, 33);
  const std::vector<float> rates(4, 1e-3f);
  std::vector<DsmLoss> losses(4), expected(4);
  const auto both = cuda->make_dsm_session(p, {}), plain = cuda->make_dsm_session(p, {});
  for (const std::uint64_t which : {40u, 41u}) {
    DatasetBatches resident(normal_matrix(20, 5, which), 3);
    Plain uploaded(normal_matrix(20, 5, which), 3, false);
    both->run(resident, scaled_level(), 6, 8, 0, rates, losses);
    plain->run(uploaded, scaled_level(), 6, 8, 0, rates, expected);
    for (std::size_t t = 0; t < 4; ++t) EXPECT_EQ(losses[t].loss, expected[t].loss);
  }
  expect_same(both->parameters(), plain->parameters());
  DatasetBatches few(normal_matrix(5, 5, 42), 3);
  EXPECT_THROW(both->run(few, scaled_level(), 6, 8, 0, rates, losses), Error);
}

TEST(CudaDsmSession, GoesOnFromAStoredState) {
  TARN_NEEDS_DEVICE();
  const auto cuda = test::cuda_backend(), cpu = make_cpu_backend(1);
  DsmParameters p = some_parameters(Nonlinearity::tanh, 6, 1, 30);
  p.A = normal_matrix(6, 6, 6);
  p.skew_strength = 1.0;
  const std::vector<float> rates(9, 1e-3f);
  std::vector<DsmLoss> losses(9), rest(9);
  NormalSource source(7);
  const auto whole = cuda->make_dsm_session(p, everything());
  whole->run(source, scaled_level(), 16, 8, 0, rates, losses);
  const TrainingState state = whole->state();
  whole->run(source, scaled_level(), 16, 8, 9, rates, losses);

  const auto resumed = cuda->make_dsm_session(some_parameters(Nonlinearity::tanh, 6, 1, 30), everything());
  EXPECT_THROW(resumed->restore({}), Error);
  DsmParameters other = p;
  other.V.data()[0] += 1.0f;
  const auto fresh = cuda->make_dsm_session(other, everything());
  fresh->restore(state);
  fresh->run(source, scaled_level(), 16, 8, 9, rates, rest);
  expect_same(fresh->parameters(), whole->parameters());
  expect_same(fresh->averaged(), whole->averaged());
  for (std::size_t t = 0; t < 9; ++t) EXPECT_EQ(rest[t].loss, losses[t].loss);

  // a checkpoint goes from device to device
  const auto host = cpu->make_dsm_session(p, everything());
  host->restore(state);
  const TrainingState back = host->state();
  EXPECT_EQ(back.n_updates, state.n_updates);
  ASSERT_EQ(back.arrays.size(), state.arrays.size());
  for (const auto& [name, array] : state.arrays) EXPECT_EQ(back.arrays.at(name), array) << name;
}

TEST(CudaDsmSession, ResettingTheOptimiserStartsItAnew) {
  TARN_NEEDS_DEVICE();
  test::expect_reset_starts_anew(on_device());
}

TEST(CudaDsmSession, RefusesWhatDoesNotFit) {
  TARN_NEEDS_DEVICE();
  test::expect_refusals(on_device());
}

TEST(CudaDsmSession, NanShowsInTheLoss) {
  TARN_NEEDS_DEVICE();
  test::expect_nan_in_the_loss(on_device());
}

double length_of_difference(const DsmParameters& a, const DsmParameters& b) {
  double square = 0.0;
  const auto add = [&](const Matrix<float>& x, const Matrix<float>& y) {
    for (std::int64_t i = 0; i < x.size(); ++i) {
      const double d = static_cast<double>(x.data()[i]) - y.data()[i];
      square += d * d;
    }
  };
  add(a.W_in, b.W_in);
  add(a.b, b.b);
  add(a.V, b.V);
  return std::sqrt(square);
}

// A long run beside the CPU's: gradients at the same weights, taken from steps 1, 10 and 200 of the CPU's run, agree to 1e-5 of their
// norms; the weights after 200 steps to a small part of the way they went.
TEST(CudaDsmSession, TwoHundredStepsBesideTheCpu) {
  TARN_NEEDS_DEVICE();
  const auto cuda = test::cuda_backend(), cpu = make_cpu_backend(2);
  struct Case {
    Nonlinearity phi;
    std::int64_t D, N;
    bool amsgrad;
  };
  for (const Case& c : {Case{Nonlinearity::relu, 1, 64, false}, Case{Nonlinearity::tanh, 20, 100, true}}) {
    const DsmParameters p = some_parameters(c.phi, c.D, 0, c.N);
    OptimizerSettings o;
    o.amsgrad = c.amsgrad;
    o.weight_decay = 1e-3;
    const auto on_cpu = cpu->make_dsm_session(p, o), on_cuda = cuda->make_dsm_session(p, o);
    DatasetBatches source(normal_matrix(500, c.D, 50), 4);
    std::int64_t done = 0;
    for (const std::int64_t until : {1, 10, 200}) {
      const std::vector<float> rates(static_cast<std::size_t>(until - done), 1e-3f);
      std::vector<DsmLoss> losses(rates.size());
      on_cpu->run(source, scaled_level(), 32, 8, done, rates, losses);
      on_cuda->run(source, scaled_level(), 32, 8, done, rates, losses);
      done = until;
      const DsmParameters w = on_cpu->parameters();
      const Matrix<float> x = normal_matrix(32, c.D, 51), xi = normal_matrix(32, c.D, 52);
      DsmParameters a, b, zero = w;
      cpu->dsm_gradient(w, scaled_level(), {x, xi}, a);
      cuda->dsm_gradient(w, scaled_level(), {x, xi}, b);
      const test::Weights exact(w);
      test::Weights in_double = exact, size = exact;
      test::gradients(exact, test::rows_of_batch(x, xi, scaled_level().sigma), scaled_level(), in_double, size);
      const auto relative = [](const Matrix<float>& found, const auto& expected) {
        double difference = 0.0, square = 0.0;
        for (std::int64_t i = 0; i < found.size(); ++i) {
          const auto wanted = static_cast<double>(expected.data()[i]);
          difference += std::pow(found.data()[i] - wanted, 2);
          square += wanted * wanted;
        }
        return std::sqrt(difference / square);
      };
      EXPECT_LT(relative(b.W_in, a.W_in), 1e-5) << "step " << until;
      EXPECT_LT(relative(b.b, a.b), 1e-5) << "step " << until;
      EXPECT_LT(relative(b.V, a.V), 1e-5) << "step " << until;
      EXPECT_LT(relative(b.W_in, in_double.W_in), 1e-5) << "against double, step " << until;
      EXPECT_LT(relative(b.b, in_double.b), 1e-5) << "against double, step " << until;
      EXPECT_LT(relative(b.V, in_double.V), 1e-5) << "against double, step " << until;
    }
    const double apart = length_of_difference(on_cuda->parameters(), on_cpu->parameters()) /
                         length_of_difference(on_cpu->parameters(), p);
    std::printf("%s, D %d: after 200 steps weights of cuda and cpu differ by %.3g of the way from the start\n",
                std::string(name_of(c.phi)).c_str(), static_cast<int>(c.D), apart);
    RecordProperty("weights_apart_" + std::string(name_of(c.phi)), std::to_string(apart));
    EXPECT_LT(apart, 2e-3);
  }
}

}  // namespace
}  // namespace tarn
