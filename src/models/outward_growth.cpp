#include <algorithm>
#include <cmath>
#include <numeric>

#include "drift_maps.hpp"
#include "tarn/core/activations.hpp"
#include "tarn/core/noise.hpp"
#include "tarn/models/drift.hpp"

namespace tarn {
namespace {

constexpr std::uint64_t first_chain =
    (std::uint64_t{16} << 40) + (std::uint64_t{1} << 39);  // behind those of stable_step.cpp
constexpr int most_iterations = 200;

/// The nonlinearity at large arguments: slope on either side of 0.
struct FarSlopes {
  double above = 0.0, below = 0.0;
};
FarSlopes far_slopes(Nonlinearity phi) {
  switch (phi) {
    case Nonlinearity::relu:
    case Nonlinearity::softplus:
      return {1.0, 0.0};
    case Nonlinearity::leaky_relu:
      return {1.0, static_cast<double>(leaky_slope)};
    case Nonlinearity::tanh:
    case Nonlinearity::sigmoid:
      return {0.0, 0.0};
  }
  return {};
}

bool normalise(Vector& u) {
  const double norm = std::sqrt(dot(u, u));
  if (!(norm > 0.0) || !std::isfinite(norm)) return false;
  for (double& value : u) value /= norm;
  return true;
}

/// The growth rate `g(u) = u . f(u)` of the far drift, homogeneous of degree 2, and its gradient.
class FarDrift {
 public:
  explicit FarDrift(const NetworkView& network) : maps_(network), slopes_(far_slopes(network.phi)) {}
  double rate(const Vector& u, Vector& gradient) const {
    Vector z = maps_.in(u), a = z;
    for (std::size_t j = 0; j < z.size(); ++j) {
      z[j] = z[j] > 0.0 ? slopes_.above : slopes_.below;  // from here on the slope
      a[j] *= z[j];
    }
    Vector f = maps_.out(a);
    for (std::size_t d = 0; d < f.size(); ++d) f[d] -= u[d];
    f = maps_.map(f);
    // gradient: f + J^T u, with J^T u = -v + ((v W_out) * slopes) W_in, v = u M
    const Vector v = maps_.map_transposed(u);
    Vector back = maps_.out_transposed(v);
    for (std::size_t j = 0; j < back.size(); ++j) back[j] *= z[j];
    gradient = maps_.in_transposed(back);
    for (std::size_t d = 0; d < f.size(); ++d) gradient[d] += f[d] - v[d];
    return dot(u, f);
  }

 private:
  DriftMaps maps_;
  FarSlopes slopes_;
};

/// Ascent on the sphere from `u`, with a step that grows while it helps and is halved where it does not.
double ascend(const FarDrift& drift, Vector& u) {
  Vector gradient, trial, trial_gradient;
  double rate = drift.rate(u, gradient), step = 0.1;
  for (int i = 0; i < most_iterations; ++i) {
    const double radial = dot(gradient, u);
    trial = u;
    double slope = 0.0;
    for (std::size_t d = 0; d < u.size(); ++d) {
      const double along = gradient[d] - radial * u[d];
      trial[d] += step * along;
      slope += along * along;
    }
    if (!(slope > 1e-20 * (1.0 + rate * rate)) || !normalise(trial)) break;
    const double tried = drift.rate(trial, trial_gradient);
    if (tried > rate) {
      const bool settled = tried - rate < 1e-8 * (1.0 + std::abs(rate));
      rate = tried;
      u.swap(trial);
      gradient.swap(trial_gradient);
      if (settled) break;
      step *= 2.0;
    } else if ((step *= 0.25) < 1e-14) {
      break;
    }
  }
  return rate;
}

/// Neurons by how much they push outward along their own incoming weights, `W_in_j . W_out_j`, most first.
std::vector<std::int64_t> outward_neurons(const NetworkView& w) {
  const std::int64_t D = w.n_outputs, K = D + w.n_inputs;
  Vector push(static_cast<std::size_t>(w.n_neurons));
  for (std::int64_t j = 0; j < w.n_neurons; ++j) {
    for (std::int64_t d = 0; d < D; ++d)
      push[static_cast<std::size_t>(j)] +=
          static_cast<double>(w.W_in[j * K + d]) * static_cast<double>(w.W_out[d * w.n_neurons + j]);
  }
  std::vector<std::int64_t> order(push.size());
  std::iota(order.begin(), order.end(), std::int64_t{0});
  std::stable_sort(order.begin(), order.end(), [&](std::int64_t a, std::int64_t b) {
    return push[static_cast<std::size_t>(a)] > push[static_cast<std::size_t>(b)];
  });
  return order;
}

void require_finite(const float* values, std::int64_t n, const char* name) {
  for (std::int64_t i = 0; values && i < n; ++i)
    require(std::isfinite(values[i]), "{} holds {}; it must be finite", name, values[i]);
}

}  // namespace

OutwardGrowth outward_growth(const NetworkView& w, std::int64_t n_starts) {
  const std::int64_t D = w.n_outputs, K = D + w.n_inputs;
  require(D >= 1 && n_starts >= 1, "outward growth needs an output and a start, found {} and {}", D, n_starts);
  require_finite(w.W_in, w.n_neurons * K, "W_in");
  require_finite(w.W_out, D * w.n_neurons, "W_out");
  require_finite(w.M, D * D, "M");

  std::vector<Vector> starts;
  if (D == 1) {
    starts = {{1.0}, {-1.0}};
  } else {
    const std::vector<std::int64_t> neurons = outward_neurons(w);
    for (std::size_t k = 0; k < neurons.size() && static_cast<std::int64_t>(k) < n_starts / 2; ++k) {
      const float* row = w.W_in + neurons[k] * K;
      starts.emplace_back(row, row + D);
    }
    const std::int64_t n_random = n_starts - static_cast<std::int64_t>(starts.size());
    Matrix<float> directions(n_random, D);
    fill_normals(0, Stream::evaluation, first_chain, 0, 1, directions);
    for (std::int64_t i = 0; i < n_random; ++i) starts.emplace_back(directions.row(i), directions.row(i) + D);
  }
  const FarDrift drift(w);
  OutwardGrowth best;
  for (Vector& u : starts) {
    if (!normalise(u)) continue;
    const double rate = ascend(drift, u);
    if (best.direction.empty() || rate > best.rate) best = {rate, u};
  }
  return best;
}

}  // namespace tarn
