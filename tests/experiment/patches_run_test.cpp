// Runs on patches of images: data as configs describe them, a sampling network through PCA, and a hierarchical model whose receptive fields
// are judged.
#include <cmath>
#include <numbers>

#include "experiment/run_tools.hpp"
#include "message_of.hpp"
#include "tarn/io/npy.hpp"
#include "tarn/io/png.hpp"

namespace tarn {
namespace {

using test::message_of;
using test::RunTest;
using ::testing::HasSubstr;

class PatchesRun : public RunTest {
 protected:
  static constexpr std::int64_t n_images = 3, rows = 40, cols = 50;
  PatchesRun() {
    // gratings of several orientations that come and go over the image
    Matrix<float> stack(n_images, rows * cols);
    for (std::int64_t n = 0; n < n_images; ++n) {
      for (std::int64_t i = 0; i < rows; ++i) {
        for (std::int64_t j = 0; j < cols; ++j) {
          const double direction = 0.2 * static_cast<double>(i + 2 * j) / 10.0 + static_cast<double>(n);
          const double u = static_cast<double>(j) * std::cos(direction) + static_cast<double>(i) * std::sin(direction);
          stack(n, i * cols + j) =
              static_cast<float>(5.0 + 3.0 * std::sin(1.3 * u) * std::cos(0.05 * static_cast<double>(i * j % 97)));
        }
      }
    }
    write_npy(folder / "stack.npy", stack, {n_images, rows, cols});
  }
  Config config(const std::string& more, const std::vector<std::string>& set = {}) const {
    const std::string text = "[run]\nname = \"patches\"\nseed = 3\n[data]\nkind = \"patches\"\npath = \"" +
                             (folder / "stack.npy").string() + "\"\npatch_size = 8\nborder = 2\nepoch_size = 600\n" +
                             more;
    return parse_config(text, "patches.toml", set);
  }
};

TEST_F(PatchesRun, DataAreAsTheConfigSays) {
  const PreparedData data = prepare_data(config("scaling = \"none\"\n"));
  EXPECT_EQ(data.n_outputs, 64);
  EXPECT_EQ(data.rows.rows(), 600);
  ASSERT_TRUE(data.image.has_value());
  EXPECT_EQ(*data.image, (ImageShape{8, 8, 1}));
  EXPECT_EQ(facts_of(data).n_items, 600);
  // the sample that scalings see is the first batches
  Matrix<float> batch(60, 64);
  const auto batches = data.batches();
  EXPECT_EQ(batches->steps_per_epoch(60), 10);
  EXPECT_EQ(batches->table(), nullptr);
  batches->fill(2, 1, batch);
  EXPECT_TRUE(std::equal(batch.data(), batch.data() + batch.size(), data.rows.row(120)));
  double sum = 0.0, squares = 0.0;
  for (std::int64_t k = 0; k < data.rows.size(); ++k)
    sum += data.rows.data()[k], squares += std::pow(data.rows.data()[k], 2);
  EXPECT_NEAR(sum / static_cast<double>(data.rows.size()), 0.0, 1e-5) << "each patch lost its mean";
  EXPECT_NEAR(squares / static_cast<double>(data.rows.size()), 1.0, 0.2) << "the stack has unit variance";
  const PreparedData raw = prepare_data(config("scaling = \"none\"\nunit_variance = false\nsubtract_mean = false\n"));
  EXPECT_GT(*std::min_element(raw.rows.data(), raw.rows.data() + raw.rows.size()), 1.9f);
  const PreparedData white = prepare_data(config("scaling = \"none\"\nwhiten = true\n"));
  EXPECT_NE(white.rows, data.rows);
  EXPECT_THAT(white.description, HasSubstr("patches of 8 x 8 from 3 images of 40 x 50, whitened"));
}

TEST_F(PatchesRun, WrongKeysAreOneLine) {
  const auto refused = [&](const std::string& more) { return message_of([&] { prepare_data(config(more)); }); };
  EXPECT_THAT(refused("classes = [1]\n"), HasSubstr("data.classes has no meaning with data.kind = \"patches\""));
  EXPECT_THAT(message_of([&] { prepare_data(config("", {"data.border=17"})); }),
              HasSubstr("no patch of 8 pixels a side fits"));
  EXPECT_THAT(message_of([&] { prepare_data(config("", {"data.path="})); }), HasSubstr("data.path is empty"));
  EXPECT_THAT(refused("whiten_cutoff = 0.0\n"), HasSubstr("data.whiten_cutoff = 0"));
  EXPECT_THAT(refused("[filter]\nkind = \"features\"\nfeatures = \"f.npy\"\n"), HasSubstr("patches are cut anew"));
  EXPECT_THAT(message_of([] { parse_config("[data]\nkind = \"idx\"\npatch_size = 8\n", "x.toml"); }),
              HasSubstr("data.patch_size has no meaning with data.kind = \"idx\""));
}

TEST_F(PatchesRun, ASamplingNetworkLearnsThemThroughPca) {
  const RunOutcome outcome = run_experiment(
      config(
          "[filter]\nkind = \"pca\"\ncomponents = 6\n[model]\nneurons = 40\n[training]\nepochs = 4\nbatch_size = 30\n"
          "[training.noise]\nlevels = 3\n[sampling]\nchains = 30\n[evaluation]\ngrid = 3\nlast_level_steps = 0\n"),
      {folder / "runs", 2});
  EXPECT_TRUE(std::filesystem::exists(outcome.folder / "DONE"));
  EXPECT_TRUE(std::filesystem::exists(outcome.folder / "figures" / "samples.png"));
  // what a resumed or judged run prepares is the same
  const PreparedData stored = load_run(outcome.folder).data;
  const Config resolved = load_config((outcome.folder / "config.toml").string());
  const PreparedData again = prepare_data_with(stored, resolved), first = prepare_data(resolved);
  EXPECT_EQ(again.rows, first.rows);
  Matrix<float> one(30, 6), other(30, 6);
  again.batches()->fill(17, 1, one);
  first.batches()->fill(17, 1, other);
  EXPECT_EQ(one, other);
  for (std::int64_t k = 0; k < one.size(); ++k)
    EXPECT_NEAR(one.data()[k], first.rows.row(17 * 30)[k], 1e-5) << "batches are filtered and scaled";
  Matrix<float> several(4 * 30, 6);
  again.batches()->fill(15, 4, several);
  EXPECT_TRUE(std::equal(one.data(), one.data() + one.size(), several.row(2 * 30)))
      << "the same bits, whatever is asked for with them";
}

TEST_F(PatchesRun, AHierarchicalModelShowsItsFields) {
  const RunOutcome outcome = run_experiment(
      config("[model]\nkind = \"hee\"\n[[model.layers]]\nsize = 64\nfamily = \"gaussian\"\ns = 0.3\n"
             "[[model.layers]]\nsize = 20\nfamily = \"laplace\"\nrate = 4.0\n[[model.layers]]\nsize = 6\nfamily = "
             "\"gaussian\"\n"
             "[inference]\nsteps = 10\n[training]\nepochs = 2\nbatch_size = 60\n[sampling]\nchains = 20\nsteps = 10\n"),
      {folder / "runs", 2});
  std::map<std::string, double> metrics;
  for (const Metric& m : outcome.metrics) metrics[m.name] = m.value;
  for (const char* name :
       {"fields_passed", "fields_gabor", "fields_fourier", "fields_r_squared", "fields_orientations"}) {
    ASSERT_TRUE(metrics.contains(name)) << name;
    EXPECT_TRUE(std::isfinite(metrics[name])) << name;
  }
  EXPECT_LE(metrics["fields_passed"], metrics["fields_gabor"]);
  const auto lines = test::lines_of(test::read_text(outcome.folder / "receptive_fields.csv"));
  EXPECT_EQ(lines.size(), 21u) << "a heading and a line a unit";
  for (const std::string& line : lines)
    EXPECT_EQ(std::count(line.begin(), line.end(), ','), std::count(lines[0].begin(), lines[0].end(), ','));
  // 20 fields of 8 x 8 pixels, each six times as large, in 5 columns and 4 rows with gaps of 3
  const Image grid = read_png(outcome.folder / "figures" / "receptive_fields.png");
  EXPECT_EQ(grid.cols, 5 * 48 + 6 * 3);
  EXPECT_EQ(grid.rows, 4 * 48 + 5 * 3);
  EXPECT_THAT(test::read_text(outcome.folder / "metrics.jsonl"), HasSubstr("fields_passed"));
}

}  // namespace
}  // namespace tarn
