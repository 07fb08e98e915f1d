#include "tarn/models/energy_model.hpp"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "tarn/core/error.hpp"
#include "tarn/core/noise.hpp"

namespace tarn {
namespace {

double softplus(double u) { return std::max(u, 0.0) + std::log1p(std::exp(-std::abs(u))); }

// Phi and phi = Phi' of a unit.
struct UnitReading {
  double potential, rate;
};
UnitReading read_unit(Nonlinearity phi, double u) {
  if (phi == Nonlinearity::tanh) return {std::abs(u) + softplus(-2.0 * std::abs(u)) - std::numbers::ln2, std::tanh(u)};
  return {softplus(u), 1.0 / (1.0 + std::exp(-u))};
}

Matrix<double> to_double(const Matrix<float>& from, double factor = 1.0) {
  Matrix<double> to(from.rows(), from.cols());
  std::transform(from.data(), from.data() + from.size(), to.data(), [&](float value) { return factor * value; });
  return to;
}

}  // namespace

SamplingNetwork initial_energy_network(ModelKind kind, Nonlinearity phi, std::int64_t D, std::int64_t N, double s,
                                       std::uint64_t seed) {
  if (D < 1) fail_usage("a network needs at least one output, found {}", D);
  if (N < 1) fail_usage("a network needs at least one neuron, found {}", N);
  if (!(std::isfinite(s) && s > 0.0)) fail_usage("model.s is {}; it must be finite and above 0", s);
  SamplingNetwork network;
  network.kind = kind;
  network.phi = phi;
  network.n_outputs = D;
  network.s = s;
  network.W_in = Matrix<float>(N, D);
  network.b = Matrix<float>(1, N);
  network.a = Matrix<float>(1, D);
  if (kind == ModelKind::ebm) {
    network.v = Matrix<float>(1, N);
    std::fill_n(network.v.data(), N, 1.0f);
  }
  const double bound = s / std::sqrt(static_cast<double>(D + N));
  Matrix<std::uint32_t> words(N, D + 1);
  fill_words(seed, Stream::weight_init, 0, 0, 1, words);
  for (std::int64_t j = 0; j < N; ++j) {
    for (std::int64_t d = 0; d < D; ++d)
      network.W_in(j, d) = static_cast<float>(bound * (2.0 * uniform_from_word(words(j, d)) - 1.0));
  }
  try {
    network.validate();
  } catch (const Error& error) {
    fail_usage("{}", error.what());
  }
  return network;
}

EnergyFunction::EnergyFunction(const SamplingNetwork& network)
    : phi_(network.phi), precision_(1.0 / (network.s * network.s)) {
  require(is_energy_based(network.kind), "a {} has no energy; expected an rbm or an ebm", name_of(network.kind));
  network.validate();
  W_ = to_double(network.W_in, precision_);
  b_ = to_double(network.b);
  a_ = to_double(network.a);
  v_ = Matrix<double>(1, b_.cols());
  std::fill_n(v_.data(), v_.size(), 1.0);
  if (!network.v.empty()) v_ = to_double(network.v);
}

void EnergyFunction::read(const Matrix<double>& x, std::vector<double>& energy, Matrix<double>& force) const {
  const std::int64_t D = n_outputs(), N = n_units();
  require(x.cols() == D && force.rows() == x.rows() && force.cols() == D && std::ssize(energy) == x.rows(),
          "energy: rows of {} and room for {} x {}, expected {} columns", x.cols(), force.rows(), force.cols(), D);
  for (std::int64_t i = 0; i < x.rows(); ++i) {
    const double* row = x.row(i);
    double* out = force.row(i);
    double value = 0.0;
    for (std::int64_t d = 0; d < D; ++d) {
      const double off = row[d] - a_(0, d);
      value += 0.5 * precision_ * off * off;
      out[d] = -precision_ * off;
    }
    for (std::int64_t j = 0; j < N; ++j) {
      const double* w = W_.row(j);
      double u = b_(0, j);
      for (std::int64_t d = 0; d < D; ++d) u += w[d] * row[d];
      const UnitReading unit = read_unit(phi_, u);
      value -= v_(0, j) * unit.potential;
      const double push = v_(0, j) * unit.rate;
      for (std::int64_t d = 0; d < D; ++d) out[d] += push * w[d];
    }
    energy[static_cast<std::size_t>(i)] = value;
  }
}

std::vector<double> free_energies(const SamplingNetwork& network, MatrixView<const float> x) {
  const EnergyFunction function(network);
  require(x.cols == network.n_outputs, "free energies: rows of {}, the model has {} outputs", x.cols,
          network.n_outputs);
  std::vector<double> result(static_cast<std::size_t>(x.rows));
#pragma omp parallel for schedule(static)
  for (std::int64_t i = 0; i < x.rows; ++i) {
    Matrix<double> row(1, x.cols), force(1, x.cols);
    std::vector<double> energy(1);
    std::copy_n(x.row(i), x.cols, row.data());
    function.read(row, energy, force);
    result[static_cast<std::size_t>(i)] = energy[0];
  }
  return result;
}

}  // namespace tarn
