// Energies against exact mixtures, finite differences and quadrature; log Z by annealing within 5 standard errors as it states them (a false
// alarm has probability below 1e-6 for each comparison) and the bias of the log, half a squared error.
#include "tarn/models/energy_model.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <omp.h>

#include "message_of.hpp"
#include "models/annealing.hpp"
#include "models/energy.hpp"
#include "models/same_network.hpp"
#include "tarn/compute/backend.hpp"
#include "tarn/models/energy_likelihood.hpp"
#include "tarn/models/weights_file.hpp"

namespace tarn::test {
namespace {

using testing::HasSubstr;

struct Case {
  ModelKind kind;
  Nonlinearity phi;
};
constexpr Case cases[] = {{ModelKind::rbm, Nonlinearity::sigmoid},
                          {ModelKind::ebm, Nonlinearity::sigmoid},
                          {ModelKind::ebm, Nonlinearity::tanh}};

TEST(EnergyModel, AnRbmIsItsMixtureOfGaussians) {
  const SamplingNetwork rbm = energy_network(ModelKind::rbm, 3, 5, 0.7);
  const RbmMixture exact(rbm);
  const Matrix<float> x = normals(20, 3, 9);
  const std::vector<double> F = free_energies(rbm, x);
  for (std::int64_t i = 0; i < x.rows(); ++i)
    EXPECT_NEAR(-F[static_cast<std::size_t>(i)] - exact.log_z, exact.log_density(x.row(i)), 1e-9);
}

TEST(EnergyModel, ForceIsTheDownhillGradientAndTheScoreThatRuns) {
  for (const auto& [kind, phi] : cases) {
    const SamplingNetwork network = energy_network(kind, 4, 6, 0.6, 1.0, phi);
    const EnergyFunction function(network);
    const Matrix<float> points = normals(5, 4, 3);
    Matrix<double> x(5, 4), force(5, 4), unused(5, 4);
    std::copy_n(points.data(), points.size(), x.data());
    std::vector<double> energy(5), above(5), below(5);
    function.read(x, energy, force);
    for (std::int64_t d = 0; d < 4; ++d) {
      constexpr double h = 1e-5;
      Matrix<double> up = x, down = x;
      for (std::int64_t i = 0; i < 5; ++i) up(i, d) += h, down(i, d) -= h;
      function.read(up, above, unused);
      function.read(down, below, unused);
      for (std::size_t i = 0; i < 5; ++i)
        EXPECT_NEAR(force(static_cast<std::int64_t>(i), d), (below[i] - above[i]) / (2.0 * h), 1e-7) << name_of(kind);
    }
    const auto backend = make_cpu_backend(1);
    const RunnableNetwork runnable(network);
    Matrix<float> drift(5, 4);
    backend->drift(*backend->prepare(runnable.view()), points, drift.view());
    for (std::int64_t k = 0; k < drift.size(); ++k)
      EXPECT_NEAR(drift.data()[k], force.data()[k], 1e-4 * (1.0 + std::abs(force.data()[k]))) << name_of(kind);
  }
}

TEST(EnergyModel, FreshWeightsAreThoseOfTheSeed) {
  const SamplingNetwork one = initial_energy_network(ModelKind::ebm, Nonlinearity::tanh, 3, 8, 0.2, 5);
  EXPECT_EQ(one.W_in, initial_energy_network(ModelKind::ebm, Nonlinearity::tanh, 3, 8, 0.2, 5).W_in);
  EXPECT_NE(one.W_in, initial_energy_network(ModelKind::ebm, Nonlinearity::tanh, 3, 8, 0.2, 6).W_in);
  const float bound = 0.2f / std::sqrt(11.0f);
  for (std::int64_t i = 0; i < one.W_in.size(); ++i) EXPECT_LE(std::abs(one.W_in.data()[i]), bound);
  EXPECT_EQ(one.v(0, 7), 1.0f);
  EXPECT_THAT(message_of<UsageError>([] { initial_energy_network(ModelKind::ebm, Nonlinearity::relu, 3, 8, 0.2, 5); }),
              HasSubstr("relu units need not have a law; allowed: tanh, sigmoid"));
  EXPECT_THAT(message_of<UsageError>([] { initial_energy_network(ModelKind::rbm, Nonlinearity::tanh, 3, 8, 0.2, 5); }),
              HasSubstr("an rbm has sigmoid units, found tanh"));
  EXPECT_THAT(
      message_of<UsageError>([] { initial_energy_network(ModelKind::rbm, Nonlinearity::sigmoid, 3, 8, 0.0, 5); }),
      HasSubstr("model.s is 0"));
}

TEST(EnergyModel, WeightsFilesGoRoundAndAreChecked) {
  for (const auto& [kind, phi] : cases) {
    SamplingNetwork network = energy_network(kind, 3, 4, 0.1, 1.0, phi);
    network.scaling.shift = {1.0, 2.0, 3.0};
    for (const bool npz : {false, true}) {
      const SamplingNetwork back =
          npz ? from_npz(to_npz(network), "x.npz", {phi, std::nullopt}) : from_tensors(to_tensors(network));
      expect_same(back, network);
    }
    TensorFile file = to_tensors(network);
    file.metadata.erase("s");
    EXPECT_THAT(message_of([&] { from_tensors(file); }), HasSubstr("does not say s"));
    file = to_tensors(network);
    file.metadata["s"] = "-1";
    EXPECT_THAT(message_of([&] { from_tensors(file); }), HasSubstr("s is -1; it must be finite and above 0"));
    file = to_tensors(network);
    file.tensors.erase("a");
    EXPECT_THAT(message_of([&] { from_tensors(file); }), HasSubstr("array a of shape"));
    file = to_tensors(network);
    file.metadata["nonlinearity"] = "softplus";
    EXPECT_THAT(message_of([&] { from_tensors(file); }), HasSubstr("softplus"));
  }
}

TEST(EnergyLikelihood, LogZOfAnRbmIsTheSumOverItsStates) {
  for (const double strength : {0.7, 1.5}) {
    const SamplingNetwork rbm = energy_network(ModelKind::rbm, 4, 8, 0.5, strength);
    const GaussianBase base{{0.2, -0.1, 0.0, 0.3}, {1.5, 1.0, 2.0, 1.2}};
    const LogPartition found = annealed_log_partition(rbm, base, annealing(600, 200), 4);
    const double error = found.standard_error;
    EXPECT_NEAR(found.value, RbmMixture(rbm).log_z, 5.0 * error + error * error) << strength;
    EXPECT_GT(error, 0.0);
    EXPECT_LT(error, 0.15);
    EXPECT_GT(found.effective_chains, 40.0);
  }
}

TEST(EnergyLikelihood, LogZOfAnEbmIsTheIntegral) {
  for (const Nonlinearity phi : {Nonlinearity::sigmoid, Nonlinearity::tanh}) {
    const SamplingNetwork ebm = energy_network(ModelKind::ebm, 2, 6, 0.6, 1.0, phi);
    constexpr std::int64_t n = 801;
    constexpr double reach = 12.0, h = 2.0 * reach / (n - 1);
    const Matrix<float> grid = square_grid(n, reach);
    double sum = 0.0;  // the trapezium rule is exact to rounding for what has died out at the edges
    for (const double F : free_energies(ebm, grid)) sum += std::exp(-F);
    const LogPartition found = annealed_log_partition(ebm, {{0.0, 0.0}, {2.0, 2.0}}, annealing(300, 200), 4);
    const double error = found.standard_error;
    EXPECT_NEAR(found.value, std::log(sum * h * h), 5.0 * error + error * error) << name_of(phi);
    EXPECT_GT(error, 0.0);
    EXPECT_LT(error, 0.1);
    EXPECT_NEAR(found.acceptance, 0.8, 0.08);
  }
}

TEST(EnergyLikelihood, AnEnergyWithoutUnitsIsItsGaussian) {
  SamplingNetwork rbm = energy_network(ModelKind::rbm, 3, 4, 0.5);
  std::fill_n(rbm.W_in.data(), rbm.W_in.size(), 0.0f);
  const GaussianBase base{{rbm.a(0, 0), rbm.a(0, 1), rbm.a(0, 2)}, {0.5, 0.5, 0.5}};
  double exact = 3.0 * std::log(0.5 * std::sqrt(2.0 * std::numbers::pi));
  for (std::int64_t j = 0; j < 4; ++j) exact += std::log1p(std::exp(static_cast<double>(rbm.b(0, j))));
  const LogPartition found = annealed_log_partition(rbm, base, annealing(50, 20), 4);
  EXPECT_NEAR(found.value, exact, 1e-6);
  EXPECT_NEAR(found.standard_error, 0.0, 1e-6);
}

TEST(EnergyLikelihood, DoesNotDependOnThreads) {
  const GaussianBase base{{0.0, 0.0}, {1.0, 1.0}};
  const int before = omp_get_max_threads();
  for (const ModelKind kind : {ModelKind::rbm, ModelKind::ebm}) {
    const SamplingNetwork network = energy_network(kind, 2, 4, 0.5);
    omp_set_num_threads(1);
    const LogPartition one = annealed_log_partition(network, base, annealing(30, 50), 4);
    omp_set_num_threads(3);
    const LogPartition three = annealed_log_partition(network, base, annealing(30, 50), 4);
    EXPECT_EQ(one.value, three.value);
    EXPECT_EQ(one.standard_error, three.standard_error);
    EXPECT_NE(one.value, annealed_log_partition(network, base, annealing(30, 50), 5).value);
  }
  omp_set_num_threads(before);
}

TEST(EnergyLikelihood, BadRequestsSayWhatIsWrong) {
  const SamplingNetwork rbm = energy_network(ModelKind::rbm, 2, 4, 0.5);
  const auto says = [&](const GaussianBase& base, const Annealing& a, const std::string& text) {
    EXPECT_THAT(message_of([&] { annealed_log_partition(rbm, base, a, 1); }), HasSubstr(text));
  };
  says({{0.0}, {1.0}}, annealing(10, 10), "a base of 1 dimensions for a model of 2 outputs");
  says({{0.0, 0.0}, {1.0, 0.0}}, annealing(10, 10), "the base has a deviation of 0");
  says({{0.0, 0.0}, {1.0, 1.0}}, annealing(1, 10), "needs 2 temperatures or more, found 1");
  says({{0.0, 0.0}, {1.0, 1.0}}, annealing(10, 1), "needs 2 chains or more, found 1");
}

}  // namespace
}  // namespace tarn::test
