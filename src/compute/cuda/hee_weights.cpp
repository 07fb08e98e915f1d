#include "hee_weights.hpp"

#include <algorithm>

#include "hee_learn.hpp"

namespace tarn::cuda {
namespace {

constexpr double least_variance = 1e-6;

}  // namespace

HeeWeights::HeeWeights(const HeeParameters& initial, const HeeOptimizer& optimizer, Context& context)
    : context_(context), optimizer_(optimizer), host_(initial) {
  check_hee_parameters(initial);
  require(optimizer.normalise_columns.empty() || optimizer.normalise_columns.size() == at(L()),
          "learning: columns of {} weight matrices to normalise, the model has {}", optimizer.normalise_columns.size(),
          L());
  optimizer_.adam.ema = optimizer_.adam.clip_norm = 0.0;
  for (int l = 0; l <= L(); ++l) {
    laws_.push_back(make_law(layer(l).family, layer(l).parameters));
    b_.push_back(make_array(initial.b[at(l)], 1));
    if (l > 0) W_.push_back(make_array(initial.W[at(l - 1)], stride(l - 1)));
  }
  top_eta_ = DeviceBuffer<float>(stride(L()));
  top_changed();
}

HeeWeights::Array HeeWeights::make_array(const Matrix<float>& values, std::int64_t padded_rows) const {
  Array a;
  a.rows = values.rows();
  a.cols = values.cols();
  a.padded_rows = padded_rows;
  a.stride = hee_padded(a.cols);
  const std::int64_t n = padded_rows * a.stride;
  a.values = DeviceBuffer<float>(n);
  upload(values, a, a.values);
  if (optimizer_.rule == HeeRule::plain) return a;
  a.first = DeviceBuffer<float>(n);
  a.second = DeviceBuffer<float>(n);
  a.largest = DeviceBuffer<float>(optimizer_.adam.amsgrad ? n : 0);
  for (DeviceBuffer<float>* moments : {&a.first, &a.second, &a.largest})
    zero_async(moments->data(), moments->size(), context_.stream.handle());
  return a;
}

void HeeWeights::upload(const Matrix<float>& from, const Array& shape, DeviceBuffer<float>& to) const {
  std::vector<float> padded(static_cast<std::size_t>(to.size()), 0.0f);
  for (std::int64_t i = 0; i < shape.rows; ++i) std::copy_n(from.row(i), shape.cols, padded.data() + i * shape.stride);
  copy_async(to.data(), std::as_const(padded).data(), to.size(), context_.stream.handle());
  context_.stream.synchronize();  // `padded` goes
}

Matrix<float> HeeWeights::download(const Array& shape, const DeviceBuffer<float>& from) const {
  std::vector<float> padded(static_cast<std::size_t>(from.size()));
  copy_async(padded.data(), from.data(), from.size(), context_.stream.handle());
  context_.stream.synchronize();
  Matrix<float> to(shape.rows, shape.cols);
  for (std::int64_t i = 0; i < shape.rows; ++i) std::copy_n(padded.data() + i * shape.stride, shape.cols, to.row(i));
  return to;
}

// eta of the top layer, from its biases on the host.
void HeeWeights::top_changed() {
  Matrix<float> eta = host_.b[at(L())];
  std::visit(
      [&](const auto& law) {
        std::transform(eta.data(), eta.data() + eta.size(), eta.data(), [&](float a) { return law.link(a); });
      },
      law(L()));
  upload(eta, b_[at(L())], top_eta_);
}

void HeeWeights::set_family_parameters(int l, const FamilyParameters& parameters) {
  require(l >= 0 && l <= L(), "model: there is no layer {}", l);
  HeeLayer& its = host_.layers[at(l)];
  if (its.parameters == parameters) return;
  check_parameters(its.family, parameters);
  its.parameters = parameters;
  laws_[at(l)] = make_law(its.family, parameters);
  if (l == L()) {
    this->parameters();
    top_changed();
  }
}

const HeeParameters& HeeWeights::parameters() const {
  if (host_is_old_) {
    for (int l = 0; l <= L(); ++l) {
      host_.b[at(l)] = download(b_[at(l)], b_[at(l)].values);
      if (l > 0) host_.W[at(l - 1)] = download(W_[at(l - 1)], W_[at(l - 1)].values);
    }
    host_is_old_ = false;
  }
  return host_;
}

HeeDeviceSums HeeWeights::make_sums() const {
  HeeDeviceSums sums;
  const auto zeros = [&](std::int64_t n) {
    DeviceBuffer<float> buffer(n);
    zero_async(buffer.data(), n, context_.stream.handle());
    return buffer;
  };
  for (int l = 0; l <= L(); ++l) {
    sums.b.push_back(zeros(b_[at(l)].values.size()));
    if (l > 0) sums.W.push_back(zeros(W_[at(l - 1)].values.size()));
  }
  return sums;
}

Matrix<float> HeeWeights::sums_of_W(const HeeDeviceSums& sums, int l) const {
  return download(W_[at(l - 1)], sums.W[at(l - 1)]);
}
Matrix<float> HeeWeights::sums_of_b(const HeeDeviceSums& sums, int l) const {
  return download(b_[at(l)], sums.b[at(l)]);
}

std::vector<double> HeeWeights::top_gradient(const Matrix<float>& sums, std::int64_t n_samples) const {
  std::vector<double> gradient;
  const Matrix<float> b = download(b_[at(L())], b_[at(L())].values);
  std::visit(
      [&](const auto& law) {
        for (std::int64_t i = 0; i < size(L()); ++i) {
          const float a = b(0, i), eta = law.link(a);
          gradient.push_back((static_cast<double>(sums(0, i)) / static_cast<double>(n_samples) -
                              static_cast<double>(law.mean_statistic(eta))) *
                             static_cast<double>(law.link_derivative(a, eta)));
        }
      },
      law(L()));
  return gradient;
}

void HeeWeights::step(Array& array, const DeviceBuffer<float>& sums, float share, double learning_rate, double plain) {
  HeeLearnCall q;
  q.sums = sums.data();
  q.values = array.values.data();
  q.first = array.first.data();
  q.second = array.second.data();
  q.largest = array.largest.data();
  q.n = array.values.size();
  q.share = share;
  q.uses_adam = optimizer_.rule == HeeRule::adam;
  if (q.uses_adam) {
    q.adam = adam_step(optimizer_.adam, learning_rate, n_updates_);
    q.adam.gradient_scale = -1.0f;  // the rule climbs
  } else {
    q.rate = static_cast<float>(plain);
  }
  launch_hee_learn(q, context_.stream.handle());
}

void HeeWeights::learn(HeeDeviceSums& sums, std::int64_t n_samples, std::span<const double> rates,
                       std::span<const double> scales, std::span<const double> variances) {
  require(rates.size() == at(L()), "learning: {} rates for {} weight matrices", rates.size(), L());
  require(n_samples > 0, "learning: no statistics were collected, or no chain is well");
  ++n_updates_;
  host_is_old_ = true;
  const auto share = static_cast<float>(1.0 / static_cast<double>(n_samples));
  for (int l = 1; l <= L(); ++l) {
    const double rate = rates[at(l - 1)];
    if (rate == 0.0) continue;
    step(W_[at(l - 1)], sums.W[at(l - 1)], share, rate,
         rate * scales[at(l - 1)] / (variances[at(l - 1)] + least_variance));
    if (!optimizer_.normalise_columns.empty() && optimizer_.normalise_columns[at(l - 1)]) {
      launch_normalise_columns(W_[at(l - 1)].values.data(), size(l - 1), size(l), stride(l), context_.stream.handle());
    }
    if (!optimizer_.learn_biases) continue;
    step(b_[at(l - 1)], sums.b[at(l - 1)], share, rate, rate * scales[at(l - 1)]);
    if (l < L()) continue;
    const std::vector<double> ascent = top_gradient(sums_of_b(sums, l), n_samples);
    Matrix<float> gradient(1, size(l));
    std::copy(ascent.begin(), ascent.end(), gradient.data());
    upload(gradient, b_[at(l)], sums.b[at(l)]);  // the sums are done with
    step(b_[at(l)], sums.b[at(l)], 1.0f, rate, rate * scales[at(l)]);
    host_.b[at(l)] = download(b_[at(l)], b_[at(l)].values);
    top_changed();
  }
}

// Calls `f(name, array, values)` for each array of parameters and of the optimiser.
template <class Self, class F>
void HeeWeights::each_array(Self& self, F&& f) {
  const auto each = [&](auto& array, const std::string& name) {
    f("weights." + name, array, array.values);
    if (!array.first.empty()) f("first_moment." + name, array, array.first);
    if (!array.second.empty()) f("second_moment." + name, array, array.second);
    if (!array.largest.empty()) f("largest_second_moment." + name, array, array.largest);
  };
  for (int l = 0; l <= self.L(); ++l) {
    if (l > 0) each(self.W_[at(l - 1)], fmt::format("W.{}", l));
    each(self.b_[at(l)], fmt::format("b.{}", l));
  }
}

TrainingState HeeWeights::state() const {
  TrainingState state;
  state.n_updates = n_updates_;
  each_array(*this, [&](const std::string& name, const Array& array, const DeviceBuffer<float>& values) {
    state.arrays[name] = download(array, values);
  });
  return state;
}

void HeeWeights::restore(const TrainingState& state) {
  each_array(*this, [&](const std::string& name, const Array& array, const DeviceBuffer<float>&) {
    state.at(name, array.rows, array.cols);  // throws before anything changes
  });
  each_array(*this, [&](const std::string& name, Array& array, DeviceBuffer<float>& values) {
    upload(state.at(name, array.rows, array.cols), array, values);
  });
  n_updates_ = state.n_updates;
  host_is_old_ = true;
  parameters();
  top_changed();
}

}  // namespace tarn::cuda
