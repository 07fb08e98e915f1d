// Largest stable steps against LAPACK's eigenvalues, closed forms and the dynamics itself; outward growth against scans of all
// directions and the far drift.
#include "tarn/models/drift.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <lapacke.h>

#include <complex>
#include <limits>
#include <numbers>

#include "models/network_drift.hpp"
#include "models/networks.hpp"
#include "tarn/compute/backend.hpp"
#include "tarn/core/error.hpp"

namespace tarn {
namespace {

using test::Array;
using test::normals;

/// The Jacobian at one row `[x u]` by central differences of the float64 drift, then all eigenvalues.
std::vector<std::complex<double>> eigenvalues_at(const NetworkView& n, const float* point) {
  const std::int64_t D = n.n_outputs, K = D + n.n_inputs;
  constexpr double h = 1e-6;
  Array points(2 * D, K);
  for (std::int64_t i = 0; i < 2 * D; ++i) {
    for (std::int64_t k = 0; k < K; ++k) points(i, k) = point[k];
    points(i, i / 2) += i % 2 == 0 ? h : -h;
  }
  const Array f = test::drift_of_view(n, points);
  std::vector<double> J(static_cast<std::size_t>(D * D)), re(static_cast<std::size_t>(D)), im(re);
  for (std::int64_t d = 0; d < D; ++d) {
    for (std::int64_t k = 0; k < D; ++k)
      J[static_cast<std::size_t>(d * D + k)] = (f(2 * k, d) - f(2 * k + 1, d)) / (2.0 * h);
  }
  const auto size = static_cast<int>(D);
  EXPECT_EQ(
      LAPACKE_dgeev(LAPACK_ROW_MAJOR, 'N', 'N', size, J.data(), size, re.data(), im.data(), nullptr, 1, nullptr, 1), 0);
  std::vector<std::complex<double>> values;
  for (std::size_t i = 0; i < re.size(); ++i) values.emplace_back(re[i], im[i]);
  return values;
}

/// The rule of the header, on all eigenvalues.
double step_of(const std::vector<std::complex<double>>& eigenvalues) {
  double stiffest = 0.0, step = std::numeric_limits<double>::infinity();
  for (const auto& l : eigenvalues) stiffest = l.real() < 0.0 ? std::max(stiffest, std::abs(l)) : stiffest;
  for (const auto& l : eigenvalues) {
    if (l.real() < 0.0 && std::abs(l) >= 0.5 * stiffest) step = std::min(step, 2.0 * -l.real() / std::norm(l));
  }
  return step;
}

Matrix<float> skew(std::int64_t D, float strength) {
  const Matrix<float> A = normals(D, D, 9);
  Matrix<float> J(D, D);
  for (std::int64_t i = 0; i < D; ++i) {
    for (std::int64_t j = 0; j < D; ++j) J(i, j) = strength * (A(i, j) - A(j, i));
  }
  return J;
}

TEST(StableSteps, AreThoseOfAllEigenvaluesInSmallNetworks) {
  for (const ModelKind kind : test::all_kinds) {
    for (const std::string_view name : nonlinearity_names) {
      for (const std::int64_t D : {1, 2, 3, 5, 17, 32}) {
        const std::int64_t U = kind == ModelKind::reservoir_sampler && D == 3 ? 2 : 0;
        const SamplingNetwork network = test::some_network(kind, D, U, 40, parse_nonlinearity(name));
        for (const float strength : {0.0f, 0.7f}) {
          const RunnableNetwork runnable =
              strength > 0.0f ? RunnableNetwork(network, skew(D, strength).view()) : RunnableNetwork(network);
          const Matrix<float> points = normals(5, D + U, 21);
          const std::vector<double> steps = stable_steps(runnable.view(), points);
          ASSERT_EQ(steps.size(), 5u);
          for (std::int64_t i = 0; i < 5; ++i) {
            const double expected = step_of(eigenvalues_at(runnable.view(), points.row(i)));
            if (std::isinf(expected)) {
              EXPECT_TRUE(std::isinf(steps[static_cast<std::size_t>(i)]));
            } else {  // float32 slopes, and differences over 1e-6
              EXPECT_NEAR(steps[static_cast<std::size_t>(i)] / expected, 1.0, 1e-4)
                  << name_of(kind) << " " << name << " D " << D << " J " << strength;
            }
          }
        }
      }
    }
  }
}

/// A linear well: every neuron is far above its threshold, so `f = -x + (x W_in^T + b) W_out^T + c` with `W_out W_in = I - A`.
struct LinearWell {
  Matrix<float> W_in, b, W_out, M;
  NetworkView view;
  /// `A` diagonal.
  explicit LinearWell(const std::vector<float>& stiffness) {
    const auto D = static_cast<std::int64_t>(stiffness.size());
    W_in = W_out = Matrix<float>(D, D);
    b = Matrix<float>(1, D);
    for (std::int64_t d = 0; d < D; ++d) {
      W_in(d, d) = 1.0f;
      W_out(d, d) = 1.0f - stiffness[static_cast<std::size_t>(d)];
      b(0, d) = 1000.0f;
    }
    view.n_outputs = view.n_neurons = D;
    view.W_in = W_in.data();
    view.b = b.data();
    view.W_out = W_out.data();
  }
};

TEST(StableSteps, ClosedForms) {
  LinearWell well({3.0f, 40.0f, 7.0f});
  const Matrix<float> origin(1, 3);
  EXPECT_NEAR(stable_steps(well.view, origin)[0], 2.0 / 40.0, 1e-12);
  // a direction that grows is no matter of the step
  EXPECT_NEAR(stable_steps(LinearWell({3.0f, -40.0f}).view, Matrix<float>(1, 2))[0], 2.0 / 3.0, 1e-7);
  EXPECT_EQ(stable_steps(LinearWell({-3.0f, -40.0f}).view, Matrix<float>(1, 2))[0],
            std::numeric_limits<double>::infinity());
  // an isotropic well of stiffness k under I + J, J = g [[0, -1], [1, 0]]: eigenvalues -k (1 +- i g)
  for (const float g : {0.5f, 2.0f, 10.0f}) {
    LinearWell turning({5.0f, 5.0f});
    turning.M = Matrix<float>(2, 2);
    turning.M(0, 0) = turning.M(1, 1) = 1.0f;
    turning.M(0, 1) = -g;
    turning.M(1, 0) = g;
    turning.view.M = turning.M.data();
    EXPECT_NEAR(stable_steps(turning.view, Matrix<float>(1, 2))[0], 2.0 / (5.0 * (1.0 + g * g)), 1e-7) << g;
  }
  // weights that are not finite do not vanish behind a rectifier
  well.W_in(1, 1) = std::numeric_limits<float>::quiet_NaN();
  EXPECT_TRUE(std::isnan(stable_steps(well.view, origin)[0]));
  EXPECT_THROW(stable_steps(well.view, Matrix<float>(1, 2)), Error);
}

// Beyond 32 outputs: wells as those of a score, many directions at the stiffness 1/sigma^2 and some softer, in a random basis that is
// not quite orthogonal. The stiffest eigenvalue is met to 5 per cent.
TEST(StableSteps, LargeNetworksToSomePerCent) {
  for (const std::int64_t D : {50, 90}) {
    for (const int seed : {1, 2}) {
      SamplingNetwork network = test::some_network(ModelKind::reservoir_sampler, D, 0, 2 * D, Nonlinearity::softplus);
      network.W_in = normals(2 * D, D, static_cast<std::uint64_t>(100 + seed));
      for (std::int64_t j = 0; j < 2 * D; ++j) {
        const float size = j < D ? 40.0f : 2.0f;
        for (std::int64_t d = 0; d < D; ++d)
          network.W_out(d, j) = -size / static_cast<float>(D) * (network.W_in(j, d) + 0.2f * network.W_out(d, j));
      }
      const RunnableNetwork runnable(network);
      const Matrix<float> points = normals(2, D, 22);
      const std::vector<double> steps = stable_steps(runnable.view(), points);
      for (std::int64_t i = 0; i < 2; ++i) {
        const double exact = step_of(eigenvalues_at(runnable.view(), points.row(i)));
        EXPECT_NEAR(steps[static_cast<std::size_t>(i)] / exact, 1.0, 0.05) << D << " " << seed;
      }
      EXPECT_EQ(steps, stable_steps(runnable.view(), points)) << "the same numbers each time";
    }
  }
}

// What the step is for: without noise, a chain at 0.97 of it comes to rest, at 1.03 of it runs away.
TEST(StableSteps, TellRestFromRunningAway) {
  LinearWell well({3.0f, 40.0f, 7.0f});
  const double limit = stable_steps(well.view, Matrix<float>(1, 3))[0];
  const auto backend = make_cpu_backend(1);
  const auto prepared = backend->prepare(well.view);
  for (const double factor : {0.97, 1.03}) {
    Matrix<float> x(1, 3);
    // the fixed point: A x = b W_out^T
    for (std::int64_t d = 0; d < 3; ++d) x(0, d) = 1000.0f * well.W_out(d, d) / (1.0f - well.W_out(d, d)) + 1.0f;
    std::int64_t bad = -1;
    LangevinSteps steps;
    steps.dt = static_cast<float>(factor * limit);
    steps.noise_scale = 0.0f;
    steps.n_steps = 300;
    backend->advance(*prepared, steps, {x.view(), {}, {}, &bad});
    const double off = std::abs(x(0, 1) - 1000.0 * (1.0 - 40.0) / 40.0);
    if (factor < 1.0) {
      EXPECT_LT(off, 0.1);
    } else {
      EXPECT_GT(off, 10.0);  // from 1; farther out the neurons fall silent and hold it
    }
  }
}

/// `u . f(R u) / R` in float64.
double far_rate(const NetworkView& n, const std::vector<double>& u, double R) {
  Array x(1, n.n_outputs + n.n_inputs);
  for (std::size_t d = 0; d < u.size(); ++d) x(0, static_cast<std::int64_t>(d)) = R * u[d];
  const Array f = test::drift_of_view(n, x);
  double sum = 0.0;
  for (std::size_t d = 0; d < u.size(); ++d) sum += u[d] * f(0, static_cast<std::int64_t>(d)) / R;
  return sum;
}

TEST(OutwardGrowth, OneNeuronInClosedForm) {
  // max over u of -1 + (a.u)(w.u): the bisector of a and w, |a| |w| (1 + cos) / 2
  for (const std::int64_t D : {2, 3, 40}) {
    const SamplingNetwork network = test::some_network(ModelKind::reservoir_sampler, D, 0, 1, Nonlinearity::relu);
    double aa = 0.0, ww = 0.0, aw = 0.0;
    for (std::int64_t d = 0; d < D; ++d) {
      const double a = network.W_in(0, d), w = network.W_out(d, 0);
      aa += a * a;
      ww += w * w;
      aw += a * w;
    }
    const double expected = -1.0 + std::sqrt(aa * ww) * 0.5 * (1.0 + aw / std::sqrt(aa * ww));
    const OutwardGrowth found = outward_growth(RunnableNetwork(network).view());
    EXPECT_NEAR(found.rate, expected, 1e-6) << D;
    double norm = 0.0;
    for (const double v : found.direction) norm += v * v;
    EXPECT_NEAR(norm, 1.0, 1e-12);
  }
}

TEST(OutwardGrowth, IsTheLargestOverAllDirectionsOfThePlane) {
  int outward = 0;
  for (const std::string_view name : nonlinearity_names) {
    for (int seed = 0; seed < 6; ++seed) {
      SamplingNetwork network =
          test::some_network(ModelKind::reservoir_sampler, 2, seed % 2, 12, parse_nonlinearity(name));
      network.W_out = normals(2, 12, static_cast<std::uint64_t>(50 + seed));
      for (std::int64_t i = 0; i < network.W_out.size(); ++i) network.W_out.data()[i] *= 0.3f;
      const RunnableNetwork runnable =
          seed < 3 ? RunnableNetwork(network) : RunnableNetwork(network, skew(2, 0.8f).view());
      const OutwardGrowth found = outward_growth(runnable.view());
      double largest = -std::numeric_limits<double>::infinity();
      constexpr double R = 1e7;  // biases and the bend of softplus are gone
      for (int i = 0; i < 2000; ++i) {
        const double angle = 2.0 * std::numbers::pi * i / 2000;
        largest = std::max(largest, far_rate(runnable.view(), {std::cos(angle), std::sin(angle)}, R));
      }
      EXPECT_NEAR(found.rate, largest, 1e-3) << name << " " << seed;  // the scan may step over a kink
      EXPECT_GE(found.rate, largest - 1e-5) << name << " " << seed;
      EXPECT_NEAR(far_rate(runnable.view(), found.direction, R), found.rate, 1e-5) << name << " " << seed;
      outward += found.rate > 0.0;
    }
  }
  EXPECT_GT(outward, 3) << "both cases are there";
  EXPECT_LT(outward, 25);
}

TEST(OutwardGrowth, EveryKindInSpaceAgainstManyDirections) {
  for (const ModelKind kind : test::all_kinds) {
    for (const Nonlinearity phi : {Nonlinearity::relu, Nonlinearity::leaky_relu, Nonlinearity::tanh}) {
      const RunnableNetwork runnable(test::some_network(kind, 3, 0, 30, phi));
      const OutwardGrowth found = outward_growth(runnable.view());
      double largest = -std::numeric_limits<double>::infinity();
      for (int i = 0; i < 4000; ++i) {  // points of a spiral over the sphere
        const double z = 1.0 - (2.0 * i + 1.0) / 4000, angle = i * std::numbers::pi * (3.0 - std::sqrt(5.0));
        const double r = std::sqrt(1.0 - z * z);
        largest = std::max(largest, far_rate(runnable.view(), {r * std::cos(angle), r * std::sin(angle), z}, 1e7));
      }
      EXPECT_GE(found.rate, largest - 1e-4) << name_of(kind) << " " << name_of(phi);
      EXPECT_NEAR(found.rate, largest, 5e-3 * (1.0 + std::abs(largest))) << name_of(kind) << " " << name_of(phi);
    }
  }
}

TEST(OutwardGrowth, BoundedNonlinearitiesConfine) {
  for (const Nonlinearity phi : {Nonlinearity::tanh, Nonlinearity::sigmoid}) {
    for (const std::int64_t D : {1, 4, 40}) {
      const SamplingNetwork network = test::some_network(ModelKind::reservoir_sampler, D, 0, 50, phi);
      EXPECT_NEAR(outward_growth(RunnableNetwork(network).view()).rate, -1.0, 1e-12);
    }
  }
  EXPECT_NEAR(
      outward_growth(RunnableNetwork(test::some_network(ModelKind::reservoir_sampler, 3, 0, 5, Nonlinearity::tanh),
                                     skew(3, 2.0f).view())
                         .view())
          .rate,
      -1.0, 1e-6)
      << "a skew J does no work";
}

// In many dimensions: sixteen starts find what 200 find, to a tenth.
TEST(OutwardGrowth, SixteenStartsAreNearlyAsGoodAsTwoHundred) {
  for (const int seed : {1, 2, 3}) {
    SamplingNetwork network = test::some_network(ModelKind::reservoir_sampler, 30, 0, 100, Nonlinearity::relu);
    network.W_in = normals(100, 30, static_cast<std::uint64_t>(200 + seed));
    const RunnableNetwork runnable(network);
    const double few = outward_growth(runnable.view()).rate, many = outward_growth(runnable.view(), 200).rate;
    EXPECT_LE(few, many + 1e-9);
    EXPECT_GT(few, 0.9 * many) << seed;
    EXPECT_EQ(few, outward_growth(runnable.view()).rate);
  }
}

// What the rate is for: from far out, without noise, |x| grows as exp(rate t) along the direction found; a network whose rate is negative
// brings chains back from anywhere.
TEST(OutwardGrowth, IsTheRateAtWhichChainsExplode) {
  const auto backend = make_cpu_backend(1);
  const auto norm_after = [&](const NetworkView& view, const std::vector<double>& u, double R, double dt,
                              std::int64_t n) {
    Matrix<float> x(1, view.n_outputs);
    for (std::size_t d = 0; d < u.size(); ++d) x(0, static_cast<std::int64_t>(d)) = static_cast<float>(R * u[d]);
    std::int64_t bad = -1;
    LangevinSteps steps;
    steps.dt = static_cast<float>(dt);
    steps.noise_scale = 0.0f;
    steps.n_steps = n;
    backend->advance(*backend->prepare(view), steps, {x.view(), {}, {}, &bad});
    double square = 0.0;
    for (std::int64_t d = 0; d < x.cols(); ++d) square += static_cast<double>(x(0, d)) * x(0, d);
    return std::sqrt(square);
  };
  // symmetric weights (W_out = W_in^T): the drift at the maximum points along it, so the direction stays
  SamplingNetwork network = test::some_network(ModelKind::reservoir_sampler, 3, 0, 10, Nonlinearity::relu);
  for (std::int64_t j = 0; j < 10; ++j) {
    for (std::int64_t d = 0; d < 3; ++d) network.W_out(d, j) = 0.6f * network.W_in(j, d);
  }
  const RunnableNetwork runnable(network);
  const OutwardGrowth found = outward_growth(runnable.view());
  ASSERT_GT(found.rate, 0.2);
  const double grown = norm_after(runnable.view(), found.direction, 1e6, 1e-3, 1000);
  EXPECT_NEAR(std::log(grown / 1e6), found.rate, 0.02 * found.rate + 1e-3);

  for (std::int64_t i = 0; i < network.W_out.size(); ++i) network.W_out.data()[i] *= -1.0f;
  const RunnableNetwork confining(network);
  ASSERT_LT(outward_growth(confining.view()).rate, 0.0);
  for (int k = 0; k < 20; ++k) {
    const Matrix<float> u = normals(1, 3, static_cast<std::uint64_t>(300 + k));
    EXPECT_LT(norm_after(confining.view(), {u(0, 0), u(0, 1), u(0, 2)}, 1e3, 2e-3, 8000), 50.0);
  }
}

TEST(OutwardGrowth, RefusesWeightsThatAreNotFinite) {
  LinearWell well({1.0f, 2.0f});
  well.W_out(0, 1) = std::numeric_limits<float>::infinity();
  EXPECT_EQ(test::message_of([&] { outward_growth(well.view); }), "W_out holds inf; it must be finite");
}

}  // namespace
}  // namespace tarn
