// A hierarchical model as the kernels want it: weights both ways round, and the families' structs.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "tarn/compute/hee.hpp"
#include "tarn/core/families.hpp"

namespace tarn::cpu {

/// The struct of a layer's family (core/families.hpp), without its type.
struct HeeLaw {
  HeeLaw(Family family, const FamilyParameters& parameters);

  Family family;
  std::shared_ptr<const void> values;
  std::size_t index() const { return static_cast<std::size_t>(family); }
  /// What one substep of `time` (in units of tau_e) of an interneuron needs; null where the family has no exact step.
  std::shared_ptr<const void> relaxation(double time) const;
};

/// Calls `f` with the struct that `law` holds.
template <class F>
decltype(auto) visit(const HeeLaw& law, F&& f) {
  const void* values = law.values.get();
  switch (law.family) {
    case Family::laplace:
      return f(*static_cast<const families::Laplace*>(values));
    case Family::gaussian_scale:
      return f(*static_cast<const families::GaussianScale*>(values));
    case Family::laplace_scale:
      return f(*static_cast<const families::LaplaceScale*>(values));
    case Family::quartic:
      return f(*static_cast<const families::Quartic*>(values));
    case Family::rectified:
      return f(*static_cast<const families::Rectified*>(values));
    case Family::gaussian:
      break;
  }
  return f(*static_cast<const families::Gaussian*>(values));
}

class HeeModel {
 public:
  explicit HeeModel(const HeeParameters& parameters);

  const HeeParameters& parameters() const { return parameters_; }
  int L() const { return parameters_.n_latent_layers(); }
  std::int64_t size(int l) const { return parameters_.layers[at(l)].size; }
  const HeeLaw& law(int l) const { return laws_[at(l)]; }
  const std::optional<Nonlinearity>& nonlinearity(int l) const { return parameters_.layers[at(l)].nonlinearity; }
  void set_family_parameters(int l, const FamilyParameters& parameters);

  /// Row stride of `W(l)`, a multiple of 16; what lies beyond `n_l` is zero.
  std::int64_t stride(int l) const { return strides_[at(l - 1)]; }
  /// `[n_{l-1}, stride]` and `[n_l, transposed_stride]`, l = 1..L.
  AlignedVector<float>& W(int l) { return W_[at(l - 1)]; }
  const AlignedVector<float>& W(int l) const { return W_[at(l - 1)]; }
  std::int64_t transposed_stride(int l) const { return transposed_strides_[at(l - 1)]; }
  const AlignedVector<float>& transposed(int l) const { return transposed_[at(l - 1)]; }
  /// `[n_l]`, padded to a multiple of 16.
  AlignedVector<float>& b(int l) { return b_[at(l)]; }
  const AlignedVector<float>& b(int l) const { return b_[at(l)]; }
  /// `eta_L` as a panel `[n_L][32]`.
  const AlignedVector<float>& top_eta() const { return top_eta_; }

  /// After a change of `W(l)` or `b(l)`: brings all that is made of them up to date.
  void weights_changed(int l);
  void biases_changed(int l);

 private:
  static std::size_t at(int l) { return static_cast<std::size_t>(l); }

  HeeParameters parameters_;
  std::vector<HeeLaw> laws_;
  std::vector<std::int64_t> strides_, transposed_strides_;
  std::vector<AlignedVector<float>> W_, transposed_, b_;
  AlignedVector<float> top_eta_;
};

}  // namespace tarn::cpu
