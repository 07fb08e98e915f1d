// The words of a config as the backend knows them; apart from the rest of hee_model.hpp, since checks of configs need no data.
#include "tarn/core/family.hpp"
#include "tarn/experiment/hee_model.hpp"

namespace tarn {

std::vector<HeeLayer> hee_layers(const Config& config) {
  std::vector<HeeLayer> layers;
  for (const LayerConfig& c : config.model.layers) {
    HeeLayer layer;
    layer.size = c.size;
    layer.family = parse_family(c.family);
    layer.parameters = {c.s, c.rate, c.width, c.c};
    if (!layers.empty() && c.nonlinearity != "identity") layer.nonlinearity = parse_nonlinearity(c.nonlinearity);
    layers.push_back(layer);
  }
  return layers;
}

HeeDynamics hee_dynamics(const Config& config) {
  const InferenceConfig& c = config.inference;
  HeeDynamics d;
  d.integrator = c.adaptation == "momentum"              ? Integrator::baoab
                 : c.integrator == "leimkuhler_matthews" ? Integrator::leimkuhler_matthews
                                                         : Integrator::euler_maruyama;
  d.dt = static_cast<float>(c.dt);
  d.interneurons = c.interneurons == "sampled" ? Interneurons::sampled : Interneurons::exact;
  d.tau_ratio = static_cast<float>(c.tau_ratio);
  d.per_unit = static_cast<int>(c.per_unit);
  d.substeps = static_cast<int>(c.substeps);
  d.friction = static_cast<float>(c.friction);
  d.adaptation_strength = c.adaptation == "activity" ? static_cast<float>(c.adaptation_strength) : 0.0f;
  d.adaptation_tau = static_cast<float>(c.adaptation_time);
  return d;
}

}  // namespace tarn
