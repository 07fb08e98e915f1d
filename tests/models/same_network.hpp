// Two networks are the same to the last bit, in every part that a weights file holds.
#pragma once

#include <gtest/gtest.h>

#include "tarn/models/sampling_network.hpp"

namespace tarn::test {

inline void expect_same(const SamplingNetwork& a, const SamplingNetwork& b) {
  EXPECT_EQ(a.kind, b.kind);
  EXPECT_EQ(a.phi, b.phi);
  EXPECT_EQ(a.n_outputs, b.n_outputs);
  EXPECT_EQ(a.n_inputs, b.n_inputs);
  EXPECT_EQ(a.W_in, b.W_in);
  EXPECT_EQ(a.b, b.b);
  EXPECT_EQ(a.W_out, b.W_out);
  EXPECT_EQ(a.gamma, b.gamma);
  EXPECT_EQ(a.S, b.S);
  EXPECT_EQ(a.drift_map, b.drift_map);
  EXPECT_EQ(a.a, b.a);
  EXPECT_EQ(a.v, b.v);
  EXPECT_EQ(a.s, b.s);
  EXPECT_EQ(a.scaling, b.scaling);
  EXPECT_EQ(a.sigma, b.sigma);
}

}  // namespace tarn::test
