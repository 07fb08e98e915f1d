#include "tarn/training/sparse_code.hpp"

#include "blocked_product.hpp"
#include "fit_tools.hpp"

namespace tarn {
namespace {

// The power iteration approaches the eigenvalue from below; the step must not be too long.
constexpr double margin = 1.02;

void normalise_atoms(Matrix<float>& atoms) {
  for (std::int64_t k = 0; k < atoms.rows(); ++k) {
    double square = 0.0;
    for (std::int64_t j = 0; j < atoms.cols(); ++j) square += static_cast<double>(atoms(k, j)) * atoms(k, j);
    require(std::isfinite(square) && square > 0.0, "sparse code: atom {} has the norm {}", k, std::sqrt(square));
    const auto factor = static_cast<float>(1.0 / std::sqrt(square));
    for (std::int64_t j = 0; j < atoms.cols(); ++j) atoms(k, j) *= factor;
  }
}

Matrix<float> initial_atoms(std::int64_t K, std::int64_t P, std::uint64_t seed) {
  Matrix<float> atoms(K, P);
  fill_normals(seed, Stream::filter_init, atom_chains, 0, 1, atoms);
  normalise_atoms(atoms);
  return atoms;
}

double half_square_and_penalty(const Matrix<float>& residual, const Matrix<float>& codes, double penalty) {
  double square = 0.0, size = 0.0;
  for (std::int64_t k = 0; k < residual.size(); ++k) square += std::pow(static_cast<double>(residual.data()[k]), 2);
  for (std::int64_t k = 0; k < codes.size(); ++k) size += std::abs(codes.data()[k]);
  return (0.5 * square + penalty * size) / static_cast<double>(codes.rows());
}

}  // namespace

SparseCodeFilter fit_sparse_code(MatrixView<const float> x, const SparseCodeFit& fit, std::uint64_t seed,
                                 const FitObserver& observer) {
  if (x.rows < 1 || x.cols < 1) fail_usage("sparse code: data are [{}, {}]; there must be some", x.rows, x.cols);
  if (fit.atoms < 1) fail_usage("sparse code: {} atoms; allowed: >= 1", fit.atoms);
  if (fit.lasso.iterations < 1) fail_usage("sparse code: {} iterations; allowed: >= 1", fit.lasso.iterations);
  if (!(std::isfinite(fit.lasso.penalty) && fit.lasso.penalty >= 0.0)) {
    fail_usage("sparse code: penalty {}; allowed: >= 0", fit.lasso.penalty);
  }
  check_batches(fit.epochs, fit.batch_size, x.rows, "sparse code");
  finite_means(x, "sparse code");
  require(std::any_of(x.data, x.data + x.size(), [](float value) { return value != 0.0f; }),
          "sparse code: the data are all zero");

  auto atoms = initial_atoms(fit.atoms, x.cols, seed);
  std::vector<double> direction, code_direction;  // where the last power iterations ended: good starts for the next
  double L = margin * largest_squared_singular_value(atoms, direction);
  Matrix<float> codes(fit.batch_size, fit.atoms), residual(fit.batch_size, x.cols);
  LossMeter meter(observer, x.rows / fit.batch_size * fit.epochs);
  for_each_batch(x, fit.epochs, fit.batch_size, seed, [&](std::int64_t step, MatrixView<const float> batch) {
    solve_lasso(atoms, L, fit.lasso, batch, codes);
    std::copy_n(batch.data, batch.size(), residual.data());
    blocked_product<float>(Transposed::no, codes, Transposed::no, atoms, residual.view(), -1.0f, 1.0f);
    meter.add(step, half_square_and_penalty(residual, codes, fit.lasso.penalty));
    const double M = margin * largest_squared_singular_value(codes, code_direction);
    require(std::isfinite(M), "sparse code: codes are not finite at step {}", step);
    if (!(M > 0.0)) {  // the penalty leaves no code but 0 in this batch
      code_direction.clear();
      return;
    }
    blocked_product<float>(Transposed::yes, codes, Transposed::no, residual, atoms.view(), static_cast<float>(1.0 / M),
                           1.0f);
    normalise_atoms(atoms);
    L = margin * largest_squared_singular_value(atoms, direction);
  });
  return {std::move(atoms), L, fit.lasso};
}

}  // namespace tarn
