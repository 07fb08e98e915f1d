// The trained skew-symmetric J of a training session: its map, and its gradient behind those of the network.
#pragma once

#include <algorithm>
#include <cstdint>

#include "adam_step.hpp"
#include "tarn/compute/dsm.hpp"
#include "tarn/compute/trained_skew.hpp"
#include "tarn/core/matrix.hpp"

namespace tarn::cpu {

/// The optimiser step of A: without weight decay. The size of A means nothing, its gradient is often next to nothing, and decay
/// would take it to zero, where J flips from step to step.
inline AdamStep adam_of_skew(AdamStep step) {
  step.l2 = 0.0f;
  step.shrink = 1.0f;
  return step;
}

/// In packed parameters, moments and gradients the entries of A follow those of the neurons, padded with zeros to whole
/// packs. Off, and of no size, where the network trains no J.
class DsmSkew {
 public:
  explicit DsmSkew(const DsmParameters& p) : D_(p.A.rows()), strength_(p.skew_strength) {
    require(p.A.empty() || (p.A.rows() == p.n_outputs && p.A.cols() == p.n_outputs && p.n_outputs > 1),
            "training: A is [{}, {}], expected [{}, {}] with two outputs or more", p.A.rows(), p.A.cols(), p.n_outputs,
            p.n_outputs);
    require(p.A.empty() || p.skew_strength > 0.0, "training: the strength of J must be above 0, found {}",
            p.skew_strength);
    dJ_ = Matrix<double>(D_, D_);
    map_ = Matrix<float>(D_, D_);
  }
  bool on() const { return D_ > 0; }
  std::size_t size() const { return static_cast<std::size_t>((D_ * D_ + 15) / 16 * 16); }

  void pack(const DsmParameters& p, float* to) const { std::copy_n(p.A.data(), p.A.size(), to); }
  void unpack(const float* from, DsmParameters& p) const { std::copy_n(from, p.A.size(), p.A.data()); }

  /// Works out the map of this `A` `[D, D]`.
  void set(const float* A) {
    const Matrix<double> M = circuit_to_score(skew_of({A, D_, D_}, strength_));
    std::transform(M.data(), M.data() + M.size(), map_.data(), [](double v) { return static_cast<float>(v); });
  }
  /// `M` `[D, D]` with `s = f M^T`.
  const float* map() const { return map_.data(); }
  /// `d loss / d J` `[D, D]`, to be filled by the step.
  double* dJ() { return dJ_.data(); }
  /// Writes `d loss / d A` from it.
  void gradient(const float* A, float* dA) const {
    const Matrix<float> g = skew_gradient({A, D_, D_}, strength_, dJ_);
    std::copy_n(g.data(), g.size(), dA);
  }

 private:
  std::int64_t D_;
  double strength_;
  Matrix<double> dJ_;
  Matrix<float> map_;
};

}  // namespace tarn::cpu
