// A training session of any network size against the reference in double.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <span>
#include <vector>

#include "compute/dsm_levels.hpp"
#include "tarn/compute/dsm.hpp"

namespace tarn::test {

struct Trained {
  DsmParameters parameters, averaged;
  std::vector<DsmLoss> losses;
};

inline void expect_same(const DsmParameters& a, const DsmParameters& b) {
  EXPECT_EQ(a.W_in, b.W_in);
  EXPECT_EQ(a.b, b.b);
  EXPECT_EQ(a.V, b.V);
  EXPECT_EQ(a.A, b.A);
}
inline void expect_same(const Trained& a, const Trained& b) {
  expect_same(a.parameters, b.parameters);
  expect_same(a.averaged, b.averaged);
  ASSERT_EQ(a.losses.size(), b.losses.size());
  for (std::size_t t = 0; t < a.losses.size(); ++t) {
    ASSERT_EQ(a.losses[t].loss, b.losses[t].loss) << "step " << t;
    ASSERT_EQ(a.losses[t].excess, b.losses[t].excess) << "step " << t;
    ASSERT_EQ(a.losses[t].gradient_norm, b.losses[t].gradient_norm) << "step " << t;
  }
}

/// Steps 100, 101, ... with seed 8 on `NormalSource`, so many in one call.
inline Trained train(DsmSession& session, const DsmParameters& p, const DsmLevel& level, std::int64_t B,
                     const std::vector<float>& rates, std::size_t steps_a_call) {
  NormalSource source(p.n_outputs + p.n_inputs);
  Trained out;
  out.losses.resize(rates.size());
  for (std::size_t done = 0; done < rates.size(); done += steps_a_call) {
    const std::size_t n = std::min(steps_a_call, rates.size() - done);
    session.run(source, level, B, 8, 100 + static_cast<std::int64_t>(done), std::span(rates).subspan(done, n),
                std::span(out.losses).subspan(done, n));
  }
  out.parameters = session.parameters();
  out.averaged = session.averaged();
  return out;
}

/// What rounding may do.
struct TrainingBounds {
  double gradient_norm;  ///< relative error
  double largest;        ///< error of any entry, in learning rates
};

/// What `train` gave, against the whole of it in double. An Adam step is at most a few learning rates whatever the error of the
/// gradient, so the bounds are in learning rates: entries whose gradient is all rounding move freely within the wide
/// one, the rest (the median) must meet a thousandth.
inline void expect_training(const Trained& trained, const DsmParameters& p, const OptimizerSettings& o,
                            const DsmLevel& level, std::int64_t B, const std::vector<float>& rates,
                            const TrainingBounds& bounds) {
  NormalSource source(p.n_outputs + p.n_inputs);
  Weights w(p);
  ReferenceOptimizer optimizer(o, w);
  Weights gradient = w, size = w;
  for (std::size_t t = 0; t < rates.size(); ++t) {
    const Rows rows = rows_of_step(source, level, p.n_outputs, B, 8, 100 + static_cast<std::int64_t>(t));
    double loss = 0.0, excess = 0.0;
    objective(w, rows, level, &loss, &excess);
    ASSERT_NEAR(trained.losses[t].loss, loss, 1e-4 * loss) << "step " << t;
    ASSERT_NEAR(trained.losses[t].excess, excess, 1e-4 * loss) << "step " << t;
    gradients(w, rows, level, gradient, size);
    double square = 0.0;
    gradient.each(
        [&](Matrix<double>& m) { square = std::inner_product(m.data(), m.data() + m.size(), m.data(), square); });
    if (o.clip_norm > 0.0) {
      ASSERT_NEAR(trained.losses[t].gradient_norm / std::sqrt(square), 1.0, bounds.gradient_norm);
    } else {
      ASSERT_EQ(trained.losses[t].gradient_norm, 0.0);
    }
    optimizer.step(w, gradient, rates[t]);
  }
  const double rate = *std::max_element(rates.begin(), rates.end());
  const auto compare = [&](const Matrix<float>& found, const Matrix<double>& expected, const char* name) {
    std::vector<double> errors;
    for (std::int64_t i = 0; i < found.size(); ++i) errors.push_back(std::fabs(found.data()[i] - expected.data()[i]));
    std::sort(errors.begin(), errors.end());
    EXPECT_LT(errors.back(), bounds.largest * rate) << name;
    EXPECT_LT(errors[errors.size() / 2], 1e-3 * rate) << name;
  };
  compare(trained.parameters.W_in, w.W_in, "W_in");
  compare(trained.parameters.b, w.b, "b");
  compare(trained.parameters.V, w.V, "V");
  if (!w.A.empty()) compare(trained.parameters.A, w.A, "A");
  const Weights& mean = o.ema > 0.0 ? optimizer.average : w;
  compare(trained.averaged.W_in, mean.W_in, "averaged W_in");
  compare(trained.averaged.b, mean.b, "averaged b");
  compare(trained.averaged.V, mean.V, "averaged V");
  if (!w.A.empty()) compare(trained.averaged.A, mean.A, "averaged A");
}

}  // namespace tarn::test
