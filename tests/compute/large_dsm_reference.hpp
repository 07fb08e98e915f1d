// Loss, gradients and optimiser of denoising score matching in double, formula by formula (docs/models.md).
#pragma once

#include <cmath>
#include <vector>

#include "compute/large_reference.hpp"

namespace tarn::test {

/// Parameters in double.
struct Weights {
  std::int64_t D, U, N;
  Nonlinearity phi;
  double skew_strength;
  Matrix<double> W_in, b, V, A;  // A may be empty

  explicit Weights(const DsmParameters& p)
      : D(p.n_outputs),
        U(p.n_inputs),
        N(p.W_in.rows()),
        phi(p.phi),
        skew_strength(p.skew_strength),
        W_in(N, D + U),
        b(1, N),
        V(D, N),
        A(p.A.rows(), p.A.cols()) {
    std::copy_n(p.W_in.data(), p.W_in.size(), W_in.data());
    std::copy_n(p.b.data(), p.b.size(), b.data());
    std::copy_n(p.V.data(), p.V.size(), V.data());
    std::copy_n(p.A.data(), p.A.size(), A.data());
  }
  template <class F>
  void each(F&& f) {
    f(W_in);
    f(b);
    f(V);
    f(A);
  }
};

/// `J = strength (A - A^T) / |A - A^T|`, and `I + J`.
inline Matrix<double> reference_skew(const Weights& w, double diagonal) {
  Matrix<double> J(w.D, w.D);
  double square = 0.0;
  for (std::int64_t i = 0; i < w.D; ++i) {
    for (std::int64_t j = 0; j < w.D; ++j) {
      J(i, j) = w.A(i, j) - w.A(j, i);
      square += J(i, j) * J(i, j);
    }
  }
  for (std::int64_t i = 0; i < J.size(); ++i) J.data()[i] *= w.skew_strength / std::sqrt(square);
  for (std::int64_t i = 0; i < w.D; ++i) J(i, i) += diagonal;
  return J;
}

/// Solves `v (I + J)^T = f`, or with `transposed` `v (I + J) = f`, by elimination; `v = f` where there is no A.
inline std::vector<double> through_map(const Weights& w, std::vector<double> f, bool transposed = false) {
  if (w.A.empty()) return f;
  Matrix<double> a = reference_skew(w, 1.0);
  if (transposed) {
    for (std::int64_t i = 0; i < w.D; ++i) {
      for (std::int64_t j = 0; j < i; ++j) std::swap(a(i, j), a(j, i));
    }
  }
  const auto at = [](std::int64_t i) { return static_cast<std::size_t>(i); };
  for (std::int64_t k = 0; k < w.D; ++k) {
    for (std::int64_t i = k + 1; i < w.D; ++i) {
      const double factor = a(i, k) / a(k, k);
      for (std::int64_t j = k; j < w.D; ++j) a(i, j) -= factor * a(k, j);
      f[at(i)] -= factor * f[at(k)];
    }
  }
  for (std::int64_t k = w.D - 1; k >= 0; --k) {
    for (std::int64_t j = k + 1; j < w.D; ++j) f[at(k)] -= a(k, j) * f[at(j)];
    f[at(k)] /= a(k, k);
  }
  return f;
}

/// Rows of a step: data rows first, then confinement rows.
struct Rows {
  Matrix<double> points, targets;    ///< `[R, D+U]`, `[R, D]`
  std::vector<double> target_scale;  ///< residual = target_scale * s + target
  std::int64_t n_data = 0;
};

/// What `loss_scale` and confinement points make of the loss, as the optimiser sees it.
inline double objective(const Weights& w, const Rows& rows, const DsmLevel& level, double* loss = nullptr,
                        double* excess = nullptr) {
  double total = 0.0, data_loss = 0.0, data_excess = 0.0;
  for (std::int64_t r = 0; r < rows.points.rows(); ++r) {
    std::vector<double> s(static_cast<std::size_t>(w.D));
    for (std::int64_t d = 0; d < w.D; ++d) s[static_cast<std::size_t>(d)] = -rows.points(r, d);
    for (std::int64_t j = 0; j < w.N; ++j) {
      double u = w.b(0, j);
      for (std::int64_t k = 0; k < w.D + w.U; ++k) u += w.W_in(j, k) * rows.points(r, k);
      const double a = reference_phi(w.phi, u);
      for (std::int64_t d = 0; d < w.D; ++d) s[static_cast<std::size_t>(d)] += level.output_scale * w.V(d, j) * a;
    }
    s = through_map(w, std::move(s));
    double square = 0.0;
    for (std::int64_t d = 0; d < w.D; ++d) {
      const double score = s[static_cast<std::size_t>(d)], target = rows.targets(r, d);
      const double e = rows.target_scale[static_cast<std::size_t>(r)] * score + target;
      square += e * e;
      if (r < rows.n_data) data_excess += 0.5 * score * score + score * target;
    }
    total += 0.5 * square * (r < rows.n_data ? level.loss_scale : 1.0);
    if (r < rows.n_data) data_loss += 0.5 * square;
  }
  const auto B = static_cast<double>(rows.n_data);
  if (loss) *loss = data_loss / B;
  if (excess) *excess = data_excess / B;
  return total / B;
}

/// Gradient of `objective`, and for each entry the sum of the magnitudes of what was added up.
/// (With a J the sizes are those without it: bounds from them are for networks that have none.)
inline void gradients(const Weights& w, const Rows& rows, const DsmLevel& level, Weights& gradient, Weights& size) {
  Matrix<double> dJ(w.A.rows(), w.A.cols());
  gradient.each([](Matrix<double>& m) { std::fill_n(m.data(), m.size(), 0.0); });
  size.each([](Matrix<double>& m) { std::fill_n(m.data(), m.size(), 0.0); });
  const auto at = [](std::int64_t i) { return static_cast<std::size_t>(i); };
  for (std::int64_t r = 0; r < rows.points.rows(); ++r) {
    std::vector<double> u(at(w.N)), e(at(w.D)), e_size(at(w.D));
    for (std::int64_t d = 0; d < w.D; ++d) {
      e[at(d)] = -rows.points(r, d);
      e_size[at(d)] = std::fabs(e[at(d)]);
    }
    for (std::int64_t j = 0; j < w.N; ++j) {
      double u_size = std::fabs(w.b(0, j));
      u[at(j)] = w.b(0, j);
      for (std::int64_t k = 0; k < w.D + w.U; ++k) {
        u[at(j)] += w.W_in(j, k) * rows.points(r, k);
        u_size += std::fabs(w.W_in(j, k) * rows.points(r, k));
      }
      for (std::int64_t d = 0; d < w.D; ++d) {
        const double v = level.output_scale * w.V(d, j);
        e[at(d)] += v * reference_phi(w.phi, u[at(j)]);
        e_size[at(d)] += std::fabs(v) * (u_size + std::fabs(reference_phi(w.phi, u[at(j)])));
      }
    }
    e = through_map(w, std::move(e));
    const std::vector<double> score = e;
    const double scale = rows.target_scale[at(r)];
    const double weight =
        (r < rows.n_data ? level.loss_scale : 1.0) * scale * level.output_scale / static_cast<double>(rows.n_data);
    for (std::int64_t d = 0; d < w.D; ++d) {
      e[at(d)] = weight * (scale * e[at(d)] + rows.targets(r, d));
      e_size[at(d)] = weight * (scale * e_size[at(d)] + std::fabs(rows.targets(r, d)));
    }
    e = through_map(w, std::move(e), true);
    for (std::int64_t i = 0; i < dJ.rows(); ++i) {
      for (std::int64_t j = 0; j < dJ.rows(); ++j) dJ(i, j) -= e[at(i)] / level.output_scale * score[at(j)];
    }
    for (std::int64_t j = 0; j < w.N; ++j) {
      const double a = reference_phi(w.phi, u[at(j)]), slope = reference_slope(w.phi, u[at(j)]);
      double back = 0.0, back_size = 0.0;
      for (std::int64_t d = 0; d < w.D; ++d) {
        gradient.V(d, j) += e[at(d)] * a;
        size.V(d, j) += e_size[at(d)] * (std::fabs(a) + std::fabs(u[at(j)]));
        back += e[at(d)] * w.V(d, j);
        back_size += e_size[at(d)] * std::fabs(w.V(d, j));
      }
      gradient.b(0, j) += back * slope;
      size.b(0, j) += back_size * (1.0 + std::fabs(u[at(j)]));
      for (std::int64_t k = 0; k < w.D + w.U; ++k) {
        gradient.W_in(j, k) += back * slope * rows.points(r, k);
        size.W_in(j, k) += back_size * (1.0 + std::fabs(u[at(j)])) * std::fabs(rows.points(r, k));
      }
    }
  }
  if (w.A.empty()) return;
  // J = c K / |K|, K = A - A^T
  const Matrix<double> J = reference_skew(w, 0.0);
  double length = 0.0, along = 0.0;
  for (std::int64_t i = 0; i < w.D; ++i) {
    for (std::int64_t j = 0; j < w.D; ++j) {
      length += (w.A(i, j) - w.A(j, i)) * (w.A(i, j) - w.A(j, i));
      along += dJ(i, j) * J(i, j);
    }
  }
  const double c = w.skew_strength, factor = c / std::sqrt(length);
  for (std::int64_t i = 0; i < w.D; ++i) {
    for (std::int64_t j = 0; j < w.D; ++j) {
      const double dK = factor * (dJ(i, j) - J(i, j) * along / (c * c));
      gradient.A(i, j) += dK;
      gradient.A(j, i) -= dK;
    }
  }
}

/// Adam, AdamW and AMSGrad as their papers state them, with clipping and a running mean of the weights.
struct ReferenceOptimizer {
  OptimizerSettings settings;
  Weights first, second, largest, average;
  int t = 0;

  ReferenceOptimizer(const OptimizerSettings& s, const Weights& w)
      : settings(s), first(w), second(w), largest(w), average(w) {
    for (Weights* m : {&first, &second, &largest})
      m->each([](Matrix<double>& v) { std::fill_n(v.data(), v.size(), 0.0); });
  }
  void step(Weights& w, const Weights& gradient, double lr) {
    ++t;
    double square = 0.0;
    Weights g = gradient;
    g.each([&](Matrix<double>& m) {
      for (std::int64_t i = 0; i < m.size(); ++i) square += m.data()[i] * m.data()[i];
    });
    const double norm = std::sqrt(square);
    const double shrink = settings.clip_norm > 0.0 && norm > settings.clip_norm ? settings.clip_norm / norm : 1.0;
    double decay = settings.weight_decay;
    const auto one = [&](Matrix<double>& x, Matrix<double>& d, Matrix<double>& m, Matrix<double>& v,
                         Matrix<double>& top, Matrix<double>& mean) {
      for (std::int64_t i = 0; i < x.size(); ++i) {
        double value = shrink * d.data()[i];
        if (settings.kind == OptimizerKind::adam) value += decay * x.data()[i];
        if (settings.kind == OptimizerKind::adamw) x.data()[i] *= 1.0 - lr * decay;
        m.data()[i] = settings.beta1 * m.data()[i] + (1.0 - settings.beta1) * value;
        v.data()[i] = settings.beta2 * v.data()[i] + (1.0 - settings.beta2) * value * value;
        top.data()[i] = std::max(top.data()[i], v.data()[i]);
        const double used = settings.amsgrad ? top.data()[i] : v.data()[i];
        x.data()[i] -= lr * m.data()[i] / (1.0 - std::pow(settings.beta1, t)) /
                       (std::sqrt(used / (1.0 - std::pow(settings.beta2, t))) + settings.epsilon);
        mean.data()[i] = settings.ema * mean.data()[i] + (1.0 - settings.ema) * x.data()[i];
      }
    };
    one(w.W_in, g.W_in, first.W_in, second.W_in, largest.W_in, average.W_in);
    one(w.b, g.b, first.b, second.b, largest.b, average.b);
    one(w.V, g.V, first.V, second.V, largest.V, average.V);
    decay = 0.0;  // the size of A means nothing
    one(w.A, g.A, first.A, second.A, largest.A, average.A);
  }
};

/// Data that are a function of the step and the row alone.
class NormalSource final : public BatchSource {
 public:
  explicit NormalSource(std::int64_t n_columns) : n_columns_(n_columns) {}
  std::int64_t n_columns() const override { return n_columns_; }
  std::int64_t steps_per_epoch(std::int64_t) const override { return 1000; }
  void fill(std::int64_t first_step, std::int64_t n_steps, MatrixView<float> out) override {
    fill_normals(99, Stream::synthetic_data, 0, static_cast<std::uint64_t>(first_step), n_steps, out);
  }

 private:
  std::int64_t n_columns_;
};

/// The rows of step `step`, from the definitions in dsm.hpp.
inline Rows rows_of_step(NormalSource& source, const DsmLevel& level, std::int64_t D, std::int64_t B,
                         std::uint64_t seed, std::int64_t step) {
  const std::int64_t K = source.n_columns(), C = level.confinement_points, pair = level.antithetic ? 2 : 1;
  Matrix<float> data(B / pair, K), xi(B / pair, D);
  source.fill(step, 1, data);
  fill_normals(seed, Stream::training_noise, 0, static_cast<std::uint64_t>(step), 1, xi);
  Rows rows{Matrix<double>(B + C, K), Matrix<double>(B + C, D),
            std::vector<double>(static_cast<std::size_t>(B + C), 1.0), B};
  for (std::int64_t i = 0; i < B; ++i) {
    for (std::int64_t k = 0; k < K; ++k) rows.points(i, k) = data(i / pair, k);
    for (std::int64_t d = 0; d < D; ++d) {
      const double noise = (level.antithetic && i % 2 == 1 ? -1.0 : 1.0) * xi(i / pair, d);
      rows.points(i, d) += level.sigma * noise;
      rows.targets(i, d) = noise / level.sigma;
    }
  }
  if (C == 0) return rows;
  Matrix<float> normals(C, D + 1);
  fill_normals(seed, Stream::confinement, 0, static_cast<std::uint64_t>(step), 1, normals);
  for (std::int64_t p = 0; p < C; ++p) {
    double square = 0.0;
    for (std::int64_t d = 0; d < D; ++d) square += static_cast<double>(normals(p, d)) * normals(p, d);
    const double uniform = 0.5 * std::erfc(-normals(p, D) / std::sqrt(2.0));
    const double R =
        level.confinement_radius[0] * std::pow(level.confinement_radius[1] / level.confinement_radius[0], uniform);
    for (std::int64_t d = 0; d < D; ++d) {
      rows.points(B + p, d) = R * normals(p, d) / std::sqrt(square);
      rows.targets(B + p, d) = level.confinement_pull * normals(p, d) / std::sqrt(square);
    }
    for (std::int64_t k = D; k < K; ++k) rows.points(B + p, k) = rows.points(p % B, k);
    rows.target_scale[static_cast<std::size_t>(B + p)] = level.sigma * level.sigma / R;
  }
  return rows;
}

inline DsmParameters some_parameters(Nonlinearity phi, std::int64_t D, std::int64_t U, std::int64_t N) {
  LargeCase net(phi, D, U, N);
  return {phi, D, U, net.W_in, net.b, net.W_out};
}

}  // namespace tarn::test
