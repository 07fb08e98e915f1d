// A block of latents of a hierarchical model, in double: the log density of all layers and its gradient, by matrix products.
#pragma once

#include <cblas.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "tarn/compute/hee.hpp"
#include "tarn/core/activations.hpp"
#include "tarn/core/error.hpp"
#include "tarn/models/exponential_family.hpp"

namespace tarn {

using LatentBlock = std::vector<Matrix<double>>;  // x_l `[n_chains, n_l]` at [l - 1], l = 1..L

/// What one look at a block tells. A chain whose state is not finite, or outside its family's domain, has `log_prior` NaN or minus
/// infinity and forces of no meaning.
struct LatentReading {
  std::vector<double> log_prior;  ///< `[n_chains]` log p(x_1..x_L)
  std::vector<double> log_fit;    ///< `[n_chains]` log p(x_0 | x_1)
  LatentBlock force;              ///< gradient of `log_prior`
  Matrix<double> fit_force;       ///< `[n_chains, n_1]` gradient of `log_fit` with respect to x_1
};

class LatentEnergy {
 public:
  explicit LatentEnergy(const HeeParameters& p)
      : parameters_(p), top_eta_(static_cast<std::size_t>(p.layers.back().size)) {
    for (const HeeLayer& layer : p.layers) families_.emplace_back(layer.family, layer.parameters);
    for (const Matrix<float>& W : p.W) {
      weights_.emplace_back(W.rows(), W.cols());
      std::copy_n(W.data(), W.size(), weights_.back().data());
    }
    for (std::size_t i = 0; i < top_eta_.size(); ++i) {
      top_eta_[i] = families_.back().link(p.b.back()(0, static_cast<std::int64_t>(i)));
      top_log_partition_.push_back(families_.back().log_partition(top_eta_[i]));
    }
  }

  std::int64_t n_layers() const { return std::ssize(weights_); }  ///< L
  std::int64_t size(std::int64_t layer) const { return parameters_.layers[static_cast<std::size_t>(layer)].size; }
  const ExponentialFamily& family(std::int64_t layer) const { return families_[static_cast<std::size_t>(layer)]; }

  /// `x_0` `[n_chains, n_0]`, `x` as above; `out` is made to fit.
  void read(MatrixView<const float> x_0, const LatentBlock& x, LatentReading& out) const {
    const std::int64_t n = x_0.rows, L = n_layers();
    out.log_prior.assign(static_cast<std::size_t>(n), 0.0);
    out.log_fit.assign(static_cast<std::size_t>(n), 0.0);
    out.force.resize(static_cast<std::size_t>(L));
    for (std::int64_t l = L; l >= 1; --l) fit_shape(out.force[static_cast<std::size_t>(l - 1)], n, size(l));
    fit_shape(out.fit_force, n, size(1));
    for (std::int64_t i = 0; i < n; ++i) {
      for (std::int64_t j = 0; j < size(L); ++j) {
        const auto unit = static_cast<std::size_t>(j);
        add_unit(families_.back(), x.back()(i, j), top_eta_[unit], top_log_partition_[unit],
                 out.log_prior[static_cast<std::size_t>(i)], out.force.back()(i, j));
      }
    }
    for (std::int64_t l = L - 1; l >= 0; --l) read_below(l, x_0, x, out);
  }

 private:
  const HeeParameters& parameters_;
  std::vector<ExponentialFamily> families_;
  std::vector<Matrix<double>> weights_;  // W_l `[n_{l-1}, n_l]` at [l - 1]
  std::vector<double> top_eta_, top_log_partition_;

  static void fit_shape(Matrix<double>& m, std::int64_t rows, std::int64_t cols) {
    if (m.rows() != rows || m.cols() != cols) m = Matrix<double>(rows, cols);
  }

  static void add_unit(const ExponentialFamily& family, double x, double eta, double log_partition, double& log_density,
                       double& force) {
    log_density += eta * family.statistic(x) + family.log_base(x) - log_partition;
    force = family.statistic_derivative(x) * eta + family.log_base_derivative(x);
  }

  // Layer l given layer l + 1: its density, and the message that its errors send up.
  void read_below(std::int64_t l, MatrixView<const float> x_0, const LatentBlock& x, LatentReading& out) const {
    const auto layer = static_cast<std::size_t>(l);
    const Matrix<double>&above = x[layer], &W = weights_[layer];
    const auto& nonlinearity = parameters_.layers[layer + 1].nonlinearity;
    const std::int64_t n = above.rows(), n_above = above.cols(), n_here = size(l);
    Matrix<double> activity(n, n_above), slope(n, n_above), a(n, n_here), message(n, n_above);
    for (std::int64_t i = 0; i < above.size(); ++i) {
      activity.data()[i] = above.data()[i];
      slope.data()[i] = 1.0;
      if (!nonlinearity) continue;
      dispatch(*nonlinearity, [&](auto phi) {
        const auto drive = static_cast<float>(above.data()[i]);
        const float value = activate<phi()>(drive);
        activity.data()[i] = value;
        slope.data()[i] = activate_derivative<phi()>(drive, value);
      });
    }
    for (std::int64_t i = 0; i < n; ++i) std::copy_n(parameters_.b[layer].data(), n_here, a.row(i));
    multiply(activity, W, CblasTrans, 1.0, a);
    const ExponentialFamily& family = families_[layer];
    for (std::int64_t i = 0; i < n; ++i) {
      double& log_density =
          l == 0 ? out.log_fit[static_cast<std::size_t>(i)] : out.log_prior[static_cast<std::size_t>(i)];
      try {
        for (std::int64_t j = 0; j < n_here; ++j) {
          const double drive = a(i, j), eta = family.link(drive);
          const double state = l == 0 ? static_cast<double>(x_0(i, j)) : x[layer - 1](i, j);
          double force = 0.0;
          add_unit(family, state, eta, family.log_partition(eta), log_density, force);
          if (l > 0) out.force[layer - 1](i, j) = force;
          a(i, j) = (family.statistic(state) - family.mean_statistic(eta)) * family.link_derivative(drive);
        }
      } catch (
          const Error&) {  // an eta that is no number, or beyond what the family takes: a state that was thrown off
        log_density = std::numeric_limits<double>::quiet_NaN();
        std::fill_n(a.row(i), n_here, 0.0);
      }
    }
    multiply(a, W, CblasNoTrans, 0.0, message);
    Matrix<double>& force = l == 0 ? out.fit_force : out.force[layer];
    for (std::int64_t i = 0; i < force.size(); ++i) {
      const double sent = slope.data()[i] * message.data()[i];
      force.data()[i] = l == 0 ? sent : force.data()[i] + sent;
    }
  }

  // out = in op(W) + keep out; in a parallel region, where the BLAS uses one thread.
  static void multiply(const Matrix<double>& in, const Matrix<double>& W, CBLAS_TRANSPOSE transposed, double keep,
                       Matrix<double>& out) {
    cblas_dgemm(CblasRowMajor, CblasNoTrans, transposed, static_cast<int>(out.rows()), static_cast<int>(out.cols()),
                static_cast<int>(in.cols()), 1.0, in.data(), static_cast<int>(in.cols()), W.data(),
                static_cast<int>(W.cols()), keep, out.data(), static_cast<int>(out.cols()));
  }
};

}  // namespace tarn
