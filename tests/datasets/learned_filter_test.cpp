// Sparse codes, autoencoders and features as filters: what they compute, and that they survive a file.
#include <gmock/gmock.h>
#include <omp.h>

#include <cmath>

#include "message_of.hpp"
#include "normals.hpp"
#include "tarn/data/autoencoder.hpp"
#include "tarn/data/feature_filter.hpp"
#include "tarn/data/sparse_code.hpp"

namespace tarn {
namespace {

using test::message_of;
using test::normals;
using ::testing::HasSubstr;

Matrix<float> unit_rows(Matrix<float> x) {
  for (std::int64_t i = 0; i < x.rows(); ++i) {
    double square = 0.0;
    for (std::int64_t j = 0; j < x.cols(); ++j) square += std::pow(x(i, j), 2);
    for (std::int64_t j = 0; j < x.cols(); ++j) x(i, j) = static_cast<float>(x(i, j) / std::sqrt(square));
  }
  return x;
}

TensorFile stored(const Filter& filter) {
  TensorFile file;
  filter.to_tensors(file);
  return parse_safetensors(encode_safetensors(file), "stored");
}

double lipschitz(const Matrix<float>& atoms) {
  std::vector<double> direction;
  return 1.02 * largest_squared_singular_value(atoms, direction);
}

// Iterative soft thresholding, one row, plainly and in double.
std::vector<double> reference_code(const Matrix<float>& A, double L, const LassoSettings& s, const float* x) {
  const auto K = static_cast<std::size_t>(A.rows()), P = static_cast<std::size_t>(A.cols());
  std::vector<double> a(K), z(K);
  double t = 1.0;
  for (std::int64_t k = 0; k < s.iterations; ++k) {
    std::vector<double> r(x, x + P);
    for (std::size_t i = 0; i < K; ++i) {
      for (std::size_t j = 0; j < P; ++j) r[j] -= z[i] * A(static_cast<std::int64_t>(i), static_cast<std::int64_t>(j));
    }
    const double next = s.solver == LassoSolver::fista ? 0.5 * (1.0 + std::sqrt(1.0 + 4.0 * t * t)) : 1.0;
    const double momentum = s.solver == LassoSolver::fista ? (t - 1.0) / next : 0.0;
    t = next;
    std::vector<double> before = a;
    for (std::size_t i = 0; i < K; ++i) {
      double v = z[i];
      for (std::size_t j = 0; j < P; ++j) v += r[j] * A(static_cast<std::int64_t>(i), static_cast<std::int64_t>(j)) / L;
      a[i] = std::abs(v) <= s.penalty / L ? 0.0 : v - std::copysign(s.penalty / L, v);
    }
    for (std::size_t i = 0; i < K; ++i) z[i] = a[i] + momentum * (a[i] - before[i]);
  }
  return a;
}

TEST(SparseCode, MatchesReferenceInDouble) {
  const auto atoms = unit_rows(normals(50, 12)), x = normals(70, 12, 8);  // more rows than a tile
  const double L = lipschitz(atoms);
  for (const auto solver : {LassoSolver::ista, LassoSolver::fista}) {
    for (const std::int64_t iterations : {1, 2, 40}) {
      const LassoSettings settings{0.3, iterations, solver};
      const SparseCodeFilter filter(atoms, L, settings);
      const auto codes = filter.apply(x);
      const auto back = filter.invert(codes);
      for (const std::int64_t i : {0, 63, 64, 69}) {
        const auto expected = reference_code(atoms, L, settings, x.row(i));
        for (std::int64_t k = 0; k < 50; ++k) {
          ASSERT_NEAR(codes(i, k), expected[static_cast<std::size_t>(k)], 2e-5) << iterations << " " << i << " " << k;
        }
        for (std::int64_t j = 0; j < 12; ++j) {
          double sum = 0.0;
          for (std::int64_t k = 0; k < 50; ++k) sum += static_cast<double>(codes(i, k)) * atoms(k, j);
          ASSERT_NEAR(back(i, j), sum, 1e-5);
        }
      }
    }
  }
}

// At the minimum of the lasso (x - a A) . A_k = lambda sign(a_k) where a_k is not 0, and at most lambda in size
// elsewhere.
TEST(SparseCode, EndsWhereTheLassoSaysItMust) {
  const auto atoms = unit_rows(normals(40, 16)), x = normals(64, 16, 9);
  const double lambda = 0.2;
  for (const auto solver : {LassoSolver::ista, LassoSolver::fista}) {
    const SparseCodeFilter filter(atoms, lipschitz(atoms),
                                  {lambda, solver == LassoSolver::ista ? 20000 : 3000, solver});
    const auto codes = filter.apply(x);
    const auto back = filter.invert(codes);
    std::int64_t n_active = 0;
    for (std::int64_t i = 0; i < x.rows(); ++i) {
      for (std::int64_t k = 0; k < 40; ++k) {
        double along = 0.0;
        for (std::int64_t j = 0; j < 16; ++j) along += (static_cast<double>(x(i, j)) - back(i, j)) * atoms(k, j);
        if (codes(i, k) != 0.0f) {
          ++n_active;
          ASSERT_NEAR(along, std::copysign(lambda, codes(i, k)), 2e-4) << i << " " << k;
        } else {
          ASSERT_LE(std::abs(along), lambda + 2e-4) << i << " " << k;
        }
      }
    }
    EXPECT_GT(n_active, 64 * 5);
    EXPECT_LE(n_active, 64 * 17);  // at most P of them are needed; one more may be on its way out
  }
}

TEST(SparseCode, LargestSingularValue) {
  // Rows of a rotation, stretched: singular values are the stretches.
  Matrix<float> M(2, 3);
  M(0, 0) = 1.8f;
  M(0, 1) = 2.4f;
  M(1, 2) = 2.0f;
  std::vector<double> v;
  EXPECT_NEAR(largest_squared_singular_value(M, v), 9.0, 1e-4);
  EXPECT_NEAR(std::abs(v[1] / v[0]), 4.0 / 3.0, 1e-2);
  EXPECT_EQ(largest_squared_singular_value(Matrix<float>(2, 3), v = {}), 0.0);
}

TEST(SparseCode, SameBitsForAnyNumberOfThreadsAndNanStays) {
  const auto atoms = unit_rows(normals(90, 30));
  auto x = normals(300, 30, 8);
  const SparseCodeFilter filter(atoms, lipschitz(atoms), {0.1, 30, LassoSolver::ista});
  const int before = omp_get_max_threads();
  omp_set_num_threads(1);
  const auto one = filter.apply(x), back = filter.invert(one);
  for (const int threads : {2, 3}) {
    omp_set_num_threads(threads);
    EXPECT_EQ(filter.apply(x), one);
    EXPECT_EQ(filter.invert(one), back);
  }
  omp_set_num_threads(before);
  x(5, 3) = std::nanf("");
  const auto codes = filter.apply(x);
  for (std::int64_t k = 0; k < 90; ++k) EXPECT_TRUE(std::isnan(codes(5, k)));
}

AutoencoderFilter small_autoencoder(Nonlinearity phi = Nonlinearity::tanh) {
  const auto layer = [](std::int64_t out, std::int64_t in, std::uint64_t seed) {
    const auto b = normals(1, out, seed + 100);
    return DenseLayer{normals(out, in, seed), {b.data(), b.data() + out}};
  };
  return {{0.5f, -1.0f, 2.0f, 0.0f}, 2.0, phi, {layer(5, 4, 1), layer(2, 5, 2)}, {layer(5, 2, 3), layer(4, 5, 4)}};
}

std::vector<double> through(const std::vector<DenseLayer>& layers, Nonlinearity phi, std::vector<double> h) {
  for (std::size_t l = 0; l < layers.size(); ++l) {
    std::vector<double> next;
    for (std::int64_t i = 0; i < layers[l].W.rows(); ++i) {
      double u = layers[l].b[static_cast<std::size_t>(i)];
      for (std::size_t j = 0; j < h.size(); ++j) u += layers[l].W(i, static_cast<std::int64_t>(j)) * h[j];
      const bool linear = l + 1 == layers.size();
      next.push_back(linear ? u : phi == Nonlinearity::tanh ? std::tanh(u) : std::max(u, 0.0));
    }
    h = next;
  }
  return h;
}

TEST(Autoencoder, MatchesReferenceInDouble) {
  const auto x = normals(300, 4);  // more rows than a tile
  for (const auto phi : {Nonlinearity::relu, Nonlinearity::tanh}) {
    const auto filter = small_autoencoder(phi);
    const auto y = filter.apply(x);
    const auto back = filter.invert(y);
    ASSERT_EQ(y.cols(), 2);
    for (std::int64_t i = 0; i < 300; i += 23) {
      std::vector<double> h;
      for (std::size_t j = 0; j < 4; ++j) h.push_back((x(i, static_cast<std::int64_t>(j)) - filter.mean()[j]) / 2.0);
      const auto code = through(filter.encoder(), phi, h), out = through(filter.decoder(), phi, code);
      for (std::int64_t d = 0; d < 2; ++d) ASSERT_NEAR(y(i, d), code[static_cast<std::size_t>(d)], 1e-5);
      for (std::size_t j = 0; j < 4; ++j) {
        ASSERT_NEAR(back(i, static_cast<std::int64_t>(j)), filter.mean()[j] + 2.0 * out[j], 5e-5);
      }
    }
  }
  auto broken = x;
  broken(3, 1) = std::nanf("");
  EXPECT_TRUE(std::isnan(small_autoencoder(Nonlinearity::relu).apply(broken)(3, 0)));
}

TEST(LearnedFilters, SurviveAFile) {
  const auto atoms = unit_rows(normals(9, 4));
  const SparseCodeFilter sparse(atoms, lipschitz(atoms), {0.01, 17, LassoSolver::fista});
  const auto dense = small_autoencoder();
  const FeatureFilter features(normals(3, 4), {1.0f, 2.0f, 3.0f, 4.0f});
  const auto x = normals(20, 4, 5);
  for (const Filter* filter : {static_cast<const Filter*>(&sparse), static_cast<const Filter*>(&dense)}) {
    const auto again = filter_from_tensors(stored(*filter));
    EXPECT_EQ(again->kind(), filter->kind());
    const auto y = filter->apply(x);
    EXPECT_EQ(again->apply(x), y);
    EXPECT_EQ(again->invert(y), filter->invert(y));
  }
  const auto y = normals(20, 3, 5);
  const auto again = filter_from_tensors(stored(features));
  EXPECT_EQ(again->invert(y), features.invert(y));
  double first = 1.0;
  for (std::int64_t d = 0; d < 3; ++d) first += static_cast<double>(y(0, d)) * features.decoder()(d, 0);
  EXPECT_NEAR(features.invert(y)(0, 0), first, 1e-5);
  EXPECT_THAT(message_of([&] { features.apply(x); }), HasSubstr("were read from a file"));
}

TEST(LearnedFilters, SayWhatDoesNotFit) {
  const auto x = normals(20, 3);
  const auto atoms = unit_rows(normals(9, 4));
  const SparseCodeFilter sparse(atoms, lipschitz(atoms), {});
  const auto dense = small_autoencoder();
  EXPECT_THAT(message_of([&] { sparse.apply(x); }), HasSubstr("rows of 4 to rows of 9, found [20, 3] and [20, 9]"));
  EXPECT_THAT(message_of([&] { dense.invert(x); }), HasSubstr("rows of 2 to rows of 4"));
  EXPECT_THAT(message_of([&] { FeatureFilter(normals(3, 4), {1.0f}); }), HasSubstr("offset has 1 values"));
  EXPECT_THAT(message_of([&] { SparseCodeFilter(atoms, 0.0, {}); }), HasSubstr("L is 0"));
  EXPECT_THAT(message_of([&] {
                SparseCodeFilter(atoms, 1.0, {-1.0, 1, LassoSolver::ista});
              }),
              HasSubstr("penalty is -1"));
  EXPECT_THAT(message_of([&] {
                SparseCodeFilter(atoms, 1.0, {1.0, 0, LassoSolver::ista});
              }),
              HasSubstr("0 iterations"));
  EXPECT_THAT(message_of([] { parse_lasso_solver("lars"); }), HasSubstr("allowed: ista, fista"));

  const auto with = [](const Filter& filter, auto change) {
    auto file = stored(filter);
    change(file);
    return message_of([&] { filter_from_tensors(file); });
  };
  EXPECT_THAT(with(sparse, [](TensorFile& f) { f.metadata["filter.solver"] = "lars"; }), HasSubstr("allowed are ista"));
  EXPECT_THAT(with(sparse, [](TensorFile& f) { f.put("filter.atoms", Matrix<float>(0, 4)); }), HasSubstr("[0, 4]"));
  EXPECT_THAT(with(sparse, [](TensorFile& f) { f.put_vector("filter.L", std::vector<double>{std::nan("")}); }),
              HasSubstr("L is nan"));
  EXPECT_THAT(with(dense, [](TensorFile& f) { f.put("filter.encoder.1.W", Matrix<float>(2, 6)); }),
              HasSubstr("layer 2 of the encoder has weights [2, 6] and 2 biases, but takes 5 values"));
  EXPECT_THAT(with(dense, [](TensorFile& f) { f.put("filter.decoder.0.W", Matrix<float>(5, 3)); }),
              HasSubstr("layer 1 of the decoder"));
  EXPECT_THAT(with(dense, [](TensorFile& f) { f.metadata["filter.nonlinearity"] = "sigmoid"; }),
              HasSubstr("allowed are relu, tanh"));
  EXPECT_THAT(
      with(dense, [](TensorFile& f) { f.put_vector("filter.decoder.n_layers", std::vector<std::int64_t>{1LL << 40}); }),
      HasSubstr("allowed are 1 to 64"));
  EXPECT_THAT(with(dense,
                   [](TensorFile& f) {
                     f.put_vector("filter.encoder.0.b", std::vector<float>{0, 0, 0, 0, std::nanf("")});
                   }),
              HasSubstr("not finite"));
}

}  // namespace
}  // namespace tarn
