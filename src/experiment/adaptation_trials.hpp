// Latents of an HEE under one law, run by several dynamics: what the comparison with and without adaptation is made of. Private to the
// evaluation.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "tarn/compute/backend.hpp"
#include "tarn/compute/hee.hpp"
#include "tarn/evaluation/sampler_speed.hpp"

namespace tarn {

/// The posteriors of some data under a model: what chains are to sample.
struct AdaptationLaw {
  std::string key, name;  ///< "gaussian", "a Gaussian of condition number 100"
  HeeParameters parameters;
  Matrix<float> observations;  ///< `[n_data, n_0]`
  std::int64_t chains_per_datum = 1;
  // Moments to compare with: the exact ones, or those of a run with small steps.
  Matrix<double> mean;           ///< `[n_data, n_units]`
  std::vector<double> variance;  ///< `[n_units]`, within data
  std::string source;            ///< where they are from, for people
};

/// A Gaussian in `n` dimensions with precisions from 1 to `condition`, evenly spaced in the logarithm: the posterior of a linear-Gaussian
/// model, each latent with its own observation. Means lie three standard deviations from zero. Moments are exact.
AdaptationLaw gaussian_law(std::int64_t n, double condition, std::int64_t n_chains);

/// What moves the latents.
struct AdaptationMethod {
  std::string key, name;
  Integrator integrator = Integrator::euler_maruyama;
  bool has_momentum() const { return integrator == Integrator::baoab; }
  /// The largest step that a mode of this curvature bears.
  double largest_step(double curvature) const;
};
std::vector<AdaptationMethod> adaptation_methods();  ///< Euler-Maruyama, Leimkuhler-Matthews, BAOAB

/// Chains of a law under one dynamics.
class LawChains final : public RunningChains {
 public:
  /// `law` must outlive the chains. Noise is that of chains 0 on, of steps from `first_step` on.
  LawChains(const AdaptationLaw& law, Backend& backend, std::uint64_t seed, std::uint64_t first_step);

  void use(const AdaptationMethod& method, double dt, double friction);
  /// All latents at zero, momentum at rest; or at a state that was taken.
  void start_at_zero();
  void start_at(const std::vector<Matrix<float>>& latents);
  std::vector<Matrix<float>> latents() const;

  std::int64_t n_chains() const override { return law_.observations.rows() * law_.chains_per_datum; }
  std::int64_t chains_a_law() const override { return law_.chains_per_datum; }
  std::int64_t n_coordinates() const override { return n_units_; }
  void advance(std::int64_t n_steps) override;
  void read(MatrixView<float> x, std::span<float> energy) override;
  /// The latents alone.
  void read(MatrixView<float> x);

 private:
  const AdaptationLaw& law_;
  std::unique_ptr<HeeSession> session_;
  HeeDynamics dynamics_;
  std::uint64_t seed_, step_;
  std::int64_t n_units_;
  std::vector<Matrix<float>> state_;  // l = 0..L
};

/// A method at one step size.
struct AdaptationTrial {
  double dt = 0.0, share = 0.0;  ///< the step, and its share of the largest stable one
  double friction = 0.0;
  SamplerSpeed speed;
  double bias = 0.0;  ///< of the variances
  /// No chain lost, times that could be had, a bias of at most 5 %.
  bool admissible() const;
};

/// All trials of a method, and the best of those that are admissible.
struct AdaptationSearch {
  AdaptationMethod method;
  std::vector<AdaptationTrial> trials;
  const AdaptationTrial* best() const;
};

/// Looks for the step (and friction) with the shortest worst time: steps go up by a constant ratio until they are not admissible or clearly
/// past the best, frictions likewise from one per tau both ways. Chains start at `rest`, near the law; noise as in `LawChains`.
AdaptationSearch search_best_step(const AdaptationMethod& method, const AdaptationLaw& law, Backend& backend,
                                  const std::vector<Matrix<float>>& rest, std::uint64_t seed, std::uint64_t first_step);

}  // namespace tarn
