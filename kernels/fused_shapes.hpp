// The instances of the fused kernel that are compiled, narrowest first.
#pragma once

#include <tuple>

#include "fused_shape.hpp"

namespace tarn::cuda {

template <Precision type>
struct FusedShapes;

// Widths 48 apart, so that padding costs little at any D from 100 on. Up to 320 columns a block has 128 chains, beyond it the operand of 64.
// Tiles are as long as the registers allow, (width + 1.5 tiles) / 2 of a thread's 255 for the two sums and the operand between them, and as
// leaves three in shared memory.
template <>
struct FusedShapes<Precision::bf16> {
  template <int width, int neurons, Share share = Share::rows>
  using Shape = FusedShape<Precision::bf16, width, neurons, share>;
  using List = std::tuple<Shape<32, 128>, Shape<64, 128>, Shape<112, 128>, Shape<160, 128>, Shape<208, 128>,
                          Shape<256, 96>, Shape<304, 80>, Shape<320, 64>, Shape<416, 32, Share::columns>,
                          Shape<512, 32, Share::columns>, Shape<640, 32, Share::columns>>;
};

// Operands of twice the size: 128 chains up to 160 columns, 64 up to 320.
template <>
struct FusedShapes<Precision::tf32> {
  template <int width, int neurons, Share share = Share::rows>
  using Shape = FusedShape<Precision::tf32, width, neurons, share>;
  using List =
      std::tuple<Shape<32, 64>, Shape<64, 64>, Shape<112, 64>, Shape<160, 64>, Shape<208, 32, Share::neurons>,
                 Shape<256, 32, Share::neurons>, Shape<304, 32, Share::neurons>, Shape<320, 32, Share::neurons>>;
};

/// Calls `f(Shape{})` for the narrowest shape of at least `n_columns`; false where there is none.
template <Precision type, class F>
bool with_fused_shape(std::int64_t n_columns, F&& f) {
  bool found = false;
  const auto one = [&](auto shape) {
    if (found || n_columns > decltype(shape)::width) return;
    found = true;
    f(shape);
  };
  std::apply([&](auto... shapes) { (one(shapes), ...); }, typename FusedShapes<type>::List{});
  return found;
}

}  // namespace tarn::cuda
