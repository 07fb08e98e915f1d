// Sparse codes: each datum as a combination of few of many atoms, found by iterative soft thresholding.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "tarn/data/filter.hpp"

namespace tarn {

/// `ista`: iterative soft thresholding (Daubechies, Defrise, De Mol 2004); `fista`: the same with momentum (Beck,
/// Teboulle 2009), far closer to the minimum after as many iterations.
enum class LassoSolver : std::uint8_t { ista, fista };

/// "ista", "fista".
std::string_view name_of(LassoSolver solver);
/// Throws `UsageError` naming the allowed values.
LassoSolver parse_lasso_solver(std::string_view name);

/// How a code is found.
struct LassoSettings {
  double penalty = 1e-3;          ///< lambda, >= 0
  std::int64_t iterations = 100;  ///< >= 1
  LassoSolver solver = LassoSolver::ista;
};

/// For each row x of `x` `[n, P]` the minimiser a of `1/2 |x - a A|^2 + lambda |a|_1`, A the `atoms` `[K, P]`, into
/// `codes` `[n, K]`. From a = 0, with S_t the soft threshold (towards zero by t),
///
///     a <- S_{lambda/L}(a + (x - a A) A^T / L),
///
/// which falls in every iteration where L is at least the largest eigenvalue of `A A^T`. Rows are taken in tiles of
/// fixed size, so the codes do not depend on the number of threads; between machines they agree to rounding. A row with
/// a value that is not finite has a code that is not finite. Throws `Error` where shapes disagree.
void solve_lasso(MatrixView<const float> atoms, double L, const LassoSettings& settings, MatrixView<const float> x,
                 MatrixView<float> codes);

/// The largest eigenvalue of `M M^T` for `M` `[m, n]`, by power iteration in double to a relative change below 1e-6 (at
/// most 1000 iterations). `vector` `[n]`, where it has that size, is the start, and afterwards the eigenvector of
/// `M^T M`.
double largest_squared_singular_value(MatrixView<const float> M, std::vector<double>& vector);

/// Sparse code over K atoms: forward by `solve_lasso`, back `x = y A`. Fitted by `fit_sparse_code`
/// (training/sparse_code.hpp).
class SparseCodeFilter final : public Filter {
 public:
  using Filter::apply, Filter::invert;
  /// `atoms` `[K, P]`; `L` at least the largest eigenvalue of `A A^T`. Throws `Error` for atoms that are none or not
  /// finite, and for settings and L out of range.
  SparseCodeFilter(Matrix<float> atoms, double L, const LassoSettings& settings);
  std::string kind() const override { return "sparse_code"; }
  std::int64_t n_inputs() const override { return atoms_.cols(); }
  std::int64_t n_outputs() const override { return atoms_.rows(); }
  void apply(MatrixView<const float> in, MatrixView<float> out) const override;
  void invert(MatrixView<const float> in, MatrixView<float> out) const override;
  void to_tensors(TensorFile& file) const override;
  /// Throws `Error`.
  static SparseCodeFilter from_tensors(const TensorFile& file);

  const Matrix<float>& atoms() const { return atoms_; }
  double L() const { return L_; }
  const LassoSettings& settings() const { return settings_; }

 private:
  Matrix<float> atoms_;
  double L_;
  LassoSettings settings_;
};

}  // namespace tarn
