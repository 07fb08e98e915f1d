// Reading, checking and writing of configs: what is refused, with which line, and that a written config reads back the
// same.
#include "tarn/experiment/config.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>

#include "tarn/core/error.hpp"
#include "tarn/experiment/config_schema.hpp"

namespace tarn {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

const std::filesystem::path kRoot = std::filesystem::path(TARN_TEST_DATA) / ".." / "..";

const std::string kPeak = "[data]\nkind = \"gaussian_mixture\"\nmeans = [[-1.0], [1.0]]\nstd = 0.5\n";

/// The one line with which a config is refused; fails where it is not refused or the message has more lines.
std::string refusal(const std::string& text, const std::vector<std::string>& overrides = {}) {
  try {
    parse_config(text, "a.toml", overrides);
  } catch (const UsageError& error) {
    const std::string message = error.what();
    EXPECT_THAT(message, Not(HasSubstr("\n")));
    return message;
  }
  ADD_FAILURE() << "not refused:\n" << text;
  return "";
}

std::string refusal_of_override(const std::string& override) { return refusal(kPeak, {override}); }

TEST(Config, DefaultsAndGivenKeys) {
  const Config config = parse_config(kPeak + "[training]\nbatch_size = 1e2\n", "dir/peak one.toml");
  EXPECT_EQ(config.run.name, "peak_one");
  EXPECT_EQ(config.run.seed, 3407u);
  EXPECT_EQ(config.training.batch_size, 100);
  EXPECT_EQ(config.data.std, std::vector<double>{0.5});
  EXPECT_EQ(config.data.means, (std::vector<std::vector<double>>{{-1.0}, {1.0}}));
  EXPECT_TRUE(config.was_given("training.batch_size"));
  EXPECT_EQ(config.given.at("training.batch_size"), "dir/peak one.toml:6");
  EXPECT_FALSE(config.was_given("training.epochs"));
}

TEST(Config, DeepKeysAreRefusedBeforeTheParserFollowsThem) {
  // toml++ limits how deep values are nested, but not keys: these used up the stack.
  const auto dotted = [](const std::string& part, int n) {
    std::string key = part;
    for (int i = 1; i < n; ++i) key += "." + part;
    return key;
  };
  const std::string reason = "a key of more than 16 parts";
  for (const std::string part : {"a", " a ", "\"a\"", "'a'", "\"=\"", "'\"\"\"'", "\"\\\"\"", "\"#\""}) {
    EXPECT_THAT(refusal(kPeak + dotted(part, 200'000) + " = 1\n"), AllOf(HasSubstr("a.toml:5: "), HasSubstr(reason)))
        << part;
    EXPECT_THAT(refusal("[" + dotted(part, 200'000) + "]\n"), HasSubstr(reason)) << part;
    EXPECT_THAT(refusal("a = {" + dotted(part, 200'000) + " = 1}\n"), HasSubstr(reason)) << part;
  }
  EXPECT_THAT(refusal_of_override("data.means={" + dotted("a", 17) + "=1}"), HasSubstr(reason));
  EXPECT_THAT(refusal(kPeak + dotted("a", 16) + " = 1\n"), HasSubstr("unknown key"));
  // what only looks like one
  const std::string dots(100, '.');
  const auto accepts = [](const std::string& text) { EXPECT_NO_THROW(parse_config(text, "a.toml")) << text; };
  accepts("# " + dots + "\n" + kPeak + "weights = [0.25, 0.75] # " + dots + "\n");
  accepts(kPeak + "[training]\ninit = \"" + dots + "\"\n");
  accepts(kPeak + "[training]\ninit = \"\"\"\n'\" " + dots + "\"\"\"\"\n");
  accepts(kPeak + "[training]\ninit = '''\n'\\ " + dots + "'''\n");
  accepts(kPeak + "[training]\ninit = '\\'\nepochs = 1\n");
}

TEST(Config, UnknownKeysNameFileLineAndNearestKey) {
  // Long words are cut, and not compared with every key.
  EXPECT_EQ(refusal(kPeak + "[training]\n" + std::string(500'000, 'a') + " = 1\n"),
            "a.toml:6: unknown key training.\"" + std::string(100, 'a') + "\"; all keys are listed in docs/config.md");
  EXPECT_EQ(refusal(kPeak + "[training]\nepoch = 10\n"),
            "a.toml:6: unknown key training.epoch; did you mean training.epochs?");
  EXPECT_EQ(refusal(kPeak + "[training]\nlr = 0.1\n"),
            "a.toml:6: unknown key training.lr; did you mean training.optimizer.lr?");
  EXPECT_EQ(refusal(kPeak + "[smapling]\ndt = 0.1\n"), "a.toml:5: unknown key smapling; did you mean sampling?");
  EXPECT_EQ(refusal("seed = 1\n" + kPeak), "a.toml:1: unknown key seed; did you mean run.seed?");
  EXPECT_THAT(refusal(kPeak + "\"training.epochs\" = 1\n"), HasSubstr("unknown key data.\"training.epochs\""));
  EXPECT_EQ(refusal(kPeak + "\"a\\nb\" = 1\n").find('\n'), std::string::npos);
  EXPECT_EQ(refusal(kPeak + "[nothing_like_it]\n"),
            "a.toml:5: unknown key nothing_like_it; all keys are listed in docs/config.md");
  EXPECT_THAT(refusal(kPeak + "[[data.layers]]\nsize = 3\n"), HasSubstr("a.toml:5: unknown key data.layers"));
}

TEST(Config, NearestKeyFindsEachKeyWithOneLetterDropped) {
  int n_found = 0, n_tried = 0;
  for (const KeySpec& key : config_schema()) {
    std::string typo(key.name);
    typo.erase(typo.size() / 2, 1);
    if (find_key(typo) != nullptr) continue;
    ++n_tried;
    n_found += nearest_key(typo) == key.name;
  }
  EXPECT_EQ(n_found, n_tried);
  EXPECT_EQ(nearest_key("nothing.like_it.anywhere"), "");
  EXPECT_EQ(nearest_key(std::string(100000, 'x')), "");
}

TEST(Config, WrongTypesAndRangesNameWhatWasFoundAndWhatIsAllowed) {
  const auto line = [](const std::string& table, const std::string& assignment) {
    return refusal(kPeak + "[" + table + "]\n" + assignment + "\n");
  };
  EXPECT_EQ(line("training", "epochs = \"ten\""),
            "a.toml:6: training.epochs = \"ten\"; allowed: integer >= 1 and <= 2^40");
  EXPECT_EQ(line("training", "epochs = 0"), "a.toml:6: training.epochs = 0; allowed: integer >= 1 and <= 2^40");
  EXPECT_EQ(line("training", "epochs = 2.5"), "a.toml:6: training.epochs = 2.5; allowed: integer >= 1 and <= 2^40");
  EXPECT_THAT(line("training", "epochs = 1e300"), HasSubstr("training.epochs = 1e+300; allowed: integer"));
  EXPECT_THAT(line("training", "epochs = nan"), HasSubstr("training.epochs = nan; allowed: integer"));
  EXPECT_THAT(line("training", "epochs = 2000-01-01"), HasSubstr("a date or time; allowed: integer"));
  EXPECT_EQ(line("sampling", "dt = 0"), "a.toml:6: sampling.dt = 0; allowed: number > 0");
  EXPECT_EQ(line("sampling", "dt = nan"), "a.toml:6: sampling.dt = nan; allowed: number > 0");
  EXPECT_EQ(line("sampling", "dt = inf"), "a.toml:6: sampling.dt = inf; allowed: number > 0");
  EXPECT_THAT(line("sampling", "merge = 1"), HasSubstr("sampling.merge = 1; allowed: true or false"));
  EXPECT_THAT(line("sampling", "initial = 3"), HasSubstr("sampling.initial = 3; allowed: a table, [sampling.initial]"));
  EXPECT_THAT(line("sampling", "dt = [[[0.1]]]"),
              HasSubstr("a list of 1 starting with a list of 1 starting with a list of 1 starting with 0.1"));
  EXPECT_EQ(line("training.optimizer", "ema = 1"),
            "a.toml:6: training.optimizer.ema = 1; allowed: number >= 0 and < 1");
  EXPECT_EQ(line("model", "nonlinearity = \"rleu\""),
            "a.toml:6: model.nonlinearity = \"rleu\" (did you mean \"relu\"?); allowed: one of: relu, leaky_relu, "
            "tanh, softplus, sigmoid");
  EXPECT_EQ(line("run", "precision = \"fp16\""),
            "a.toml:6: run.precision = \"fp16\"; allowed: one of: fp32, tf32, bf16");
  EXPECT_EQ(
      line("sampling", "until = \"rhat = 1.01\""),
      "a.toml:6: sampling.until: \"rhat = 1.01\": < or > must follow \"rhat\", found =; allowed: comparisons joined by "
      "\"and\", like \"rhat < 1.01 and ess > 400\"");
  EXPECT_THAT(line("run", "device = \"cuda:x\""), HasSubstr("allowed: auto, cpu, cuda or cuda:K"));
  EXPECT_THAT(line("run", "name = \"../up\""), HasSubstr("it names the run folder"));
  EXPECT_THAT(line("run", "name = \"a\\u0000b\""), HasSubstr("zero byte"));
  EXPECT_THAT(line("run", "seed = -1"), HasSubstr("integer >= 0 and < 2^63"));
  EXPECT_THAT(line("evaluation", "metrics = [\"kl\", \"w2\"]"), HasSubstr("evaluation.metrics = \"w2\""));
  EXPECT_THAT(line("sampling.record", "neurons = \"random:0\""), HasSubstr("random:K"));
  EXPECT_THAT(line("sampling.record", "neurons = \"1,,2\""), HasSubstr("random:K"));
  EXPECT_THAT(line("run", "name = \"" + std::string(5000, 'x') + "\""), HasSubstr("a string of 5000 bytes"));
}

TEST(Config, NotToml) {
  EXPECT_THAT(refusal("[data\nkind = 3"), AllOf(HasSubstr("a.toml:1: not valid TOML: ")));
  EXPECT_THAT(refusal("[data]\nkind = \"idx\"\nkind = \"npy\"\n"), HasSubstr("a.toml:3: not valid TOML: "));
  EXPECT_THAT(refusal("a = \"\xff\xfe\""), HasSubstr("not valid TOML"));
  EXPECT_THAT(refusal(std::string("a = ") + std::string(100000, '[')), HasSubstr("not valid TOML"));
  EXPECT_THAT(refusal(""), HasSubstr("a.toml: data.kind is missing; allowed: one of: gaussian_mixture"));
}

TEST(Config, Files) {
  EXPECT_THROW(load_config("/nowhere/x.toml"), UsageError);
  EXPECT_THROW(load_config("/"), UsageError);
  const auto path = std::filesystem::path(testing::TempDir()) / "large.toml";
  std::ofstream(path) << std::string((1 << 20) + 1, '#');
  EXPECT_THROW(load_config(path.string()), UsageError);
  std::ofstream(path) << kPeak;
  EXPECT_EQ(load_config(path.string()).run.name, "large");
  std::filesystem::remove(path);
}

TEST(Config, Overrides) {
  const Config config = parse_config(
      kPeak + "[training]\nepochs = 10\n", "a.toml",
      {"training.epochs=50", "training.epochs = 60", "run.name=b-2", "run.device=\"cpu\"", "data.std=[0.5, 1]",
       "sampling.initial.path=/x/y z.npy", "run.name=2020-01-02", "training.noise.levels=auto"});
  EXPECT_EQ(config.training.epochs, 60);
  EXPECT_EQ(config.given.at("training.epochs"), "--set training.epochs");
  EXPECT_EQ(config.run.name, "2020-01-02");
  EXPECT_EQ(config.run.device, "cpu");
  EXPECT_EQ(config.data.std, (std::vector<double>{0.5, 1.0}));
  EXPECT_EQ(config.sampling.initial.path, "/x/y z.npy");
  EXPECT_FALSE(config.was_given("training.noise.levels"));

  EXPECT_EQ(refusal_of_override("training.epoch=5"),
            "--set training.epoch: unknown key training.epoch; did you mean training.epochs?");
  EXPECT_EQ(refusal_of_override("training.epochs=many"),
            "--set training.epochs: training.epochs = \"many\"; allowed: integer >= 1 and <= 2^40");
  EXPECT_THAT(refusal_of_override("training.epochs=1\nb = 2"), HasSubstr("allowed: integer"));
  EXPECT_THAT(refusal_of_override("training={epochs=1}"), HasSubstr("training is a table"));
  EXPECT_THAT(refusal_of_override("training.epochs"), HasSubstr("allowed: KEY=VALUE"));
  EXPECT_THAT(refusal_of_override("=3"), HasSubstr("allowed: KEY=VALUE"));
  EXPECT_EQ(refusal_of_override("sampling.initial.path=\xff"),
            "--set sampling.initial.path: the value is not UTF-8 text");
}

TEST(Config, KeysOfAnotherKindOfDataAreRefused) {
  EXPECT_EQ(
      refusal("[data]\nkind = \"idx\"\nmeans = [[1.0]]\n"),
      "a.toml:3: data.means has no meaning with data.kind = \"idx\"; it belongs to: gaussian_mixture, laplace_mixture");
  EXPECT_THAT(refusal(kPeak + "path = \"x\"\n"), HasSubstr("a.toml:5: data.path has no meaning"));
  EXPECT_EQ(refusal("[data]\nkind = \"idx\"\n[filter]\nkind = \"pca\"\npenalty = 0.1\n"),
            "a.toml:5: filter.penalty has no meaning with filter.kind = \"pca\"; it belongs to: sparse_code");
  EXPECT_THAT(refusal("[data]\nkind = \"idx\"\n[filter]\nkind = \"features\"\n"),
              HasSubstr("filter.features: missing"));
  EXPECT_THAT(refusal("[data]\nkind = \"idx\"\n[filter]\nkind = \"features\"\nfeatures = \"f.npy\"\ndecoder = \"\"\n"),
              HasSubstr("filter.decoder: empty; allowed: linear, or a .npy file"));
}

TEST(Config, MixturesMustFitTogether) {
  const auto mixture = [](const std::string& keys, const std::string& kind = "gaussian_mixture") {
    return refusal("[data]\nkind = \"" + kind + "\"\n" + keys);
  };
  EXPECT_THAT(mixture("std = 1"), HasSubstr("data.means: missing"));
  EXPECT_THAT(mixture("means = [[0.0]]"), HasSubstr("neither was given"));
  EXPECT_THAT(mixture("means = [[0.0]]\nstd = 1\ncovariances = [[[1.0]]]"), HasSubstr("both were given"));
  EXPECT_THAT(mixture("means = [[0.0], [1.0, 2.0]]\nstd = 1"), HasSubstr("mean 2 has 2 numbers, the first has 1"));
  EXPECT_THAT(mixture("means = [[]]\nstd = 1"), HasSubstr("no dimensions"));
  EXPECT_THAT(mixture("means = [[0.0], [1.0]]\nstd = [1, 1, 1]"), HasSubstr("3 given for 2 components"));
  EXPECT_THAT(mixture("means = [[0.0], [1.0]]\nstd = 1\nweights = [1]"),
              HasSubstr("data.weights: 1 given for 2 components"));
  EXPECT_THAT(mixture("means = [[0.0], [1.0]]\nstd = 1\nweights = [1, 0]"), HasSubstr("allowed: list of numbers > 0"));
  EXPECT_THAT(mixture("means = [[0.0, 0.0]]\ncovariances = [[[1.0, 0.5], [0.4, 1.0]]]"), HasSubstr("not symmetric"));
  EXPECT_THAT(mixture("means = [[0.0, 0.0]]\ncovariances = [[[1.0, 0.5]]]"), HasSubstr("matrix 1 must be 2 x 2"));
  EXPECT_THAT(mixture("covariances = [[]]", "laplace_mixture"), HasSubstr("no dimensions"));
  EXPECT_THAT(mixture("std = 1", "laplace_mixture"), HasSubstr("number of dimensions is unknown"));
  EXPECT_THAT(mixture("means = [[0.0]]\nstd = 1\ninputs = 1"), HasSubstr("1 inputs, but the law has 1 dimensions"));
}

TEST(Config, OtherKeysThatContradictEachOther) {
  EXPECT_THAT(refusal("[data]\nkind = \"ring\"\nscaling = \"divide_255\""), HasSubstr("is for data sets"));
  EXPECT_THAT(refusal("[data]\nkind = \"npy\"\nclasses = [1]"), HasSubstr("needs data.labels"));
  EXPECT_THAT(refusal("[data]\nkind = \"two_moons\"\ninputs = 2"), HasSubstr("2 dimensions in all"));
  EXPECT_THAT(refusal(kPeak + "[training.quality]\nconfinement_radius = [13.0, 1.3]"),
              HasSubstr("two numbers, the smaller first"));
  EXPECT_THAT(refusal(kPeak + "[training.noise]\nschedule = \"single\"\nlevels = 3"),
              HasSubstr("3 levels with schedule"));
  EXPECT_THAT(refusal(kPeak + "[sampling.initial]\nkind = \"uniform\"\nlow = 3"), HasSubstr("3 is above high = 2"));
  EXPECT_THAT(refusal(kPeak + "[sampling.initial]\nkind = \"file\""), HasSubstr("sampling.initial.path: missing"));
  const std::string sampler_only = kPeak + "[model]\nkind = \"sampler_only_fr\"\n";
  EXPECT_THAT(refusal("[data]\nkind = \"ring\"\n[sampling]\nnoise = \"private\""),
              HasSubstr("sampling.record.reservoir = true"));
  EXPECT_THAT(refusal(sampler_only + "[sampling.record]\nreservoir = true"), HasSubstr("has no reservoir"));
  EXPECT_THAT(refusal(sampler_only + "[sampling.initial]\nspace = \"r\""), HasSubstr("has no reservoir"));
  EXPECT_THAT(refusal(sampler_only + "[training.quality]\noutput_scaling = \"inverse_sigma\""),
              HasSubstr("no output weights"));
  EXPECT_THAT(refusal(sampler_only + "[training.quality]\nconfinement = 8"), HasSubstr("takes none"));
}

TEST(Config, MomentumBelongsToAReversibleDriftOfTheOutputs) {
  const std::string ring = "[data]\nkind = \"ring\"\n", baoab = "[sampling]\nintegrator = \"baoab\"\n";
  EXPECT_THAT(refusal(ring + "[sampling]\nfriction = 2.0"), HasSubstr("it belongs to: baoab"));
  EXPECT_THAT(refusal(ring + baoab + "friction = 0.0"), HasSubstr("> 0"));
  EXPECT_THAT(refusal(ring + baoab + "[sampling.record]\nreservoir = true"), HasSubstr("that the reservoir has not"));
  EXPECT_THAT(refusal(ring + baoab + "[sampling.irreversible]\nstrength = 1.0"), HasSubstr("needs a reversible drift"));
  EXPECT_THAT(refusal(ring + baoab + "[evaluation]\naccelerate = [1.0]"), HasSubstr("have no momentum"));
  const std::string trained = ring + "[model]\nirreversible = 1.0\n" + baoab;
  EXPECT_THAT(refusal(trained), HasSubstr("sampling.drift = \"score\""));
  EXPECT_NO_THROW(parse_config(trained + "drift = \"score\"\n", "m.toml"));

  // a step is then a length, not its square
  Config config = parse_config(ring + baoab + "schedule = \"last_level\"\n[training.noise]\nlast = 0.2\n", "m.toml");
  resolve(config, {2, 0, 10000, false});
  EXPECT_DOUBLE_EQ(config.sampling.dt, 0.1 * 0.2);
}

TEST(Config, MissingPathIsToldWhenTheRunNeedsIt) {
  const Config config = parse_config("[data]\nkind = \"idx\"\npath = \"\"\n", "m.toml");
  try {
    require_data_path(config);
    FAIL() << "not refused";
  } catch (const UsageError& error) {
    EXPECT_STREQ(error.what(), "m.toml:3: data.path is empty; say where the data are: --set data.path=FILE");
  }
  EXPECT_NO_THROW(require_data_path(parse_config("[data]\nkind = \"idx\"\n", "m.toml", {"data.path=x"})));
  EXPECT_NO_THROW(require_data_path(parse_config(kPeak, "m.toml")));
}

TEST(Config, WrittenConfigReadsBackTheSame) {
  Config config =
      parse_config(kPeak + "[run]\nseed = 9223372036854775807\ntau_ms = 0.1\n", "a.toml",
                   {"sampling.dt=1e-5", "training.noise.last=0.1234567890123456789", "sampling.initial.low=-1e300",
                    "sampling.initial.path=\"a \\\"b\\\" \\\\ \\n\\u007f \\u00e9 # [x]\"",
                    "data.weights=[1, 0.333333333333333333]"});
  resolve(config, {.n_outputs = 1, .n_items = 10000});
  const std::string text = to_toml(config, {"tarn 0.1", "two\nlines"});
  EXPECT_THAT(text, AllOf(HasSubstr("# tarn 0.1\n# two lines\n\n[run]\n"), HasSubstr("\nlevels = 6  # recommended\n"),
                          HasSubstr("\nstd = 0.5\n")));

  Config again = parse_config(text, "b.toml");
  EXPECT_EQ(again, config);
  EXPECT_EQ(again.run.seed, 9223372036854775807u);
  EXPECT_TRUE(resolve(again, {.n_outputs = 1, .n_items = 10000}).empty());
  EXPECT_EQ(again, config);
}

TEST(Config, KeysOfAFilterAreWrittenAndReadBack) {
  const std::pair<const char*, const char*> filters[] = {{"pca", "components = 7"},
                                                         {"sparse_code", "solver = \"fista\"\nepochs = 3"},
                                                         {"autoencoder", "hidden = [30, 20]\nlr = 0.01"},
                                                         {"features", "features = \"f.npy\""}};
  for (const auto& [kind, keys] : filters) {
    Config config =
        parse_config(fmt::format("[data]\nkind = \"npy\"\n[filter]\nkind = \"{}\"\n{}\n", kind, keys), "a.toml");
    resolve(config, {.n_outputs = 3, .n_items = 10000});
    const Config again = parse_config(to_toml(config), "b.toml");
    EXPECT_EQ(again.filter, config.filter) << kind;
    EXPECT_EQ(again.was_given("filter.penalty"), config.filter.kind == "sparse_code");
  }
}

TEST(Config, EveryKeyOfTheSchemaIsWrittenReadAndPartOfEquality) {
  Config config = parse_config("[data]\nkind = \"npy\"\n", "a.toml");
  resolve(config, {.n_outputs = 3, .n_items = 10000});
  const std::string text = to_toml(config);
  std::set<std::string_view> names;
  for (const KeySpec& key : config_schema()) {
    EXPECT_TRUE(names.insert(key.name).second) << key.name << " stands twice";
    EXPECT_FALSE(key.doc.empty()) << key.name;
    EXPECT_EQ(find_key(key.name), &key);
    if (key.applies_to(config)) {
      EXPECT_TRUE(parse_config(text, "b.toml").was_given(std::string(key.name))) << key.name;
    }
    if (key.of_sweeps) continue;  // of no meaning in a config without targets: sweep_test.cpp
    // Changing the value behind the slot must make the configs unequal.
    Config other = config;
    std::visit(
        [](auto* value) {
          using T = std::remove_pointer_t<decltype(value)>;
          if constexpr (std::is_same_v<T, bool>) {
            *value = !*value;
          } else if constexpr (std::is_arithmetic_v<T>) {
            *value = *value + 1;
          } else if constexpr (std::is_same_v<T, std::string>) {
            *value += "x";
          } else {
            value->resize(value->size() + 1);
          }
        },
        key.slot(other));
    EXPECT_NE(other, config) << key.name;
  }
}

TEST(Config, ReferencePageIsUpToDate) {
  std::ifstream file(kRoot / "docs" / "config.md");
  std::stringstream page;
  page << file.rdbuf();
  EXPECT_EQ(page.str(), config_reference_markdown()) << "write it anew: tarn check --doc > docs/config.md";
}

/// Facts of the data that each experiment names, as the runner would find them.
DataFacts facts_of(const Config& config) {
  if (is_synthetic(config.data)) {
    const auto n = config.data.means.empty() ? 2 : static_cast<std::int64_t>(config.data.means[0].size());
    return {n - config.data.inputs, config.data.inputs, config.data.epoch_size, false};
  }
  return {config.filter.kind == "none" ? 784 : config.filter.components, 0, 60000, true};
}

TEST(Config, EveryExperimentLoadsResolvesAndReadsBack) {
  int n_experiments = 0;
  for (const auto& entry : std::filesystem::directory_iterator(kRoot / "experiments")) {
    if (entry.path().extension() != ".toml") continue;
    SCOPED_TRACE(entry.path().filename().string());
    ++n_experiments;
    Config config = load_config(entry.path().string());
    EXPECT_EQ(config.run.name, entry.path().stem());
    const auto parts = [](Config& whole) {
      std::vector<Config*> all;
      for (Config& target : whole.targets) all.push_back(&target);
      if (all.empty()) all.push_back(&whole);
      return all;
    };
    for (Config* part : parts(config)) EXPECT_FALSE(resolve(*part, facts_of(*part)).empty());
    Config again = parse_config(to_toml(config), "again.toml");
    EXPECT_EQ(again, config);
    for (Config* part : parts(again)) EXPECT_TRUE(resolve(*part, facts_of(*part)).empty());
    std::ifstream file(entry.path());
    std::stringstream text;
    text << file.rdbuf();
    EXPECT_THAT(text.str(),
                AllOf(testing::StartsWith("# "), HasSubstr("# expected time: "), HasSubstr("# expected figures: ")));
  }
  EXPECT_GE(n_experiments, 14);
}

}  // namespace
}  // namespace tarn
