#include "tarn/evaluation/best_fit.hpp"

#include <fmt/format.h>
#include <lapacke.h>

#include <algorithm>
#include <cmath>

#include "batch_function.hpp"
#include "evaluation_noise.hpp"
#include "nonlinearity_double.hpp"
#include "tarn/core/error.hpp"
#include "tarn/core/noise.hpp"

namespace tarn {
namespace {

constexpr int quadrature_points = 1001;

void check(const FitProblem& p) {
  require(p.x.rows() >= 1 && p.x.cols() >= 1 && p.score.rows() == p.x.rows() && p.score.cols() == p.x.cols() &&
              static_cast<std::int64_t>(p.weights.size()) == p.x.rows(),
          "a fit needs points and scores of the same shape and a weight each; found {} x {}, {} x {}, {} weights",
          p.x.rows(), p.x.cols(), p.score.rows(), p.score.cols(), p.weights.size());
}

double weighted_error(const FitProblem& p, const Matrix<double>& drift) {
  double sum = 0.0;
  for (std::int64_t i = 0; i < p.x.rows(); ++i) {
    for (std::int64_t j = 0; j < p.x.cols(); ++j) {
      const double e = drift(i, j) - p.score(i, j);
      sum += p.weights[static_cast<std::size_t>(i)] * e * e;
    }
  }
  return sum;
}

std::string signed_number(double value) { return fmt::format("{} {:.2f}", value < 0.0 ? "-" : "+", std::abs(value)); }

}  // namespace

FitProblem fit_problem(const Law1d& law, const BatchFunction1d& true_score) {
  FitProblem p{Matrix<double>(quadrature_points, 1), std::vector<double>(quadrature_points), {}};
  const double width = (law.high() - law.low()) / (quadrature_points - 1);
  double mass = 0.0;
  for (int i = 0; i < quadrature_points; ++i) {
    p.x(i, 0) = law.low() + width * i;
    const int simpson = i == 0 || i == quadrature_points - 1 ? 1 : i % 2 == 1 ? 4 : 2;
    mass += p.weights[static_cast<std::size_t>(i)] = simpson * law.density(p.x(i, 0));
  }
  for (double& w : p.weights) w /= mass;
  p.score = Matrix<double>(quadrature_points, 1);
  const std::vector<double> score = evaluate(true_score, std::span<const double>(p.x.data(), quadrature_points));
  std::copy(score.begin(), score.end(), p.score.data());
  return p;
}

FitProblem fit_problem(const Target& target, double sigma, std::int64_t n, std::uint64_t seed) {
  require(n >= 1 && n < std::int64_t{1} << 32, "a fit needs 1 to 2^32 draws, found {}", n);
  const std::int64_t D = target.dimension();
  FitProblem p{Matrix<double>(n, D), std::vector<double>(static_cast<std::size_t>(n), 1.0 / static_cast<double>(n)),
               Matrix<double>(n, D)};
  const auto first = evaluation_chain(EvaluationNoise::fit_points, 0);
  Matrix<float> draws(n, D), noise(n, D);
  target.draw(seed, first, draws.view());
  fill_normals(seed, Stream::evaluation, first, 0, 1, noise.view());
  for (std::int64_t i = 0; i < n; ++i) {
    for (std::int64_t j = 0; j < D; ++j) p.x(i, j) = draws(i, j) + sigma * noise(i, j);
    target.score(p.x.row(i), sigma, p.score.row(i));
  }
  return p;
}

// ---- sampler_only_sc --------------------------------------------------------------------------------------------

Matrix<double> SynapticFit::drift(MatrixView<const double> x) const {
  const std::int64_t D = x.cols;
  require(coefficients.rows() == 2 * D + 1 && coefficients.cols() == D,
          "a fit in {} dimensions cannot be taken at points with {}", coefficients.cols(), D);
  Matrix<double> s(x.rows, D);
  for (std::int64_t i = 0; i < x.rows; ++i) {
    for (std::int64_t j = 0; j < D; ++j) {
      double sum = coefficients(D, j);
      for (std::int64_t k = 0; k < D; ++k) {
        sum += activate_double(phi, x(i, k)) * coefficients(k, j) + x(i, k) * coefficients(D + 1 + k, j);
      }
      s(i, j) = sum;
    }
  }
  return s;
}

std::string SynapticFit::text() const {
  require(coefficients.rows() == 3, "only a fit in one dimension is written out; this one has {}", coefficients.cols());
  return fmt::format("{:.2f} {}(x) {} {} x", coefficients(0, 0), name_of(phi), signed_number(coefficients(1, 0)),
                     signed_number(coefficients(2, 0)));
}

SynapticFit fit_sampler_only_sc(Nonlinearity phi, const FitProblem& p) {
  check(p);
  const std::int64_t n = p.x.rows(), D = p.x.cols(), m = 2 * D + 1;
  Matrix<double> A(n, m), B(std::max(n, m), D);
  for (std::int64_t i = 0; i < n; ++i) {
    const double root = std::sqrt(p.weights[static_cast<std::size_t>(i)]);
    for (std::int64_t k = 0; k < D; ++k) {
      A(i, k) = root * activate_double(phi, p.x(i, k));
      A(i, D + 1 + k) = root * p.x(i, k);
      B(i, k) = root * p.score(i, k);
    }
    A(i, D) = root;
  }
  // complete orthogonal factorisation: the smallest coefficients where the functions depend on each other
  std::vector<lapack_int> pivots(static_cast<std::size_t>(m), 0);
  lapack_int rank = 0;
  const auto status = LAPACKE_dgelsy(LAPACK_ROW_MAJOR, static_cast<lapack_int>(n), static_cast<lapack_int>(m),
                                     static_cast<lapack_int>(D), A.data(), static_cast<lapack_int>(m), B.data(),
                                     static_cast<lapack_int>(D), pivots.data(), 1e-10, &rank);
  require(status == 0, "least squares failed (dgelsy returned {})", status);
  SynapticFit fit{phi, Matrix<double>(m, D), 0.0};
  std::copy(B.data(), B.data() + m * D, fit.coefficients.data());
  fit.error = weighted_error(p, fit.drift(p.x.view()));
  return fit;
}

// ---- sampler_only_fr --------------------------------------------------------------------------------------------

Matrix<double> RateFit::drift(MatrixView<const double> x) const {
  const std::int64_t D = x.cols;
  require(W.rows() == D, "a fit in {} dimensions cannot be taken at points with {}", W.rows(), D);
  Matrix<double> s(x.rows, D);
  for (std::int64_t i = 0; i < x.rows; ++i) {
    for (std::int64_t k = 0; k < D; ++k) {
      double u = b[static_cast<std::size_t>(k)];
      for (std::int64_t l = 0; l < D; ++l) u += W(k, l) * x(i, l);
      const double v = activate_double(phi, u) - x(i, k);
      for (std::int64_t j = 0; j < D; ++j) s(i, j) += v * M(k, j);
    }
  }
  return s;
}

std::string RateFit::text() const {
  require(W.rows() == 1, "only a fit in one dimension is written out; this one has {}", W.rows());
  return fmt::format("{:.2f} ({}({:.2f} x {}) - x)", M(0, 0), name_of(phi), W(0, 0), signed_number(b[0]));
}

namespace {

// Levenberg-Marquardt over all of W, b, M. The normal matrix is gathered point by point: a few parameters, many points.
class RateFitter {
 public:
  RateFitter(Nonlinearity phi, const FitProblem& problem)
      : phi_(phi), p_(problem), D_(problem.x.cols()), n_parameters_(2 * D_ * D_ + D_) {}

  RateFit run(RateFit fit) {
    complete(fit);
    double damping = 1e-3;
    for (int iteration = 0, stalled = 0; iteration < 150 && stalled < 5; ++iteration) {
      normal_equations(fit);
      bool improved = false;
      for (int attempt = 0; attempt < 12 && !improved; ++attempt) {
        RateFit trial = fit;
        if (step(damping, trial)) {
          complete(trial);
          improved = trial.error < fit.error;
        }
        if (improved) {
          stalled = trial.error > fit.error * (1.0 - 1e-9) ? stalled + 1 : 0;
          fit = std::move(trial);
          damping = std::max(damping / 5.0, 1e-12);
        } else {
          damping *= 4.0;
        }
      }
      if (!improved) break;
    }
    return fit;
  }

 private:
  // Sets the best M for these W and b by weighted least squares (the smallest where units coincide), and the error.
  void complete(RateFit& fit) {
    const std::int64_t n = p_.x.rows();
    Matrix<double> G(D_, D_), R(D_, D_);
    double *g = G.data(), *r = R.data();
    const double *x = p_.x.data(), *s = p_.score.data(), *weights = p_.weights.data();
    values_.resize(static_cast<std::size_t>(n * D_));
    double* v = values_.data();
    for (std::int64_t i = 0; i < n; ++i, x += D_, s += D_, v += D_) {
      for (std::int64_t k = 0; k < D_; ++k) v[k] = activate_double(phi_, preactivation(fit, x, k)) - x[k];
      for (std::int64_t k = 0; k < D_; ++k) {
        const double wv = weights[i] * v[k];
        for (std::int64_t j = 0; j < D_; ++j) {
          g[k * D_ + j] += wv * v[j];
          r[k * D_ + j] += wv * s[j];
        }
      }
    }
    std::vector<lapack_int> pivots(static_cast<std::size_t>(D_), 0);
    lapack_int rank = 0;
    const auto d = static_cast<lapack_int>(D_);
    if (LAPACKE_dgelsy(LAPACK_ROW_MAJOR, d, d, d, g, d, r, d, pivots.data(), 1e-12, &rank) == 0) fit.M = R;
    const double* M = fit.M.data();
    fit.error = 0.0;
    v = values_.data();
    s = p_.score.data();
    for (std::int64_t i = 0; i < n; ++i, s += D_, v += D_) {
      for (std::int64_t j = 0; j < D_; ++j) {
        double e = -s[j];
        for (std::int64_t k = 0; k < D_; ++k) e += v[k] * M[k * D_ + j];
        fit.error += weights[i] * e * e;
      }
    }
  }

  double preactivation(const RateFit& fit, const double* x, std::int64_t k) const {
    const double* w = fit.W.data() + k * D_;
    double u = fit.b.data()[k];
    for (std::int64_t l = 0; l < D_; ++l) u += w[l] * x[l];
    return u;
  }

  // H = J^T J and g = J^T r; parameters in the order W, b, M. With z = (x, 1), a the slopes of phi and v = phi - x, the derivative of output j
  // by (W, b)_kl is a_k z_l M_kj, by M_kj it is v_k: the moments of (a_k z_l, v_k) are gathered once for all outputs, and M comes in after the sum.
  void normal_equations(const RateFit& fit) {
    const std::int64_t P = n_parameters_, n = p_.x.rows(), D = D_, U = D * D + D, Q = U + D;
    Matrix<double> moments(Q, Q);  // lower triangle
    g_.assign(static_cast<std::size_t>(P), 0.0);
    std::vector<double> residual(static_cast<std::size_t>(D)), block(static_cast<std::size_t>(block_points * Q), 0.0),
        scaled(block.size(), 0.0);
    double *m = moments.data(), *g = g_.data();
    const double *x = p_.x.data(), *s = p_.score.data(), *weights = p_.weights.data(), *M = fit.M.data();
    for (std::int64_t i = 0; i < n; ++i, x += D, s += D) {
      double *row = block.data() + i % block_points * Q, *v = row + U;
      for (std::int64_t j = 0; j < D; ++j) residual[static_cast<std::size_t>(j)] = -s[j];
      for (std::int64_t k = 0; k < D; ++k) {
        const double u = preactivation(fit, x, k), a = activate_double(phi_, u),
                     slope = activate_derivative_double(phi_, u, a);
        v[k] = a - x[k];
        for (std::int64_t l = 0; l < D; ++l) row[k * D + l] = slope * x[l];
        row[D * D + k] = slope;
        for (std::int64_t j = 0; j < D; ++j) residual[static_cast<std::size_t>(j)] += v[k] * M[k * D + j];
      }
      const double weight = weights[i];
      for (std::int64_t k = 0; k < D; ++k) {
        double message = 0.0;
        for (std::int64_t j = 0; j < D; ++j) {
          const double r = residual[static_cast<std::size_t>(j)];
          message += M[k * D + j] * r;
          g[U + k * D + j] += weight * v[k] * r;
        }
        for (std::int64_t l = 0; l < D; ++l) g[k * D + l] += weight * row[k * D + l] * message;
        g[D * D + k] += weight * row[D * D + k] * message;
      }
      double* weighted = scaled.data() + i % block_points * Q;
      for (std::int64_t q = 0; q < Q; ++q) weighted[q] = weight * row[q];
      if ((i + 1) % block_points == 0) add_block(block.data(), scaled.data(), Q, m);
    }
    if (const std::int64_t left = n % block_points; left > 0) {
      std::fill(scaled.begin() + left * Q, scaled.end(), 0.0);  // what stays there of the block before
      add_block(block.data(), scaled.data(), Q, m);
    }
    Matrix<double> G(D, D);  // M M^T
    for (std::int64_t k = 0; k < D; ++k) {
      for (std::int64_t l = 0; l < D; ++l) {
        for (std::int64_t j = 0; j < D; ++j) G(k, l) += M[k * D + j] * M[l * D + j];
      }
    }
    H_ = Matrix<double>(P, P);
    const auto unit = [&](std::int64_t p) { return p < D * D ? p / D : p - D * D; };
    for (std::int64_t p = 0; p < U; ++p) {
      for (std::int64_t q = 0; q <= p; ++q) H_(p, q) = moments(p, q) * G(unit(p), unit(q));
    }
    for (std::int64_t k = 0; k < D; ++k) {
      for (std::int64_t j = 0; j < D; ++j) {
        const std::int64_t p = U + k * D + j;
        for (std::int64_t q = 0; q < U; ++q) H_(p, q) = moments(U + k, q) * M[unit(q) * D + j];
        for (std::int64_t l = 0; l <= k; ++l) H_(p, U + l * D + j) = moments(U + k, U + l);
      }
    }
  }

  // Adds a block's moments, lower triangle. Eight points at a time, so that sums stay in registers; plain loops: the same bits for any
  // number of threads.
  static void add_block(const double* __restrict rows, const double* __restrict weighted, std::int64_t Q,
                        double* __restrict m) {
    static_assert(block_points == 8);
    for (std::int64_t p = 0; p < Q; ++p) {
      const double* a = weighted + p;
      double* __restrict to = m + p * Q;
      for (std::int64_t q = 0; q <= p; ++q) {
        const double* b = rows + q;
        to[q] += ((a[0] * b[0] + a[Q] * b[Q]) + (a[2 * Q] * b[2 * Q] + a[3 * Q] * b[3 * Q])) +
                 ((a[4 * Q] * b[4 * Q] + a[5 * Q] * b[5 * Q]) + (a[6 * Q] * b[6 * Q] + a[7 * Q] * b[7 * Q]));
      }
    }
  }
  static constexpr std::int64_t block_points = 8;

  // Moves `fit` by -(H + damping diag H)^-1 g; false where that matrix is not positive definite.
  bool step(double damping, RateFit& fit) const {
    const std::int64_t P = n_parameters_;
    Matrix<double> A = H_;
    double largest = 0.0;
    for (std::int64_t i = 0; i < P; ++i) largest = std::max(largest, H_(i, i));
    for (std::int64_t i = 0; i < P; ++i) A(i, i) += damping * std::max(H_(i, i), 1e-9 * largest);
    std::vector<double> d = g_;
    const auto n = static_cast<lapack_int>(P);
    if (LAPACKE_dposv(LAPACK_ROW_MAJOR, 'L', n, 1, A.data(), n, d.data(), 1) != 0) return false;
    for (const double value : d) {
      if (!std::isfinite(value)) return false;
    }
    std::int64_t at = 0;
    for (std::int64_t i = 0; i < D_ * D_; ++i) fit.W.data()[i] -= d[at++];
    for (double& value : fit.b) value -= d[at++];
    for (std::int64_t i = 0; i < D_ * D_; ++i) fit.M.data()[i] -= d[at++];
    return true;
  }

  Nonlinearity phi_;
  const FitProblem& p_;
  std::int64_t D_, n_parameters_;
  Matrix<double> H_;
  std::vector<double> g_, values_;
};

}  // namespace

RateFit fit_sampler_only_fr(Nonlinearity phi, const FitProblem& problem, std::uint64_t seed, std::int64_t n_restarts,
                            std::span<const RateFit> starts) {
  check(problem);
  const std::int64_t D = problem.x.cols();
  require(D <= 16, "the best fit of sampler_only_fr is searched for in up to 16 dimensions, found {}", D);
  require(n_restarts >= 1 && n_restarts <= 100000, "restarts must lie between 1 and 100000, found {}", n_restarts);
  double square = 0.0;
  for (std::int64_t i = 0; i < problem.x.rows(); ++i) {
    for (std::int64_t j = 0; j < D; ++j) {
      square +=
          problem.weights[static_cast<std::size_t>(i)] * problem.x(i, j) * problem.x(i, j) / static_cast<double>(D);
    }
  }
  const double spread = square > 0.0 ? std::sqrt(square) : 1.0;

  RateFitter fitter(phi, problem);
  RateFit best;
  std::vector<double> errors;
  const auto try_from = [&](RateFit start) {
    RateFit fit = fitter.run(std::move(start));
    errors.push_back(fit.error);
    if (errors.size() == 1 || fit.error < best.error) best = std::move(fit);
  };
  for (const RateFit& given : starts) {
    require(given.W.rows() == D && given.W.cols() == D && std::ssize(given.b) == D,
            "a start in {} dimensions for a fit in {}", given.W.rows(), D);
    RateFit start = given;
    start.phi = phi;
    start.M = Matrix<double>(D, D);
    try_from(std::move(start));
  }
  for (std::int64_t restart = 0; restart < n_restarts; ++restart) {
    // gains spread over a decade and a half around one per standard deviation
    Matrix<float> noise(1, D * D + D + 2);
    fill_normals(seed, Stream::evaluation,
                 evaluation_chain(EvaluationNoise::fit_restarts, static_cast<std::uint64_t>(restart)), 0, 1,
                 noise.view());
    RateFit start{
        phi, Matrix<double>(D, D), std::vector<double>(static_cast<std::size_t>(D)), Matrix<double>(D, D), 0.0, 0, 0};
    const double gain = std::exp(static_cast<double>(noise(0, D * D + D)));
    for (std::int64_t i = 0; i < D * D; ++i) start.W.data()[i] = gain * noise(0, i) / spread;
    for (std::int64_t i = 0; i < D; ++i) start.b[static_cast<std::size_t>(i)] = gain * noise(0, D * D + i);
    try_from(std::move(start));
  }
  best.n_restarts = std::ssize(errors);
  best.n_near_best =
      std::count_if(errors.begin(), errors.end(), [&](double e) { return e <= best.error * 1.01 + 1e-9; });
  return best;
}

}  // namespace tarn
