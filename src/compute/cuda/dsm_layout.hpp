// Parameters of a training session as one flat array, for one optimiser launch and for products.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "tarn/compute/dsm.hpp"

namespace tarn::cuda {

/// `[N, in_width]` rows `[W_in | b | 0]`, then V `[D, hidden_width]`, then, where J is trained, A `[D, D]`; all widths are multiples of 4,
/// pads are zero and stay so: their gradient is zero, and points carry a zero there. `hidden_width` can be cut into any number of equal slices that
/// divides `most_slices`, each a multiple of 4 wide.
struct DsmLayout {
  /// Throws `Error` where the parameters do not fit one another.
  explicit DsmLayout(const DsmParameters& p)
      : n_outputs(p.n_outputs),
        n_columns(p.n_outputs + p.n_inputs),
        n_neurons(p.W_in.rows()),
        in_width(padded(n_columns + 1)),
        most_slices(slices_for(n_neurons)),
        hidden_width(padded(n_neurons, 4 * most_slices)),
        out_width(padded(n_outputs)),
        v_begin(n_neurons * in_width),
        skew_begin(v_begin + n_outputs * hidden_width),
        size(skew_begin + padded(p.A.size())),
        has_skew(!p.A.empty()),
        skew_strength(p.skew_strength) {
    require(n_neurons > 0 && n_outputs > 0, "training: needs neurons and outputs, found N = {}, D = {}", n_neurons,
            n_outputs);
    require(p.W_in.cols() == n_columns && p.b.size() == n_neurons && p.V.rows() == n_outputs && p.V.cols() == n_neurons,
            "training: parameters do not fit: W_in [{}, {}], b [{}], V [{}, {}]", n_neurons, p.W_in.cols(), p.b.size(),
            p.V.rows(), p.V.cols());
    if (!has_skew) return;
    require(p.A.rows() == n_outputs && p.A.cols() == n_outputs && n_outputs > 1,
            "training: A is [{}, {}], expected [{}, {}] with two outputs or more", p.A.rows(), p.A.cols(), n_outputs,
            n_outputs);
    require(skew_strength > 0.0, "training: the strength of J must be above 0, found {}", skew_strength);
  }

  void pack(const DsmParameters& p, float* to) const {
    std::fill_n(to, size, 0.0f);
    for (std::int64_t j = 0; j < n_neurons; ++j) {
      std::copy_n(p.W_in.row(j), n_columns, to + j * in_width);
      to[j * in_width + n_columns] = p.b.data()[j];
    }
    for (std::int64_t d = 0; d < n_outputs; ++d) std::copy_n(p.V.row(d), n_neurons, to + v_begin + d * hidden_width);
    std::copy_n(p.A.data(), p.A.size(), to + skew_begin);
  }
  /// `p` has the shapes already.
  void unpack(const float* from, DsmParameters& p) const {
    for (std::int64_t j = 0; j < n_neurons; ++j) {
      std::copy_n(from + j * in_width, n_columns, p.W_in.row(j));
      p.b.data()[j] = from[j * in_width + n_columns];
    }
    for (std::int64_t d = 0; d < n_outputs; ++d) std::copy_n(from + v_begin + d * hidden_width, n_neurons, p.V.row(d));
    std::copy_n(from + skew_begin, p.A.size(), p.A.data());
  }

  static constexpr std::int64_t padded(std::int64_t n, std::int64_t multiple = 4) {
    return (n + multiple - 1) / multiple * multiple;
  }
  /// Slices are 64 neurons wide at least, and pads stay a small part of the whole.
  static constexpr std::int64_t slices_for(std::int64_t neurons) {
    return neurons >= 3840 ? 60 : (neurons >= 1536 ? 24 : (neurons >= 768 ? 12 : 1));
  }

  std::int64_t n_outputs, n_columns, n_neurons;
  std::int64_t in_width, most_slices, hidden_width, out_width;
  std::int64_t v_begin, skew_begin, size;
  bool has_skew;
  double skew_strength;
};

}  // namespace tarn::cuda
