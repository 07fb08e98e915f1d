// Image runs: a set of blobs written here as IDX, through PCA, training, sampling, to grids; and the same with inputs.
#include <netcdf.h>

#include <cmath>

#include "experiment/run_tools.hpp"
#include "message_of.hpp"
#include "tarn/data/scaling.hpp"
#include "tarn/io/draws.hpp"
#include "tarn/io/npy.hpp"
#include "tarn/io/png.hpp"
#include "tarn/training/classifier.hpp"

namespace tarn {
namespace {

using test::RunTest;

class ImageRun : public RunTest {
 protected:
  static constexpr int n_images = 300, side = 12;
  ImageRun() {
    // a blob at one of five places, of one of several widths, the same every time
    std::string bytes;
    const auto big_endian = [&](std::uint32_t value) {
      for (int shift = 24; shift >= 0; shift -= 8) bytes += static_cast<char>(value >> shift);
    };
    for (const int value : {2051, n_images, side, side}) big_endian(static_cast<std::uint32_t>(value));
    places = Matrix<float>(n_images, 1);
    for (int i = 0; i < n_images; ++i) {
      const double centre = 2.0 + 2.0 * (i % 5), width = 1.0 + 0.1 * (i % 7);
      places(i, 0) = static_cast<float>((centre - 6.0) / 4.0);
      for (int r = 0; r < side; ++r) {
        for (int c = 0; c < side; ++c) {
          const double square = (r - centre) * (r - centre) + (c - 5.5) * (c - 5.5);
          bytes += static_cast<char>(static_cast<int>(255.0 * std::exp(-0.5 * square / (width * width))));
        }
      }
    }
    test::write_text(folder / "blobs-idx3-ubyte", bytes);
    write_npy(folder / "places.npy", places.view());
    bytes.clear();
    for (const int value : {2049, n_images}) big_endian(static_cast<std::uint32_t>(value));
    for (int i = 0; i < n_images; ++i) bytes += static_cast<char>(i % 5);
    test::write_text(folder / "blobs-labels-idx1-ubyte", bytes);
  }
  std::vector<std::string> settings() const { return {"data.path=\"" + (folder / "blobs-idx3-ubyte").string() + "\""}; }
  const std::string text =
      "[run]\nname = \"blobs\"\nseed = 3\n[data]\nkind = \"idx\"\nscaling = \"unit_norm\"\n"
      "[filter]\nkind = \"pca\"\ncomponents = 6\n[model]\nneurons = 60\n"
      "[training]\nepochs = 20\nbatch_size = 30\n[training.noise]\nlevels = 4\n"
      "[sampling]\nchains = 40\n[evaluation]\ngrid = 3\nlast_level_steps = 25\nlast_level_chains = 15\n";
  Matrix<float> places;
};

TEST_F(ImageRun, EndsWithGridsAndDecodedDraws) {
  const Config config = parse_config(text, "blobs.toml", settings());
  const RunOutcome outcome = run_experiment(config, {folder / "runs", 2});
  const auto figures = outcome.folder / "figures";
  for (const char* name : {"samples", "samples_after_last_level"}) {
    const Image both = read_png(figures / (std::string(name) + ".png"));
    const Image left = read_png(figures / (std::string(name) + "_only.png"));
    EXPECT_EQ(both.rows, left.rows);
    EXPECT_EQ(both.cols, 2 * left.cols + 12) << "samples and real images side by side";
    EXPECT_GE(left.rows, 3 * side);
    EXPECT_GT(*std::max_element(left.pixels.begin(), left.pixels.end()), 200);
  }
  std::map<std::string, double> metrics;
  for (const Metric& m : outcome.metrics) metrics[m.name] = m.value;
  for (const char* name : {"chains_beyond", "chains_beyond_after_last_level", "frechet_filter_space"}) {
    ASSERT_TRUE(metrics.contains(name)) << name;
    EXPECT_TRUE(std::isfinite(metrics[name])) << name;
  }

  // the images in samples.nc are the last draws, mapped back
  const StoredRun stored = load_run(outcome.folder);
  const DrawReader draws(outcome.folder / "samples.nc");
  EXPECT_EQ(draws.n_chains(), 40);
  EXPECT_EQ(draws.n_dims(), 6);
  Matrix<float> x = draws.draw(-1);
  apply_scaling(stored.data.scaling, x);
  const Matrix<float> expected = stored.data.to_data_units(x);
  ASSERT_EQ(expected.cols(), side * side);
  int file = 0, group = 0, variable = 0, n_dims = 0, dims[4] = {};
  ASSERT_EQ(nc_open((outcome.folder / "samples.nc").c_str(), NC_NOWRITE, &file), NC_NOERR);
  ASSERT_EQ(nc_inq_ncid(file, "images", &group), NC_NOERR);
  ASSERT_EQ(nc_inq_varid(group, "decoded", &variable), NC_NOERR);
  ASSERT_EQ(nc_inq_varndims(group, variable, &n_dims), NC_NOERR);
  ASSERT_EQ(n_dims, 3);
  nc_inq_vardimid(group, variable, dims);
  const std::size_t sizes[] = {40, side, side};
  for (int d = 0; d < 3; ++d) {
    std::size_t size = 0;
    nc_inq_dimlen(group, dims[d], &size);
    EXPECT_EQ(size, sizes[d]);
  }
  std::vector<float> decoded(40 * side * side);
  ASSERT_EQ(nc_get_var_float(group, variable, decoded.data()), NC_NOERR);
  nc_close(file);
  for (std::int64_t i = 0; i < expected.size(); ++i) {
    // shift and scale there and back: a few half ulp of values about 1
    ASSERT_NEAR(decoded[static_cast<std::size_t>(i)], expected.data()[i], 1e-5);
  }
}

// Every figure of docs/quality.md with its interval, its floor and the Gaussian's; by a classifier too, of the draws and of the chains that
// went on. Equal runs give equal bytes, and a file of a classifier serves as one trained on the way.
TEST_F(ImageRun, IsJudgedByAClassifier) {
  auto overrides = settings();
  overrides.push_back("data.labels=\"" + (folder / "blobs-labels-idx1-ubyte").string() + "\"");
  overrides.push_back("evaluation.classifier=auto");
  const RunOutcome outcome = run_experiment(parse_config(text, "blobs.toml", overrides), {folder / "a", 2});
  std::map<std::string, Metric> metrics;
  for (const Metric& m : outcome.metrics) metrics[m.name] = m;
  EXPECT_GT(metrics.at("classifier_accuracy").value, 0.5) << "five places, 12 steps: far above 0.2";
  const auto expect_judged = [&](const std::string& name, std::int64_t n) {
    ASSERT_TRUE(metrics.contains(name)) << name;
    const Metric& m = metrics[name];
    ASSERT_TRUE(m.quality.has_value()) << name;
    EXPECT_TRUE(std::isfinite(m.value) && std::isfinite(m.floor)) << name;
    EXPECT_LE(m.quality->draws.low, m.value) << name;
    EXPECT_GE(m.quality->draws.high, m.value) << name;
    EXPECT_LE(m.quality->n, n) << name;
    EXPECT_GE(m.quality->n, n - 5) << name << ": chains may have been lost";
    EXPECT_TRUE(std::isfinite(m.quality->mixture.value)) << name << ": 10 components fit 300 rows of 6";
    EXPECT_TRUE(std::isfinite(m.quality->gaussian.value)) << name;
  };
  for (const char* name : {"frechet", "sliced_w2", "energy_distance", "squared_mmd", "precision", "coverage"})
    expect_judged(std::string(name) + "_filter_space", 40);
  for (const char* name : {"frechet", "class_tv", "confidence"}) {
    expect_judged(std::string(name) + "_classifier", 40);
    expect_judged(std::string(name) + "_classifier_continued", 15);
  }
  EXPECT_GT(metrics.at("confidence_classifier").floor, 0.3);
  EXPECT_LE(metrics.at("confidence_classifier").floor, 1.0);
  EXPECT_TRUE(std::filesystem::exists(outcome.folder / "figures" / "quality_filter_space.svg"));

  const RunOutcome again = run_experiment(parse_config(text, "blobs.toml", overrides), {folder / "b", 2});
  test::expect_same_files(outcome.folder, again.folder);
  overrides.back() = "evaluation.classifier=\"" + (outcome.folder / "classifier.safetensors").string() + "\"";
  const RunOutcome given = run_experiment(parse_config(text, "blobs.toml", overrides), {folder / "c", 2});
  for (const Metric& m : given.metrics) {
    if (m.name != "frechet_classifier") continue;
    EXPECT_EQ(m.value, metrics.at("frechet_classifier").value);
  }
  overrides.back() = "evaluation.classifier=nothing.safetensors";
  EXPECT_THROW(run_experiment(parse_config(text, "blobs.toml", overrides), {folder / "d", 2}), Error);
}

// Of a hierarchical model: the images that the latents stand for, and x_0 with its noise.
TEST_F(ImageRun, DrawsOfAHierarchicalModelAreJudgedByAClassifier) {
  const std::string hee =
      "[run]\nname = \"blobs\"\nseed = 3\n[data]\nkind = \"idx\"\nscaling = \"divide_255\"\n[filter]\nkind = \"pca\"\n"
      "components = 6\n[model]\nkind = \"hee\"\n[[model.layers]]\nfamily = \"gaussian\"\ns = 0.3\n[[model.layers]]\n"
      "size = 4\nfamily = \"gaussian\"\n[inference]\ndt = 0.02\nsteps = 20\nwindow = 10\n[training]\nepochs = 20\n"
      "batch_size = 30\n[sampling]\nmode = \"ancestral\"\nchains = 60\n[evaluation]\ngrid = 3\n";
  auto overrides = settings();
  overrides.push_back("data.labels=\"" + (folder / "blobs-labels-idx1-ubyte").string() + "\"");
  overrides.push_back("evaluation.classifier=auto");
  const RunOutcome outcome = run_experiment(parse_config(hee, "blobs.toml", overrides), {folder / "a", 2});
  std::map<std::string, Metric> metrics;
  for (const Metric& m : outcome.metrics) metrics[m.name] = m;

  const StoredRun stored = load_run(outcome.folder);
  const Classifier classifier = load_classifier(outcome.folder / "classifier.safetensors");
  const Matrix<float> draws = DrawReader(outcome.folder / "samples.nc").draw(-1);
  for (const auto& [name, column] : {std::pair<std::string, std::int64_t>{"classifier_x_0", 0}, {"classifier", 6}}) {
    SCOPED_TRACE(name);
    Matrix<float> x(draws.rows(), 6);
    for (std::int64_t i = 0; i < x.rows(); ++i) std::copy_n(draws.row(i) + column, 6, x.row(i));
    apply_scaling(stored.data.scaling, x);
    const ImageJudgement judged = classifier.judge(stored.data.to_data_units(x));
    double confidence = 0.0;
    for (const double c : judged.confidence) confidence += c / 60.0;
    ASSERT_TRUE(metrics.contains("confidence_" + name));
    EXPECT_NEAR(metrics["confidence_" + name].value, confidence, 1e-5);
    EXPECT_EQ(metrics["frechet_" + name].quality->n, 60);
    EXPECT_TRUE(std::isfinite(metrics["frechet_" + name].quality->mixture.value));
    EXPECT_TRUE(std::isfinite(metrics["class_tv_" + name].value));
  }
  EXPECT_NE(metrics["confidence_classifier"].value, metrics["confidence_classifier_x_0"].value);
  overrides.emplace_back("sampling.mode=posterior");
  EXPECT_THAT(test::message_of([&] {
                run_experiment(parse_config(hee, "blobs.toml", overrides), {folder / "b", 1});
              }),
              testing::HasSubstr("posterior chains draw no images"));
}

// Inputs reach training, the chains, and the further steps at the last level.
TEST_F(ImageRun, TakesInputs) {
  auto overrides = settings();
  overrides.push_back("data.condition=\"" + (folder / "places.npy").string() + "\"");
  const Config config = parse_config(text, "blobs.toml", overrides);
  const RunOutcome outcome = run_experiment(config, {folder / "runs", 2});
  EXPECT_TRUE(std::filesystem::exists(outcome.folder / "figures" / "samples_after_last_level.png"));
  const StoredRun stored = load_run(outcome.folder);
  EXPECT_EQ(stored.data.n_inputs, 1);
  EXPECT_EQ(stored.levels.back().W_in.cols(), 7);
}

// Filters that are learned, or read: each trains, samples, shows its grid, and comes back from the run folder as it was.
class FilteredImageRun : public ImageRun {
 protected:
  RunOutcome run(const std::string& filter, std::vector<std::string> overrides = {}) {
    for (const auto& setting : settings()) overrides.push_back(setting);
    const std::string rest = text.substr(text.find("[model]"));
    config =
        parse_config("[run]\nseed = 3\n[data]\nkind = \"idx\"\nscaling = \"unit_norm\"\n[filter]\n" + filter + rest,
                     "filtered.toml", overrides);
    return run_experiment(config, {folder / "runs", 2});
  }
  void expect_same_filter(const RunOutcome& outcome, std::int64_t D) {
    const Image grid = read_png(outcome.folder / "figures" / "samples_only.png");
    EXPECT_GT(*std::ranges::max_element(grid.pixels), 200);
    const StoredRun stored = load_run(outcome.folder);
    EXPECT_EQ(stored.data.filter->kind(), config.filter.kind);
    const PreparedData again = prepare_data(config);  // a fit is a function of config and data
    EXPECT_EQ(again.n_outputs, D);
    EXPECT_EQ(stored.data.to_data_units(again.rows), again.to_data_units(again.rows));
    EXPECT_EQ(prepare_data_with(stored.data, config).rows, again.rows);
    // centred, of RMS norm 1
    double square = 0.0;
    for (std::int64_t i = 0; i < again.rows.size(); ++i) square += std::pow(again.rows.data()[i], 2);
    EXPECT_NEAR(square / static_cast<double>(again.rows.rows()), 1.0, 1e-5);
  }
  Config config;
};

TEST_F(FilteredImageRun, SparseCode) {
  const auto outcome =
      run("kind = \"sparse_code\"\ncomponents = 160\nepochs = 1\nbatch_size = 50\npenalty = 0.01\niterations = 10\n",
          {"training.epochs=2", "evaluation.last_level_steps=0"});
  expect_same_filter(outcome, 160);
}

TEST_F(FilteredImageRun, Autoencoder) {
  const auto outcome = run("kind = \"autoencoder\"\ncomponents = 3\nhidden = [24]\nepochs = 4\nbatch_size = 30\n");
  expect_same_filter(outcome, 3);
}

TEST_F(FilteredImageRun, Features) {
  // the principal components as somebody else may have computed them
  const Config pca = parse_config(text, "blobs.toml", settings());
  const PreparedData components = prepare_data(pca);
  write_npy(folder / "features.npy", components.rows.view());
  const std::string features = "kind = \"features\"\nfeatures = \"" + (folder / "features.npy").string() + "\"\n";
  const auto outcome = run(features);
  expect_same_filter(outcome, 6);
  // least squares finds the way back that PCA knows
  const PreparedData again = prepare_data(config);
  const Matrix<float> a = again.to_data_units(again.rows), b = components.to_data_units(components.rows);
  for (std::int64_t i = 0; i < a.size(); ++i) ASSERT_NEAR(a.data()[i], b.data()[i], 1e-4);

  // given instead
  Matrix<float> decoder(7, side * side);
  for (std::int64_t i = 0; i < decoder.size(); ++i) decoder.data()[i] = static_cast<float>(i % 17);
  const auto given = [&](const Matrix<float>& matrix) {
    write_npy(folder / "decoder.npy", matrix.view());
    return parse_config("[data]\nkind = \"idx\"\n[filter]\n" + features, "f.toml",
                        {settings()[0], "data.scaling=none", "filter.decoder=" + (folder / "decoder.npy").string()});
  };
  const PreparedData decoded = prepare_data(given(decoder));
  const Matrix<float> back = decoded.to_data_units(decoded.rows.view().slice(4, 5));
  for (std::int64_t j = 0; j < side * side; ++j) {
    double sum = decoder(6, j);
    for (std::int64_t d = 0; d < 6; ++d) sum += static_cast<double>(decoded.rows(4, d)) * decoder(d, j);
    ASSERT_NEAR(back(0, j), sum, 1e-4);
  }
  const auto message = [](const auto& f) {
    try {
      f();
    } catch (const Error& error) {
      return std::string(error.what());
    }
    return std::string("no error");
  };
  EXPECT_THAT(
      message([&] { prepare_data(given(Matrix<float>(5, side * side))); }),
      testing::HasSubstr("decoder.npy: a decoder [5, 144]; 6 features and items of 144 values need [6, 144], or "
                         "[7, 144] with an offset last"));
  write_npy(folder / "features.npy", Matrix<float>(299, 6).view());
  EXPECT_THAT(message([&] { prepare_data(config); }), testing::HasSubstr("299 rows of features"));
}

}  // namespace
}  // namespace tarn
