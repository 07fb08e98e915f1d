// Hierarchical models that benches measure, on the CPU (hee_bench.cpp) and on a GPU (gpu/hee_bench.cpp).
#pragma once

#include <cstdint>
#include <cstdlib>
#include <sstream>
#include <string>
#include <vector>

#include "tarn/compute/hee.hpp"
#include "tarn/core/error.hpp"
#include "tarn/core/noise.hpp"

namespace tarn::bench {

/// `B:n_0:n_1:...[:exact|:sampled|:patches]`: B chains. exact, sampled: Gaussian layers, interneurons as named, one a unit, one substep. patches: Gaussian observation,
/// smoothed-Laplace units, exact; half of the steps collect statistics, then one step of learning.
struct HeeCase {
  std::int64_t B = 0;
  std::vector<std::int64_t> sizes;
  std::string kind = "exact";

  bool learns() const { return kind == "patches"; }
  /// Operations of a step's products, without the statistics.
  double flops() const {
    double sum = 0.0;
    for (std::size_t l = 1; l < sizes.size(); ++l)
      sum += 4.0 * static_cast<double>(sizes[l - 1] * sizes[l]) * static_cast<double>(B);
    return sum;
  }
};

/// Throws `UsageError` where the text is no case.
inline HeeCase hee_case(const std::string& text) {
  HeeCase c;
  std::istringstream fields(text);
  std::string field;
  while (std::getline(fields, field, ':')) {
    const std::int64_t n = std::atoll(field.c_str());
    if (n == 0) {
      c.kind = field;
    } else if (c.B == 0) {
      c.B = n;
    } else {
      c.sizes.push_back(n);
    }
  }
  const bool known = c.kind == "exact" || c.kind == "sampled" || c.kind == "patches";
  bool positive = c.B > 0 && c.sizes.size() > 1;
  for (const std::int64_t size : c.sizes) positive = positive && size > 0;
  if (!known || !positive) throw UsageError(fmt::format("\"{}\" is not B:n_0:n_1:...[:exact|:sampled|:patches]", text));
  return c;
}

inline HeeParameters hee_model(const HeeCase& c) {
  HeeParameters p;
  for (std::size_t l = 0; l < c.sizes.size(); ++l) {
    HeeLayer layer;
    layer.size = c.sizes[l];
    if (c.learns()) layer.parameters.s = 0.3;
    if (c.learns() && l > 0) layer.family = Family::laplace;
    p.layers.push_back(layer);
    p.b.emplace_back(1, layer.size);
    if (l == 0) continue;
    Matrix<float> W(c.sizes[l - 1], layer.size);
    fill_normals(1, Stream::weight_init, 0, l, 1, W);
    for (std::int64_t i = 0; i < W.size(); ++i) W.data()[i] *= 0.05f;
    p.W.push_back(std::move(W));
  }
  return p;
}

inline HeeDynamics hee_dynamics(const HeeCase& c) {
  HeeDynamics d;
  d.interneurons = c.kind == "sampled" ? Interneurons::sampled : Interneurons::exact;
  return d;
}

inline HeeOptimizer hee_optimizer(const HeeCase& c) {
  HeeOptimizer optimizer;
  if (c.learns()) optimizer.normalise_columns.assign(c.sizes.size() - 1, true);
  return optimizer;
}

inline Matrix<float> hee_observations(const HeeCase& c) {
  Matrix<float> x0(c.B, c.sizes[0]);
  fill_normals(2, Stream::synthetic_data, 0, 0, 1, x0);
  return x0;
}

}  // namespace tarn::bench
