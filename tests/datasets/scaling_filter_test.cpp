// Scalings and filters: what they do, that they undo it, and that they survive a file.
#include <gmock/gmock.h>

#include <cmath>

#include "message_of.hpp"
#include "normals.hpp"
#include "tarn/data/filter.hpp"
#include "tarn/data/scaling.hpp"
#include "tarn/data/synthetic.hpp"

namespace tarn {
namespace {

using test::message_of;
using test::normals;
using ::testing::HasSubstr;

void expect_near(const Matrix<float>& a, const Matrix<float>& b, double tolerance) {
  ASSERT_EQ(a.rows(), b.rows());
  ASSERT_EQ(a.cols(), b.cols());
  for (std::int64_t i = 0; i < a.size(); ++i) ASSERT_NEAR(a.data()[i], b.data()[i], tolerance) << i;
}

// Through the bytes of a file and back.
TensorFile stored(const auto& object) {
  TensorFile file;
  object.to_tensors(file);
  return parse_safetensors(encode_safetensors(file), "stored");
}

TEST(DatumScaling, UnitNorm) {
  auto x = normals(50, 9);
  const auto original = x;
  const auto scaling = fit_datum_scaling(DatumScalingKind::unit_norm, x);
  scaling.apply(x);
  for (std::int64_t i = 0; i < 50; ++i) {
    double square = 0.0, along = 0.0, size = 0.0;
    for (std::int64_t j = 0; j < 9; ++j) {
      square += std::pow(x(i, j), 2);
      along += x(i, j) * original(i, j);
      size += std::pow(original(i, j), 2);
    }
    EXPECT_NEAR(square, 1.0, 1e-6);
    EXPECT_NEAR(along, std::sqrt(size), 1e-5);
  }
  const auto scaled = x;
  scaling.invert(x);
  EXPECT_EQ(x, scaled);
  EXPECT_FALSE(scaling.is_invertible());
  std::fill_n(x.row(31), 9, 0.0f);
  EXPECT_THAT(message_of([&] { scaling.apply(x); }), HasSubstr("row 31 is all zeros"));
  Matrix<float> tiny(1, 2);
  tiny(0, 0) = 3e-30f;
  tiny(0, 1) = 4e-30f;
  scaling.apply(tiny);
  EXPECT_NEAR(tiny(0, 0), 0.6, 1e-6);
}

TEST(DatumScaling, Divide255AndNone) {
  Matrix<float> x(1, 3);
  x(0, 0) = 255.0f;
  x(0, 1) = 51.0f;
  const auto original = x;
  const auto scaling = fit_datum_scaling(DatumScalingKind::divide_255, x);
  scaling.apply(x);
  EXPECT_EQ(x(0, 0), 1.0f);
  EXPECT_EQ(x(0, 1), 0.2f);
  scaling.invert(x);
  expect_near(x, original, 1e-4);
  const auto none = fit_datum_scaling(DatumScalingKind::none, x);
  none.apply(x);
  none.invert(x);
  expect_near(x, original, 1e-4);
}

TEST(DatumScaling, Standardise) {
  auto x = normals(400, 4);
  for (std::int64_t i = 0; i < 400; ++i) {
    x(i, 0) = x(i, 0) * 20.0f + 300.0f;
    x(i, 2) = 0.1f;  // constant, and not exact in binary
    x(i, 3) = 0.0f;
  }
  const auto original = x;
  const auto scaling = fit_datum_scaling(DatumScalingKind::standardise, x);
  EXPECT_EQ(scaling.standard_deviation[2], 1.0f);
  EXPECT_EQ(scaling.standard_deviation[3], 1.0f);
  scaling.apply(x);
  for (std::int64_t j = 0; j < 4; ++j) {
    double mean = 0.0, square = 0.0;
    for (std::int64_t i = 0; i < 400; ++i) {
      mean += x(i, j) / 400.0;
      square += std::pow(x(i, j), 2) / 400.0;
    }
    EXPECT_NEAR(mean, 0.0, 1e-5);
    EXPECT_NEAR(square, j < 2 ? 1.0 : 0.0, 1e-5);
  }
  EXPECT_EQ(DatumScaling::from_tensors(stored(scaling)), scaling);
  scaling.invert(x);
  expect_near(x, original, 1e-4);
  Matrix<float> narrow(2, 3);
  EXPECT_THAT(message_of([&] { scaling.apply(narrow); }), HasSubstr("fitted to 4 features, found 3"));
}

TEST(DatumScaling, Files) {
  for (const auto kind : {DatumScalingKind::none, DatumScalingKind::unit_norm, DatumScalingKind::divide_255}) {
    const auto scaling = fit_datum_scaling(kind, normals(3, 3));
    EXPECT_EQ(DatumScaling::from_tensors(stored(scaling)), scaling);
    EXPECT_EQ(parse_datum_scaling_kind(name_of(kind)), kind);
  }
  EXPECT_THROW(parse_datum_scaling_kind("auto"), UsageError);
  auto file = stored(fit_datum_scaling(DatumScalingKind::standardise, normals(9, 2)));
  file.put_vector("datum_scaling.standard_deviation", std::vector<float>{1.0f, 0.0f});
  EXPECT_THAT(message_of([&] { DatumScaling::from_tensors(file); }), HasSubstr("standard_deviation[1] is 0"));
  file.put_vector("datum_scaling.standard_deviation", std::vector<float>{1.0f});
  EXPECT_THROW(DatumScaling::from_tensors(file), Error);
  EXPECT_THROW(DatumScaling::from_tensors(TensorFile{}), Error);
}

TEST(AffineScaling, AutoCentresAndDividesByRmsNorm) {
  auto x = normals(500, 6);
  for (std::int64_t i = 0; i < x.rows(); ++i) {
    for (std::int64_t j = 0; j < 6; ++j) x(i, j) = x(i, j) * static_cast<float>(j + 1) + 100.0f;
  }
  const auto original = x;
  const auto scaling = fit_affine_scaling(x);
  apply_scaling(scaling, x);
  double mean = 0.0, square = 0.0;
  for (std::int64_t i = 0; i < x.rows(); ++i) {
    mean += x(i, 2) / 500.0;
    for (std::int64_t j = 0; j < 6; ++j) square += std::pow(x(i, j), 2) / 500.0;
  }
  EXPECT_NEAR(mean, 0.0, 1e-6);
  EXPECT_NEAR(square, 1.0, 1e-5);
  invert_scaling(scaling, x);
  expect_near(x, original, 1e-4);
  for (std::int64_t i = 0; i < x.size(); ++i) x.data()[i] = 3.0f;
  EXPECT_THAT(message_of([&] { fit_affine_scaling(x); }), HasSubstr("all 500 rows are the same"));
  x(3, 3) = std::nanf("");
  EXPECT_THAT(message_of([&] { fit_affine_scaling(x); }), HasSubstr("not finite"));
  EXPECT_THROW(fit_affine_scaling(Matrix<float>(0, 3).view()), Error);
}

TEST(AffineScaling, ExactOfTargetAndInputColumns) {
  const GaussianMixture target(
      {MixtureComponent::isotropic(1.0, {-1.0}, 0.5), MixtureComponent::isotropic(3.0, {1.0}, 0.5)});
  const auto scaling = exact_affine_scaling(target);
  EXPECT_DOUBLE_EQ(scaling.shift[0], 0.5);
  EXPECT_DOUBLE_EQ(scaling.scale, 1.0);  // variance 1/4 + 3/4
  // One column is scaled, the input beside it is not.
  Matrix<float> rows(2, 2);
  for (int i = 0; i < 4; ++i) rows.data()[i] = 2.5f;
  apply_scaling({{0.5}, 4.0}, rows);
  EXPECT_EQ(rows(1, 0), 0.5f);
  EXPECT_EQ(rows(1, 1), 2.5f);
  invert_scaling({{0.5}, 4.0}, rows);
  EXPECT_EQ(rows(1, 0), 2.5f);
  apply_scaling({{}, 2.0}, rows);
  EXPECT_EQ(rows(1, 1), 1.25f);
  EXPECT_THROW(apply_scaling({{1, 2, 3}, 1.0}, rows), Error);
  EXPECT_THROW(apply_scaling({{}, 0.0}, rows), Error);
}

TEST(Filter, Identity) {
  const auto x = normals(10, 5);
  const IdentityFilter filter(5);
  EXPECT_EQ(filter.apply(x), x);
  EXPECT_EQ(filter.invert(x), x);
  const auto again = filter_from_tensors(stored(filter));
  EXPECT_EQ(again->kind(), "none");
  EXPECT_EQ(again->n_outputs(), 5);
  EXPECT_THROW(filter.apply(normals(10, 4)), Error);
  EXPECT_THROW(IdentityFilter(0), Error);
}

PcaFilter small_pca() {
  // Two orthonormal directions of three.
  Matrix<float> V(3, 2);
  V(0, 0) = 0.6f;
  V(1, 0) = 0.8f;
  V(2, 1) = 1.0f;
  return PcaFilter({1.0f, 2.0f, 3.0f}, V, {4.0, 1.0}, 6.0);
}

TEST(Filter, PcaMapsAndStores) {
  const auto filter = small_pca();
  EXPECT_NEAR(filter.explained_variance_ratio(), 5.0 / 6.0, 1e-15);
  const auto x = normals(700, 3);  // more rows than a tile
  const auto y = filter.apply(x);
  const auto back = filter.invert(y);
  for (std::int64_t i = 0; i < 700; ++i) {
    const double a = 0.6 * (x(i, 0) - 1) + 0.8 * (x(i, 1) - 2), b = x(i, 2) - 3.0;
    EXPECT_NEAR(y(i, 0), a, 2e-6);
    EXPECT_NEAR(y(i, 1), b, 2e-6);
    EXPECT_NEAR(back(i, 0), 1 + 0.6 * a, 2e-6);
    EXPECT_NEAR(back(i, 1), 2 + 0.8 * a, 2e-6);
    EXPECT_NEAR(back(i, 2), x(i, 2), 2e-6);
  }
  const auto again = filter_from_tensors(stored(filter));
  EXPECT_EQ(again->kind(), "pca");
  EXPECT_EQ(again->apply(x), y);
  EXPECT_EQ(again->invert(y), back);
  EXPECT_EQ(dynamic_cast<const PcaFilter&>(*again).variances(), filter.variances());
}

TEST(Filter, FilesThatLie) {
  const auto file = stored(small_pca());
  const auto with = [&](auto change) {
    auto copy = file;
    change(copy);
    return message_of([&] { filter_from_tensors(copy); });
  };
  EXPECT_THAT(with([](TensorFile& f) { f.metadata["filter.kind"] = "wavelet"; }),
              HasSubstr("unknown filter \"wavelet\""));
  EXPECT_THAT(with([](TensorFile& f) { f.metadata.erase("filter.kind"); }), HasSubstr("filter.kind"));
  EXPECT_THAT(with([](TensorFile& f) { f.tensors.erase("filter.V"); }), HasSubstr("filter.V"));
  EXPECT_NE(with([](TensorFile& f) { f.put("filter.V", Matrix<float>(4, 2)); }), "");
  EXPECT_NE(with([](TensorFile& f) { f.put("filter.V", Matrix<float>(3, 0)); }), "");
  EXPECT_NE(with([](TensorFile& f) { f.put_vector("filter.variances", std::vector<double>{1.0}); }), "");
  EXPECT_THAT(with([](TensorFile& f) {
                f.put_vector("filter.variances", std::vector<double>{1.0, -1.0});
              }),
              HasSubstr("must be finite and not negative"));
  EXPECT_THAT(with([](TensorFile& f) {
                f.put_vector("filter.mean", std::vector<float>{1, std::nanf(""), 0});
              }),
              HasSubstr("not finite"));
  EXPECT_NE(with([](TensorFile& f) { f.put_vector("filter.total_variance", std::vector<double>{}); }), "");
  auto identity = stored(IdentityFilter(5));
  identity.put_vector("filter.n_features", std::vector<std::int64_t>{-1});
  EXPECT_THAT(message_of([&] { filter_from_tensors(identity); }), HasSubstr("must be positive"));
}

}  // namespace
}  // namespace tarn
