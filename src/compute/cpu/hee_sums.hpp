// What learning needs of a stretch of inference: sums over chains and steps, one set a group of tiles, added in the groups' order.
#pragma once

#include <cstdint>
#include <vector>

#include "hee_model.hpp"

namespace tarn::cpu {

/// Sums of one group, all over well chain-steps.
struct HeeGroupSums {
  std::int64_t n_samples = 0;
  std::vector<AlignedVector<float>>
      W;  ///< l = 1..L at [l - 1]: `error_{l-1}^T f(x_l)` `[n_{l-1}, stride]`, as the model's W
  std::vector<AlignedVector<float>> b;  ///< l = 0..L-1: errors; at [L]: `T(x_L)`; padded to a multiple of 16
  std::vector<double> error;            ///< l = 0..L-1: squared errors, over units too; at [L]: squares of `T(x_L)`
  std::vector<double> activity, activity_2;  ///< l = 1..L at [l - 1]: `f(x_l)` and its square, over units too
};

class HeeSums {
 public:
  explicit HeeSums(const HeeModel& model) : model_(model) {}

  /// Makes room for so many groups. What was summed before stays.
  void make_groups(std::int64_t n_groups);
  HeeGroupSums& group(std::int64_t g) { return groups_[static_cast<std::size_t>(g)]; }
  void clear();

  std::int64_t n_samples() const;
  /// The sum of rows `first` to `last` of `W(l)`, over `n_samples`, written to `out` `[last - first, stride]`.
  void mean_of_W(int l, std::int64_t first, std::int64_t last, float* out) const;
  /// `d log p / d b_l` as a mean over the chain-steps, `[n_l]`: of the top layer, `(mean T(x_L) - A'(eta_L)) g'(b_L)`.
  std::vector<double> mean_of_b(int l) const;
  HeeStatistics statistics() const;
  /// The inverse of the expected square of an error of layer l: `s^2` for a Gaussian one, else from what was seen.
  double error_scale(int l) const;

 private:
  template <class Get>
  double total(Get&& get) const;

  const HeeModel& model_;
  std::vector<HeeGroupSums> groups_;
};

}  // namespace tarn::cpu
