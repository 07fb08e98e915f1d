#include "hee_model.hpp"

#include <algorithm>

#include "large_network.hpp"

namespace tarn::cpu {

HeeLaw::HeeLaw(Family f, const FamilyParameters& parameters)
    : family(f), values(dispatch(f, parameters, [](const auto& law) -> std::shared_ptr<const void> {
        return std::make_shared<std::decay_t<decltype(law)>>(law);
      })) {}

std::shared_ptr<const void> HeeLaw::relaxation(double time) const {
  return visit(*this, [=](const auto& law) -> std::shared_ptr<const void> {
    using Law = std::decay_t<decltype(law)>;
    if constexpr (Law::exact_relaxation) {
      return std::make_shared<typename Law::Relaxation>(law.relaxation(time));
    } else {
      return nullptr;
    }
  });
}

HeeModel::HeeModel(const HeeParameters& parameters) : parameters_(parameters) {
  check_hee_parameters(parameters);
  for (int l = 0; l <= L(); ++l) {
    const HeeLayer& layer = parameters.layers[at(l)];
    laws_.emplace_back(layer.family, layer.parameters);
    b_.emplace_back(static_cast<std::size_t>(round_up(layer.size, 16)), 0.0f);
    std::copy_n(parameters.b[at(l)].data(), layer.size, b(l).data());
    if (l == 0) continue;
    strides_.push_back(spread_stride(layer.size));
    transposed_strides_.push_back(spread_stride(size(l - 1)));
    W_.emplace_back(static_cast<std::size_t>(size(l - 1) * stride(l)), 0.0f);
    transposed_.emplace_back(static_cast<std::size_t>(layer.size * transposed_stride(l)), 0.0f);
    const Matrix<float>& W = parameters.W[at(l - 1)];
    for (std::int64_t i = 0; i < W.rows(); ++i) std::copy_n(W.row(i), W.cols(), this->W(l).data() + i * stride(l));
    weights_changed(l);
  }
  top_eta_.assign(static_cast<std::size_t>(size(L()) * panel_lanes), 0.0f);
  biases_changed(L());
}

void HeeModel::set_family_parameters(int l, const FamilyParameters& parameters) {
  HeeLayer& layer = parameters_.layers[at(l)];
  if (layer.parameters == parameters) return;
  check_parameters(layer.family, parameters);
  layer.parameters = parameters;
  laws_[at(l)] = HeeLaw(layer.family, parameters);
  if (l == L()) biases_changed(l);
}

void HeeModel::weights_changed(int l) {
  Matrix<float>& plain = parameters_.W[at(l - 1)];
  float* turned = transposed_[at(l - 1)].data();
  constexpr std::int64_t block = 16;  // a cache line of each row that is written
  for (std::int64_t first = 0; first < plain.rows(); first += block) {
    const std::int64_t last = std::min(first + block, plain.rows());
    for (std::int64_t i = first; i < last; ++i) std::copy_n(W(l).data() + i * stride(l), plain.cols(), plain.row(i));
    for (std::int64_t j = 0; j < plain.cols(); ++j) {
      for (std::int64_t i = first; i < last; ++i) turned[j * transposed_stride(l) + i] = plain(i, j);
    }
  }
}

void HeeModel::biases_changed(int l) {
  std::copy_n(b(l).data(), size(l), parameters_.b[at(l)].data());
  if (l < L()) return;
  visit(law(l), [&](const auto& law) {
    for (std::int64_t i = 0; i < size(l); ++i)
      std::fill_n(top_eta_.data() + i * panel_lanes, panel_lanes, law.link(b(l)[static_cast<std::size_t>(i)]));
  });
}

}  // namespace tarn::cpu
