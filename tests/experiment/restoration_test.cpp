// Restoration by chains, against closed forms and quadrature, for every family of the observation; the joint dynamics with its seen part
// held, which need not run, against the same; and whole runs, with their refusals. Bounds are 5.5 standard errors, estimated from hundreds of
// independent chains (a false alarm of 4e-8 a number, below 1e-5 for all of the file), and what steps of finite length do where it is said.
#include "tarn/experiment/restoration.hpp"

#include <cmath>

#include "experiment/run_tools.hpp"
#include "message_of.hpp"
#include "normals.hpp"
#include "tarn/io/npy.hpp"
#include "tarn/models/exponential_family.hpp"
#include "tarn/models/hee_model.hpp"
#include "tarn/models/hee_reading.hpp"
#include "tarn/models/linear_gaussian.hpp"

namespace tarn {
namespace {

using test::message_of;
using test::normals;
using test::tiny_hee;
using testing::HasSubstr;
namespace fs = std::filesystem;

constexpr double sigmas = 5.5;

HeeParameters model(std::vector<HeeLayer> layers, std::uint64_t seed) {
  HeeParameters p;
  p.layers = std::move(layers);
  for (std::size_t l = 0; l < p.layers.size(); ++l) {
    p.b.push_back(normals(1, p.layers[l].size, seed + l));
    if (l > 0) p.W.push_back(normals(p.layers[l - 1].size, p.layers[l].size, seed + 10 + l));
  }
  return p;
}

RestorationPlan plan_of(Integrator integrator, float dt, std::int64_t n_steps, std::int64_t n_chains) {
  RestorationPlan plan;
  plan.dynamics.integrator = integrator;
  plan.dynamics.dt = dt;
  plan.dynamics.friction = 1.0f;
  plan.n_steps = n_steps;
  plan.chains_per_datum = n_chains;
  plan.spread = 1.0f;
  plan.seed = 17;
  return plan;
}

// Standard error of a datum's mean, from its chains.
double standard_error(const Restored& found, std::int64_t datum, std::int64_t unit, std::int64_t n_chains) {
  double square = 0.0;
  for (std::int64_t c = 0; c < n_chains; ++c) {
    const double off = double{found.of_chain(datum * n_chains + c, unit)} - double{found.mean(datum, unit)};
    square += off * off;
  }
  return std::sqrt(square / static_cast<double>(n_chains * (n_chains - 1)));
}

TEST(Restoration, ChainsHaveTheClosedFormOfALinearGaussianModel) {
  const HeeParameters p = model({{6, Family::gaussian, {.s = 0.7f}, {}}, {3, Family::gaussian, {.s = 1.2f}, {}}}, 3);
  const std::vector<std::int64_t> some{4, 0, 3}, all{0, 1, 2, 3, 4, 5};
  const auto backend = make_backend("cpu", 1);
  constexpr std::int64_t n_chains = 256;
  for (const auto& [seen, sigma] : {std::pair{some, 0.0}, {all, 0.8}}) {
    const MeasuredHee measured(p, Measurement::of_units(6, seen, sigma));
    const Matrix<float> y = normals(4, std::ssize(seen), 5);
    const Restored found =
        restore(*backend, measured, plan_of(Integrator::leimkuhler_matthews, 0.05f, 3000, n_chains), y);
    EXPECT_EQ(found.n_lost, 0);
    const GaussianPosterior posterior = gaussian_posterior(measured.model());
    const Matrix<float> y_white = measured.observations(y);
    for (std::int64_t i = 0; i < 4; ++i) {
      std::vector<Matrix<float>> state{Matrix<float>(1, y_white.cols()), Matrix<float>(1, 3)};
      for (std::int64_t k = 0; k < 3; ++k) {
        double mean = posterior.offset(0, k);
        for (std::int64_t j = 0; j < y_white.cols(); ++j) mean += posterior.gain(k, j) * double{y_white(i, j)};
        state[1](0, k) = static_cast<float>(mean);
      }
      const Matrix<float> exact = measured.restored(measured.summary(state), y.view().slice(i, i + 1));
      for (std::int64_t j = 0; j < 6; ++j) {
        const double error = standard_error(found, i, j, n_chains);
        EXPECT_NEAR(found.mean(i, j), exact(0, j), sigmas * error + 1e-5) << "sigma " << sigma << ", unit " << j;
        EXPECT_LT(error, 0.03) << "an error as large as this says nothing";
      }
    }
  }
}

// E[x_0 | y] of units that hang on one Gaussian latent, by two nested sums. A unit with y NaN is hidden.
std::vector<double> by_quadrature(const HeeParameters& p, const std::vector<double>& y, double sigma) {
  const ExponentialFamily below(p.layers[0].family, p.layers[0].parameters),
      above(p.layers[1].family, p.layers[1].parameters);
  constexpr int n = 240;
  constexpr double reach = 12.0, width = 2.0 * reach / n;
  const auto at = [](int i) { return -reach + (i + 0.5) * width; };
  double total = 0.0;
  std::vector<double> sum(y.size());
  for (int i = 0; i < n; ++i) {
    double weight = std::exp(above.log_density(at(i), above.link(p.b[1](0, 0))));
    std::vector<double> mean(y.size());
    for (std::size_t u = 0; u < y.size(); ++u) {
      const auto unit = static_cast<std::int64_t>(u);
      const double eta = below.link(p.b[0](0, unit) + double{p.W[0](unit, 0)} * at(i));
      if (std::isnan(y[u])) {
        mean[u] = mean_state(p.layers[0], eta);
      } else if (sigma == 0.0) {
        weight *= std::exp(below.log_density(y[u], eta));
        mean[u] = y[u];
      } else {
        double density = 0.0;
        for (int k = 0; k < n; ++k) {
          const double log_density = below.log_density(at(k), eta), off = (y[u] - at(k)) / sigma;
          if (!(log_density > -60.0)) continue;
          const double share = width * std::exp(log_density - 0.5 * off * off);
          density += share;
          mean[u] += share * at(k);
        }
        weight *= density;
        mean[u] /= density;
      }
    }
    if (!(weight > 0.0)) continue;
    total += weight;
    for (std::size_t u = 0; u < y.size(); ++u) sum[u] += weight * mean[u];
  }
  for (double& s : sum) s /= total;
  return sum;
}

class EveryFamily : public testing::TestWithParam<Family> {};

TEST_P(EveryFamily, ChainsHaveTheMeanByQuadrature) {
  FamilyParameters parameters;
  parameters.s = 0.8f;
  parameters.rate = 2.0f;
  parameters.width = 0.3f;
  const HeeParameters p = model({{2, GetParam(), parameters, {}}, {1, Family::gaussian, {.s = 1.0f}, {}}}, 30);
  const auto backend = make_backend("cpu", 1);
  constexpr std::int64_t n_chains = 400;
  const double hidden = std::nan("");
  struct Case {
    std::vector<double> y;
    double sigma;
  };
  for (const Case& c : {Case{{0.9, hidden}, 0.0}, Case{{0.9, -0.4}, 0.7}, Case{{0.9, hidden}, 0.7}}) {
    std::vector<std::int64_t> seen;
    for (std::size_t u = 0; u < 2; ++u) {
      if (!std::isnan(c.y[u])) seen.push_back(static_cast<std::int64_t>(u));
    }
    Matrix<float> y(1, std::ssize(seen));
    for (std::size_t k = 0; k < seen.size(); ++k)
      y(0, static_cast<std::int64_t>(k)) = static_cast<float>(c.y[static_cast<std::size_t>(seen[k])]);
    const MeasuredHee measured(p, Measurement::of_units(2, seen, c.sigma));
    EXPECT_EQ(measured.moves_observation(), GetParam() != Family::gaussian && c.sigma > 0.0);
    const Restored found = restore(*backend, measured, plan_of(Integrator::baoab, 0.1f, 1200, n_chains), y);
    const std::vector<double> exact = by_quadrature(p, c.y, c.sigma);
    for (std::int64_t u = 0; u < 2; ++u) {
      const double error = standard_error(found, 0, u, n_chains);
      // steps of 0.1 with momentum: within 0.01 of their limit for these units
      EXPECT_NEAR(found.mean(0, u), exact[static_cast<std::size_t>(u)], sigmas * error + 0.01)
          << name_of(GetParam()) << ", noise " << c.sigma << ", unit " << u;
      // a hidden unit beside noisy ones moves with them, in all its width
      EXPECT_LT(error, c.sigma > 0.0 && std::isnan(c.y[static_cast<std::size_t>(u)]) ? 0.15 : 0.03);
    }
  }
}
INSTANTIATE_TEST_SUITE_P(Restoration, EveryFamily,
                         testing::Values(Family::gaussian, Family::laplace, Family::gaussian_scale,
                                         Family::laplace_scale, Family::quartic, Family::rectified),
                         [](const auto& its) { return std::string(name_of(its.param)); });

// The whole circuit with the seen units held: after every step they are put back.
TEST(Restoration, TheJointDynamicsWithItsSeenPartHeldAgrees) {
  FamilyParameters laplace;
  laplace.rate = 2.0f;
  laplace.width = 0.5f;
  for (const Family family : {Family::gaussian, Family::laplace}) {
    const HeeParameters p =
        model({{3, family, laplace, {}}, {2, Family::gaussian, {.s = 1.0f}, Nonlinearity::tanh}}, 50);
    const auto backend = make_backend("cpu", 1);
    const std::vector<std::int64_t> seen{0, 2};
    const Matrix<float> y = normals(1, 2, 60);
    constexpr std::int64_t n_chains = 2000;
    RestorationPlan plan = plan_of(Integrator::euler_maruyama, 0.02f, 600, n_chains);
    const Restored found = restore(*backend, MeasuredHee(p, Measurement::of_units(3, seen, 0.0)), plan, y);

    const auto session = backend->make_hee_session(p, {});
    HeeDynamics joint = plan.dynamics;
    joint.free_observation = true;
    session->set_rows({.n_data = n_chains, .first_chain = 1 << 20});
    session->reset(joint, 17, 0, 1.0f);
    Matrix<float> x_0(n_chains, 3), x_1(n_chains, 2);
    std::vector<double> mean_of_chain(n_chains);
    HeeSteps step;
    step.seed = 17;
    step.n_steps = 1;
    const auto hold = [&] {
      session->read(0, x_0.view());
      for (std::int64_t i = 0; i < n_chains; ++i) {
        for (std::int64_t k = 0; k < 2; ++k) x_0(i, seen[static_cast<std::size_t>(k)]) = y(0, k);
      }
      session->write(0, x_0);
    };
    hold();
    constexpr int n_steps = 1000, burn_in = 500, every = 20;
    for (int n = 0; n < n_steps; ++n) {
      session->infer(joint, step);
      ++step.first_step;
      hold();
      if (n < burn_in || n % every != 0) continue;
      session->read(1, x_1.view());
      const std::vector<Matrix<float>> state{x_0, x_1};
      const Matrix<float> mean = mean_given(p, 0, state);
      for (std::int64_t i = 0; i < n_chains; ++i)
        mean_of_chain[static_cast<std::size_t>(i)] += double{mean(i, 1)} * every / (n_steps - burn_in);
    }
    double mean = 0.0, square = 0.0;
    for (const double m : mean_of_chain) mean += m / n_chains;
    for (const double m : mean_of_chain) square += (m - mean) * (m - mean) / (n_chains - 1);
    const double here = standard_error(found, 0, 1, n_chains), there = std::sqrt(square / n_chains);
    // Euler-Maruyama steps of 0.02 leave a bias of their order in either
    EXPECT_NEAR(found.mean(0, 1), mean, sigmas * std::hypot(here, there) + 0.01) << name_of(family);
    EXPECT_LT(std::hypot(here, there), 0.02);
    EXPECT_EQ(found.mean(0, 0), y(0, 0));
  }
}

TEST(Restoration, DoesNotDependOnThreads) {
  const HeeParameters p = model({{5, Family::laplace, {}, {}}, {3, Family::quartic, {}, Nonlinearity::relu}}, 70);
  const std::vector<std::int64_t> all{0, 1, 2, 3, 4};
  const MeasuredHee measured(p, Measurement::of_units(5, all, 0.5));
  const Matrix<float> y = normals(40, 5, 71);
  const auto one = make_backend("cpu", 1), two = make_backend("cpu", 2);
  const RestorationPlan plan = plan_of(Integrator::euler_maruyama, 0.01f, 60, 3);
  EXPECT_EQ(restore(*one, measured, plan, y).mean, restore(*two, measured, plan, y).mean);
}

// Noise that is small holds x_0 tightly: the step becomes shorter, and no chain is lost.
TEST(Restoration, StepsFitTheNoise) {
  const HeeParameters p = model({{5, Family::laplace, {}, {}}, {3, Family::gaussian, {}, {}}}, 80);
  const std::vector<std::int64_t> all{0, 1, 2, 3, 4};
  const auto backend = make_backend("cpu", 1);
  const Matrix<float> y = normals(3, 5, 81);
  const Restored found = restore(*backend, MeasuredHee(p, Measurement::of_units(5, all, 0.02)),
                                 plan_of(Integrator::euler_maruyama, 0.05f, 400, 4), y);
  EXPECT_LT(found.dt, 0.02f * 0.02f);
  EXPECT_EQ(found.n_lost, 0);
  for (std::int64_t i = 0; i < y.size(); ++i) EXPECT_NEAR(found.mean.data()[i], y.data()[i], 0.1);
}

class RestoringRun : public test::RunTest {
 protected:
  std::string mask(const std::string& name, const Matrix<float>& values, Shape shape) const {
    write_npy(folder / name, values, std::move(shape));
    return "evaluation.inpaint=" + (folder / name).string();
  }
  RunOutcome run(const std::string& text, const std::vector<std::string>& overrides) const {
    return run_experiment(parse_config(text, "tiny.toml", overrides), {folder / "runs", 1});
  }
};

double metric(const RunOutcome& run, const std::string& name) {
  for (const Metric& m : run.metrics) {
    if (m.name == name) return m.value;
  }
  ADD_FAILURE() << "no metric " << name;
  return std::nan("");
}

Matrix<float> first_half(std::int64_t n) {
  Matrix<float> mask(1, n);
  std::fill_n(mask.data(), n / 2, 1.0f);
  return mask;
}

// The data are Gaussian and so is the model, which learns their two large directions: it restores nearly as well as their own law does.
TEST_F(RestoringRun, AGaussianModelOfGaussianDataIsAsGoodAsTheirGaussian) {
  const RunOutcome outcome = run(tiny_hee, {"training.epochs=40", "sampling.thin=0", "evaluation.denoise=[0.5, 1.0]",
                                            "evaluation.restore_data=1000", mask("mask.npy", first_half(4), {4})});
  for (const std::string task : {"inpainting", "denoising_0.5", "denoising_1"}) {
    const double model = metric(outcome, task + "_error"), gaussian = metric(outcome, task + "_error_gaussian");
    EXPECT_NEAR(model / gaussian, 1.0, 0.05) << task;
    EXPECT_LT(model, 0.8 * metric(outcome, task + "_error_nothing")) << task;
    EXPECT_GT(metric(outcome, task + "_error_draw"), model) << "a draw adds the posterior's variance";
    const Matrix<float> restored = read_npy_matrix(outcome.folder / ("restored_" + task + ".npy"));
    EXPECT_EQ(restored.rows(), 1000);
    EXPECT_EQ(restored.cols(), 4);
  }
}

// Images of 4 x 6 pixels, three hidden causes and noise; the model lives behind a filter of 8 components.
class RestoringImages : public RestoringRun {
 protected:
  RestoringImages() {
    const Matrix<float> causes = normals(1500, 3, 1), noise = normals(1500, 24, 2), patterns = normals(3, 24, 3);
    Matrix<float> images(1500, 24);
    for (std::int64_t i = 0; i < 1500; ++i) {
      for (std::int64_t j = 0; j < 24; ++j) {
        images(i, j) = 2.0f + 0.2f * noise(i, j);
        for (std::int64_t k = 0; k < 3; ++k) images(i, j) += causes(i, k) * patterns(k, j);
      }
    }
    write_npy(folder / "train.npy", images.view().slice(0, 1200), {1200, 4, 6});
    write_npy(folder / "test.npy", images.view().slice(1200, 1500), {300, 4, 6});
  }
  std::string text(const std::string& observation = "family = \"gaussian\"\ns = 0.2\n") const {
    return "[run]\nname = \"images\"\n[data]\nkind = \"npy\"\nscaling = \"none\"\npath = \"" +
           (folder / "train.npy").string() + "\"\n[model]\nkind = \"hee\"\n[[model.layers]]\n" + observation +
           "[[model.layers]]\nsize = 3\nfamily = \"gaussian\"\n[inference]\ndt = 0.05\nsteps = 40\nwindow = 20\n"
           "adaptation = \"momentum\"\nfriction = 5.0\nspread = 1.0\n[training]\nepochs = 60\nbatch_size = 100\nbiases "
           "= true\n"
           "[training.optimizer]\nkind = \"adam\"\nlr = 0.03\nlr_schedule = \"cosine\"\n[sampling]\nchains = 64\nsteps "
           "= "
           "60\nthin = 0\n[evaluation]\nrestore_data = 300\nrestore_path = \"" +
           (folder / "test.npy").string() + "\"\n";
  }
};

// The model has the form of the data's law; after so short a training it restores within a fifth of what their Gaussian does.
TEST_F(RestoringImages, BehindAFilterAsWellAsWithoutOne) {
  for (const std::string filter : {"filter.kind=none", "filter.kind=pca"}) {
    std::vector<std::string> overrides{filter, "evaluation.inpaint=left", "evaluation.denoise=[0.5]"};
    if (filter.ends_with("pca")) overrides.push_back("filter.components=8");
    const RunOutcome outcome = run(text(), overrides);
    for (const std::string task : {"inpainting", "denoising_0.5"}) {
      const double model = metric(outcome, task + "_error"), gaussian = metric(outcome, task + "_error_gaussian");
      EXPECT_NEAR(model / gaussian, 1.0, 0.2) << filter << " " << task;
      EXPECT_LT(model, 0.4 * metric(outcome, task + "_error_nothing")) << filter << " " << task;
      EXPECT_TRUE(fs::exists(outcome.folder / "figures" / (task + ".png")));
    }
  }
}

TEST_F(RestoringImages, RefusesInOneLineBeforeItTrains) {
  const auto refused = [&](const std::vector<std::string>& overrides, const std::string& observation = "") {
    return message_of<UsageError>([&] { run(observation.empty() ? text() : text(observation), overrides); });
  };
  EXPECT_THAT(refused({mask("wrong.npy", first_half(12), {3, 4})}),
              HasSubstr("is a mask of shape (3, 4), the data have 24 features; allowed: (24,), (4, 6), (4, 6, 1)"));
  EXPECT_THAT(refused({mask("none.npy", Matrix<float>(4, 6), {4, 6})}), HasSubstr("hides 0 of 24 features"));
  const std::string laplace = "family = \"laplace\"\n";
  EXPECT_THAT(refused({"evaluation.inpaint=left", "filter.kind=pca", "filter.components=8"}, laplace),
              HasSubstr("or a gaussian observation"));
  write_npy(folder / "other.npy", normals(10, 25), {10, 5, 5});
  EXPECT_THAT(refused({"evaluation.inpaint=top", "evaluation.restore_path=" + (folder / "other.npy").string()}),
              HasSubstr("has data of 25 features, the run's have 24"));
  EXPECT_THAT(refused({"evaluation.denoise=[0.0]"}), HasSubstr("evaluation.denoise"));
  EXPECT_FALSE(fs::exists(folder / "runs") && !fs::is_empty(folder / "runs") &&
               fs::exists(fs::directory_iterator(folder / "runs")->path() / "weights.safetensors"));
  EXPECT_THAT(message_of<UsageError>([&] { run(tiny_hee, {"evaluation.inpaint=left"}); }),
              HasSubstr("\"left\" is half of an image, the data are none; allowed: a mask file .npy [4]"));
}

}  // namespace
}  // namespace tarn
