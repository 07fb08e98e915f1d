#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <utility>

#include "models/network_drift.hpp"
#include "models/networks.hpp"

namespace tarn {
namespace {

using test::Array;
using test::message_of;
using test::normals;
using test::some_network;
using testing::HasSubstr;

constexpr std::int64_t D = 3;

/// The score of a network in float64 from the definitions of docs/models.md.
Array score_of(const SamplingNetwork& network, const Array& points) {
  const test::ReferenceMath exact(network.phi);
  const test::ReferenceBatch batch{points, Array(points.rows(), network.n_outputs), 1.0};  // no noise: x~ = x
  if (network.kind == ModelKind::reservoir_sampler) {
    return exact
        .reservoir({test::to_double(network.W_in), test::to_double(network.b), test::to_double(network.W_out)}, batch)
        .score;
  }
  return exact
      .sampler_only(network.kind,
                    {test::to_double(network.W_in), test::to_double(network.b), test::to_double(network.gamma),
                     test::to_double(network.S)},
                    batch)
      .score;
}

Array identity() {
  Array a(D, D);
  for (std::int64_t i = 0; i < D; ++i) a(i, i) = 1.0;
  return a;
}

/// Only `M` is rounded, once: a relative error of 2^-24 in each of D terms.
void expect_drift(const RunnableNetwork& runnable, const Array& points, const Array& expected) {
  const Array tolerance = test::map(expected, [](double v) { return 1e-5 + 1e-6 * std::abs(v); });
  test::expect_within(test::drift_of_view(runnable.view(), points), expected, tolerance, "drift");
}

Matrix<float> some_skew(float strength) {
  const Matrix<float> a = normals(D, D, 77);
  Matrix<float> J(D, D);
  for (std::int64_t i = 0; i < D; ++i) {
    for (std::int64_t j = 0; j < i; ++j) {
      J(i, j) = strength * (a(i, j) - a(j, i));
      J(j, i) = -J(i, j);
    }
  }
  return J;
}

TEST(ModelKinds, NamesGoRoundAndOthersAreRefused) {
  for (const ModelKind kind : test::all_kinds) EXPECT_EQ(parse_model_kind(name_of(kind)), kind);
  EXPECT_EQ(name_of(ModelKind::sampler_only_sc), "sampler_only_sc");
  const std::string message = message_of<UsageError>([] { parse_model_kind("reservoir"); });
  EXPECT_THAT(message, HasSubstr("\"reservoir\""));
  for (const ModelKind kind : test::all_kinds) EXPECT_THAT(message, HasSubstr(std::string(name_of(kind))));
}

TEST(RunnableNetworks, EveryKindHasItsDrift) {
  for (const ModelKind kind : test::all_kinds) {
    for (std::size_t phi = 0; phi < nonlinearity_names.size(); ++phi) {
      const bool reservoir = kind == ModelKind::reservoir_sampler;
      const std::int64_t U = reservoir ? 2 : 0;
      const SamplingNetwork network = some_network(kind, D, U, 7, static_cast<Nonlinearity>(phi));
      const Array points = test::to_double(normals(9, D + U, 10));
      const RunnableNetwork runnable(network);
      EXPECT_EQ(runnable.view().n_neurons, reservoir ? 7 : D);
      EXPECT_EQ(runnable.view().M == nullptr, reservoir);
      expect_drift(runnable, points, score_of(network, points));
    }
  }
}

TEST(RunnableNetworks, SkewMatrixTurnsTheScore) {
  const Matrix<float> J = some_skew(1.5f);
  const Array turn = test::transpose(identity() + test::to_double(J));
  const Array points = test::to_double(normals(9, D, 10));
  for (const ModelKind kind : test::all_kinds) {
    const SamplingNetwork network = some_network(kind, D, 0, 7);
    expect_drift(RunnableNetwork(network, J), points, test::dot(score_of(network, points), turn));
  }
}

TEST(RunnableNetworks, DriftMapMakesTheScoreAndTheCircuitGoesWithoutIt) {
  const Array points = test::to_double(normals(9, D, 10));
  const Matrix<float> map = normals(D, D, 11);
  for (const ModelKind kind : test::all_kinds) {
    SamplingNetwork network = some_network(kind, D, 0, 7);
    const Array f = score_of(network, points);
    network.drift_map = map;
    const Array score = test::dot(f, test::transpose(test::to_double(map)));
    expect_drift(RunnableNetwork(network), points, score);
    expect_drift(RunnableNetwork(network, DriftForm::circuit), points, f);
    const Matrix<float> J = some_skew(0.7f);
    expect_drift(RunnableNetwork(network, J), points,
                 test::dot(score, test::transpose(identity() + test::to_double(J))));
  }
}

TEST(RunnableNetworks, ViewOutlivesAMove) {
  const SamplingNetwork network = some_network(ModelKind::sampler_only_sc, D, 0, D);
  const Array points = test::to_double(normals(4, D, 10));
  RunnableNetwork first(network);
  const float* weights = first.view().W_out;
  RunnableNetwork second(std::move(first));
  RunnableNetwork third(some_network(ModelKind::reservoir_sampler, D, 0, 5));
  third = std::move(second);
  EXPECT_EQ(third.view().W_out, weights);
  expect_drift(third, points, score_of(network, points));
}

TEST(RunnableNetworks, WrongSkewMatricesAreRefused) {
  const SamplingNetwork network = some_network(ModelKind::reservoir_sampler, D, 0, 7);
  Matrix<float> J = some_skew(1.0f);
  EXPECT_NO_THROW(RunnableNetwork(network, J));
  EXPECT_NO_THROW(RunnableNetwork(network, Matrix<float>(D, D)));
  EXPECT_THAT(message_of([&] { RunnableNetwork(network, Matrix<float>(D, 2)); }),
              HasSubstr("J is [3, 2], expected [3, 3]"));
  J(2, 1) *= 1.001f;
  EXPECT_THAT(message_of([&] { RunnableNetwork(network, J); }), HasSubstr("J[2, 1]"));
  J = Matrix<float>(D, D);
  J(1, 1) = 0.1f;
  EXPECT_THAT(message_of([&] { RunnableNetwork(network, J); }), HasSubstr("J[1, 1]"));
  J(1, 1) = NAN;
  EXPECT_THAT(message_of([&] { RunnableNetwork(network, J); }), HasSubstr("finite"));
}

TEST(SamplingNetworks, ValidateNamesWhatIsWrong) {
  const auto complaint = [](ModelKind kind, auto&& spoil) {
    SamplingNetwork network = some_network(kind, D, 0, 7);
    network.validate();
    spoil(network);
    return message_of([&] { network.validate(); });
  };
  constexpr auto reservoir = ModelKind::reservoir_sampler, sc = ModelKind::sampler_only_sc;
  using Net = SamplingNetwork;
  EXPECT_THAT(complaint(reservoir, [](Net& n) { n.n_outputs = 0; }), HasSubstr("output"));
  EXPECT_THAT(complaint(reservoir, [](Net& n) { n.n_inputs = -1; }), HasSubstr("inputs"));
  EXPECT_THAT(complaint(reservoir, [](Net& n) { n.n_inputs = 2; }), HasSubstr("W_in is [7, 3], expected [7, 5]"));
  EXPECT_THAT(complaint(reservoir, [](Net& n) { n.W_in = {}; }), HasSubstr("neuron"));
  EXPECT_THAT(complaint(reservoir, [](Net& n) { n.b = Matrix<float>(7, 1); }),
              HasSubstr("b is [7, 1], expected [1, 7]"));
  EXPECT_THAT(complaint(reservoir, [](Net& n) { n.W_out = Matrix<float>(7, 3); }), HasSubstr("W_out is [7, 3]"));
  EXPECT_THAT(complaint(reservoir, [](Net& n) { n.S = Matrix<float>(3, 3); }), HasSubstr("no S"));
  EXPECT_THAT(complaint(reservoir, [](Net& n) { n.W_out(1, 4) = INFINITY; }), HasSubstr("W_out holds inf at [1, 4]"));
  EXPECT_THAT(complaint(reservoir, [](Net& n) { n.drift_map = Matrix<float>(2, 2); }), HasSubstr("drift_map"));
  EXPECT_THAT(complaint(reservoir, [](Net& n) { n.scaling.shift = {1.0}; }), HasSubstr("shift has 1 values"));
  EXPECT_THAT(complaint(reservoir, [](Net& n) { n.scaling.shift = {1.0, NAN, 0.0}; }), HasSubstr("shift"));
  EXPECT_THAT(complaint(reservoir, [](Net& n) { n.scaling.scale = 0.0; }), HasSubstr("scale is 0"));
  EXPECT_THAT(complaint(reservoir, [](Net& n) { n.sigma = -0.1; }), HasSubstr("sigma is -0.1"));
  EXPECT_THAT(complaint(sc, [](Net& n) { n.gamma(0, 2) = NAN; }), HasSubstr("gamma holds nan at [0, 2]"));
  EXPECT_THAT(complaint(sc, [](Net& n) { n.W_out = Matrix<float>(3, 3); }), HasSubstr("no W_out"));
  EXPECT_THAT(complaint(sc, [](Net& n) { n.n_inputs = 1; }), HasSubstr("no inputs"));
  EXPECT_THAT(complaint(sc, [](Net& n) { n.S = Matrix<float>(3, 2); }), HasSubstr("S is [3, 2]"));
}

}  // namespace
}  // namespace tarn
