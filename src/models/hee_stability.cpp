#include "tarn/models/hee_stability.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "tarn/core/error.hpp"
#include "tarn/models/exponential_family.hpp"
#include "tarn/models/hee_reading.hpp"

namespace tarn {
namespace {

ExponentialFamily family_of(const HeeLayer& layer) { return ExponentialFamily(layer.family, layer.parameters); }

// Natural parameters of a layer at zero input from above, `[n_l]`.
std::vector<double> resting_eta(const HeeParameters& p, std::size_t l) {
  const ExponentialFamily family = family_of(p.layers[l]);
  std::vector<double> eta;
  for (std::int64_t u = 0; u < p.layers[l].size; ++u) eta.push_back(family.link(p.b[l](0, u)));
  return eta;
}

double steepest_slope(const HeeLayer& layer) { return layer.nonlinearity == Nonlinearity::sigmoid ? 0.25 : 1.0; }

// Largest eigenvalue of W^T diag(weight) W by power iteration; from below, within some percent.
double message_curvature(const Matrix<float>& W, const std::vector<double>& weight) {
  constexpr int n_iterations = 60;
  const auto n = static_cast<std::size_t>(W.cols());
  std::vector<double> v(n), next(n);
  for (std::size_t j = 0; j < n; ++j) v[j] = 1.0 + 0.5 * std::sin(static_cast<double>(j));  // along no axis
  double eigenvalue = 0.0;
  for (int i = 0; i < n_iterations; ++i) {
    double norm = 0.0;
    for (const double value : v) norm += value * value;
    norm = std::sqrt(norm);
    if (norm == 0.0) return 0.0;
    std::fill(next.begin(), next.end(), 0.0);
    for (std::int64_t r = 0; r < W.rows(); ++r) {
      double sum = 0.0;
      for (std::size_t j = 0; j < n; ++j) sum += W.row(r)[j] * v[j];
      sum *= weight[static_cast<std::size_t>(r)] / norm;
      for (std::size_t j = 0; j < n; ++j) next[j] += sum * W.row(r)[j];
    }
    eigenvalue = 0.0;
    for (std::size_t j = 0; j < n; ++j) eigenvalue += next[j] * v[j] / norm;
    std::swap(v, next);
  }
  return eigenvalue;
}

double layer_curvature(const HeeParameters& p, std::size_t l) {
  double prior = 0.0;
  for (const double eta : resting_eta(p, l)) prior = std::max(prior, largest_prior_curvature(p.layers[l], eta));
  std::vector<double> response;
  for (const double eta : resting_eta(p, l - 1)) response.push_back(response_curvature(p.layers[l - 1], eta));
  const double slope = steepest_slope(p.layers[l]);
  return prior + slope * slope * message_curvature(p.W[l - 1], response);
}

}  // namespace

double largest_prior_curvature(const HeeLayer& layer, double eta) {
  const FamilyParameters& q = layer.parameters;
  switch (layer.family) {
    case Family::laplace:
      return q.rate / q.width;
    case Family::gaussian_scale:
      return eta;
    case Family::laplace_scale:
      return eta / q.width;
    case Family::quartic:  // 3 x^2 - c, about two standard deviations out
      return 3.0 * (std::max(q.c, 0.0) + 2.0) - q.c;
    case Family::gaussian:
    case Family::rectified:
      break;
  }
  return 1.0 / (q.s * q.s);
}

double response_curvature(const HeeLayer& layer, double eta) {
  const ExponentialFamily family = family_of(layer);
  // g' as a function of eta: the links are the identity, r tanh(a) and e + softplus(a)
  double slope = 1.0;
  if (layer.family == Family::laplace) {
    const double reach = families::Laplace::reach * layer.parameters.rate;
    slope = reach - eta * eta / reach;
  } else if (layer.family == Family::gaussian_scale || layer.family == Family::laplace_scale) {
    slope = -std::expm1(families::GaussianScale::least_eta - eta);  // sigmoid(a), with eta = e + log(1 + exp(a))
  }
  return family.variance(eta) * slope * slope;
}

double largest_curvature(const HeeParameters& parameters) {
  double largest = 0.0;
  for (std::size_t l = 1; l < parameters.layers.size(); ++l)
    largest = std::max(largest, layer_curvature(parameters, l));
  return largest;
}

std::vector<Separation> separations(const HeeParameters& parameters, double tau_ratio,
                                    std::span<const Matrix<float>> x) {
  std::vector<Separation> found;
  for (std::size_t l = 0; l + 1 < parameters.layers.size(); ++l) {
    std::vector<double> eta;
    if (x.empty()) {
      eta = resting_eta(parameters, l);
    } else {
      const Matrix<double> all = natural_parameters(parameters, static_cast<int>(l), x);
      std::copy_if(all.data(), all.data() + all.size(), std::back_inserter(eta),
                   [](double v) { return std::isfinite(v); });
    }
    if (eta.empty()) continue;
    std::sort(eta.begin(), eta.end());
    Separation s;
    s.layer = static_cast<int>(l);
    s.gap = std::numeric_limits<double>::infinity();
    const ExponentialFamily family = family_of(parameters.layers[l]);
    for (const double share : {0.01, 0.25, 0.5, 0.75, 0.99}) {
      const double value = eta[static_cast<std::size_t>(share * static_cast<double>(eta.size() - 1))];
      const double gap = family.spectral_gap(value);
      if (gap < s.gap) {
        s.gap = gap;
        s.eta = value;
      }
    }
    s.interneuron_rate = s.gap / tau_ratio;
    s.neuron_rate = layer_curvature(parameters, l + 1);
    found.push_back(s);
  }
  return found;
}

}  // namespace tarn
