#include "weight_watch.hpp"

#include <fmt/format.h>

#include <cmath>

namespace tarn {

bool WeightWatch::check(const SamplingNetwork& network, std::int64_t step) {
  struct Named {
    const char* name;
    const Matrix<float>* values;
  };
  const bool reservoir = network.kind == ModelKind::reservoir_sampler;
  const Named arrays[] = {{reservoir ? "W_in" : "W", &network.W_in},
                          {"b", &network.b},
                          {"W_out", &network.W_out},
                          {"gamma", &network.gamma},
                          {"S", &network.S},
                          {"a", &network.a},
                          {"v", &network.v}};
  std::string norms, faults;
  for (const auto& [name, values] : arrays) {
    if (values->empty()) continue;
    double square = 0.0;
    std::int64_t n_bad = 0;
    for (std::int64_t i = 0; i < values->size(); ++i) {
      const double v = values->data()[i];
      if (!std::isfinite(v)) ++n_bad;
      square += v * v;
    }
    norms += fmt::format("{}|{}| = {:.4g}", norms.empty() ? "" : ", ", name, std::sqrt(square));
    if (n_bad > 0) {
      faults += fmt::format("{}{} of the {} values of {}", faults.empty() ? "" : ", ", n_bad, values->size(), name);
    }
  }
  fault_ = faults;
  if (fault_.empty()) last_norms_ = fmt::format("weights at step {}: {}", step, norms);
  return fault_.empty();
}

}  // namespace tarn
