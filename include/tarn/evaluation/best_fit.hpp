// The best that each sampler-only network class can do: its closest drift to a given score, whatever the training.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "tarn/core/matrix.hpp"
#include "tarn/core/nonlinearity.hpp"
#include "tarn/evaluation/law_1d.hpp"

namespace tarn {

/// Points, their weights and the score there: what a drift is fitted to.
struct FitProblem {
  Matrix<double> x;             ///< `[n, D]`
  std::vector<double> weights;  ///< `[n]`, sum 1: a quadrature rule of the law, or 1/n for draws
  Matrix<double> score;         ///< `[n, D]`
};

/// The problem of a one-dimensional law by quadrature.
FitProblem fit_problem(const Law1d& law, const BatchFunction1d& true_score);
/// The problem of `n` draws of `target` smoothed by `sigma`; draws number 2^41 and up under `seed`.
FitProblem fit_problem(const Target& target, double sigma, std::int64_t n, std::uint64_t seed);

/// Best fit of `sampler_only_sc`, drift `(phi(x) W^T + b - x) M`. The drift is a linear map of `(phi(x), 1, x)`; its
/// weighted least-squares fit is the best of the class for D = 1, and for D > 1 a bound that no member of the class can
/// beat (M is restricted to `diag(gamma) S S^T`, the linear map is not).
struct SynapticFit {
  Nonlinearity phi = Nonlinearity::relu;
  Matrix<double> coefficients;  ///< `[2 D + 1, D]`: rows of phi(x), 1, x
  double error = 0.0;           ///< `E |drift - score|^2`

  Matrix<double> drift(MatrixView<const double> x) const;
  /// For D = 1, e.g. "0.00 relu(x) + 0.00 - 0.80 x".
  std::string text() const;
};
SynapticFit fit_sampler_only_sc(Nonlinearity phi, const FitProblem& problem);

/// Best fit of `sampler_only_fr`, drift `(phi(x W^T + b) - x) M`, M any matrix `[D, D]` (exact for D = 1, a bound for
/// D > 1, as above).
struct RateFit {
  Nonlinearity phi = Nonlinearity::relu;
  Matrix<double> W;       ///< `[D, D]`
  std::vector<double> b;  ///< `[D]`
  Matrix<double> M;       ///< `[D, D]`
  double error = 0.0;     ///< `E |drift - score|^2`
  std::int64_t n_restarts = 0;
  std::int64_t n_near_best = 0;  ///< restarts that ended within 1 % of the best error: 1 says "try more"

  Matrix<double> drift(MatrixView<const double> x) const;
  /// For D = 1, e.g. "4.03 (tanh(3.99 x + 0.00) - x)".
  std::string text() const;
};
/// Levenberg-Marquardt over W and b, M by least squares (variable projection, Golub and Pereyra 1973), best of
/// `n_restarts` seeded starts and of those in `starts`, whose W and b count: trained networks, say, which it then never falls behind on
/// this problem. Throws `Error` for D > 16, where 2 D^2 + D parameters make each step long.
RateFit fit_sampler_only_fr(Nonlinearity phi, const FitProblem& problem, std::uint64_t seed,
                            std::int64_t n_restarts = 24, std::span<const RateFit> starts = {});

}  // namespace tarn
