#include <lapacke.h>

#include <algorithm>
#include <cmath>
#include <complex>
#include <limits>

#include "drift_maps.hpp"
#include "tarn/core/activations.hpp"
#include "tarn/core/noise.hpp"
#include "tarn/models/drift.hpp"

namespace tarn {
namespace {

constexpr std::int64_t krylov_dimensions = 32;
// Stream::evaluation, chains from 16 * 2^40 on (src/evaluation/evaluation_noise.hpp lists who uses which).
constexpr std::uint64_t first_chain = std::uint64_t{16} << 40;

/// A standard normal vector `[n]`, number `index`.
Vector normal_vector(std::int64_t n, std::int64_t index) {
  Matrix<float> values(1, n);
  fill_normals(0, Stream::evaluation, first_chain + static_cast<std::uint64_t>(index), 0, 1, values);
  return {values.data(), values.data() + n};
}

/// phi' of every neuron at a point `[D+U]`.
Vector slopes_at(const NetworkView& w, const float* point) {
  Vector slopes(static_cast<std::size_t>(w.n_neurons));
  const std::int64_t K = w.n_outputs + w.n_inputs;
  dispatch(w.phi, [&](auto phi) {
    for (std::int64_t j = 0; j < w.n_neurons; ++j) {
      const auto u = static_cast<float>(dot(w.W_in + j * K, point, K) + static_cast<double>(w.b[j]));
      const float a = activate<phi()>(u);
      // rectifiers hide NaN; here it must not vanish
      slopes[static_cast<std::size_t>(j)] =
          std::isfinite(u) ? static_cast<double>(activate_derivative<phi()>(u, a)) : std::nan("");
    }
  });
  return slopes;
}

/// Eigenvalues of a linear map `[D] -> [D]` on the Krylov space of a fixed start; empty where a value is not finite.
template <class Apply>
std::vector<std::complex<double>> krylov_eigenvalues(std::int64_t D, const Apply& apply) {
  const std::int64_t m = std::min(D, krylov_dimensions);
  std::vector<Vector> basis;
  std::int64_t n_drawn = 0;
  // The next direction: `v` less what the basis holds of it, twice for rounding; a fresh one where nothing is left.
  const auto extend = [&](Vector v, double* coefficients) {
    const double before = std::sqrt(dot(v, v));
    for (int pass = 0; pass < 2; ++pass) {
      for (std::size_t k = 0; k < basis.size(); ++k) {
        const double c = dot(v, basis[k]);
        if (coefficients) coefficients[k] += c;
        for (std::size_t d = 0; d < v.size(); ++d) v[d] -= c * basis[k][d];
      }
    }
    const double norm = std::sqrt(dot(v, v));
    const bool left = norm > 1e-12 * before;
    if (static_cast<std::int64_t>(basis.size()) < m && left) {
      for (double& value : v) value /= norm;
      basis.push_back(std::move(v));
      return norm;
    }
    return 0.0;
  };
  const auto extend_by_fresh = [&] {
    while (n_drawn < 4 * m && extend(normal_vector(D, n_drawn++), nullptr) == 0.0) {
    }
  };

  extend_by_fresh();
  Matrix<double> H(m, m);
  for (std::int64_t k = 0; k < m; ++k) {
    if (static_cast<std::int64_t>(basis.size()) <= k) extend_by_fresh();  // an invariant space was filled before m
    Vector column(static_cast<std::size_t>(m));
    const double next = extend(apply(basis[static_cast<std::size_t>(k)]), column.data());
    for (std::int64_t i = 0; i < m; ++i) H(i, k) = column[static_cast<std::size_t>(i)];
    if (k + 1 < m) H(k + 1, k) = next;
    for (const double c : column) {
      if (!std::isfinite(c)) return {};
    }
  }
  std::vector<double> re(static_cast<std::size_t>(m)), im(static_cast<std::size_t>(m));
  const auto n = static_cast<int>(m);
  if (LAPACKE_dgeev(LAPACK_ROW_MAJOR, 'N', 'N', n, H.data(), n, re.data(), im.data(), nullptr, 1, nullptr, 1) != 0)
    return {};
  std::vector<std::complex<double>> values;
  for (std::size_t i = 0; i < re.size(); ++i) values.emplace_back(re[i], im[i]);
  return values;
}

double stable_step(const std::vector<std::complex<double>>& eigenvalues) {
  if (eigenvalues.empty()) return std::nan("");
  double stiffest = 0.0, step = std::numeric_limits<double>::infinity();
  for (const auto& lambda : eigenvalues) {
    if (lambda.real() < 0.0) stiffest = std::max(stiffest, std::abs(lambda));
  }
  for (const auto& lambda : eigenvalues) {
    if (lambda.real() < 0.0 && std::abs(lambda) >= 0.5 * stiffest)
      step = std::min(step, -2.0 * lambda.real() / std::norm(lambda));
  }
  return step;
}

}  // namespace

std::vector<double> stable_steps(const NetworkView& network, MatrixView<const float> points) {
  require(points.cols == network.n_outputs + network.n_inputs,
          "points have {} columns, expected {}: {} outputs and {} inputs", points.cols,
          network.n_outputs + network.n_inputs, network.n_outputs, network.n_inputs);
  const DriftMaps maps(network);
  std::vector<double> steps;
  for (std::int64_t i = 0; i < points.rows; ++i) {
    const Vector slopes = slopes_at(network, points.row(i));
    steps.push_back(stable_step(krylov_eigenvalues(network.n_outputs, [&](const Vector& v) {
      Vector a = maps.in(v);
      for (std::size_t j = 0; j < a.size(); ++j) a[j] *= slopes[j];
      Vector g = maps.out(a);
      for (std::size_t d = 0; d < g.size(); ++d) g[d] -= v[d];
      return maps.map(g);
    })));
  }
  return steps;
}

}  // namespace tarn
