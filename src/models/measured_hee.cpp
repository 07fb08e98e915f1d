#include "tarn/models/measured_hee.hpp"

#include <cblas.h>
#include <lapacke.h>

#include <algorithm>
#include <cmath>

#include "tarn/core/activations.hpp"
#include "tarn/core/error.hpp"
#include "tarn/models/hee_reading.hpp"

namespace tarn {
namespace {

using Dense = Matrix<double>;

int extent(std::int64_t n) { return static_cast<int>(n); }

/// `alpha a b + beta c` into c.
void multiply(double alpha, const Dense& a, const Dense& b, double beta, Dense& c) {
  cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, extent(c.rows()), extent(c.cols()), extent(a.cols()), alpha,
              a.data(), extent(a.cols()), b.data(), extent(b.cols()), beta, c.data(), extent(c.cols()));
}
Dense times_transpose(const Dense& a, const Dense& b) {
  Dense c(a.rows(), b.rows());
  cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasTrans, extent(a.rows()), extent(b.rows()), extent(a.cols()), 1.0,
              a.data(), extent(a.cols()), b.data(), extent(b.cols()), 0.0, c.data(), extent(c.cols()));
  return c;
}

Dense in_double(MatrixView<const float> x) {
  Dense out(x.rows, x.cols);
  std::copy_n(x.data, x.size(), out.data());
  return out;
}
Matrix<float> in_float(const Dense& x) {
  Matrix<float> out(x.rows(), x.cols());
  std::transform(x.data(), x.data() + x.size(), out.data(), [](double v) { return static_cast<float>(v); });
  return out;
}

/// What y says of x_0, and how it is had from y.
struct Whitened {
  Dense R;     ///< `[m', n_0]`
  Dense gain;  ///< `[m', m]`
};

/// `R = scale L^-1 A`, `gain = scale L^-1` with L L^T = covariance; where that has more rows than columns, the n_0 combinations of them that
/// are sufficient: `R = Q T` by Householder, and T and `Q^T gain` in their places.
Whitened whiten(const Dense& A, Dense covariance, double scale) {
  const int m = extent(A.rows()), n = extent(A.cols());
  if (LAPACKE_dpotrf(LAPACK_ROW_MAJOR, 'L', m, covariance.data(), m) != 0)
    fail("the measurement has no density: its covariance is not positive definite");
  Whitened out{A, Dense(m, m)};
  for (std::int64_t i = 0; i < m; ++i) out.gain(i, i) = 1.0;
  for (Dense* side : {&out.R, &out.gain}) {
    cblas_dtrsm(CblasRowMajor, CblasLeft, CblasLower, CblasNoTrans, CblasNonUnit, m, extent(side->cols()), scale,
                covariance.data(), m, side->data(), extent(side->cols()));
  }
  if (m <= n) return out;
  std::vector<double> tau(static_cast<std::size_t>(n));
  LAPACKE_dgeqrf(LAPACK_ROW_MAJOR, m, n, out.R.data(), n, tau.data());
  LAPACKE_dormqr(LAPACK_ROW_MAJOR, 'L', 'T', m, m, n, out.R.data(), n, tau.data(), out.gain.data(), m);
  Whitened sufficient{Dense(n, n), Dense(n, m)};
  for (std::int64_t i = 0; i < n; ++i) {
    std::copy_n(out.R.row(i) + i, n - i, sufficient.R.row(i) + i);
    std::copy_n(out.gain.row(i), m, sufficient.gain.row(i));
  }
  return sufficient;
}

bool is_zero(const Dense& x) {
  return std::all_of(x.data(), x.data() + x.size(), [](double v) { return v == 0.0; });
}

/// Whether every row of A is a unit seen as it is, none of them twice.
bool selects_units(const Dense& A) {
  std::vector<int> times_seen(static_cast<std::size_t>(A.cols()));
  for (std::int64_t i = 0; i < A.rows(); ++i) {
    int n = 0;
    for (std::int64_t j = 0; j < A.cols(); ++j) {
      if (A(i, j) == 0.0) continue;
      if (A(i, j) != 1.0 || ++n > 1 || ++times_seen[static_cast<std::size_t>(j)] > 1) return false;
    }
    if (n == 0) return false;
  }
  return true;
}

void check(const HeeParameters& model, const Measurement& y) {
  check_hee_parameters(model);
  const std::int64_t m = y.A.rows(), n = model.layers[0].size;
  require(m >= 1 && y.A.cols() == n && std::ssize(y.offset) == m && y.noise.rows() == m && y.noise.cols() == m,
          "a measurement of {} x {} with {} offsets and noise of {} x {}; the observation has {} units", m, y.A.cols(),
          y.offset.size(), y.noise.rows(), y.noise.cols(), n);
  const auto finite = [](double v) { return std::isfinite(v); };
  require(std::all_of(y.A.data(), y.A.data() + y.A.size(), finite) && std::ranges::all_of(y.offset, finite) &&
              std::all_of(y.noise.data(), y.noise.data() + y.noise.size(), finite),
          "a measurement must be finite");
}

}  // namespace

Measurement Measurement::of_units(std::int64_t n_units, std::span<const std::int64_t> seen, double sigma) {
  const auto m = std::ssize(seen);
  Measurement y{Dense(m, n_units), std::vector<double>(seen.size()), Dense(m, m)};
  for (std::int64_t i = 0; i < m; ++i) {
    const std::int64_t unit = seen[static_cast<std::size_t>(i)];
    require(unit >= 0 && unit < n_units, "unit {} is seen of {} units", unit, n_units);
    y.A(i, unit) = 1.0;
    y.noise(i, i) = sigma * sigma;
  }
  return y;
}

MeasuredHee::MeasuredHee(const HeeParameters& model, const Measurement& measurement)
    : original_(model), measured_(model), offset_(measurement.offset), form_(Form::integrated) {
  check(model, measurement);
  const Family family = model.layers[0].family;
  if (family == Family::gaussian) {
    integrate_out(measurement);
  } else if (!is_zero(measurement.noise)) {
    put_layer_below(measurement);
  } else {
    require(selects_units(measurement.A),
            "{} units are measured without noise as combinations of them; allowed: single units, noise, or a gaussian "
            "observation",
            name_of(family));
    drop_leaves(measurement);
  }
}

// (15): s^2 A A^T + noise is the covariance of y given x_1.
void MeasuredHee::integrate_out(const Measurement& y) {
  const double s = static_cast<double>(original_.layers[0].parameters.s);
  Dense covariance = y.noise;
  cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasTrans, extent(y.A.rows()), extent(y.A.rows()), extent(y.A.cols()),
              s * s, y.A.data(), extent(y.A.cols()), y.A.data(), extent(y.A.cols()), 1.0, covariance.data(),
              extent(covariance.cols()));
  auto [R, gain] = whiten(y.A, std::move(covariance), s);
  gain_ = std::move(gain);
  keep_rows(R);
}

// A unit of layer 0 drives nobody: given x_1 its law integrates to 1.
void MeasuredHee::drop_leaves(const Measurement& y) {
  form_ = Form::leaves;
  gain_ = Dense(y.A.rows(), y.A.rows());
  for (std::int64_t i = 0; i < gain_.rows(); ++i) gain_(i, i) = 1.0;
  keep_rows(y.A);
}

// (17): one layer more, y' ~ N(R x_0, 1), and all others move up by one.
void MeasuredHee::put_layer_below(const Measurement& y) {
  form_ = Form::layer_below;
  auto [R, gain] = whiten(y.A, y.noise, 1.0);
  R_ = std::move(R);
  gain_ = std::move(gain);
  HeeLayer layer;
  layer.size = R_.rows();
  layer.family = Family::gaussian;
  layer.parameters.s = 1.0f;
  measured_.layers.insert(measured_.layers.begin(), layer);
  measured_.W.insert(measured_.W.begin(), in_float(R_));
  measured_.b.insert(measured_.b.begin(), Matrix<float>(1, R_.rows()));
}

void MeasuredHee::keep_rows(const Matrix<double>& R) {
  R_ = R;
  measured_.layers[0].size = R.rows();
  Dense W(R.rows(), original_.W[0].cols()), bias(R.rows(), 1);
  multiply(1.0, R, in_double(original_.W[0].view()), 0.0, W);
  Dense b_0(R.cols(), 1);
  std::copy_n(original_.b[0].data(), R.cols(), b_0.data());
  multiply(1.0, R, b_0, 0.0, bias);
  measured_.W[0] = in_float(W);
  measured_.b[0] = Matrix<float>(1, R.rows());
  std::transform(bias.data(), bias.data() + bias.size(), measured_.b[0].data(),
                 [](double v) { return static_cast<float>(v); });
}

Matrix<float> MeasuredHee::observations(MatrixView<const float> y) const {
  require(y.cols == gain_.cols(), "measurements have {} numbers, should have {}", y.cols, gain_.cols());
  Dense centred = in_double(y);
  for (std::int64_t i = 0; i < centred.rows(); ++i) {
    for (std::int64_t j = 0; j < centred.cols(); ++j) centred(i, j) -= offset_[static_cast<std::size_t>(j)];
  }
  return in_float(times_transpose(centred, gain_));
}

Matrix<float> MeasuredHee::summary(std::span<const Matrix<float>> state) const {
  if (form_ == Form::layer_below) return state[1];
  if (form_ == Form::leaves) return mean_given(original_, 0, state);  // which does not look at x_0 itself
  Matrix<float> f = state[1];
  const auto& nonlinearity = original_.layers[1].nonlinearity;
  if (!nonlinearity) return f;
  dispatch(*nonlinearity, [&](auto phi) {
    for (std::int64_t i = 0; i < f.size(); ++i) f.data()[i] = activate<phi()>(f.data()[i]);
  });
  return f;
}

Matrix<float> MeasuredHee::restored(MatrixView<const float> mean_summary, MatrixView<const float> y) const {
  require(mean_summary.rows == y.rows, "{} averages for {} measurements", mean_summary.rows, y.rows);
  if (form_ == Form::layer_below) return in_float(in_double(mean_summary));
  const Matrix<float> seen = observations(y);
  if (form_ == Form::leaves) {
    Matrix<float> x = in_float(in_double(mean_summary));
    for (std::int64_t k = 0; k < R_.rows(); ++k) {
      const std::int64_t unit = std::find(R_.row(k), R_.row(k) + R_.cols(), 1.0) - R_.row(k);
      for (std::int64_t i = 0; i < x.rows(); ++i) x(i, unit) = seen(i, k);
    }
    return x;
  }
  // (16): a_0 + R^T (y' - R a_0)
  Dense a = times_transpose(in_double(mean_summary), in_double(original_.W[0].view()));
  for (std::int64_t i = 0; i < a.rows(); ++i) {
    for (std::int64_t j = 0; j < a.cols(); ++j) a(i, j) += static_cast<double>(original_.b[0](0, j));
  }
  Dense error = in_double(seen.view());
  const Dense expected = times_transpose(a, R_);
  for (std::int64_t i = 0; i < error.size(); ++i) error.data()[i] -= expected.data()[i];
  multiply(1.0, error, R_, 1.0, a);
  return in_float(a);
}

}  // namespace tarn
