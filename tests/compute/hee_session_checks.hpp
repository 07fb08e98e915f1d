// What sessions of hierarchical models must do on any backend, held against the plain restatement.
#pragma once

#include <gtest/gtest.h>

#include <array>
#include <functional>
#include <memory>
#include <string>

#include "compute/hee_reference.hpp"

namespace tarn::test {

using MakeHee = std::function<std::unique_ptr<HeeSession>(const HeeParameters&, const HeeOptimizer&)>;

inline constexpr std::array all_families{Family::gaussian,      Family::laplace, Family::gaussian_scale,
                                         Family::laplace_scale, Family::quartic, Family::rectified};

struct HeeShape {
  std::vector<std::int64_t> sizes;  ///< observation first
  std::vector<Family> families;
  std::optional<Nonlinearity> f{};  ///< of all latent layers
};

/// Weights and biases that are normals of moderate size.
inline HeeParameters some_hee(const HeeShape& shape) {
  HeeParameters p;
  for (std::size_t l = 0; l < shape.sizes.size(); ++l) {
    HeeLayer layer;
    layer.size = shape.sizes[l];
    layer.family = shape.families[l];
    layer.parameters = {.s = 0.8, .rate = 2.5, .width = 0.3, .c = 0.7};
    if (l > 0) layer.nonlinearity = shape.f;
    p.layers.push_back(layer);
    const auto filled = [&](std::int64_t rows, std::int64_t cols, std::uint64_t step, float scale) {
      Matrix<float> m(rows, cols);
      fill_normals(5, Stream::weight_init, static_cast<std::uint64_t>(l) << 20, step, 1, m);
      for (std::int64_t i = 0; i < m.size(); ++i) m.data()[i] *= scale;
      return m;
    };
    p.b.push_back(filled(1, layer.size, 0, 0.3f));
    if (l > 0) p.W.push_back(filled(shape.sizes[l - 1], layer.size, 1, 0.5f));
  }
  return p;
}

/// A step of 0.01 tau; interneurons five times as fast.
inline HeeDynamics dynamics_of(Integrator integrator, Interneurons interneurons, int per_unit = 1, int substeps = 1) {
  HeeDynamics d;
  d.integrator = integrator;
  d.dt = 0.01f;
  d.interneurons = interneurons;
  d.tau_ratio = 0.2f;
  d.per_unit = per_unit;
  d.substeps = substeps;
  return d;
}

/// States `[n_rows, n_l]` in the range of the layer's family.
inline Matrix<float> some_states(const HeeParameters& p, int l, std::int64_t n_rows) {
  const HeeLayer& layer = p.layers[static_cast<std::size_t>(l)];
  Matrix<float> x(n_rows, layer.size);
  fill_normals(6, Stream::synthetic_data, 0, static_cast<std::uint64_t>(l), 1, x);
  for (std::int64_t i = 0; i < x.size(); ++i) {
    float& value = x.data()[i];
    value *= 0.7f;
    if (layer.family == Family::rectified) value = std::abs(value);
  }
  return x;
}

inline Matrix<float> read(const HeeSession& session, int l, std::int64_t n_rows) {
  Matrix<float> x(n_rows, session.parameters().layers[static_cast<std::size_t>(l)].size);
  session.read(l, x);
  return x;
}

/// Sets observations and latents of `some_states`.
inline void start(HeeSession& session, const HeeRows& rows) {
  const HeeParameters& p = session.parameters();
  session.set_rows(rows);
  session.set_observations(some_states(p, 0, rows.n_data));
  for (int l = 1; l <= p.n_latent_layers(); ++l) session.write(l, some_states(p, l, rows.n_rows()));
}

inline void expect_close(const Table& expected, MatrixView<const float> found, double tolerance,
                         const std::string& what) {
  ASSERT_EQ(static_cast<std::int64_t>(expected.size()), found.rows) << what;
  for (std::int64_t r = 0; r < found.rows; ++r) {
    for (std::int64_t i = 0; i < found.cols; ++i) {
      const double value = expected[static_cast<std::size_t>(r)][static_cast<std::size_t>(i)];
      ASSERT_NEAR(value, static_cast<double>(found(r, i)), tolerance * (1.0 + std::abs(value)))
          << what << ", row " << r << ", unit " << i;
    }
  }
}

/// Some steps, and the sums of the local rule over all of them, against the restatement. Rounding: single precision over sums of
/// up to a few dozen terms and a few steps, so 1e-5; a wrong term shows at 1e-2. A layer that moves alone has no such sums.
inline void expect_steps(const MakeHee& make, const HeeShape& shape, const HeeDynamics& dynamics, HeeRows rows,
                         std::int64_t n_steps = 3) {
  const HeeParameters p = some_hee(shape);
  const std::uint64_t seed = 77, first_step = 5;
  HeeReference reference(p, dynamics, rows.first_chain);
  reference.start(rows.n_rows());
  for (std::size_t l = 0; l < p.layers.size(); ++l) {
    const Matrix<float> x = some_states(p, static_cast<int>(l), l == 0 ? rows.n_data : rows.n_rows());
    for (std::size_t r = 0; r < reference.x[l].size(); ++r) {
      const std::int64_t from = static_cast<std::int64_t>(r) / (l == 0 ? rows.chains_per_datum : 1);
      for (std::size_t i = 0; i < reference.x[l][r].size(); ++i)
        reference.x[l][r][i] = static_cast<double>(x(from, static_cast<std::int64_t>(i)));
    }
  }
  for (std::int64_t t = 0; t < n_steps; ++t) reference.step(seed, first_step + static_cast<std::uint64_t>(t));

  const auto session = make(p, {});
  start(*session, rows);
  const bool learns = dynamics.only_layer < 0;
  session->infer(dynamics, {.seed = seed, .first_step = first_step, .n_steps = n_steps, .statistics = learns});
  for (std::size_t l = 0; l < p.layers.size(); ++l) {
    expect_close(reference.x[l], read(*session, static_cast<int>(l), rows.n_rows()), 2e-5,
                 "state of layer " + std::to_string(l));
  }
  if (!learns) return;
  const HeeParameters gradient = session->gradient();
  const auto n = static_cast<double>(rows.n_rows() * n_steps);
  for (auto* sums : {&reference.dW, &reference.db}) {
    for (Table& table : *sums) {
      for (auto& row : table) {
        for (double& value : row) value /= n;
      }
    }
  }
  for (std::size_t l = 0; l < p.layers.size(); ++l) {
    expect_close(reference.db[l], gradient.b[l], 2e-5, "db of layer " + std::to_string(l));
    if (l > 0) expect_close(reference.dW[l - 1], gradient.W[l - 1], 2e-5, "dW of layer " + std::to_string(l));
  }
  EXPECT_EQ(session->statistics().n_samples, rows.n_rows() * n_steps);
}

}  // namespace tarn::test
