#include "hee_sums.hpp"

#include <algorithm>
#include <cmath>

namespace tarn::cpu {
namespace {

std::size_t at(int l) { return static_cast<std::size_t>(l); }

}  // namespace

void HeeSums::make_groups(std::int64_t n_groups) {
  if (n_groups <= static_cast<std::int64_t>(groups_.size())) return;
  HeeGroupSums group;
  const std::size_t L = at(model_.L());
  for (int l = 0; l <= model_.L(); ++l) {
    if (l > 0) group.W.emplace_back(model_.W(l).size(), 0.0f);
    group.b.emplace_back(model_.b(l).size(), 0.0f);
  }
  group.error.assign(L + 1, 0.0);
  group.activity.assign(L, 0.0);
  group.activity_2.assign(L, 0.0);
  groups_.resize(static_cast<std::size_t>(n_groups), group);
}

void HeeSums::clear() {
  for (HeeGroupSums& group : groups_) {
    if (group.n_samples == 0) continue;
    group.n_samples = 0;
    for (auto* arrays : {&group.W, &group.b}) {
      for (auto& array : *arrays) std::fill(array.begin(), array.end(), 0.0f);
    }
    for (auto* values : {&group.error, &group.activity, &group.activity_2})
      std::fill(values->begin(), values->end(), 0.0);
  }
}

template <class Get>
double HeeSums::total(Get&& get) const {
  double sum = 0.0;
  for (const HeeGroupSums& group : groups_) sum += get(group);
  return sum;
}

std::int64_t HeeSums::n_samples() const {
  std::int64_t n = 0;
  for (const HeeGroupSums& group : groups_) n += group.n_samples;
  return n;
}

void HeeSums::mean_of_W(int l, std::int64_t first, std::int64_t last, float* out) const {
  const std::int64_t begin = first * model_.stride(l), n = (last - first) * model_.stride(l);
  std::copy_n(groups_[0].W[at(l - 1)].data() + begin, n, out);
  for (std::size_t g = 1; g < groups_.size(); ++g) {
    const float* from = groups_[g].W[at(l - 1)].data() + begin;
    for (std::int64_t i = 0; i < n; ++i) out[i] = out[i] + from[i];
  }
  const auto share = static_cast<float>(1.0 / static_cast<double>(n_samples()));
  for (std::int64_t i = 0; i < n; ++i) out[i] = out[i] * share;
}

std::vector<double> HeeSums::mean_of_b(int l) const {
  const auto n = static_cast<double>(n_samples());
  std::vector<double> mean(static_cast<std::size_t>(model_.size(l)));
  for (std::size_t i = 0; i < mean.size(); ++i)
    mean[i] = total([&](const HeeGroupSums& group) { return static_cast<double>(group.b[at(l)][i]); }) / n;
  if (l < model_.L()) return mean;
  visit(model_.law(l), [&](const auto& law) {
    for (std::size_t i = 0; i < mean.size(); ++i) {
      const float a = model_.b(l)[i], eta = law.link(a);
      mean[i] =
          (mean[i] - static_cast<double>(law.mean_statistic(eta))) * static_cast<double>(law.link_derivative(a, eta));
    }
  });
  return mean;
}

HeeStatistics HeeSums::statistics() const {
  HeeStatistics s;
  s.n_samples = n_samples();
  const auto n = static_cast<double>(std::max<std::int64_t>(s.n_samples, 1));
  for (int l = 0; l < model_.L(); ++l) {
    const double below = n * static_cast<double>(model_.size(l)), above = n * static_cast<double>(model_.size(l + 1));
    s.error.push_back(total([&](const HeeGroupSums& group) { return group.error[at(l)]; }) / below);
    s.activity.push_back(total([&](const HeeGroupSums& group) { return group.activity[at(l)]; }) / above);
    s.activity_2.push_back(total([&](const HeeGroupSums& group) { return group.activity_2[at(l)]; }) / above);
  }
  return s;
}

double HeeSums::error_scale(int l) const {
  const HeeLayer& layer = model_.parameters().layers[at(l)];
  if (layer.family == Family::gaussian) return layer.parameters.s * layer.parameters.s;
  const double per_unit = static_cast<double>(n_samples()) * static_cast<double>(model_.size(l));
  double square = total([&](const HeeGroupSums& group) { return group.error[at(l)]; }) / per_unit;
  if (l == model_.L()) {
    // There the squares are those of T(x) itself: its variance, then, and the slope of the link.
    double slope = 0.0;
    visit(model_.law(l), [&](const auto& law) {
      for (std::int64_t i = 0; i < model_.size(l); ++i) {
        const float a = model_.b(l)[static_cast<std::size_t>(i)];
        slope += std::pow(static_cast<double>(law.link_derivative(a, law.link(a))), 2);
      }
    });
    double squared_means = 0.0;
    for (std::size_t i = 0; i < at(static_cast<int>(model_.size(l))); ++i) {
      const double sum = total([&](const HeeGroupSums& group) { return static_cast<double>(group.b[at(l)][i]); });
      squared_means += std::pow(sum / static_cast<double>(n_samples()), 2);
    }
    const auto n_units = static_cast<double>(model_.size(l));
    square = (square - squared_means / n_units) * slope / n_units;
  }
  return 1.0 / std::max(square, 1e-6);
}

}  // namespace tarn::cpu
