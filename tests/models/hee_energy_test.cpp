#include "tarn/models/hee_energy.hpp"

#include <gtest/gtest.h>

#include <cmath>

#include "tarn/core/error.hpp"
#include "tarn/core/noise.hpp"

namespace tarn {
namespace {

Matrix<float> normals(std::int64_t rows, std::int64_t cols, std::uint64_t which, double scale) {
  Matrix<float> m(rows, cols);
  fill_normals(11, Stream::evaluation, 0, which, 1, m);
  for (std::int64_t i = 0; i < m.size(); ++i) m.data()[i] *= static_cast<float>(scale);
  return m;
}

// Layer by layer, log densities in double, inputs summed in double: the float sums of the tested ones leave some 1e-6 of terms that add up to
// a few dozen.
TEST(HeeEnergy, IsThatOfTheDensitiesButForTheTopConstant) {
  HeeParameters p;
  p.layers = {
      {5, Family::laplace, {}, {}}, {7, Family::gaussian_scale, {}, Nonlinearity::tanh}, {3, Family::quartic, {}, {}}};
  p.W = {normals(5, 7, 1, 0.7), normals(7, 3, 2, 0.7)};
  p.b = {normals(1, 5, 3, 0.5), normals(1, 7, 4, 0.5), normals(1, 3, 5, 0.5)};
  constexpr std::int64_t n = 40;
  std::vector<Matrix<float>> x{normals(n, 5, 6, 1.0), normals(n, 7, 7, 1.0), normals(n, 3, 8, 1.0)};
  x[1](9, 2) = NAN;
  std::vector<float> found(n);
  HeeEnergy(p).rows(x, found);

  std::vector<ExponentialFamily> families;
  for (const HeeLayer& layer : p.layers) families.emplace_back(layer.family, layer.parameters);
  for (std::int64_t i = 0; i < n; ++i) {
    const float e = found[static_cast<std::size_t>(i)];
    if (i == 9) {
      EXPECT_TRUE(std::isnan(e));
      continue;
    }
    double expected = 0.0;
    for (std::size_t l = 0; l < 3; ++l) {
      for (std::int64_t u = 0; u < p.layers[l].size; ++u) {
        double a = p.b[l](0, u);
        for (std::int64_t j = 0; l < 2 && j < p.layers[l + 1].size; ++j)
          a += p.W[l](u, j) * (l == 0 ? std::tanh(x[1](i, j)) : x[2](i, j));
        const double eta = families[l].link(a);
        expected -= families[l].log_density(x[l](i, u), eta);
        if (l == 2) expected -= families[l].log_partition(eta);
      }
    }
    EXPECT_NEAR(e, expected, 1e-4 * (10.0 + std::abs(expected))) << i;
  }
  x.pop_back();
  EXPECT_THROW(HeeEnergy(p).rows(x, found), Error);
}

}  // namespace
}  // namespace tarn
