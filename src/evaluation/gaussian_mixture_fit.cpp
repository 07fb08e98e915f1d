#include "tarn/evaluation/gaussian_mixture_fit.hpp"

#include <cblas.h>
#include <lapacke.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>
#include <numeric>

#include "evaluation_noise.hpp"
#include "tarn/core/error.hpp"
#include "tarn/core/noise.hpp"

namespace tarn {
namespace {

using Indices = std::vector<std::int64_t>;

std::size_t at(std::int64_t i) { return static_cast<std::size_t>(i); }

double squared_distance(const float* x, const double* centre, std::int64_t D) {
  double sum = 0.0;
  for (std::int64_t j = 0; j < D; ++j) sum += (x[j] - centre[j]) * (x[j] - centre[j]);
  return sum;
}

// Rows as first centres, each drawn with probability proportional to its squared distance to the nearest one so far.
Matrix<double> first_centres(MatrixView<const float> x, std::int64_t K, std::uint64_t seed) {
  Matrix<double> centres(K, x.cols);
  std::vector<double> nearest(at(x.rows), 1.0);
  for (std::int64_t k = 0; k < K; ++k) {
    Matrix<std::uint32_t> word(1, 1);
    fill_words(seed, Stream::evaluation, evaluation_chain(EvaluationNoise::mixture_start, 0),
               static_cast<std::uint64_t>(k), 1, word.view());
    const double total = std::accumulate(nearest.begin(), nearest.end(), 0.0);
    double left = uniform_from_word(word(0, 0)) * total;
    std::int64_t chosen = 0;
    for (std::int64_t i = 0; i < x.rows; ++i) {
      if (nearest[at(i)] <= 0.0) continue;
      chosen = i;
      left -= nearest[at(i)];
      if (left < 0.0) break;
    }
    for (std::int64_t j = 0; j < x.cols; ++j) centres(k, j) = x(chosen, j);
#pragma omp parallel for schedule(static)
    for (std::int64_t i = 0; i < x.rows; ++i) {
      const double d = squared_distance(x.row(i), centres.row(k), x.cols);
      nearest[at(i)] = k == 0 ? d : std::min(nearest[at(i)], d);
    }
  }
  return centres;
}

// For each row the number of the nearest centre.
Indices nearest_centres(MatrixView<const float> x, const Matrix<double>& centres) {
  constexpr std::int64_t tile = 512;
  const std::int64_t K = centres.rows(), D = x.cols;
  Matrix<float> c(K, D);
  std::vector<float> half_norms(at(K), 0.0f);
  for (std::int64_t k = 0; k < K; ++k) {
    double norm = 0.0;
    for (std::int64_t j = 0; j < D; ++j) {
      c(k, j) = static_cast<float>(centres(k, j));
      norm += 0.5 * centres(k, j) * centres(k, j);
    }
    half_norms[at(k)] = static_cast<float>(norm);
  }
  Indices nearest(at(x.rows));
#pragma omp parallel for schedule(static)
  for (std::int64_t begin = 0; begin < x.rows; begin += tile) {
    const std::int64_t n = std::min(tile, x.rows - begin);
    Matrix<float> products(n, K);
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, static_cast<int>(n), static_cast<int>(K), static_cast<int>(D),
                1.0f, x.row(begin), static_cast<int>(D), c.data(), static_cast<int>(D), 0.0f, products.data(),
                static_cast<int>(K));
    for (std::int64_t i = 0; i < n; ++i) {
      std::int64_t best = 0;
      for (std::int64_t k = 1; k < K; ++k) {
        if (products(i, k) - half_norms[at(k)] > products(i, best) - half_norms[at(best)]) best = k;
      }
      nearest[at(begin + i)] = best;
    }
  }
  return nearest;
}

std::vector<Indices> groups_of(const Indices& component, std::int64_t K) {
  std::vector<Indices> groups(at(K));
  for (std::size_t i = 0; i < component.size(); ++i) groups[at(component[i])].push_back(static_cast<std::int64_t>(i));
  return groups;
}

// What an expectation step knows of the rows whose best component was `c`: responsibilities `[n, G]` of the candidates.
struct Group {
  Indices rows;
  Indices candidates;
  Matrix<double> responsibility;
  double log_likelihood = 0.0;  // sum over the rows
};

class Fitter {
 public:
  Fitter(MatrixView<const float> x, const MixtureFitSettings& settings) : x_(x), settings_(settings) {
    const std::int64_t D = x.cols;
    std::vector<double> mean(at(D), 0.0);
    for (std::int64_t i = 0; i < x.rows; ++i) {
      for (std::int64_t j = 0; j < D; ++j) mean[at(j)] += x(i, j) / static_cast<double>(x.rows);
    }
    double variance = 0.0;
    for (std::int64_t i = 0; i < x.rows; ++i) variance += squared_distance(x.row(i), mean.data(), D);
    variance /= static_cast<double>(x.size());
    require(std::isfinite(variance) && variance > 0.0,
            "a mixture cannot be fitted to rows that are all the same or not finite");
    floor_ = settings.floor * variance;
  }

  MixtureFit operator()(std::uint64_t seed) {
    const std::int64_t K = settings_.n_components, D = x_.cols;
    fit_.n_rows = x_.rows;
    fit_.weights.assign(at(K), 1.0 / static_cast<double>(K));
    fit_.means = first_centres(x_, K, seed);
    fit_.factors.assign(at(K), Matrix<double>());
    for (Matrix<double>& L : fit_.factors) {
      L = Matrix<double>(D, D);
      for (std::int64_t j = 0; j < D; ++j) L(j, j) = std::sqrt(floor_ / settings_.floor);
    }
    Indices best = nearest_centres(x_, fit_.means);
    for (std::int64_t round = 0; round < settings_.n_start; ++round) {
      average(groups_of(best, K));
      best = nearest_centres(x_, fit_.means);
    }
    maximise(certain(groups_of(best, K)));
    double before = -std::numeric_limits<double>::infinity();
    for (; fit_.n_iterations < settings_.n_iterations; ++fit_.n_iterations) {
      const std::vector<Group> groups = expect(groups_of(best, K), best);
      double total = 0.0;
      for (const Group& group : groups) total += group.log_likelihood;
      fit_.mean_log_likelihood = total / static_cast<double>(x_.rows);
      if (fit_.mean_log_likelihood - before < settings_.tolerance) break;
      before = fit_.mean_log_likelihood;
      maximise(groups);
    }
    return std::move(fit_);
  }

 private:
  // One round of k-means.
  void average(const std::vector<Indices>& groups) {
    for (std::size_t k = 0; k < groups.size(); ++k) {
      if (groups[k].empty()) continue;
      double* mean = fit_.means.row(static_cast<std::int64_t>(k));
      std::fill_n(mean, x_.cols, 0.0);
      for (const std::int64_t i : groups[k]) {
        for (std::int64_t j = 0; j < x_.cols; ++j) mean[j] += x_(i, j) / static_cast<double>(groups[k].size());
      }
    }
  }

  static std::vector<Group> certain(std::vector<Indices> groups) {
    std::vector<Group> result;
    for (std::size_t k = 0; k < groups.size(); ++k) {
      Group group{std::move(groups[k]), {static_cast<std::int64_t>(k)}, {}, 0.0};
      group.responsibility = Matrix<double>(static_cast<std::int64_t>(group.rows.size()), 1);
      std::fill_n(group.responsibility.data(), group.responsibility.size(), 1.0);
      result.push_back(std::move(group));
    }
    return result;
  }

  // The components whose means are nearest to that of component c, itself first.
  Indices neighbours(std::int64_t c) const {
    const std::int64_t K = fit_.means.rows();
    std::vector<std::pair<double, std::int64_t>> order;
    for (std::int64_t k = 0; k < K; ++k) {
      double d = 0.0;
      for (std::int64_t j = 0; j < x_.cols; ++j) d += std::pow(fit_.means(k, j) - fit_.means(c, j), 2);
      order.emplace_back(k == c ? -1.0 : d, k);
    }
    std::sort(order.begin(), order.end());
    Indices result;
    for (std::int64_t g = 0; g < std::min(settings_.n_neighbours, K); ++g) result.push_back(order[at(g)].second);
    return result;
  }

  std::vector<Group> expect(std::vector<Indices> rows_of, Indices& best) const {
    const std::int64_t K = fit_.means.rows(), D = x_.cols;
    // y = x W^T - offset is white under its component
    std::vector<Matrix<float>> whitening(at(K));
    std::vector<std::vector<float>> offset(at(K));
    std::vector<double> constant(at(K));
#pragma omp parallel for schedule(dynamic)
    for (std::int64_t k = 0; k < K; ++k) {
      Matrix<double> inverse = fit_.factors[at(k)];
      const auto d = static_cast<lapack_int>(D);
      LAPACKE_dtrtri(LAPACK_ROW_MAJOR, 'L', 'N', d, inverse.data(), d);
      Matrix<float> W(D, D);
      std::vector<float> shift(at(D));
      double sum = std::log(std::max(fit_.weights[at(k)], 1e-300)) -
                   0.5 * static_cast<double>(D) * std::log(2.0 * std::numbers::pi);
      for (std::int64_t i = 0; i < D; ++i) {
        double moved = 0.0;
        for (std::int64_t j = 0; j <= i; ++j) {
          W(i, j) = static_cast<float>(inverse(i, j));
          moved += inverse(i, j) * fit_.means(k, j);
        }
        shift[at(i)] = static_cast<float>(moved);
        sum += std::log(inverse(i, i));
      }
      whitening[at(k)] = std::move(W);
      offset[at(k)] = std::move(shift);
      constant[at(k)] = sum;
    }
    std::vector<Group> groups(at(K));
#pragma omp parallel for schedule(dynamic)
    for (std::int64_t c = 0; c < K; ++c) {
      Group& group = groups[at(c)];
      group.rows = std::move(rows_of[at(c)]);
      group.candidates = neighbours(c);
      const auto n = static_cast<std::int64_t>(group.rows.size()),
                 G = static_cast<std::int64_t>(group.candidates.size());
      group.responsibility = Matrix<double>(n, G);
      constexpr std::int64_t tile = 1024;
      Matrix<float> x(std::min(n, tile), D), y(std::min(n, tile), D);
      for (std::int64_t begin = 0; begin < n; begin += tile) {
        const std::int64_t rows = std::min(tile, n - begin);
        for (std::int64_t i = 0; i < rows; ++i) std::copy_n(x_.row(group.rows[at(begin + i)]), D, x.row(i));
        for (std::int64_t g = 0; g < G; ++g) {
          const std::int64_t k = group.candidates[at(g)];
          const auto d = static_cast<int>(D);
          for (std::int64_t i = 0; i < rows; ++i) std::copy_n(offset[at(k)].data(), D, y.row(i));
          cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, static_cast<int>(rows), d, d, 1.0f, x.data(), d,
                      whitening[at(k)].data(), d, -1.0f, y.data(), d);
          for (std::int64_t i = 0; i < rows; ++i) {
            float square = 0.0f;
            for (std::int64_t j = 0; j < D; ++j) square += y(i, j) * y(i, j);
            group.responsibility(begin + i, g) = constant[at(k)] - 0.5 * static_cast<double>(square);
          }
        }
      }
      for (std::int64_t i = 0; i < n; ++i) {
        double* r = group.responsibility.row(i);
        const std::int64_t top = std::max_element(r, r + G) - r;
        const double largest = r[top];
        double sum = 0.0;
        for (std::int64_t g = 0; g < G; ++g) sum += r[g] = std::exp(r[g] - largest);
        for (std::int64_t g = 0; g < G; ++g) r[g] /= sum;
        group.log_likelihood += largest + std::log(sum);
        best[at(group.rows[at(i)])] = group.candidates[at(top)];
      }
    }
    return groups;
  }

  void maximise(const std::vector<Group>& groups) {
    constexpr double least = 1e-8;  // a responsibility that moves nothing
    const std::int64_t K = fit_.means.rows(), D = x_.cols;
    // where a component stands among the candidates of each group
    std::vector<std::vector<std::pair<std::size_t, std::int64_t>>> places(at(K));
    for (std::size_t c = 0; c < groups.size(); ++c) {
      for (std::size_t g = 0; g < groups[c].candidates.size(); ++g)
        places[at(groups[c].candidates[g])].emplace_back(c, static_cast<std::int64_t>(g));
    }
#pragma omp parallel for schedule(dynamic)
    for (std::int64_t k = 0; k < K; ++k) {
      std::vector<std::pair<std::int64_t, double>> members;
      double weight = 0.0;
      for (const auto& [c, g] : places[at(k)]) {
        for (std::size_t i = 0; i < groups[c].rows.size(); ++i) {
          const double r = groups[c].responsibility(static_cast<std::int64_t>(i), g);
          if (r < least) continue;
          members.emplace_back(groups[c].rows[i], r);
          weight += r;
        }
      }
      fit_.weights[at(k)] = weight / static_cast<double>(x_.rows);
      if (weight < least) continue;  // nobody's: it stays where it is
      std::vector<double> mean(at(D), 0.0);
      for (const auto& [row, r] : members) {
        for (std::int64_t j = 0; j < D; ++j) mean[at(j)] += r * x_(row, j);
      }
      for (std::int64_t j = 0; j < D; ++j) fit_.means(k, j) = mean[at(j)] /= weight;
      Matrix<double>& C = fit_.factors[at(k)];
      std::fill_n(C.data(), C.size(), 0.0);
      constexpr std::int64_t tile = 1024;
      const auto n = static_cast<std::int64_t>(members.size());
      Matrix<double> part(std::min(n, tile), D);
      const auto d = static_cast<int>(D);
      for (std::int64_t begin = 0; begin < n; begin += tile) {
        const std::int64_t rows = std::min(tile, n - begin);
        for (std::int64_t i = 0; i < rows; ++i) {
          const auto& [row, r] = members[at(begin + i)];
          const double root = std::sqrt(r / weight);
          for (std::int64_t j = 0; j < D; ++j) part(i, j) = root * (x_(row, j) - mean[at(j)]);
        }
        cblas_dsyrk(CblasRowMajor, CblasLower, CblasTrans, d, static_cast<int>(rows), 1.0, part.data(), d, 1.0,
                    C.data(), d);
      }
      for (std::int64_t j = 0; j < D; ++j) C(j, j) += floor_;
      LAPACKE_dpotrf(LAPACK_ROW_MAJOR, 'L', d, C.data(), d);  // positive definite by the floor
    }
    const double total = std::accumulate(fit_.weights.begin(), fit_.weights.end(), 0.0);
    for (double& weight : fit_.weights) weight /= total;
  }

  MatrixView<const float> x_;
  MixtureFitSettings settings_;
  double floor_ = 0.0;
  MixtureFit fit_;
};

}  // namespace

MixtureFit fit_gaussian_mixture(MatrixView<const float> rows, const MixtureFitSettings& s, std::uint64_t seed) {
  require(
      s.n_components >= 1 && s.n_neighbours >= 1 && s.n_start >= 0 && s.n_iterations >= 1 && s.tolerance >= 0.0 &&
          s.floor > 0.0 && std::isfinite(s.floor),
      "a mixture needs components, neighbours and iterations from 1 up and a floor above 0; found {}, {}, {} and {}",
      s.n_components, s.n_neighbours, s.n_iterations, s.floor);
  require(rows.cols >= 1 && rows.rows > s.n_components, "a mixture of {} components cannot be fitted to {} rows of {}",
          s.n_components, rows.rows, rows.cols);
  return Fitter(rows, s)(seed);
}

std::vector<double> log_density(const MixtureFit& fit, MatrixView<const float> rows) {
  const std::int64_t K = fit.means.rows(), D = fit.dimension();
  require(rows.cols == D, "a mixture in {} dimensions has no density at rows of {}", D, rows.cols);
  std::vector<double> result(at(rows.rows));
#pragma omp parallel for schedule(static)
  for (std::int64_t i = 0; i < rows.rows; ++i) {
    std::vector<double> of_component, y(at(D));
    for (std::int64_t k = 0; k < K; ++k) {
      const Matrix<double>& L = fit.factors[at(k)];
      double sum = std::log(fit.weights[at(k)]) - 0.5 * static_cast<double>(D) * std::log(2.0 * std::numbers::pi);
      for (std::int64_t a = 0; a < D; ++a) {
        double left = rows(i, a) - fit.means(k, a);
        for (std::int64_t b = 0; b < a; ++b) left -= L(a, b) * y[at(b)];
        y[at(a)] = left / L(a, a);
        sum -= 0.5 * y[at(a)] * y[at(a)] + std::log(L(a, a));
      }
      of_component.push_back(sum);
    }
    const double largest = *std::max_element(of_component.begin(), of_component.end());
    double sum = 0.0;
    for (const double value : of_component) sum += std::exp(value - largest);
    result[at(i)] = largest + std::log(sum);
  }
  return result;
}

Matrix<float> mixture_draws(const MixtureFit& fit, std::int64_t n, std::uint64_t seed) {
  const std::int64_t K = fit.means.rows(), D = fit.dimension();
  const std::uint64_t chain = evaluation_chain(EvaluationNoise::mixture, 0),
                      chain_of_words = evaluation_chain(EvaluationNoise::mixture, std::uint64_t{1} << 39);
  Matrix<std::uint32_t> words(n, 1);
  Matrix<float> normals(n, D), draws(n, D);
  fill_words(seed, Stream::evaluation, chain_of_words, 0, 1, words.view());
  fill_normals(seed, Stream::evaluation, chain, 0, 1, normals.view());
  Indices component(at(n));
  for (std::int64_t i = 0; i < n; ++i) {
    double left = uniform_from_word(words(i, 0));
    std::int64_t k = 0;
    while (k + 1 < K && left >= fit.weights[at(k)]) left -= fit.weights[at(k++)];
    component[at(i)] = k;
  }
#pragma omp parallel for schedule(static)
  for (std::int64_t i = 0; i < n; ++i) {
    const std::int64_t k = component[at(i)];
    const Matrix<double>& L = fit.factors[at(k)];
    for (std::int64_t a = 0; a < D; ++a) {
      double sum = fit.means(k, a);
      for (std::int64_t b = 0; b <= a; ++b) sum += L(a, b) * normals(i, b);
      draws(i, a) = static_cast<float>(sum);
    }
  }
  return draws;
}

}  // namespace tarn
