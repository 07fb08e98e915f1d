// All kinds of sampling network brought into the one form of drift that backends run.
#include <algorithm>
#include <cmath>

#include "tarn/core/error.hpp"
#include "tarn/models/sampling_network.hpp"

namespace tarn {
namespace {

Matrix<double> identity(std::int64_t n) {
  Matrix<double> result(n, n);
  for (std::int64_t i = 0; i < n; ++i) result(i, i) = 1.0;
  return result;
}

// a b, or a b^T. D x D, once a network, so plain loops; double, so that the one rounding to float is the last.
template <class T>
Matrix<double> product(const Matrix<double>& a, const Matrix<T>& b, bool transposed = false) {
  const std::int64_t n = a.rows();
  Matrix<double> result(n, n);
  for (std::int64_t i = 0; i < n; ++i) {
    for (std::int64_t k = 0; k < n; ++k) {
      for (std::int64_t j = 0; j < n; ++j) {
        result(i, j) += a(i, k) * static_cast<double>(transposed ? b(j, k) : b(k, j));
      }
    }
  }
  return result;
}

Matrix<float> to_float(const Matrix<double>& a) {
  Matrix<float> result(a.rows(), a.cols());
  std::transform(a.data(), a.data() + a.size(), result.data(), [](double v) { return static_cast<float>(v); });
  return result;
}

Matrix<float> identity_weights(std::int64_t n) { return to_float(identity(n)); }

void check_skew(MatrixView<const float> J, std::int64_t D) {
  require(J.rows == D && J.cols == D, "J is [{}, {}], expected [{}, {}] for {} outputs", J.rows, J.cols, D, D, D);
  float largest = 0.0f;
  for (std::int64_t i = 0; i < J.size(); ++i) {
    require(std::isfinite(J.data[i]), "J holds {} at [{}, {}]; it must be finite", J.data[i], i / D, i % D);
    largest = std::max(largest, std::abs(J.data[i]));
  }
  for (std::int64_t i = 0; i < D; ++i) {
    for (std::int64_t j = 0; j <= i; ++j) {
      const double excess = std::abs(static_cast<double>(J(i, j)) + J(j, i));
      require(excess <= 1e-6 * largest,
              "J is not skew-symmetric: J[{}, {}] = {} and J[{}, {}] = {}; a skew matrix is (A - A^T) of any A", i, j,
              J(i, j), j, i, J(j, i));
    }
  }
}

}  // namespace

RunnableNetwork::RunnableNetwork(const SamplingNetwork& network, DriftForm form) {
  network.validate();
  const std::int64_t D = network.n_outputs;
  const bool mapped = form == DriftForm::score && !network.drift_map.empty();

  switch (network.kind) {
    case ModelKind::reservoir_sampler:
      W_in_ = network.W_in;
      b_ = network.b;
      W_out_ = network.W_out;
      break;
    case ModelKind::sampler_only_sc:
      W_in_ = identity_weights(D);
      b_ = Matrix<float>(1, D);
      W_out_ = network.W_in;
      c_ = network.b;
      break;
    case ModelKind::sampler_only_fr:
      W_in_ = network.W_in;
      b_ = network.b;
      W_out_ = identity_weights(D);
      break;
    case ModelKind::rbm:
    case ModelKind::ebm:
      take_energy(network);
      break;
  }

  if (network.kind == ModelKind::sampler_only_sc || network.kind == ModelKind::sampler_only_fr) {
    // M^T = diag(gamma) S S^T, followed by the map: M = map S S^T diag(gamma)
    Matrix<double> M = product(product(identity(D), network.S), network.S, true);
    for (std::int64_t i = 0; i < D; ++i) {
      for (std::int64_t j = 0; j < D; ++j) M(i, j) *= network.gamma(0, j);
    }
    if (mapped) M = product(product(identity(D), network.drift_map), M);
    M_ = to_float(M);
  } else if (mapped) {
    M_ = network.drift_map;
  }

  view_.n_outputs = D;
  view_.n_inputs = network.n_inputs;
  view_.n_neurons = W_in_.rows();
  view_.phi = network.phi;
  view_.W_in = W_in_.data();
  view_.b = b_.data();
  view_.W_out = W_out_.data();
  view_.c = c_.empty() ? nullptr : c_.data();
  view_.M = M_.empty() ? nullptr : M_.data();
}

// -dF/dx = (a - x + phi(x W^T / s^2 + b) diag(v) W) / s^2.
void RunnableNetwork::take_energy(const SamplingNetwork& network) {
  const std::int64_t D = network.n_outputs, N = network.n_neurons();
  const double precision = 1.0 / (network.s * network.s);
  W_in_ = Matrix<float>(N, D);
  W_out_ = Matrix<float>(D, N);
  for (std::int64_t j = 0; j < N; ++j) {
    const float strength = network.v.empty() ? 1.0f : network.v(0, j);
    for (std::int64_t d = 0; d < D; ++d) {
      W_in_(j, d) = static_cast<float>(precision * static_cast<double>(network.W_in(j, d)));
      W_out_(d, j) = strength * network.W_in(j, d);
    }
  }
  b_ = network.b;
  c_ = network.a;
  Matrix<double> M = identity(D);
  for (std::int64_t d = 0; d < D; ++d) M(d, d) = precision;
  M_ = to_float(M);
}

Matrix<double> output_diffusion(MatrixView<const float> W_out, MatrixView<const float> S) {
  require(S.rows == 1 && S.cols == W_out.cols, "private noise is [{}, {}], expected [1, {}]", S.rows, S.cols,
          W_out.cols);
  Matrix<double> result(W_out.rows, W_out.rows);
  for (std::int64_t a = 0; a < W_out.rows; ++a) {
    for (std::int64_t b = 0; b <= a; ++b) {
      double sum = 0.0;
      for (std::int64_t j = 0; j < W_out.cols; ++j) {
        const double s = S(0, j);
        sum += s * s * W_out(a, j) * W_out(b, j);
      }
      result(a, b) = result(b, a) = sum;
    }
  }
  return result;
}

RunnableNetwork::RunnableNetwork(const SamplingNetwork& network, MatrixView<const float> J)
    : RunnableNetwork(network, J, identity(network.n_outputs)) {
  require(J.data != nullptr, "an irreversible drift needs its J");
}

RunnableNetwork::RunnableNetwork(const SamplingNetwork& network, MatrixView<const float> J,
                                 MatrixView<const double> diffusion)
    : RunnableNetwork(network) {
  const std::int64_t D = network.n_outputs;
  require(diffusion.rows == D && diffusion.cols == D, "the diffusion is [{}, {}], expected [{}, {}]", diffusion.rows,
          diffusion.cols, D, D);
  if (J.data) check_skew(J, D);
  Matrix<double> M(D, D);
  std::copy_n(diffusion.data, diffusion.size(), M.data());
  for (std::int64_t i = 0; i < (J.data ? J.size() : 0); ++i) M.data()[i] += J.data[i];
  if (!M_.empty()) M = product(M, M_);
  M_ = to_float(M);
  view_.M = M_.data();
}

}  // namespace tarn
