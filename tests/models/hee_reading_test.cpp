// HEE models on the host: files, starting weights, readings of a state, stiffness.
#include "tarn/models/hee_reading.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cmath>
#include <filesystem>
#include <numbers>

#include "message_of.hpp"
#include "tarn/models/exponential_family.hpp"
#include "tarn/models/hee_file.hpp"
#include "tarn/models/hee_stability.hpp"
#include "tarn/models/initial_hee.hpp"

namespace tarn {
namespace {

using testing::AllOf;
using testing::HasSubstr;

HeeLayer layer_of(std::int64_t size, Family family, FamilyParameters parameters = {}) {
  HeeLayer layer;
  layer.size = size;
  layer.family = family;
  layer.parameters = parameters;
  return layer;
}

/// Three layers of different families.
HeeModel model() {
  std::vector<HeeLayer> layers{layer_of(5, Family::gaussian, {0.3}),
                               layer_of(4, Family::laplace_scale, {1.0, 4.0, 0.25}),
                               layer_of(3, Family::quartic, {1.0, 4.0, 0.1, 2.0})};
  layers[2].nonlinearity = Nonlinearity::softplus;
  const double eta[] = {0.1, 0.7, -0.2};
  HeeModel m{initial_hee(std::move(layers), eta, 7), {}};
  m.scaling.shift = {1.0, 2.0, 3.0, 4.0, 1.0 / 3.0};
  m.scaling.scale = 0.1;
  return m;
}

TEST(HeeFile, ReadsBackTheSame) {
  const HeeModel m = model();
  const TensorFile file = to_tensors(m);
  EXPECT_TRUE(is_hee_file(file));
  EXPECT_EQ(file.metadata_at("layer_1_family"), "laplace_scale");
  EXPECT_EQ(file.metadata_at("layer_2_nonlinearity"), "softplus");
  const HeeModel again = hee_from_tensors(parse_safetensors(encode_safetensors(file), "a.safetensors"));
  EXPECT_EQ(again.scaling, m.scaling);
  ASSERT_EQ(again.parameters.layers.size(), 3u);
  for (std::size_t l = 0; l < 3; ++l) {
    const HeeLayer &a = again.parameters.layers[l], &b = m.parameters.layers[l];
    EXPECT_EQ(a.size, b.size);
    EXPECT_EQ(a.family, b.family);
    EXPECT_EQ(a.parameters, b.parameters);
    EXPECT_EQ(a.nonlinearity, b.nonlinearity);
    EXPECT_EQ(again.parameters.b[l], m.parameters.b[l]);
    if (l > 0) {
      EXPECT_EQ(again.parameters.W[l - 1], m.parameters.W[l - 1]);
    }
  }
  EXPECT_EQ(encode_safetensors(to_tensors(again)), encode_safetensors(file));
}

TEST(HeeFile, SaysWhatIsWrong) {
  const auto refused = [](auto change) {
    TensorFile file = to_tensors(model());
    file.source = "a.safetensors";
    change(file);
    return test::message_of([&] { hee_from_tensors(file); });
  };
  EXPECT_THAT(refused([](TensorFile& f) { f.metadata["tarn_kind"] = "reservoir_sampler"; }),
              HasSubstr("holds no hee model"));
  EXPECT_THAT(refused([](TensorFile& f) { f.metadata["n_layers"] = "1"; }), HasSubstr("allowed: 2 to"));
  EXPECT_THAT(refused([](TensorFile& f) { f.metadata["n_layers"] = "4"; }),
              AllOf(HasSubstr("a.safetensors"), HasSubstr("layer_3")));
  EXPECT_THAT(refused([](TensorFile& f) { f.metadata["layer_1_family"] = "cauchy"; }),
              AllOf(HasSubstr("layer_1_family"), HasSubstr("cauchy")));
  EXPECT_THAT(refused([](TensorFile& f) { f.metadata["layer_1_width"] = "wide"; }), HasSubstr("expected a number"));
  EXPECT_THAT(refused([](TensorFile& f) { f.metadata["layer_1_width"] = "-1"; }), HasSubstr("width"));
  EXPECT_THAT(refused([](TensorFile& f) { f.tensors.erase("W2"); }), HasSubstr("W2"));
  EXPECT_THAT(refused([](TensorFile& f) { f.put_vector("b1", std::vector<float>(3)); }), HasSubstr("W1"));
  EXPECT_THAT(refused([](TensorFile& f) { f.put_vector("b1", std::vector<float>(4, NAN)); }), HasSubstr("finite"));
  EXPECT_THAT(refused([](TensorFile& f) { f.metadata["scale"] = "0"; }), HasSubstr("scale"));
  EXPECT_THROW(save_hee("weights.npz", model()), UsageError);
}

TEST(InitialHee, UnitColumnsAndTheNaturalParametersAskedFor) {
  const HeeParameters p = model().parameters;
  for (const Matrix<float>& W : p.W) {
    for (std::int64_t j = 0; j < W.cols(); ++j) {
      double square = 0.0;
      for (std::int64_t i = 0; i < W.rows(); ++i) square += static_cast<double>(W(i, j)) * W(i, j);
      EXPECT_NEAR(square, 1.0, 1e-5);
    }
  }
  const double eta[] = {0.1, 0.7, -0.2};
  for (std::size_t l = 0; l < 3; ++l) {
    const ExponentialFamily family(p.layers[l].family, p.layers[l].parameters);
    EXPECT_NEAR(family.link(p.b[l](0, 0)), eta[l], 1e-5) << name_of(p.layers[l].family);
  }
  const double other_eta[] = {0.0, 0.7, 0.0};
  EXPECT_NE(initial_hee(p.layers, other_eta, 8).W[0], p.W[0]) << "another seed";
  EXPECT_EQ(initial_hee(p.layers, other_eta, 7).W[0], p.W[0]);
  EXPECT_THROW(inverse_link(layer_of(1, Family::laplace, {1.0, 2.0}), 1.8), UsageError);
  EXPECT_THROW(inverse_link(layer_of(1, Family::gaussian_scale), 0.05), UsageError);
}

TEST(HeeReading, EnergyAndReconstructionWrittenOut) {
  // x_1 ~ N(0.2, 1), x_0 ~ N(2 x_1 + 1, 0.5^2), one unit each
  std::vector<HeeLayer> layers{layer_of(1, Family::gaussian, {0.5}), layer_of(1, Family::gaussian, {1.0})};
  const double eta[] = {1.0, 0.2};
  HeeParameters p = initial_hee(std::move(layers), eta, 1);
  p.W[0](0, 0) = 2.0f;
  std::vector<Matrix<float>> x{Matrix<float>(3, 1), Matrix<float>(3, 1)};
  x[0](0, 0) = 2.0f, x[1](0, 0) = 1.0f;
  x[0](1, 0) = -1.0f, x[1](1, 0) = 0.5f;
  x[0](2, 0) = 0.0f, x[1](2, 0) = NAN;  // quarantined
  const HeeReading reading = read_state(p, x);
  EXPECT_EQ(reading.n_chains, 2);
  EXPECT_NEAR(reading.reconstruction, 0.5 * (1.0 + 9.0), 1e-6);
  const double log_2_pi = std::log(2.0 * std::numbers::pi);
  const double first = 1.0 / (2.0 * 0.25) + 0.64 / 2.0, second = 9.0 / (2.0 * 0.25) + 0.09 / 2.0;
  EXPECT_NEAR(reading.energy, 0.5 * (first + second) + log_2_pi + std::log(0.5), 1e-5);
  const Matrix<double> above = natural_parameters(p, 0, x);
  EXPECT_NEAR(above(1, 0), 2.0, 1e-6);
  EXPECT_TRUE(std::isnan(above(2, 0)));
}

TEST(HeeReading, MeanStateIsTheMeanOfExactDraws) {
  // 4000 draws, five standard errors: a false alarm once in two million
  struct Case {
    HeeLayer layer;
    double eta;
  };
  for (const auto& [layer, eta] :
       {Case{layer_of(1, Family::gaussian, {0.5}), 0.7}, Case{layer_of(1, Family::rectified, {0.5}), -0.2},
        Case{layer_of(1, Family::laplace, {1.0, 3.0, 0.1}), 1.5},
        Case{layer_of(1, Family::quartic, {1.0, 4.0, 0.1, 1.0}), 0.3}, Case{layer_of(1, Family::gaussian_scale), 0.8},
        Case{layer_of(1, Family::laplace_scale), 0.8}}) {
    const ExponentialFamily family(layer.family, layer.parameters);
    double sum = 0.0, square = 0.0;
    constexpr int n = 4000;
    for (int i = 0; i < n; ++i) {
      WordSequence words(3, Stream::ancestral, static_cast<std::uint64_t>(i), 0, ExponentialFamily::words_per_draw, 0);
      const double x = family.draw(eta, words);
      sum += x;
      square += x * x;
    }
    const double mean = sum / n, deviation = std::sqrt((square / n - mean * mean) / n);
    EXPECT_NEAR(mean_state(layer, eta), mean, 5.0 * deviation) << name_of(layer.family);
  }
}

TEST(HeeReading, MeanGivenTheLayerAboveWrittenOut) {
  const HeeParameters p = model().parameters;
  std::vector<Matrix<float>> x{Matrix<float>(2, 5), Matrix<float>(2, 4), Matrix<float>(2, 3)};
  for (std::int64_t j = 0; j < 4; ++j) x[1](0, j) = 0.5f * static_cast<float>(j) - 0.7f;
  x[1](1, 2) = std::nanf("");
  const Matrix<float> mean = mean_given(p, 0, x), symmetric = mean_given(p, 1, x);
  for (std::int64_t i = 0; i < 5; ++i) {
    double expected = p.b[0](0, i);
    for (std::int64_t j = 0; j < 4; ++j) expected += static_cast<double>(p.W[0](i, j)) * x[1](0, j);
    EXPECT_NEAR(mean(0, i), expected, 1e-6);
    EXPECT_TRUE(std::isnan(mean(1, i)));
  }
  for (std::int64_t i = 0; i < 4; ++i) EXPECT_EQ(symmetric(0, i), 0.0f);  // laplace_scale
  EXPECT_EQ(test::message_of([&] { mean_given(p, 2, x); }), "no layer is above layer 2, of which it could have a mean");
}

TEST(HeeStability, PriorCurvatureIsTheSteepestSecondDifference) {
  for (const HeeLayer& layer :
       {layer_of(1, Family::gaussian, {0.5}), layer_of(1, Family::laplace, {1.0, 3.0, 0.2}),
        layer_of(1, Family::gaussian_scale), layer_of(1, Family::laplace_scale, {1.0, 4.0, 0.3})}) {
    const ExponentialFamily family(layer.family, layer.parameters);
    const double eta = 0.8, h = 1e-3;
    double steepest = 0.0;
    for (double x = -2.0; x <= 2.0; x += 0.01) {
      const double slope_right = family.statistic_derivative(x + h) * eta + family.log_base_derivative(x + h);
      const double slope_left = family.statistic_derivative(x - h) * eta + family.log_base_derivative(x - h);
      steepest = std::max(steepest, -(slope_right - slope_left) / (2.0 * h));
    }
    EXPECT_NEAR(largest_prior_curvature(layer, eta), steepest, 1e-3 * steepest) << name_of(layer.family);
  }
}

TEST(HeeStability, ResponseIsTheInformationAboutTheInput) {
  for (const HeeLayer& layer :
       {layer_of(1, Family::gaussian, {0.5}), layer_of(1, Family::laplace, {1.0, 3.0, 0.2}),
        layer_of(1, Family::gaussian_scale), layer_of(1, Family::laplace_scale, {1.0, 4.0, 0.3}),
        layer_of(1, Family::rectified, {0.7}), layer_of(1, Family::quartic)}) {
    const ExponentialFamily family(layer.family, layer.parameters);
    const double a = 0.4, h = 1e-3;
    // E[T] as a function of a has the slope A'' g', and A'' g'^2 is that times g'
    const double slope =
        (family.mean_statistic(family.link(a + h)) - family.mean_statistic(family.link(a - h))) / (2.0 * h);
    const double g = (family.link(a + h) - family.link(a - h)) / (2.0 * h);
    EXPECT_NEAR(response_curvature(layer, family.link(a)), slope * g, 2e-3 * std::abs(slope * g))
        << name_of(layer.family);
  }
}

TEST(HeeStability, LargestCurvatureOfALinearGaussianModelIsAnEigenvalue) {
  // precision W^T W / s^2 + 1: eigenvalues of W^T W are 9 and 1 by construction
  std::vector<HeeLayer> layers{layer_of(2, Family::gaussian, {0.5}), layer_of(2, Family::gaussian)};
  const double eta[] = {0.0, 0.0};
  HeeParameters p = initial_hee(std::move(layers), eta, 1);
  const double c = std::cos(0.7), s = std::sin(0.7);
  p.W[0](0, 0) = static_cast<float>(3.0 * c), p.W[0](0, 1) = static_cast<float>(3.0 * s);
  p.W[0](1, 0) = static_cast<float>(-s), p.W[0](1, 1) = static_cast<float>(c);
  EXPECT_NEAR(largest_curvature(p), 9.0 / 0.25 + 1.0, 1e-3);
}

TEST(HeeStability, SlowInterneuronsAreFoundWhereTheGapIsSmall) {
  std::vector<HeeLayer> layers{layer_of(1, Family::laplace), layer_of(1, Family::gaussian)};
  const double eta[] = {0.0, 0.0};
  HeeParameters p = initial_hee(std::move(layers), eta, 1);
  p.W[0](0, 0) = 1.0f;
  const auto at_rest = separations(p, 0.1);
  ASSERT_EQ(at_rest.size(), 1u);
  EXPECT_NEAR(at_rest[0].gap, ExponentialFamily(Family::laplace).spectral_gap(0.0), 1e-9);
  EXPECT_NEAR(at_rest[0].interneuron_rate, 10.0 * at_rest[0].gap, 1e-9);
  // a state that drives eta to the end of its range, 3.6, where the gap is (4 - 3.6)^2 / 4 = 0.04
  std::vector<Matrix<float>> x{Matrix<float>(4, 1), Matrix<float>(4, 1)};
  for (std::int64_t i = 0; i < 4; ++i) x[1](i, 0) = 6.0f;
  const auto driven = separations(p, 0.1, x);
  EXPECT_NEAR(driven[0].eta, 3.6, 1e-3);
  EXPECT_NEAR(driven[0].gap, 0.04, 1e-3);
  EXPECT_LT(driven[0].interneuron_rate, driven[0].neuron_rate);
}

}  // namespace
}  // namespace tarn
