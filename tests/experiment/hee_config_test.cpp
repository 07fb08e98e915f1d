// Configs of HEE models: layers read, written and read again; what does not fit together is refused in one line.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "message_of.hpp"
#include "tarn/core/error.hpp"
#include "tarn/experiment/config.hpp"
#include "tarn/experiment/config_schema.hpp"
#include "tarn/experiment/hee_model.hpp"

namespace tarn {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

const std::string kData = "[data]\nkind = \"gaussian_mixture\"\nmeans = [[0.0, 0.0]]\nstd = 1.0\nepoch_size = 1024\n";
const std::string kLayers =
    "[model]\nkind = \"hee\"\n"
    "[[model.layers]]\nfamily = \"gaussian\"\ns = 0.5\n"
    "[[model.layers]]\nsize = 3\nfamily = \"laplace\"\nrate = 2.0\nnonlinearity = \"tanh\"\n";

Config parse(const std::string& text, const std::vector<std::string>& overrides = {}) {
  return parse_config(text, "a.toml", overrides);
}

/// The one line with which a config is refused.
std::string refusal(const std::string& text, const std::vector<std::string>& overrides = {}) {
  try {
    parse(text, overrides);
  } catch (const UsageError& error) {
    EXPECT_THAT(error.what(), Not(HasSubstr("\n")));
    return error.what();
  }
  ADD_FAILURE() << "not refused:\n" << text;
  return "";
}

std::string refused_override(const std::string& override) { return refusal(kData + kLayers, {override}); }

TEST(HeeConfig, LayersAreRead) {
  const Config config = parse(kData + kLayers);
  ASSERT_EQ(config.model.layers.size(), 2u);
  EXPECT_EQ(config.model.layers[0].size, 0) << "left to the data";
  EXPECT_EQ(config.model.layers[0].s, 0.5);
  EXPECT_EQ(config.model.layers[1].size, 3);
  EXPECT_EQ(config.model.layers[1].family, "laplace");
  EXPECT_EQ(config.model.layers[1].rate, 2.0);
  EXPECT_EQ(config.model.layers[1].width, 0.1);
  EXPECT_EQ(config.model.layers[1].nonlinearity, "tanh");
  EXPECT_EQ(config.given.at("model.layers[1].rate"), "a.toml:14");
  EXPECT_EQ(config.data.scaling, "none") << "s is in the data's own units";

  const std::vector<HeeLayer> layers = hee_layers(config);
  EXPECT_EQ(layers[1].family, Family::laplace);
  EXPECT_EQ(layers[1].parameters.rate, 2.0);
  EXPECT_EQ(layers[1].nonlinearity, Nonlinearity::tanh);
  EXPECT_FALSE(layers[0].nonlinearity);
}

TEST(HeeConfig, OverridesOfALayer) {
  const Config config =
      parse(kData + kLayers, {"model.layers[1].size=7", "model.layers[1].nonlinearity=relu", "model.layers[0].s=2"});
  EXPECT_EQ(config.model.layers[1].size, 7);
  EXPECT_EQ(config.model.layers[1].nonlinearity, "relu");
  EXPECT_EQ(config.model.layers[0].s, 2.0);
}

TEST(HeeConfig, OverridesThatNameNoLayer) {
  EXPECT_THAT(refused_override("model.layers[2].size=7"), HasSubstr("the config has 2 layers"));
  EXPECT_THAT(refused_override("model.layers[x].size=7"), HasSubstr("the config has 2 layers"));
  EXPECT_THAT(refused_override("model.layers[1].sise=7"), HasSubstr("did you mean model.layers[1].size?"));
  EXPECT_THAT(refused_override("model.layers=7"), HasSubstr("one key of one layer"));
  EXPECT_THAT(refused_override("model.layers[1].size=0"),
              AllOf(HasSubstr("model.layers[1].size = 0"), HasSubstr(">= 1")));
}

TEST(HeeConfig, WrittenConfigReadsBackTheSame) {
  Config config = parse(kData + kLayers + "[[model.layers]]\nsize = 2\nfamily = \"quartic\"\nc = 2.0\nlr = 0.5\n",
                        {"inference.interneurons=sampled", "training.schedule.dt_first=0.01"});
  resolve(config, {2, 0, 1024, false});
  EXPECT_EQ(config.model.layers[0].size, 2);
  EXPECT_EQ(config.inference.window, 50);
  const std::string text = to_toml(config);
  const Config again = parse_config(text, "again.toml");
  EXPECT_TRUE(again == config) << text;
  EXPECT_THAT(text, Not(HasSubstr("[training.noise]"))) << "keys of sampling networks have no meaning here";
}

TEST(HeeConfig, EveryKeyOfALayerIsWrittenReadAndPartOfEquality) {
  for (const KeySpec& key : layer_schema()) {
    const std::string name(key.name.substr(key.name.rfind('.') + 1));
    LayerConfig layer;
    EXPECT_FALSE(key.allowed().empty());
    std::visit([](auto* value) { (void)value; }, key.layer_slot(layer));
    LayerConfig other = layer;
    std::visit(
        [](auto* value) {
          using T = std::remove_pointer_t<decltype(value)>;
          if constexpr (std::is_same_v<T, std::string>) {
            *value += "x";
          } else if constexpr (std::is_arithmetic_v<T>) {
            *value += T(1);
          }
        },
        key.layer_slot(other));
    EXPECT_FALSE(layer == other) << name;
  }
}

TEST(HeeConfig, UnknownAndMisplacedKeys) {
  EXPECT_THAT(refusal(kData + kLayers + "ratee = 2.0\n"),
              AllOf(HasSubstr("a.toml:16"), HasSubstr("model.layers[1].ratee"),
                    HasSubstr("did you mean model.layers[1].rate?")));
  EXPECT_THAT(refusal(kData + kLayers + "s = 2.0\n"),
              AllOf(HasSubstr("a.toml:16"), HasSubstr("no meaning with family = \"laplace\""),
                    HasSubstr("gaussian, rectified")));
  EXPECT_THAT(refusal(kData + "[model]\nkind = \"hee\"\nlayers = 3\n"),
              HasSubstr("one [[model.layers]] table a layer"));
  EXPECT_THAT(refusal(kData + "[model]\nkind = \"hee\"\n[model.layers]\nsize = 3\n"),
              HasSubstr("one [[model.layers]] table"));
  EXPECT_THAT(refusal(kData + "[[model.layers]]\nsize = 3\n"), HasSubstr("reservoir_sampler has no layers"));
  EXPECT_THAT(
      refused_override("model.neurons=10"),
      AllOf(HasSubstr("model.neurons has no meaning with model.kind = \"hee\""), HasSubstr("reservoir_sampler")));
  EXPECT_THAT(refusal(kData, {"inference.dt=0.1"}), HasSubstr("no meaning with model.kind = \"reservoir_sampler\""));
  EXPECT_THAT(refusal(kData, {"training.optimizer.kind=plain"}), HasSubstr("local rule of an hee model"));
}

TEST(HeeConfig, LayersThatDoNotFit) {
  const std::string model = kData + "[model]\nkind = \"hee\"\n[[model.layers]]\n";
  EXPECT_THAT(refusal(model), HasSubstr("needs two [[model.layers]] tables or more"));
  EXPECT_THAT(refusal(model + "[[model.layers]]\nfamily = \"gaussian\"\n"), HasSubstr("size is missing"));
  EXPECT_THAT(refusal(model + "nonlinearity = \"relu\"\n[[model.layers]]\nsize = 3\n"),
              HasSubstr("drives no layer below it"));
  EXPECT_THAT(
      refusal(model + "[[model.layers]]\nsize = 3\nfamily = \"gaussian_scale\"\n"),
      AllOf(HasSubstr("no layer above sets the scale of gaussian_scale units"), HasSubstr("allowed on top: gaussian")));
  EXPECT_THAT(refusal(model + "[[model.layers]]\nsize = 3\nfamily = \"gausian\"\n"),
              HasSubstr("did you mean \"gaussian\""));
}

TEST(HeeConfig, NaturalParametersOutOfRange) {
  EXPECT_THAT(refused_override("model.layers[1].eta=1.9"),
              AllOf(HasSubstr("1.9 is out of range"), HasSubstr("|eta| < 1.8")));
  EXPECT_NO_THROW(parse(kData + kLayers, {"model.layers[1].eta=-1.7"}));
  const std::string scale = kData +
                            "[model]\nkind = \"hee\"\n[[model.layers]]\nfamily = \"laplace_scale\"\neta = 0.05\n"
                            "[[model.layers]]\nsize = 3\n";
  EXPECT_THAT(refusal(scale), HasSubstr("the precision of laplace_scale starts above 0.05"));
  EXPECT_EQ(parse(scale, {"model.layers[0].eta=0.5"}).model.layers[0].eta, 0.5);
}

TEST(HeeConfig, InferenceThatCannotBe) {
  EXPECT_THAT(refused_override("inference.tau_ratio=1.0"),
              HasSubstr("interneurons must be faster than neurons: allowed: < 1"));
  EXPECT_THAT(refused_override("training.schedule.tau_ratio_first=2"), HasSubstr("allowed: < 1"));
  EXPECT_THAT(refused_override("inference.window=101"), HasSubstr("more than the 100 steps"));
  EXPECT_THAT(refused_override("inference.steps=0"), HasSubstr("integer >= 1"));
  // the peak of the Laplace law: curvature rate / width = 20
  EXPECT_THAT(refused_override("inference.dt=0.1"),
              AllOf(HasSubstr("too large for the stiffest unit, laplace in layer 1"), HasSubstr("curvature is 20"),
                    HasSubstr("< 0.1")));
  EXPECT_NO_THROW(parse(kData + kLayers, {"inference.dt=0.09"}));
  // with a column of unit norm, 1/s^2 = 4 more
  EXPECT_THAT(refusal(kData + kLayers, {"inference.dt=0.09", "training.normalise_columns=true"}),
              AllOf(HasSubstr("with its column of unit norm"), HasSubstr("curvature is 24")));
  EXPECT_THAT(refusal(kData + kLayers, {"inference.adaptation=momentum", "inference.integrator=leimkuhler_matthews"}),
              HasSubstr("momentum takes BAOAB"));
  EXPECT_THAT(refused_override("inference.latents=persistent"), HasSubstr("gaussian_mixture gives fresh draws"));
  EXPECT_THAT(refused_override("training.optimizer.kind=adamw"), HasSubstr("allowed: adam, plain"));
  EXPECT_THAT(refused_override("training.recipe=published"), HasSubstr("hee allows: recommended"));
  EXPECT_THAT(refused_override("run.precision=bf16"), HasSubstr("float32 everywhere, not in bf16; allowed: fp32"));
}

TEST(HeeConfig, AgainstTheData) {
  const auto refused = [&](const std::vector<std::string>& overrides) {
    Config config = parse(kData + kLayers, overrides);
    return test::message_of([&] { resolve(config, {2, 0, 1024, false}); });
  };
  EXPECT_THAT(refused({"model.layers[0].size=3"}), HasSubstr("3 units for data of dimension 2"));
  EXPECT_THAT(refused({"training.batch_size=2000"}), HasSubstr("more than the 1024 items"));
  EXPECT_THAT(refused({"sampling.chains=10", "inference.chains_per_datum=4"}), HasSubstr("no multiple"));
}

TEST(HeeConfig, NegativeDataForARectifiedObservation) {
  const Config config = parse(kData + kLayers, {"model.layers[0].family=rectified"});
  const PreparedData data = prepare_data(config);
  EXPECT_THAT(test::message_of([&] { check_observations(config, data); }),
              AllOf(HasSubstr("a law on x >= 0"), HasSubstr("gaussian, laplace")));
}

TEST(HeeConfig, WarningsGiveBothFigures) {
  Config config = parse(kData + kLayers, {"inference.interneurons=sampled", "inference.tau_ratio=0.9"});
  resolve(config, {2, 0, 1024, false});
  PreparedData data = prepare_data(config);
  const HeeModel model = starting_hee(config, data);
  const auto warnings = hee_warnings(config, model.parameters);
  ASSERT_EQ(warnings.size(), 1u);
  // Gaussian interneurons of s = 0.5 relax at 4 / 0.9 = 4.44; the neurons at 20 and more
  EXPECT_THAT(warnings[0],
              AllOf(HasSubstr("interneurons of layer 0 (gaussian) relax at 4.44"), HasSubstr("not faster")));
  config.inference.tau_ratio = 0.1;
  EXPECT_TRUE(hee_warnings(config, model.parameters).empty());
  config.inference.dt = 1.0;  // weights, not only the prior
  EXPECT_THAT(hee_warnings(config, model.parameters).front(), HasSubstr("too large for these weights"));
}

TEST(HeeConfig, SharedNoiseDoesNotGoWithReflection) {
  Config config = parse(kData +
                            "[model]\nkind = \"hee\"\n[[model.layers]]\nfamily = \"gaussian\"\ns = 0.5\n"
                            "[[model.layers]]\nsize = 3\nfamily = \"rectified\"\n",
                        {"inference.integrator=leimkuhler_matthews", "inference.dt=0.01"});
  resolve(config, {2, 0, 1024, false});
  const HeeModel model = starting_hee(config, prepare_data(config));
  const auto warnings = hee_warnings(config, model.parameters);
  ASSERT_EQ(warnings.size(), 1u);
  EXPECT_THAT(warnings[0], HasSubstr("layer 1 (rectified) is reflected at 0"));
  config.inference.integrator = std::string("euler_maruyama");
  EXPECT_TRUE(hee_warnings(config, model.parameters).empty());
}

}  // namespace
}  // namespace tarn
