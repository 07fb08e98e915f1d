#include "tarn/models/linear_gaussian.hpp"

#include <cmath>
#include <numbers>
#include <utility>

#include "tarn/core/error.hpp"

namespace tarn {
namespace {

using Dense = Matrix<double>;

struct LinearGaussian {
  Dense W;  ///< `[n_0, n_1]`
  double precision_0, precision_1;
};
LinearGaussian checked(const HeeParameters& p) {
  check_hee_parameters(p);
  const bool fits = p.n_latent_layers() == 1 && p.layers[0].family == Family::gaussian &&
                    p.layers[1].family == Family::gaussian && !p.layers[1].nonlinearity;
  require(fits, "linear-Gaussian references need one latent layer, both layers gaussian, and no nonlinearity");
  const auto precision = [&](std::size_t l) { return 1.0 / (p.layers[l].parameters.s * p.layers[l].parameters.s); };
  LinearGaussian model{Dense(p.W[0].rows(), p.W[0].cols()), precision(0), precision(1)};
  for (std::int64_t i = 0; i < p.W[0].size(); ++i) model.W.data()[i] = static_cast<double>(p.W[0].data()[i]);
  return model;
}

Dense transpose(const Dense& a) {
  Dense t(a.cols(), a.rows());
  for (std::int64_t i = 0; i < a.rows(); ++i) {
    for (std::int64_t j = 0; j < a.cols(); ++j) t(j, i) = a(i, j);
  }
  return t;
}
Dense product(const Dense& a, const Dense& b) {
  Dense c(a.rows(), b.cols());
  for (std::int64_t i = 0; i < a.rows(); ++i) {
    for (std::int64_t k = 0; k < a.cols(); ++k) {
      const double factor = a(i, k);
      for (std::int64_t j = 0; j < b.cols(); ++j) c(i, j) += factor * b(k, j);
    }
  }
  return c;
}

/// The lower triangle L of a positive definite matrix, a = L L^T.
Dense cholesky(const Dense& a) {
  Dense L(a.rows(), a.rows());
  for (std::int64_t i = 0; i < a.rows(); ++i) {
    for (std::int64_t j = 0; j <= i; ++j) {
      double sum = a(i, j);
      for (std::int64_t k = 0; k < j; ++k) sum -= L(i, k) * L(j, k);
      if (i == j) {
        require(sum > 0.0, "a covariance is not positive definite");
        L(i, i) = std::sqrt(sum);
      } else {
        L(i, j) = sum / L(j, j);
      }
    }
  }
  return L;
}
/// Solves L L^T x = b for each column of b.
Dense solve(const Dense& L, Dense b) {
  const std::int64_t n = L.rows();
  for (std::int64_t column = 0; column < b.cols(); ++column) {
    for (std::int64_t i = 0; i < n; ++i) {
      for (std::int64_t k = 0; k < i; ++k) b(i, column) -= L(i, k) * b(k, column);
      b(i, column) /= L(i, i);
    }
    for (std::int64_t i = n - 1; i >= 0; --i) {
      for (std::int64_t k = i + 1; k < n; ++k) b(i, column) -= L(k, i) * b(k, column);
      b(i, column) /= L(i, i);
    }
  }
  return b;
}

/// W^T W / s_0^2 + 1 / s_1^2.
Dense posterior_precision(const LinearGaussian& m) {
  Dense p = product(transpose(m.W), m.W);
  for (std::int64_t i = 0; i < p.size(); ++i) p.data()[i] *= m.precision_0;
  for (std::int64_t i = 0; i < p.rows(); ++i) p(i, i) += m.precision_1;
  return p;
}

/// One step of a linear process, `z' = F z + noise` with covariance Q.
struct LinearStep {
  Dense F, Q;
};

/// Euler-Maruyama for x, `substeps` Ornstein-Uhlenbeck steps for e, as in compute/hee.hpp.
LinearStep scheme_step(const LinearGaussian& m, const HeeDynamics& d) {
  const std::int64_t n0 = m.W.rows(), n1 = m.W.cols();
  const auto dt = static_cast<double>(d.dt);
  const bool sampled = d.interneurons == Interneurons::sampled;
  const std::int64_t n = sampled ? n1 + n0 : n1;
  LinearStep step{Dense(n, n), Dense(n, n)};

  // After k substeps e = eta + r^k (e - eta) + n_k; what x feels is the mean over k = 1..K: remembered share `mean_decay`, noise `mean`
  const int K = sampled ? d.substeps : 1;
  const double r = sampled ? std::exp(-m.precision_0 * dt / (K * static_cast<double>(d.tau_ratio))) : 0.0;
  const double kick = (1.0 - r * r) / (m.precision_0 * (sampled ? d.per_unit : 1));
  double mean_decay = 0.0, var_last = 0.0, var_mean = 0.0, covariance = 0.0, decay = 1.0;
  for (int j = 1; j <= K && sampled; ++j) {
    decay *= r;
    mean_decay += decay / K;
    // the kick of substep K + 1 - j has lived on for j - 1 substeps, and has been in j of the K ends
    const double in_last = std::pow(r, j - 1), in_mean = (1.0 - std::pow(r, j)) / ((1.0 - r) * K);
    var_last += kick * in_last * in_last;
    var_mean += kick * in_mean * in_mean;
    covariance += kick * in_last * in_mean;
  }

  const Dense WtW = product(transpose(m.W), m.W);
  for (std::int64_t i = 0; i < n1; ++i) {
    for (std::int64_t j = 0; j < n1; ++j) {
      step.F(i, j) = -dt * m.precision_0 * (1.0 - mean_decay) * WtW(i, j);
      step.Q(i, j) = dt * dt * m.precision_0 * m.precision_0 * var_mean * WtW(i, j);
    }
    step.F(i, i) += 1.0 - dt * m.precision_1;
    step.Q(i, i) += 2.0 * dt;
  }
  if (!sampled) return step;
  for (std::int64_t u = 0; u < n0; ++u) {
    for (std::int64_t i = 0; i < n1; ++i) {
      step.F(i, n1 + u) = -dt * m.precision_0 * mean_decay * m.W(u, i);
      step.F(n1 + u, i) = (1.0 - decay) * m.W(u, i);
      step.Q(i, n1 + u) = step.Q(n1 + u, i) = -dt * m.precision_0 * covariance * m.W(u, i);
    }
    step.F(n1 + u, n1 + u) = decay;
    step.Q(n1 + u, n1 + u) = var_last;
  }
  return step;
}

/// `S = F S F^T + Q` by doubling: after k rounds S holds 2^k terms of its series.
Dense discrete_lyapunov(Dense F, Dense S) {
  for (int round = 0; round < 64; ++round) {
    const Dense added = product(product(F, S), transpose(F));
    double change = 0.0, size = 0.0;
    for (std::int64_t i = 0; i < S.size(); ++i) {
      S.data()[i] += added.data()[i];
      change = std::max(change, std::fabs(added.data()[i]));
      size = std::max(size, std::fabs(S.data()[i]));
    }
    require(std::isfinite(size) && size < 1e100, "the dynamics of inference has no stationary law; take a smaller dt");
    if (change <= 1e-16 * size) return S;
    F = product(F, F);
  }
  fail("the dynamics of inference has no stationary law; take a smaller dt");
}

/// `A S + S A^T + D = 0` for the stochastic differential equation of (x, e): the implicit midpoint rule has exactly this
/// stationary covariance, at any step h: F = (1 - hA/2)^-1 (1 + hA/2), Q = h (1 - hA/2)^-1 D (1 - hA^T/2)^-1.
Dense continuous_lyapunov(const Dense& A, const Dense& D) {
  const std::int64_t n = A.rows();
  double size = 0.0;
  for (std::int64_t i = 0; i < A.size(); ++i) size = std::max(size, std::fabs(A.data()[i]));
  const double h = 1.0 / size;
  // inverse of 1 - hA/2 by Gauss-Jordan with pivots
  Dense left(n, n), inverse(n, n), right(n, n);
  for (std::int64_t i = 0; i < n; ++i) {
    for (std::int64_t j = 0; j < n; ++j) {
      left(i, j) = (i == j ? 1.0 : 0.0) - 0.5 * h * A(i, j);
      right(i, j) = (i == j ? 1.0 : 0.0) + 0.5 * h * A(i, j);
    }
    inverse(i, i) = 1.0;
  }
  for (std::int64_t k = 0; k < n; ++k) {
    std::int64_t pivot = k;
    for (std::int64_t i = k + 1; i < n; ++i) {
      if (std::fabs(left(i, k)) > std::fabs(left(pivot, k))) pivot = i;
    }
    for (std::int64_t j = 0; j < n; ++j) {
      std::swap(left(k, j), left(pivot, j));
      std::swap(inverse(k, j), inverse(pivot, j));
    }
    const double scale = 1.0 / left(k, k);
    for (std::int64_t j = 0; j < n; ++j) {
      left(k, j) *= scale;
      inverse(k, j) *= scale;
    }
    for (std::int64_t i = 0; i < n; ++i) {
      const double factor = left(i, k);
      if (i == k || factor == 0.0) continue;
      for (std::int64_t j = 0; j < n; ++j) {
        left(i, j) -= factor * left(k, j);
        inverse(i, j) -= factor * inverse(k, j);
      }
    }
  }
  Dense Q = product(product(inverse, D), transpose(inverse));
  for (std::int64_t i = 0; i < Q.size(); ++i) Q.data()[i] *= h;
  return discrete_lyapunov(product(inverse, right), Q);
}

}  // namespace

GaussianPosterior gaussian_posterior(const HeeParameters& parameters) {
  const LinearGaussian m = checked(parameters);
  const std::int64_t n0 = m.W.rows(), n1 = m.W.cols();
  const Dense L = cholesky(posterior_precision(m));
  Dense identity(n1, n1), message = transpose(m.W);
  for (std::int64_t i = 0; i < n1; ++i) identity(i, i) = 1.0;
  for (std::int64_t i = 0; i < message.size(); ++i) message.data()[i] *= m.precision_0;
  GaussianPosterior posterior{solve(L, identity), solve(L, message), Dense(1, n1)};
  for (std::int64_t i = 0; i < n1; ++i) {
    for (std::int64_t j = 0; j < n1; ++j) {
      posterior.offset(0, i) += posterior.covariance(i, j) * m.precision_1 * static_cast<double>(parameters.b[1](0, j));
    }
    for (std::int64_t u = 0; u < n0; ++u) {
      posterior.offset(0, i) -= posterior.gain(i, u) * static_cast<double>(parameters.b[0](0, u));
    }
  }
  return posterior;
}

double gaussian_log_likelihood(const HeeParameters& parameters, MatrixView<const float> x_0) {
  const LinearGaussian m = checked(parameters);
  const std::int64_t n0 = m.W.rows();
  require(x_0.cols == n0 && x_0.rows > 0, "log-likelihood: data are {} x {}, should have {} columns", x_0.rows,
          x_0.cols, n0);
  Dense covariance = product(m.W, transpose(m.W)), centred(n0, x_0.rows);
  double log_determinant = 0.0;
  for (std::int64_t i = 0; i < covariance.size(); ++i) covariance.data()[i] /= m.precision_1;
  for (std::int64_t i = 0; i < n0; ++i) {
    covariance(i, i) += 1.0 / m.precision_0;
    auto mean = static_cast<double>(parameters.b[0](0, i));
    for (std::int64_t j = 0; j < m.W.cols(); ++j) mean += m.W(i, j) * static_cast<double>(parameters.b[1](0, j));
    for (std::int64_t row = 0; row < x_0.rows; ++row) centred(i, row) = static_cast<double>(x_0(row, i)) - mean;
  }
  const Dense L = cholesky(covariance);
  for (std::int64_t i = 0; i < n0; ++i) log_determinant += 2.0 * std::log(L(i, i));
  const Dense whitened = solve(L, centred);
  double quadratic = 0.0;
  for (std::int64_t i = 0; i < centred.size(); ++i) quadratic += centred.data()[i] * whitened.data()[i];
  return -0.5 * (quadratic / static_cast<double>(x_0.rows) + log_determinant +
                 static_cast<double>(n0) * std::log(2.0 * std::numbers::pi));
}

Matrix<double> lyapunov_covariance(const HeeParameters& parameters, const HeeDynamics& dynamics, LyapunovKind kind) {
  const LinearGaussian m = checked(parameters);
  check_hee_dynamics(dynamics);
  require(dynamics.integrator == Integrator::euler_maruyama && dynamics.adaptation_strength == 0.0f &&
              !dynamics.free_observation,
          "the Lyapunov covariance is that of euler_maruyama with a given observation and without adaptation");
  if (kind == LyapunovKind::scheme) {
    LinearStep step = scheme_step(m, dynamics);
    return discrete_lyapunov(std::move(step.F), std::move(step.Q));
  }
  if (dynamics.interneurons == Interneurons::exact) return gaussian_posterior(parameters).covariance;
  const std::int64_t n0 = m.W.rows(), n1 = m.W.cols();
  const double rate = 1.0 / static_cast<double>(dynamics.tau_ratio);
  Dense A(n1 + n0, n1 + n0), D(n1 + n0, n1 + n0);
  for (std::int64_t i = 0; i < n1; ++i) {
    A(i, i) = -m.precision_1;
    D(i, i) = 2.0;
    for (std::int64_t u = 0; u < n0; ++u) {
      A(i, n1 + u) = -m.precision_0 * m.W(u, i);
      A(n1 + u, i) = rate * m.precision_0 * m.W(u, i);
    }
  }
  for (std::int64_t u = 0; u < n0; ++u) {
    A(n1 + u, n1 + u) = -rate * m.precision_0;
    D(n1 + u, n1 + u) = 2.0 * rate / dynamics.per_unit;
  }
  return continuous_lyapunov(A, D);
}

double interneuron_heating(double squared_gain, double s_0, double s_1, double tau_ratio, int per_unit) {
  return 1.0 + squared_gain * tau_ratio * (1.0 + 1.0 / per_unit) / (1.0 + tau_ratio * s_0 * s_0 / (s_1 * s_1));
}

}  // namespace tarn
