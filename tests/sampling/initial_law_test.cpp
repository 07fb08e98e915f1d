// Where chains start: each law from its documented address in the noise, the same for any block of chains.
#include "tarn/sampling/initial_law.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "sampling/networks.hpp"
#include "tarn/models/pseudo_inverse.hpp"

namespace tarn {
namespace {

using test::normals;
using test::some_network;

TEST(InitialLaw, MomentumIsReadFromTheSecondNoise) {
  Matrix<float> v(40, 3), xi(40, 3);
  draw_initial_momentum(7, 1000, 12, v);
  fill_normals(7, Stream::dynamics_second, 1000, 12, 1, xi);
  EXPECT_EQ(v, xi);
}

TEST(InitialLaw, NormalAndUniformAreReadFromTheirStream) {
  const RunnableNetwork network(some_network(Nonlinearity::relu, 3, 0, 8));
  constexpr std::int64_t n = 40;
  InitialLaw law;
  law.standard_deviation = 2.5;
  Matrix<float> x(n, 3), xi(n, 3);
  draw_initial_state(law, network.view(), 7, 1000, x);
  fill_normals(7, Stream::initial_law, 1000, 0, 1, xi);
  for (std::int64_t i = 0; i < x.size(); ++i) ASSERT_EQ(x.data()[i], 2.5f * xi.data()[i]);

  law.kind = InitialKind::uniform;
  law.low = -1.0;
  law.high = 3.0;
  draw_initial_state(law, network.view(), 7, 1000, x);
  Matrix<std::uint32_t> words(n, 3);
  fill_words(7, Stream::initial_law, 1000, 0, 1, words);
  double sum = 0.0;
  for (std::int64_t i = 0; i < x.size(); ++i) {
    ASSERT_EQ(x.data()[i], static_cast<float>(-1.0 + 4.0 * (words.data()[i] + 0.5) / 4294967296.0));
    ASSERT_GE(x.data()[i], -1.0f);
    ASSERT_LE(x.data()[i], 3.0f);
    sum += x.data()[i];
  }
  // mean 1, variance 16/12: 5 standard deviations, 6e-7
  EXPECT_NEAR(sum / static_cast<double>(x.size()), 1.0, 5.0 * std::sqrt(16.0 / 12.0 / static_cast<double>(x.size())));
}

TEST(InitialLaw, DataGivesRowsAtRandomEachAsOften) {
  const RunnableNetwork network(some_network(Nonlinearity::relu, 2, 0, 8));
  Matrix<float> rows(10, 3);  // a third column, an input, is left out
  for (std::int64_t i = 0; i < rows.size(); ++i) rows.data()[i] = static_cast<float>(i);
  InitialLaw law;
  law.kind = InitialKind::data;
  law.rows = rows;
  constexpr std::int64_t n = 20000;
  Matrix<float> x(n, 2);
  draw_initial_state(law, network.view(), 7, 0, x);
  std::vector<double> count(10);
  for (std::int64_t i = 0; i < n; ++i) {
    const auto row = static_cast<std::int64_t>(x(i, 0)) / 3;
    ASSERT_EQ(x(i, 0), rows(row, 0));
    ASSERT_EQ(x(i, 1), rows(row, 1));
    count[static_cast<std::size_t>(row)] += 1.0;
  }
  double chi2 = 0.0;
  for (const double c : count) chi2 += (c - n / 10.0) * (c - n / 10.0) / (n / 10.0);
  EXPECT_LT(chi2, 46.0) << "9 degrees of freedom: false alarm 6e-7";
}

TEST(InitialLaw, FileGivesTheRowOfTheGlobalChain) {
  const RunnableNetwork network(some_network(Nonlinearity::relu, 2, 0, 8));
  const Matrix<float> rows = normals(30, 2, 9);
  InitialLaw law;
  law.kind = InitialKind::file;
  law.rows = rows;
  Matrix<float> x(10, 2);
  draw_initial_state(law, network.view(), 7, 20, x);
  EXPECT_TRUE(std::equal(x.data(), x.data() + 20, rows.row(20)));
  EXPECT_THROW(draw_initial_state(law, network.view(), 7, 21, x), Error) << "one row too few";
  const Matrix<float> wide = normals(30, 3, 9);
  law.rows = wide;
  EXPECT_THROW(draw_initial_state(law, network.view(), 7, 0, x), Error);
  law.kind = InitialKind::data;
  law.rows = {};
  EXPECT_THROW(draw_initial_state(law, network.view(), 7, 0, x), Error);
}

TEST(InitialLaw, ReservoirAndOutputsBelongTogether) {
  const SamplingNetwork network = some_network(Nonlinearity::relu, 3, 0, 50);
  const RunnableNetwork runnable(network);
  const Matrix<float> P = pseudo_inverse(network.W_out);
  constexpr std::int64_t n = 20;
  InitialLaw law;
  law.kind = InitialKind::uniform;
  law.space = InitialSpace::r;
  Matrix<float> x(n, 3), r(n, 50), alone(n, 3);
  draw_initial_state(law, runnable.view(), 7, 4, x, r.view(), P);
  for (std::int64_t i = 0; i < n; ++i) {
    for (std::int64_t d = 0; d < 3; ++d) {
      double sum = 0.0;
      for (std::int64_t j = 0; j < 50; ++j) sum += static_cast<double>(network.W_out(d, j)) * r(i, j);
      ASSERT_EQ(x(i, d), static_cast<float>(sum));
    }
  }
  draw_initial_state(law, runnable.view(), 7, 4, alone);
  EXPECT_EQ(alone, x) << "output mode starts where reservoir mode does";

  // space x: r of least norm with r W_out^T = x
  law.space = InitialSpace::x;
  draw_initial_state(law, runnable.view(), 7, 4, x, r.view(), P);
  for (std::int64_t i = 0; i < n; ++i) {
    for (std::int64_t d = 0; d < 3; ++d) {
      double sum = 0.0, size = 0.0;
      for (std::int64_t j = 0; j < 50; ++j) {
        sum += static_cast<double>(network.W_out(d, j)) * r(i, j);
        size += std::fabs(network.W_out(d, j) * r(i, j));
      }
      EXPECT_NEAR(sum, x(i, d), 4 * 0x1p-24 * size);  // r and P were rounded
    }
  }
}

TEST(InitialLaw, BlocksOfChainsMakeNoDifference) {
  const SamplingNetwork network = some_network(Nonlinearity::relu, 3, 0, 50);
  const RunnableNetwork runnable(network);
  const Matrix<float> rows = normals(100, 3, 9), r_rows = normals(100, 50, 9);
  for (const InitialKind kind : {InitialKind::uniform, InitialKind::normal, InitialKind::data, InitialKind::file}) {
    for (const InitialSpace space : {InitialSpace::x, InitialSpace::r}) {
      InitialLaw law;
      law.kind = kind;
      law.space = space;
      law.rows = space == InitialSpace::r ? r_rows.view() : rows.view();
      Matrix<float> all(100, 3), parts(100, 3);
      draw_initial_state(law, runnable.view(), 7, 0, all);
      for (std::int64_t i = 0; i < 100; i += 33) {
        draw_initial_state(law, runnable.view(), 7, static_cast<std::uint64_t>(i),
                           parts.view().slice(i, std::min<std::int64_t>(i + 33, 100)));
      }
      EXPECT_EQ(parts, all) << static_cast<int>(kind) << " " << static_cast<int>(space);
    }
  }
}

}  // namespace
}  // namespace tarn
