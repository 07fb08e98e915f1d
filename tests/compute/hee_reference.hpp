// The dynamics of inference and the sums of the local rule, restated plainly in double: what every backend's session is held against.
#pragma once

#include <cmath>
#include <cstdint>
#include <vector>

#include "tarn/compute/hee.hpp"
#include "tarn/core/noise.hpp"
#include "tarn/models/exponential_family.hpp"

namespace tarn::test {

using Table = std::vector<std::vector<double>>;  // [row][unit]

inline double activated(const std::optional<Nonlinearity>& f, double x) {
  if (!f) return x;
  switch (*f) {
    case Nonlinearity::relu:
      return x > 0.0 ? x : 0.0;
    case Nonlinearity::leaky_relu:
      return x > 0.0 ? x : 0.01 * x;
    case Nonlinearity::tanh:
      return std::tanh(x);
    case Nonlinearity::softplus:
      return std::log1p(std::exp(x));
    case Nonlinearity::sigmoid:
      return 1.0 / (1.0 + std::exp(-x));
  }
  return x;
}
inline double activated_slope(const std::optional<Nonlinearity>& f, double x) {
  if (!f) return 1.0;
  switch (*f) {
    case Nonlinearity::relu:
      return x > 0.0 ? 1.0 : 0.0;
    case Nonlinearity::leaky_relu:
      return x > 0.0 ? 1.0 : 0.01;
    case Nonlinearity::tanh:
      return 1.0 - std::tanh(x) * std::tanh(x);
    case Nonlinearity::softplus:
      return 1.0 / (1.0 + std::exp(-x));
    case Nonlinearity::sigmoid:
      return activated(f, x) * (1.0 - activated(f, x));
  }
  return 1.0;
}

/// Normals of one step `[n_rows, n]`.
inline Matrix<float> normals_of(std::uint64_t seed, Stream stream, std::uint64_t chain, std::uint64_t step,
                                std::int64_t n_rows, std::int64_t n) {
  Matrix<float> xi(n_rows, n);
  fill_normals(seed, stream, chain, step, 1, xi);
  return xi;
}

class HeeReference {
 public:
  std::vector<Table> x, e, v;  // of each layer; e and v empty where there are none
  std::vector<Table> dW, db;   // sums over chain-steps: dW[l - 1] [n_{l-1}][n_l], db[l] [1][n_l]

  HeeReference(const HeeParameters& p, const HeeDynamics& d, std::uint64_t first_chain)
      : p_(p), d_(d), first_chain_(first_chain) {
    for (const HeeLayer& layer : p.layers) laws_.emplace_back(layer.family, layer.parameters);
  }

  void start(std::int64_t n_rows) {
    n_rows_ = n_rows;
    const auto zeros = [&](std::size_t rows, std::int64_t cols) {
      return Table(rows, std::vector<double>(static_cast<std::size_t>(cols), 0.0));
    };
    const auto rows = static_cast<std::size_t>(n_rows);
    for (std::size_t l = 0; l < p_.layers.size(); ++l) {
      const std::int64_t n = p_.layers[l].size;
      x.push_back(zeros(rows, n));
      v.push_back(zeros(rows, n));
      e.push_back(zeros(rows, n * d_.per_unit));
      db.push_back(zeros(1, n));
      if (l > 0) dW.push_back(zeros(static_cast<std::size_t>(p_.layers[l - 1].size), n));
    }
  }

  void step(std::uint64_t seed, std::uint64_t n) {
    const std::size_t L = p_.layers.size() - 1;
    std::vector<Table> eta(L + 1), error(L);
    for (std::size_t l = 0; l <= L; ++l) {
      eta[l] = x[l];
      if (l < L) error[l] = x[l];
      for (std::size_t r = 0; r < x[l].size(); ++r) {
        for (std::size_t i = 0; i < x[l][r].size(); ++i) {
          double a = at(p_.b[l], 0, i);
          for (std::size_t j = 0; l < L && j < x[l + 1][r].size(); ++j)
            a += activated(p_.layers[l + 1].nonlinearity, x[l + 1][r][j]) * at(p_.W[l], i, j);
          eta[l][r][i] = laws_[l].link(a);
          if (l < L) error[l][r][i] = laws_[l].link_derivative(a);  // times the rest, below
        }
      }
      if (l < L) finish_errors(l, eta[l], error[l], seed, n);
    }
    if (d_.only_layer < 0) average(eta[0]);
    std::vector<Table> drift(L + 1);
    for (std::size_t l = d_.free_observation ? 0 : 1; l <= L; ++l) {
      drift[l] = x[l];
      for (std::size_t r = 0; r < x[l].size(); ++r) {
        for (std::size_t j = 0; j < x[l][r].size(); ++j) {
          const double at_x = x[l][r][j];
          double message = 0.0;
          for (std::size_t i = 0; l > 0 && d_.only_layer < 0 && i < x[l - 1][r].size(); ++i)
            message += error[l - 1][r][i] * at(p_.W[l - 1], i, j);
          drift[l][r][j] = activated_slope(p_.layers[l].nonlinearity, at_x) * message +
                           laws_[l].statistic_derivative(at_x) * eta[l][r][j] + laws_[l].log_base_derivative(at_x);
        }
      }
    }
    for (std::size_t r = 0; r < static_cast<std::size_t>(n_rows_); ++r) add_statistics(r, eta[L], error);
    move(drift, seed, n);
  }

 private:
  static double at(const Matrix<float>& m, std::size_t i, std::size_t j) {
    return static_cast<double>(m(static_cast<std::int64_t>(i), static_cast<std::int64_t>(j)));
  }

  void finish_errors(std::size_t l, const Table& eta, Table& error, std::uint64_t seed, std::uint64_t n) {
    const ExponentialFamily& law = laws_[l];
    const std::int64_t M = d_.per_unit, n_units = p_.layers[l].size;
    Table mean = eta;
    for (auto& row : mean) std::fill(row.begin(), row.end(), 0.0);
    const bool sampled = d_.interneurons == Interneurons::sampled;
    const double dt = static_cast<double>(d_.dt) / d_.substeps / static_cast<double>(d_.tau_ratio);
    for (int substep = 0; sampled && substep < d_.substeps; ++substep) {
      const auto xi = normals_of(seed, stream_of_layer(Stream::interneurons, static_cast<int>(l)), first_chain_,
                                 n * static_cast<std::uint64_t>(d_.substeps) + static_cast<std::uint64_t>(substep),
                                 n_rows_, n_units * M);
      for (std::size_t r = 0; r < eta.size(); ++r) {
        for (std::size_t k = 0; k < e[l][r].size(); ++k) {
          const std::size_t unit = k / static_cast<std::size_t>(M);
          e[l][r][k] = relaxed(law, e[l][r][k], eta[r][unit], at(xi, r, k), dt);
          mean[r][unit] += law.statistic(e[l][r][k]) / (static_cast<double>(M) * d_.substeps);
        }
      }
    }
    for (std::size_t r = 0; r < eta.size(); ++r) {
      for (std::size_t i = 0; i < eta[r].size(); ++i) {
        const double m = sampled ? mean[r][i] : law.mean_statistic(eta[r][i]);
        error[r][i] *= law.statistic(x[l][r][i]) - m;
      }
    }
  }

  // A step of an interneuron: exact where it is an Ornstein-Uhlenbeck process.
  static double relaxed(const ExponentialFamily& law, double e, double eta, double xi, double dt) {
    const bool gaussian = law.family() == Family::gaussian, scale = law.family() == Family::gaussian_scale;
    if (gaussian || scale) {
      const double gap = gaussian ? 1.0 / (law.parameters().s * law.parameters().s) : eta;
      const double mean = gaussian ? eta : 0.0, decay = std::exp(-gap * dt);
      return mean + decay * (e - mean) + std::sqrt((1.0 - decay * decay) / gap) * xi;
    }
    const double next =
        e + dt * (law.statistic_derivative(e) * eta + law.log_base_derivative(e)) + std::sqrt(2.0 * dt) * xi;
    return law.family() == Family::rectified ? std::abs(next) : next;
  }

  // The mean of eta_0 over the steps since the observation moved, in its place where it moves now.
  void average(Table& eta) {
    ++n_averaged_;
    if (eta_sum_.empty()) eta_sum_ = Table(eta.size(), std::vector<double>(eta[0].size(), 0.0));
    for (std::size_t r = 0; r < eta.size(); ++r) {
      for (std::size_t i = 0; i < eta[r].size(); ++i) {
        eta_sum_[r][i] += eta[r][i];
        eta[r][i] = eta_sum_[r][i] / n_averaged_;
      }
    }
    if (n_averaged_ < d_.observation_every) return;
    eta_sum_.clear();
    n_averaged_ = 0;
  }

  // Whether layer l moves in this step.
  bool moves(std::size_t l) const {
    if (d_.only_layer >= 0) return static_cast<int>(l) == d_.only_layer;
    return l > 0 || (d_.free_observation && n_averaged_ == 0);
  }

  void add_statistics(std::size_t r, const Table& top_eta, const std::vector<Table>& error) {
    const std::size_t L = p_.layers.size() - 1;
    for (std::size_t l = 0; l <= L; ++l) {
      for (std::size_t i = 0; i < x[l][r].size(); ++i) {
        if (l == L) {
          const double slope = laws_[L].link_derivative(at(p_.b[L], 0, i));
          db[L][0][i] += (laws_[L].statistic(x[L][r][i]) - laws_[L].mean_statistic(top_eta[r][i])) * slope;
          continue;
        }
        db[l][0][i] += error[l][r][i];
        for (std::size_t j = 0; j < x[l + 1][r].size(); ++j)
          dW[l][i][j] += error[l][r][i] * activated(p_.layers[l + 1].nonlinearity, x[l + 1][r][j]);
      }
    }
  }

  void move(const std::vector<Table>& drift, std::uint64_t seed, std::uint64_t n) {
    const int first = d_.free_observation ? 0 : 1;
    const std::int64_t n_units = n_units_from(p_, first);
    const bool shared = d_.integrator == Integrator::leimkuhler_matthews;
    const auto xi = normals_of(seed, Stream::dynamics, first_chain_, n, n_rows_, n_units);
    std::size_t component = 0;
    const auto move_layer = [&](std::size_t l) {
      if (!moves(l)) {
        component += x[l][0].size();
        return;
      }
      const auto dt = static_cast<double>(l == 0 && d_.observation_dt > 0.0f ? d_.observation_dt : d_.dt);
      const std::uint64_t later = l == 0 ? static_cast<std::uint64_t>(d_.observation_every) : 1;
      const auto next = normals_of(seed, Stream::dynamics, first_chain_, n + later, n_rows_, n_units);
      const bool reflected = p_.layers[l].family == Family::rectified;
      for (std::size_t i = 0; i < x[l][0].size(); ++i, ++component) {
        for (std::size_t r = 0; r < x[l].size(); ++r) {
          double &at_x = x[l][r][i], &at_v = v[l][r][i];
          const double F = drift[l][r][i], noise = at(xi, r, component);
          if (d_.integrator == Integrator::baoab) {
            const auto glide = [&] {
              at_x += 0.5 * dt * at_v;
              if (reflected && at_x < 0.0) at_x = -at_x, at_v = -at_v;
            };
            at_v += dt * F;
            glide();
            const double decay = std::exp(-static_cast<double>(d_.friction) * dt);
            at_v = decay * at_v + std::sqrt(1.0 - decay * decay) * noise;
            glide();
            continue;
          }
          const double before = at_x, current = at_v;
          if (d_.adaptation_strength != 0.0f)
            at_v += dt / static_cast<double>(d_.adaptation_tau) *
                    (static_cast<double>(d_.adaptation_strength) * before - current);
          at_x += dt * (F - current);
          at_x += shared ? std::sqrt(0.5 * dt) * (noise + at(next, r, component)) : std::sqrt(2.0 * dt) * noise;
          if (reflected) at_x = std::abs(at_x);
        }
      }
    };
    for (std::size_t l = 1; l < p_.layers.size(); ++l) move_layer(l);
    if (first == 0) move_layer(0);
  }

  HeeParameters p_;
  HeeDynamics d_;
  std::uint64_t first_chain_;
  std::int64_t n_rows_ = 0;
  std::vector<ExponentialFamily> laws_;
  Table eta_sum_;
  int n_averaged_ = 0;
};

}  // namespace tarn::test
