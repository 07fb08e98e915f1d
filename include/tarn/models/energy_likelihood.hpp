// How probable an energy-based model finds data: log Z by annealed importance sampling (Neal 2001; Salakhutdinov and Murray 2008).
#pragma once

#include <cstdint>
#include <vector>

#include "tarn/core/matrix.hpp"
#include "tarn/models/hee_likelihood.hpp"
#include "tarn/models/sampling_network.hpp"

namespace tarn {

/// The law that annealing begins with: independent normals.
struct GaussianBase {
  std::vector<double> mean, deviation;  ///< `[D]`; deviations > 0
};
/// Mean and standard deviation of each column of rows `[n, D]`, n >= 2; deviations at least `least`, which keeps constant columns
/// finite. Throws `Error`.
GaussianBase gaussian_base(MatrixView<const float> rows, double least = 1e-6);
/// log density of each row, in nats.
std::vector<double> log_density(const GaussianBase& base, MatrixView<const float> rows);

struct LogPartition {
  double value = 0.0;           ///< estimate of log Z; low by about half the squared error, on average
  double standard_error = 0.0;  ///< from the spread of the weights
  double effective_chains = 0.0;
  double acceptance = 1.0;  ///< share of moves accepted; 1 for Gibbs moves
};

/// log Z of an rbm or ebm by `annealing.chains_per_datum` chains from the base at beta_0 = 0 to the model at beta_K = 1. An rbm goes through
///     p_k(x, h) ~ exp(-(1 - beta_k) E_base(x) - beta_k E(x, h))
/// by block Gibbs sweeps; an ebm through exp(-(1 - beta_k) E_base(x) - beta_k F(x)) by moves of Hamiltonian Monte Carlo with an acceptance
/// test, their steps set by a pilot run. In double; the result does not depend on the number of threads. Throws `Error` for
/// settings out of range and for a base of another dimension.
LogPartition annealed_log_partition(const SamplingNetwork& network, const GaussianBase& base,
                                    const Annealing& annealing, std::uint64_t seed);

}  // namespace tarn
