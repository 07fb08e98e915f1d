// The optimiser's step for four parameters in device memory.
#pragma once

#include "adam.hpp"
#include "adam_math.hpp"
#include "platform.cuh"

namespace tarn::cuda {

/// Four parameters that lie together, and what belongs to them.
struct AdamQuad {
  float4 weights, first, second, largest, average;
};

/// Quad `i` of the arrays: parameters `4 i` to `4 i + 3`.
__device__ inline AdamQuad load_quad(const AdamArrays& a, const AdamStep& step, std::int64_t i) {
  const auto load = [i](const float* values) { return reinterpret_cast<const float4*>(values)[i]; };
  const float4 none = make_float4(0.0f, 0.0f, 0.0f, 0.0f);
  return {load(a.weights), load(a.first), load(a.second), step.amsgrad ? load(a.largest) : none,
          step.ema > 0.0f ? load(a.average) : none};
}

/// Takes the step with the gradient `g` and stores the quad.
__device__ inline void update_quad(const AdamArrays& a, const AdamStep& step, std::int64_t i, const float4& g,
                                   const AdamQuad& q) {
  const auto store = [i](float* values, const float4& v) { reinterpret_cast<float4*>(values)[i] = v; };
  AdamValues<float> p[4] = {{q.weights.x, q.first.x, q.second.x, q.largest.x, q.average.x},
                            {q.weights.y, q.first.y, q.second.y, q.largest.y, q.average.y},
                            {q.weights.z, q.first.z, q.second.z, q.largest.z, q.average.z},
                            {q.weights.w, q.first.w, q.second.w, q.largest.w, q.average.w}};
  adam_update_values(step, g.x, p[0]);
  adam_update_values(step, g.y, p[1]);
  adam_update_values(step, g.z, p[2]);
  adam_update_values(step, g.w, p[3]);
  store(a.weights, make_float4(p[0].weight, p[1].weight, p[2].weight, p[3].weight));
  store(a.first, make_float4(p[0].first, p[1].first, p[2].first, p[3].first));
  store(a.second, make_float4(p[0].second, p[1].second, p[2].second, p[3].second));
  if (step.amsgrad) store(a.largest, make_float4(p[0].largest, p[1].largest, p[2].largest, p[3].largest));
  if (step.ema > 0.0f) store(a.average, make_float4(p[0].average, p[1].average, p[2].average, p[3].average));
}

}  // namespace tarn::cuda
