#include "tarn/models/interneuron_partition.hpp"

#include <algorithm>
#include <boost/math/special_functions/legendre.hpp>
#include <cmath>

#include "tarn/core/error.hpp"
#include "tarn/core/families.hpp"
#include "tarn/core/noise.hpp"
#include "tarn/models/exponential_family.hpp"

namespace tarn {
namespace {

struct Node {
  double place = 0.0, weight = 0.0;  // on [0, 1]
};

// Gauss-Legendre.
std::vector<Node> legendre_nodes(int n) {
  std::vector<Node> nodes;
  const auto add = [&](double x) {
    const double slope = boost::math::legendre_p_prime(n, x);
    nodes.push_back({0.5 * (1.0 + x), 1.0 / ((1.0 - x * x) * slope * slope)});
  };
  for (const double x : boost::math::legendre_p_zeros<double>(n)) {  // those from 0 on
    add(x);
    if (x > 0.0) add(-x);
  }
  std::ranges::sort(nodes, {}, &Node::place);  // on the way, so that interneurons follow
  return nodes;
}

void check(const HeeLayer& layer, std::span<const double> eta, const PartitionPath& p) {
  const EtaRange range = eta_range(layer.family, layer.parameters);
  for (const double value : eta) {
    require(value > range.low && value < range.high, "log partition: eta is {}; allowed for {}: above {}, below {}",
            value, name_of(layer.family), range.low, range.high);
  }
  require(p.n_nodes >= 1 && p.n_nodes <= 64, "log partition: {} nodes; allowed: 1 to 64", p.n_nodes);
  require(p.per_unit >= 2, "log partition: {} interneurons a unit; allowed: 2 or more", p.per_unit);
  require(std::isfinite(p.dt) && p.dt > 0.0, "log partition: dt is {}; it must be above 0", p.dt);
  require(std::isfinite(p.settle) && p.settle >= 0.0, "log partition: settle is {}; it must be 0 or more", p.settle);
  require(std::isfinite(p.time) && p.time > 0.0, "log partition: time is {}; it must be above 0", p.time);
}

}  // namespace

PartitionEstimate interneuron_log_partition(const HeeLayer& layer, int layer_number, std::span<const double> eta,
                                            const PartitionPath& path, std::uint64_t seed) {
  check(layer, eta, path);
  const ExponentialFamily exact(layer.family, layer.parameters);
  const double reference = exact.link(0.0);
  const std::vector<Node> nodes = legendre_nodes(path.n_nodes);
  const auto n_units = std::ssize(eta);
  const auto steps_of = [&](double time) { return static_cast<std::int64_t>(std::ceil(time / path.dt)); };
  const std::int64_t n_settle = steps_of(path.settle), n_counted = std::max<std::int64_t>(1, steps_of(path.time));
  const Stream stream = stream_of_layer(Stream::interneurons, layer_number);
  Matrix<double> integral(path.per_unit, n_units);  // of each interneuron by itself
  dispatch(layer.family, layer.parameters, [&](const auto& family) {
    const auto dt = static_cast<float>(path.dt), spread = std::sqrt(2.0f * dt);
    const auto relaxation = [&] {
      if constexpr (std::decay_t<decltype(family)>::exact_relaxation)
        return family.relaxation(dt);
      else
        return 0;
    }();
#pragma omp parallel for
    for (std::int64_t m = 0; m < path.per_unit; ++m) {
      Matrix<float> noise(1, n_units);
      std::vector<float> e(static_cast<std::size_t>(n_units), 0.0f);
      std::uint64_t step = 0;
      for (const Node& node : nodes) {
        std::vector<double> sum(static_cast<std::size_t>(n_units), 0.0);
        for (std::int64_t t = 0; t < n_settle + n_counted; ++t) {
          fill_normals(seed, stream, static_cast<std::uint64_t>(m), step++, 1, noise);
          for (std::int64_t i = 0; i < n_units; ++i) {
            const auto unit = static_cast<std::size_t>(i);
            const auto here = static_cast<float>(reference + node.place * (eta[unit] - reference));
            float& x = e[unit];
            if constexpr (std::decay_t<decltype(family)>::exact_relaxation) {
              x = relaxation(x, here, noise(0, i));
            } else {
              x = family.confine(x + dt * (family.statistic_derivative(x) * here + family.log_base_derivative(x)) +
                                 spread * noise(0, i));
            }
            if (t >= n_settle) sum[unit] += static_cast<double>(family.statistic(x));
          }
        }
        for (std::int64_t i = 0; i < n_units; ++i) {
          const auto unit = static_cast<std::size_t>(i);
          integral(m, i) += node.weight * (eta[unit] - reference) * sum[unit] / static_cast<double>(n_counted);
        }
      }
    }
  });
  PartitionEstimate estimate;
  for (std::int64_t i = 0; i < n_units; ++i) {
    double sum = 0.0, squares = 0.0, n = 0.0;
    for (std::int64_t m = 0; m < path.per_unit; ++m) {
      if (std::isfinite(integral(m, i))) {
        sum += integral(m, i);
        n += 1.0;
      } else {
        ++estimate.n_lost;
      }
    }
    const double mean = sum / n;
    for (std::int64_t m = 0; m < path.per_unit; ++m) {
      if (std::isfinite(integral(m, i))) squares += (integral(m, i) - mean) * (integral(m, i) - mean);
    }
    estimate.log_partition.push_back(exact.log_partition(reference) + mean);
    estimate.standard_error.push_back(std::sqrt(squares / (n - 1.0) / n));
  }
  return estimate;
}

}  // namespace tarn
