#include "tarn/data/sparse_code.hpp"

#include <array>
#include <cmath>

#include "tile_product.hpp"

namespace tarn {
namespace {

constexpr std::array<std::string_view, 2> solver_names{"ista", "fista"};
// Smaller than the tile of other filters, since a training batch is a few hundred rows that all threads share.
constexpr std::int64_t lasso_rows = 64;
constexpr int most_power_iterations = 1000;
constexpr double power_tolerance = 1e-6;

// One tile, all iterations. `point` is where the gradient is taken: the code itself, or for fista beyond it.
void solve_tile(MatrixView<const float> atoms, double L, const LassoSettings& settings, MatrixView<const float> x,
                MatrixView<float> codes, Matrix<float>& residual, Matrix<float>& point) {
  const auto step = static_cast<float>(1.0 / L), threshold = static_cast<float>(settings.penalty / L);
  const auto r = residual.view().slice(0, x.rows), z = point.view().slice(0, x.rows);
  std::fill_n(codes.data, codes.size(), 0.0f);
  std::fill_n(z.data, z.size(), 0.0f);
  double t = 1.0;
  for (std::int64_t k = 0; k < settings.iterations; ++k) {
    std::copy_n(x.data, x.size(), r.data);
    if (k > 0) data::multiply_add(z, atoms, false, r, -1.0f);  // at the start z = 0
    data::multiply_add(r, atoms, true, z, step);
    float momentum = 0.0f;
    if (settings.solver == LassoSolver::fista) {
      const double next = 0.5 * (1.0 + std::sqrt(1.0 + 4.0 * t * t));
      momentum = static_cast<float>((t - 1.0) / next);
      t = next;
    }
    for (std::int64_t i = 0; i < z.size(); ++i) {
      const float v = z.data[i];
      const float a = v - std::clamp(v, -threshold, threshold);  // NaN stays NaN
      z.data[i] = a + momentum * (a - codes.data[i]);
      codes.data[i] = a;
    }
  }
}

}  // namespace

std::string_view name_of(LassoSolver solver) { return solver_names[static_cast<std::size_t>(solver)]; }

LassoSolver parse_lasso_solver(std::string_view name) {
  for (std::size_t i = 0; i < solver_names.size(); ++i) {
    if (solver_names[i] == name) return static_cast<LassoSolver>(i);
  }
  fail_usage("solver \"{}\" is unknown; allowed: {}", name, listed(solver_names));
}

void solve_lasso(MatrixView<const float> atoms, double L, const LassoSettings& settings, MatrixView<const float> x,
                 MatrixView<float> codes) {
  data::check_shapes(x, codes, atoms.cols, atoms.rows);
#pragma omp parallel
  {
    const auto rows = std::min(lasso_rows, x.rows);
    Matrix<float> residual(rows, x.cols), point(rows, codes.cols);
#pragma omp for schedule(dynamic)
    for (std::int64_t begin = 0; begin < x.rows; begin += lasso_rows) {
      const auto end = std::min(begin + lasso_rows, x.rows);
      solve_tile(atoms, L, settings, x.slice(begin, end), codes.slice(begin, end), residual, point);
    }
  }
}

double largest_squared_singular_value(MatrixView<const float> M, std::vector<double>& vector) {
  if (static_cast<std::int64_t>(vector.size()) != M.cols) {
    vector.resize(static_cast<std::size_t>(M.cols));
    for (std::size_t j = 0; j < vector.size(); ++j) vector[j] = 1.0 + 0.5 * std::cos(static_cast<double>(j));
  }
  double eigenvalue = 0.0;
  std::vector<double> next(vector.size());
  for (int k = 0; k < most_power_iterations; ++k) {
    double norm = 0.0;
    for (const double v : vector) norm += v * v;
    norm = std::sqrt(norm);
    if (!(norm > 0.0)) return norm;  // a matrix of zeros, or NaN
    for (double& v : vector) v /= norm;
    std::fill(next.begin(), next.end(), 0.0);
    double square = 0.0;  // |M v|^2
    for (std::int64_t i = 0; i < M.rows; ++i) {
      const float* row = M.row(i);
      double along = 0.0;
      for (std::int64_t j = 0; j < M.cols; ++j) along += row[j] * vector[static_cast<std::size_t>(j)];
      for (std::int64_t j = 0; j < M.cols; ++j) next[static_cast<std::size_t>(j)] += along * row[j];
      square += along * along;
    }
    vector.swap(next);
    const bool settled = std::abs(square - eigenvalue) <= power_tolerance * square;
    eigenvalue = square;
    if (settled) break;
  }
  return eigenvalue;
}

SparseCodeFilter::SparseCodeFilter(Matrix<float> atoms, double L, const LassoSettings& settings)
    : atoms_(std::move(atoms)), L_(L), settings_(settings) {
  require(atoms_.size() > 0, "sparse code: atoms are [{}, {}]; there must be some", atoms_.rows(), atoms_.cols());
  require(data::all_finite(atoms_), "sparse code: atoms hold values that are not finite");
  require(std::isfinite(L_) && L_ > 0.0, "sparse code: L is {}; it must be finite and above 0", L_);
  require(std::isfinite(settings_.penalty) && settings_.penalty >= 0.0,
          "sparse code: the penalty is {}; it must be finite and not negative", settings_.penalty);
  require(settings_.iterations >= 1, "sparse code: {} iterations; at least 1 is needed", settings_.iterations);
}

void SparseCodeFilter::apply(MatrixView<const float> in, MatrixView<float> out) const {
  solve_lasso(atoms_, L_, settings_, in, out);
}

void SparseCodeFilter::invert(MatrixView<const float> in, MatrixView<float> out) const {
  data::check_shapes(in, out, n_outputs(), n_inputs());
  data::affine_rows(in, atoms_, std::vector<float>(static_cast<std::size_t>(n_inputs())), out);
}

void SparseCodeFilter::to_tensors(TensorFile& file) const {
  file.metadata["filter.kind"] = kind();
  file.metadata["filter.solver"] = name_of(settings_.solver);
  file.put("filter.atoms", atoms_.view());
  file.put_vector("filter.L", std::vector<double>{L_});
  file.put_vector("filter.penalty", std::vector<double>{settings_.penalty});
  file.put_vector("filter.iterations", std::vector<std::int64_t>{settings_.iterations});
}

SparseCodeFilter SparseCodeFilter::from_tensors(const TensorFile& file) {
  LassoSettings settings;
  settings.penalty = file.values<double>("filter.penalty", 1).front();
  settings.iterations = file.values<std::int64_t>("filter.iterations", 1).front();
  const auto& solver = file.metadata_at("filter.solver");
  require(solver == "ista" || solver == "fista", "{}: filter.solver is \"{}\"; allowed are ista, fista", file.source,
          solver);
  settings.solver = parse_lasso_solver(solver);
  return {file.matrix("filter.atoms"), file.values<double>("filter.L", 1).front(), settings};
}

}  // namespace tarn
