// Plans of the fused kernel, and its weights: packed[tile] = [W_in tile | biases | W_out tile], each matrix as 16-byte columns with all
// their rows (fused_shape.hpp), rounded once, with zeros for what is padding. One thread 16 bytes, any sizes, overwrites all of `packed`.
#include <algorithm>
#include <cmath>

#include "fused_instances.hpp"
#include "fused_langevin.hpp"
#include "fused_shapes.hpp"
#include "platform.cuh"
#include "tensor.cuh"

namespace tarn::cuda {
namespace {

constexpr int block_threads = 256;

// 16 bytes of operand from as many float32 numbers as go into them.
template <Precision type>
__device__ uint4 operand_of(const float (&x)[8]) {
  unsigned word[4];
#pragma unroll
  for (int k = 0; k < 4; ++k) {
    if constexpr (type == Precision::bf16) {
      word[k] = bf16_pair(x[2 * k], x[2 * k + 1]);
    } else {
      word[k] = tf32_bits(x[k]);
    }
  }
  return make_uint4(word[0], word[1], word[2], word[3]);
}

template <class Shape>
__global__ void pack_fused_kernel(FusedWeights w, unsigned char* __restrict__ packed) {
  constexpr int in_pieces = Shape::bias_at / 16, all_pieces = Shape::tile_bytes / 16;
  const std::int64_t tile = blockIdx.x, first = tile * Shape::neurons;
  for (int piece = threadIdx.x; piece < all_pieces; piece += block_threads) {
    float x[8] = {};
    uint4 value;
    if (piece < in_pieces) {
      const std::int64_t j = first + piece % Shape::neurons, begin = piece / Shape::neurons * Shape::column;
      for (int k = 0; k < Shape::column; ++k) {
        if (j < w.n_neurons && begin + k < w.n_columns) x[k] = w.W_in[j * w.in_stride + begin + k];
      }
      value = operand_of<Shape::precision>(x);
    } else if (piece < Shape::in_bytes / 16) {
      const std::int64_t j = first + 2 * (piece - in_pieces);
      const float b0 = j < w.n_neurons ? w.b[j] : 0.0f, b1 = j + 1 < w.n_neurons ? w.b[j + 1] : 0.0f;
      value = make_uint4(__float_as_uint(b0), __float_as_uint(b1), __float_as_uint(b0), __float_as_uint(b1));
    } else {
      const int out_piece = piece - Shape::in_bytes / 16, d = out_piece % Shape::width;
      const int begin = out_piece / Shape::width * Shape::column;
      for (int k = 0; k < Shape::column; ++k) {
        const int place = begin + k;
        const std::int64_t j = first + (Shape::precision == Precision::tf32 ? tf32_neuron_at(place) : place);
        if (j < w.n_neurons && d < w.n_outputs) x[k] = w.W_out[d * w.out_stride + j];
      }
      value = operand_of<Shape::precision>(x);
    }
    *reinterpret_cast<uint4*>(packed + tile * Shape::tile_bytes + 16 * piece) = value;
  }
}

template <Precision type>
FusedPlan plan_of(std::int64_t n_columns, std::int64_t n_neurons) {
  FusedPlan plan;
  with_fused_shape<type>(n_columns, [&](auto shape) {
    using Shape = decltype(shape);
    plan.precision = type;
    plan.width = Shape::width;
    plan.share = Shape::share;
    plan.chains = Shape::chains;
    plan.neurons = Shape::neurons;
    plan.shared_bytes = Shape::shared_bytes + 1024;
    plan.n_tiles = (n_neurons + Shape::neurons - 1) / Shape::neurons;
    plan.packed_bytes = plan.n_tiles * Shape::tile_bytes;
    // A group's sums take as long to put by as two hundred neurons take to go through.
    if (Shape::share != Share::neurons) plan.n_groups = std::clamp<std::int64_t>(n_neurons / 4096, 1, 4);
    plan.sums_of_block = static_cast<std::int64_t>(Shape::chains) * Shape::width;
  });
  return plan;
}

template <Precision type>
void pack(const FusedPlan& plan, const FusedWeights& w, unsigned char* packed, StreamHandle stream) {
  with_fused_shape<type>(plan.width, [&](auto shape) {
    launch(pack_fused_kernel<decltype(shape)>,
           {dim3(static_cast<unsigned>(plan.n_tiles)), dim3(block_threads), 0, stream}, w, packed);
  });
}

}  // namespace

FusedPlan fused_plan(Precision precision, std::int64_t n_columns, std::int64_t n_neurons) {
  switch (precision) {
    case Precision::bf16:
      return plan_of<Precision::bf16>(n_columns, n_neurons);
    case Precision::tf32:
      return plan_of<Precision::tf32>(n_columns, n_neurons);
    case Precision::fp32:
      break;
  }
  return {};
}

void launch_pack_fused(const FusedPlan& plan, const FusedWeights& weights, unsigned char* packed, StreamHandle stream) {
  if (plan.precision == Precision::bf16) pack<Precision::bf16>(plan, weights, packed, stream);
  if (plan.precision == Precision::tf32) pack<Precision::tf32>(plan, weights, packed, stream);
}

FusedRounds fused_rounds(std::int64_t n_blocks, std::int64_t n_steps, std::int64_t at_once) {
  const auto over = [](std::int64_t a, std::int64_t b) { return (a + b - 1) / b; };
  FusedRounds best{1, n_steps};
  if (n_blocks <= at_once) return best;
  // Time is the launches, one after another, of the steps of a round; a launch's beginning and end cost a fiftieth of a step.
  double least = 0.0;
  for (std::int64_t n = 1; n <= std::min<std::int64_t>(n_steps, 64); ++n) {
    const std::int64_t steps = over(n_steps, n);
    const double time =
        static_cast<double>(over(over(n_steps, steps) * n_blocks, at_once)) * (static_cast<double>(steps) + 0.02);
    if (n > 1 && time >= least) continue;
    least = time;
    best = {over(n_steps, steps), steps};
  }
  return best;
}

bool fused_splits(const FusedPlan& plan, std::int64_t n_chains, std::int64_t at_once) {
  if (plan.n_groups == 1) return false;
  const double n_blocks = std::ceil(static_cast<double>(n_chains) / plan.chains), device = static_cast<double>(at_once);
  const double groups = static_cast<double>(plan.n_groups);
  const double whole = std::max(1.0, n_blocks / device), split = std::ceil(n_blocks * groups / device) / groups;
  return split < 0.9 * whole;
}

void launch_fused(const FusedPlan& plan, Engine engine, const FusedSteps& steps, std::int64_t at_once,
                  StreamHandle stream) {
  if (steps.update.n == 0 || steps.n_steps == 0) return;
  FusedSteps some = steps;
  some.n_groups = plan.n_groups;
  some.n_blocks = (steps.update.n + plan.chains - 1) / plan.chains;
  const FusedRounds rounds = fused_rounds(some.n_blocks, steps.n_steps, at_once);
  some.steps_a_round = rounds.steps;
  const std::int64_t all = rounds.n_rounds * some.n_blocks;
  // No round of a block may run beside another one of it.
  const std::int64_t a_launch = rounds.n_rounds == 1 ? all : at_once;
  for (some.first_unit = 0; some.first_unit < all; some.first_unit += a_launch) {
    const std::int64_t n_units = std::min(a_launch, all - some.first_unit);
    if (plan.precision == Precision::bf16) {
      (engine == Engine::warpgroup ? launch_fused_bf16_warpgroup : launch_fused_bf16_warp)(plan, some, n_units, stream);
    } else if (plan.precision == Precision::tf32) {
      (engine == Engine::warpgroup ? launch_fused_tf32_warpgroup : launch_fused_tf32_warp)(plan, some, n_units, stream);
    }
  }
}

}  // namespace tarn::cuda
