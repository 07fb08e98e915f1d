// What training sessions that work by matrix products must do on any backend.
#pragma once

#include <functional>
#include <memory>

#include "compute/dsm_session_checks.hpp"

namespace tarn::test {

using MakeSession = std::function<std::unique_ptr<DsmSession>(const DsmParameters&, const OptimizerSettings&)>;

/// Every setting that is off by default.
inline OptimizerSettings everything() {
  OptimizerSettings o;
  o.weight_decay = 1e-2;
  o.amsgrad = true;
  o.ema = 0.9;
  o.clip_norm = 0.5;
  return o;
}

inline void expect_training(const MakeSession& make, const DsmParameters& p, const OptimizerSettings& o,
                            const DsmLevel& level, std::int64_t B, const std::vector<float>& rates,
                            std::size_t steps_a_call = 1000) {
  expect_training(train(*make(p, o), p, level, B, rates, steps_a_call), p, o, level, B, rates, {1e-3, 0.2});
}

inline void expect_adam_with_decay_and_running_mean(const MakeSession& make) {
  OptimizerSettings o;
  o.weight_decay = 1e-2;
  o.ema = 0.9;
  expect_training(make, some_parameters(Nonlinearity::relu, 20, 0, 65), o, scaled_level(), 24,
                  {1e-3f, 2e-3f, 1e-3f, 5e-4f, 1e-4f, 1e-3f});
}

inline void expect_amsgrad_with_inputs_and_odd_sizes(const MakeSession& make) {
  OptimizerSettings o;
  o.amsgrad = true;
  expect_training(make, some_parameters(Nonlinearity::tanh, 19, 3, 33), o, scaled_level(), 33,
                  std::vector<float>(8, 1e-3f));
  expect_training(make, some_parameters(Nonlinearity::sigmoid, 1, 2, 31), o, scaled_level(), 7,
                  std::vector<float>(11, 1e-3f));
}

inline void expect_adamw_with_clipping(const MakeSession& make) {
  OptimizerSettings o;
  o.kind = OptimizerKind::adamw;
  o.weight_decay = 0.1;
  o.clip_norm = 0.5;
  expect_training(make, some_parameters(Nonlinearity::softplus, 17, 1, 40), o, scaled_level(), 16,
                  std::vector<float>(5, 1e-3f));
  o.clip_norm = 1e6;  // never reached
  expect_training(make, some_parameters(Nonlinearity::leaky_relu, 2, 0, 33), o, scaled_level(), 16,
                  std::vector<float>(10, 1e-3f));
}

inline void expect_antithetic_pairs_and_confinement_points(const MakeSession& make) {
  OptimizerSettings o;
  o.ema = 0.5;
  expect_training(make, some_parameters(Nonlinearity::relu, 18, 2, 50), o, confined_level(true, 5), 12,
                  std::vector<float>(5, 1e-3f));
  expect_training(make, some_parameters(Nonlinearity::softplus, 1, 0, 31), o, confined_level(false, 5), 3,
                  std::vector<float>(10, 1e-3f), 4);
}

inline void expect_reset_starts_anew(const MakeSession& make) {
  const std::vector<float> rates(3, 1e-3f);
  std::vector<DsmLoss> losses(3);
  NormalSource source(20);
  const auto session = make(some_parameters(Nonlinearity::relu, 20, 0, 30), everything());
  session->run(source, scaled_level(), 16, 8, 0, rates, losses);
  session->reset_optimizer();
  session->reset_average();
  const DsmParameters half = session->parameters();
  expect_same(session->averaged(), half);
  session->run(source, scaled_level(), 16, 8, 3, rates, losses);
  const auto fresh = make(half, everything());
  fresh->run(source, scaled_level(), 16, 8, 3, rates, losses);
  expect_same(session->parameters(), fresh->parameters());
  expect_same(session->averaged(), fresh->averaged());
}

inline void expect_refusals(const MakeSession& make) {
  const DsmParameters p = some_parameters(Nonlinearity::relu, 20, 0, 30);
  DsmParameters wrong = p;
  wrong.V = Matrix<float>(20, 29);
  EXPECT_THROW(make(wrong, {}), Error);
  const auto session = make(p, {});
  NormalSource source(21), fits(20);
  std::vector<float> rates(1, 1e-3f);
  std::vector<DsmLoss> losses(1), more(2);
  EXPECT_THROW(session->run(source, scaled_level(), 16, 8, 0, rates, losses), Error);
  EXPECT_THROW(session->run(fits, scaled_level(), 16, 8, 0, rates, more), Error);
  EXPECT_THROW(session->run(fits, confined_level(true, 5), 15, 8, 0, rates, losses), Error);
  EXPECT_THROW(session->run(fits, scaled_level(), 0, 8, 0, rates, losses), Error);
  DsmLevel level = confined_level(false, 5);
  level.confinement_radius[0] = 0.0;
  EXPECT_THROW(session->run(fits, level, 16, 8, 0, rates, losses), Error);
}

/// Weights that are not finite show in the loss.
inline void expect_nan_in_the_loss(const MakeSession& make) {
  DsmParameters p = some_parameters(Nonlinearity::relu, 20, 0, 30);
  p.V(3, 4) = NAN;
  EXPECT_TRUE(std::isnan(train(*make(p, {}), p, scaled_level(), 16, {1e-3f}, 1).losses[0].loss));
}

}  // namespace tarn::test
