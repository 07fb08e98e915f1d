// Conditional training: p(x | u) of a correlated mixture in the plane against its closed form, over a grid of u.
#include <cmath>

#include "experiment/run_tools.hpp"
#include "tarn/data/synthetic.hpp"
#include "tarn/evaluation/stationary_law.hpp"
#include "tarn/experiment/stages.hpp"
#include "tarn/io/npy.hpp"
#include "tarn/models/score.hpp"

namespace tarn {
namespace {

class Conditional : public test::RunTest {};

TEST_F(Conditional, LearnsTheLawOfOneCoordinateGivenTheOther) {
  const std::vector<double> grid{-1.2, -0.5, 0.0, 0.5, 1.2};
  constexpr std::int64_t chains_each = 2000;
  const auto n_chains = static_cast<std::int64_t>(grid.size()) * chains_each;
  Matrix<float> u(n_chains, 1);
  for (std::int64_t i = 0; i < n_chains; ++i)
    u(i, 0) = static_cast<float>(grid[static_cast<std::size_t>(i / chains_each)]);
  write_npy(folder / "u.npy", u.view());

  // the second coordinate is the input; x given u has two peaks whose places and weights depend on u
  const Config given = parse_config(
      "[run]\nname = \"conditional\"\nseed = 11\n"
      "[data]\nkind = \"gaussian_mixture\"\nmeans = [[-1.0, -0.4], [1.0, 0.4]]\n"
      "covariances = [[[0.25, 0.15], [0.15, 0.4]], [[0.25, 0.15], [0.15, 0.4]]]\ninputs = 1\nepoch_size = 25600\n"
      "[model]\nneurons = 200\n[training]\nepochs = 120\nbatch_size = 256\n"
      "[sampling]\nintegrator = \"leimkuhler_matthews\"\ncondition = \"" +
          (folder / "u.npy").string() + "\"\n[sampling.annealed]\nsteps_per_level = 200\ndenoise = false\n",
      "conditional.toml", {"sampling.chains=" + std::to_string(n_chains)});
  Config config = given;
  const PreparedData data = prepare_data(config);
  resolve(config, facts_of(data));
  ASSERT_EQ(data.n_outputs, 1);
  ASSERT_EQ(data.n_inputs, 1);
  const auto backend = make_cpu_backend(2);
  const RunFolder run = RunFolder::create(folder / "runs", "conditional");
  const TrainingOutcome training = train_stage(config, data, *backend, run);
  const SamplingOutcome sampling = sampling_stage(config, data, training.levels, *backend, run.path());
  EXPECT_EQ(sampling.result.n_quarantined, 0);

  const auto& mixture = dynamic_cast<const GaussianMixture&>(*data.target);
  const SamplingNetwork& network = training.levels.back();
  const double sigma = network.sigma * data.scaling.scale;
  for (std::size_t g = 0; g < grid.size(); ++g) {
    SCOPED_TRACE(fmt::format("u = {}", grid[g]));
    const GaussianMixture exact = mixture.conditional({grid[g]});
    const Law1d law = Law1d::from_target(exact, sigma);
    // the learned score alone, by quadrature: no chains
    const BatchFunction1d score = [&](std::span<const double> x, std::span<double> values) {
      Matrix<float> points(static_cast<std::int64_t>(x.size()), 2);
      for (std::size_t i = 0; i < x.size(); ++i) {
        points(static_cast<std::int64_t>(i), 0) = static_cast<float>(x[i]);
        points(static_cast<std::int64_t>(i), 1) = static_cast<float>(grid[g]);
      }
      const Matrix<float> s = score_in_data_units(*backend, network, points);
      for (std::size_t i = 0; i < x.size(); ++i) values[i] = s(static_cast<std::int64_t>(i), 0);
    };
    const StationaryLaw learned = stationary_law(score, law.mean(), std::sqrt(law.variance()));
    ASSERT_TRUE(learned) << learned.problem;
    const double kl = distance(learned, law).kl;
    EXPECT_LT(kl, 0.02);
    // and the chains
    double mean = 0.0, square = 0.0;
    for (std::int64_t i = 0; i < chains_each; ++i) {
      const double x = sampling.last_draw(static_cast<std::int64_t>(g) * chains_each + i, 0);
      mean += x / chains_each;
      square += x * x / chains_each;
    }
    const double variance = square - mean * mean;
    RecordProperty(fmt::format("kl_{}", g), fmt::format("{:.5f}", kl));
    RecordProperty(fmt::format("mean_{}", g), fmt::format("{:.4f} {:.4f}", mean, law.mean()));
    RecordProperty(fmt::format("variance_{}", g), fmt::format("{:.4f} {:.4f}", variance, law.variance()));
    EXPECT_NEAR(mean, law.mean(), 0.1);
    EXPECT_NEAR(variance / law.variance(), 1.0, 0.15);
  }
  // a network that did not look at u would give one mean for all
  EXPECT_GT(Law1d::from_target(mixture.conditional({1.2}), sigma).mean() -
                Law1d::from_target(mixture.conditional({-1.2}), sigma).mean(),
            1.0);
}

}  // namespace
}  // namespace tarn
