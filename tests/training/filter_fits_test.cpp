// Fits of learned filters: planted dictionaries, gradients by finite differences, least squares.
#include <gmock/gmock.h>
#include <omp.h>

#include <cmath>

#include "dense_gradient.hpp"
#include "message_of.hpp"
#include "normals.hpp"
#include "tarn/training/autoencoder.hpp"
#include "tarn/training/linear_decoder.hpp"
#include "tarn/training/pca.hpp"
#include "tarn/training/sparse_code.hpp"

namespace tarn {
namespace {

using test::message_of;
using test::normals;
using ::testing::HasSubstr;

double mean_square_difference(const Matrix<float>& a, const Matrix<float>& b) {
  double sum = 0.0;
  for (std::int64_t i = 0; i < a.size(); ++i) sum += std::pow(static_cast<double>(a.data()[i]) - b.data()[i], 2);
  return sum / static_cast<double>(a.rows());
}

struct Planted {
  Matrix<float> atoms, x;
};
// Rows that are sums of three atoms with coefficients 1 to 2 of either sign.
Planted planted(std::int64_t n, std::int64_t K, std::int64_t P) {
  Planted p{normals(K, P, 21), Matrix<float>(n, P)};
  for (std::int64_t k = 0; k < K; ++k) {
    double square = 0.0;
    for (std::int64_t j = 0; j < P; ++j) square += std::pow(p.atoms(k, j), 2);
    for (std::int64_t j = 0; j < P; ++j) p.atoms(k, j) = static_cast<float>(p.atoms(k, j) / std::sqrt(square));
  }
  Matrix<std::uint32_t> words(n, 6);
  fill_words(22, Stream::evaluation, 0, 0, 1, words);
  for (std::int64_t i = 0; i < n; ++i) {
    for (int m = 0; m < 3; ++m) {
      const auto k = static_cast<std::int64_t>(words(i, m) % static_cast<std::uint32_t>(K));
      const double u = 2.0 * uniform_from_word(words(i, 3 + m)) - 1.0;
      const double size = u + std::copysign(1.0, u);
      for (std::int64_t j = 0; j < P; ++j) p.x(i, j) += static_cast<float>(size * p.atoms(k, j));
    }
  }
  return p;
}

SparseCodeFit small_fit() {
  SparseCodeFit fit;
  fit.atoms = 24;
  fit.lasso = {0.1, 40, LassoSolver::fista};
  fit.epochs = 20;
  fit.batch_size = 100;
  return fit;
}

TEST(SparseCodeFit, FindsAPlantedDictionary) {
  omp_set_num_threads(1);  // so small that threads would only wait for one another
  const auto [atoms, x] = planted(2000, 24, 16);
  std::vector<double> losses;
  const auto filter = fit_sparse_code(x, small_fit(), 3, [&](std::int64_t done, std::int64_t n_steps, double loss) {
    losses.push_back(loss);
    EXPECT_LE(done, n_steps);
  });
  ASSERT_EQ(losses.size(), 40u);
  EXPECT_LT(losses.back(), 0.6 * losses.front());
  int found = 0;
  for (std::int64_t k = 0; k < 24; ++k) {
    double best = 0.0;
    for (std::int64_t l = 0; l < 24; ++l) {
      double along = 0.0;
      for (std::int64_t j = 0; j < 16; ++j) along += static_cast<double>(atoms(k, j)) * filter.atoms()(l, j);
      best = std::max(best, std::abs(along));
    }
    found += best > 0.98 ? 1 : 0;
  }
  EXPECT_GE(found, 22);  // chance directions in 16 dimensions come to 0.98 with probability 1e-8 each
  for (std::int64_t l = 0; l < 24; ++l) {
    double square = 0.0;
    for (std::int64_t j = 0; j < 16; ++j) square += std::pow(static_cast<double>(filter.atoms()(l, j)), 2);
    EXPECT_NEAR(square, 1.0, 1e-6);
  }
}

TEST(SparseCodeFit, IsAFunctionOfItsSeed) {
  const auto x = planted(500, 24, 16).x;
  auto fit = small_fit();
  fit.epochs = 2;
  const int before = omp_get_max_threads();
  omp_set_num_threads(1);
  const auto one = fit_sparse_code(x, fit, 3);
  omp_set_num_threads(3);
  const auto many = fit_sparse_code(x, fit, 3);
  omp_set_num_threads(before);
  EXPECT_EQ(one.atoms(), many.atoms());
  EXPECT_EQ(one.L(), many.L());
  EXPECT_NE(one.atoms(), fit_sparse_code(x, fit, 4).atoms());
}

TEST(SparseCodeFit, BadRequests) {
  auto x = planted(50, 24, 16).x;
  auto fit = small_fit();
  EXPECT_THAT(message_of([&] { fit_sparse_code(x, fit, 3); }), HasSubstr("batches of 100 of 50 rows"));
  fit.batch_size = 10;
  fit.atoms = 0;
  EXPECT_THROW(fit_sparse_code(x, fit, 3), UsageError);
  fit.atoms = 5;
  fit.lasso.penalty = 1e9;  // no code but 0: the atoms stay as they were
  EXPECT_NO_THROW(fit_sparse_code(x, fit, 3));
  EXPECT_THAT(message_of([&] { fit_sparse_code(Matrix<float>(50, 16), fit, 3); }), HasSubstr("all zero"));
  x(3, 2) = std::nanf("");
  EXPECT_THAT(message_of([&] { fit_sparse_code(x, fit, 3); }), HasSubstr("feature 2 of the data"));
}

DenseNet<double> small_net(Nonlinearity phi) {
  DenseNet<double> net;
  net.phi = phi;
  net.code = 1;
  net.layers = test::dense_layers(std::vector<std::int64_t>{6, 5, 2, 7, 6}, 0.7, 0.3, 50);
  return net;
}

TEST(AutoencoderFit, GradientByFiniteDifferences) {
  for (const auto phi : {Nonlinearity::relu, Nonlinearity::tanh}) {
    auto net = small_net(phi);
    const Matrix<double> x = test::normal_rows(9, 6, 60);
    DensePass<double> pass(net, 9), other(net, 9);
    loss_and_gradient<double>(net, x.view(), pass);
    test::expect_gradient(net, pass, 1e-7, [&] { return loss_and_gradient<double>(net, x.view(), other); });
  }
}

// Points along a closed curve in eight dimensions: one number says where on it, and two principal components do not.
Matrix<float> curve(std::int64_t n) {
  Matrix<std::uint32_t> words(n, 1);
  fill_words(31, Stream::evaluation, 0, 0, 1, words);
  Matrix<float> x(n, 8);
  for (std::int64_t i = 0; i < n; ++i) {
    const double t = 6.283185307179586 * uniform_from_word(words(i, 0));
    for (std::int64_t j = 0; j < 4; ++j) {
      x(i, 2 * j) = static_cast<float>(3.0 + std::cos(static_cast<double>(j + 1) * t));
      x(i, 2 * j + 1) = static_cast<float>(std::sin(static_cast<double>(j + 1) * t));
    }
  }
  return x;
}

AutoencoderFit curve_fit() {
  AutoencoderFit fit;
  fit.code_size = 2;
  fit.hidden = {32, 16};
  fit.phi = Nonlinearity::tanh;
  fit.epochs = 100;
  fit.batch_size = 50;
  fit.learning_rate = 5e-3;
  return fit;
}

TEST(AutoencoderFit, FollowsACurveWhichPcaCannot) {
  omp_set_num_threads(1);  // so small that threads would only wait for one another
  const auto x = curve(1000);
  const auto pca = fit_pca(x, 2);
  for (const auto phi : {Nonlinearity::tanh, Nonlinearity::relu}) {
    auto fit = curve_fit();
    fit.phi = phi;
    const auto filter = fit_autoencoder(x, fit, 5);
    const double lost = mean_square_difference(filter.invert(filter.apply(x)), x);
    // Four circles of equal size: any two components lose three quarters of the variance, which is 4.
    EXPECT_GT(mean_square_difference(pca.invert(pca.apply(x)), x), 2.8);
    EXPECT_LT(lost, 0.2) << name_of(phi);
  }
}

// Without hidden layers the autoencoder's best is the space of the principal components.
TEST(AutoencoderFit, LinearOneComesToThePrincipalComponents) {
  omp_set_num_threads(1);  // so small that threads would only wait for one another
  auto x = normals(2000, 6);
  const double spread[] = {3.0, 2.0, 1.5, 0.5, 0.3, 0.2};
  for (std::int64_t i = 0; i < x.rows(); ++i) {
    for (std::int64_t j = 0; j < 6; ++j) x(i, j) *= static_cast<float>(spread[j]);
  }
  AutoencoderFit fit;
  fit.code_size = 3;
  fit.hidden = {};
  fit.epochs = 80;
  fit.batch_size = 100;
  fit.learning_rate = 1e-2;
  const auto filter = fit_autoencoder(x, fit, 5);
  const auto pca = fit_pca(x, 3);
  const double best = mean_square_difference(pca.invert(pca.apply(x)), x);
  const double found = mean_square_difference(filter.invert(filter.apply(x)), x);
  EXPECT_GE(found, best * (1.0 - 1e-5));
  EXPECT_LE(found, best * 1.02);
}

TEST(AutoencoderFit, IsAFunctionOfItsSeed) {
  const auto x = curve(300);
  auto fit = curve_fit();
  fit.epochs = 3;
  fit.hidden = {200};  // more than one block
  const int before = omp_get_max_threads();
  omp_set_num_threads(1);
  const auto one = fit_autoencoder(x, fit, 3);
  omp_set_num_threads(3);
  const auto many = fit_autoencoder(x, fit, 3);
  omp_set_num_threads(before);
  for (std::size_t l = 0; l < 2; ++l) {
    EXPECT_EQ(one.encoder()[l].W, many.encoder()[l].W);
    EXPECT_EQ(one.decoder()[l].b, many.decoder()[l].b);
  }
  EXPECT_NE(one.encoder()[0].W, fit_autoencoder(x, fit, 4).encoder()[0].W);
}

TEST(AutoencoderFit, BadRequests) {
  auto x = curve(100);
  auto fit = curve_fit();
  fit.hidden = {8, 0};
  EXPECT_THAT(message_of([&] { fit_autoencoder(x, fit, 3); }), HasSubstr("hidden layer of 0 units"));
  fit.hidden = {8};
  fit.phi = Nonlinearity::softplus;
  EXPECT_THAT(message_of([&] { fit_autoencoder(x, fit, 3); }), HasSubstr("allowed: relu, tanh"));
  fit.phi = Nonlinearity::relu;
  fit.batch_size = 101;
  EXPECT_THROW(fit_autoencoder(x, fit, 3), UsageError);
  fit.batch_size = 10;
  fit.learning_rate = 1e30;
  EXPECT_THAT(message_of([&] { fit_autoencoder(x, fit, 3); }), HasSubstr("smaller learning rate"));
  EXPECT_THAT(message_of([&] { fit_autoencoder(Matrix<float>(20, 3), fit, 3); }), HasSubstr("are the same"));
  x(4, 1) = std::nanf("");
  EXPECT_THAT(message_of([&] { fit_autoencoder(x, fit, 3); }), HasSubstr("feature 1 of the data"));
}

TEST(LinearDecoder, FindsThePlantedMap) {
  const auto y = normals(3000, 5), B = normals(5, 200, 71), noise = normals(3000, 200, 72);
  Matrix<float> x(3000, 200);
  for (std::int64_t i = 0; i < 3000; ++i) {
    for (std::int64_t j = 0; j < 200; ++j) {
      double sum = 4.0 + 0.1 * noise(i, j);
      for (std::int64_t d = 0; d < 5; ++d) sum += static_cast<double>(y(i, d)) * B(d, j);
      x(i, j) = static_cast<float>(sum);
    }
  }
  const auto filter = fit_linear_decoder(y, x);
  // Standard error 0.1 / sqrt(3000) = 0.0018 of each of 1200 numbers; 6 of them: false alarm 2e-6 for all.
  for (std::int64_t j = 0; j < 200; ++j) {
    for (std::int64_t d = 0; d < 5; ++d) ASSERT_NEAR(filter.decoder()(d, j), B(d, j), 0.011);
    ASSERT_NEAR(filter.offset()[static_cast<std::size_t>(j)], 4.0, 0.011);
  }
  EXPECT_NEAR(mean_square_difference(filter.invert(y), x), 200 * 0.01, 0.02);  // sd of the mean: 0.0005
  const int before = omp_get_max_threads();
  omp_set_num_threads(1);
  const auto one = fit_linear_decoder(y, x);
  omp_set_num_threads(3);
  EXPECT_EQ(fit_linear_decoder(y, x).decoder(), one.decoder());
  omp_set_num_threads(before);
}

TEST(LinearDecoder, DependentFeaturesAndBadRequests) {
  const auto base = normals(100, 2);
  Matrix<float> y(100, 3);
  for (std::int64_t i = 0; i < 100; ++i) {
    y(i, 0) = base(i, 0);
    y(i, 1) = base(i, 0);  // twice the same
    y(i, 2) = 1.0f;        // constant
  }
  Matrix<float> x(100, 1);
  for (std::int64_t i = 0; i < 100; ++i) x(i, 0) = 3.0f * base(i, 0) - 1.0f;
  EXPECT_LT(mean_square_difference(fit_linear_decoder(y, x).invert(y), x), 1e-8);
  EXPECT_THAT(message_of([&] { fit_linear_decoder(Matrix<float>(100, 2), x); }), HasSubstr("are the same"));
  EXPECT_THAT(message_of([&] { fit_linear_decoder(normals(99, 2), x); }), HasSubstr("[99, 2] and data [100, 1]"));
  x(7, 0) = std::nanf("");
  EXPECT_THAT(message_of([&] { fit_linear_decoder(y, x); }), HasSubstr("not finite"));
}

}  // namespace
}  // namespace tarn
