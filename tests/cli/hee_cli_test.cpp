// HEE runs from the command line: every command that takes a run or its weights, and what is refused.
#include "cli/program.hpp"
#include "sanitized.hpp"
#include "tarn/io/draws.hpp"
#include "tarn/io/npy.hpp"

namespace tarn {
namespace {

using test::Outcome;
using testing::HasSubstr;
namespace fs = std::filesystem;

class HeeCli : public test::Program {
 protected:
  HeeCli() { test::write_text(folder / "hee.toml", test::tiny_hee); }
  std::string run_tiny(const std::string& more = "") const { return run("hee.toml", more); }
};

TEST_F(HeeCli, RunsInspectsEvaluatesAndSamples) {
  const std::string run = run_tiny();
  const Outcome whole = tarn("inspect " + run);
  EXPECT_EQ(whole.code, 0) << whole.err;
  EXPECT_THAT(whole.out, HasSubstr("hee with 2 layers, on gaussian_mixture, finished"));
  const Outcome weights = tarn("inspect " + run + "/weights.safetensors");
  EXPECT_EQ(weights.code, 0) << weights.err;
  EXPECT_THAT(weights.out, HasSubstr("layer 0: 4 gaussian units, s = 0.5"));
  EXPECT_THAT(weights.out, HasSubstr("layer 1: 2 gaussian units, s = 1, drives the one below through identity"));
  EXPECT_THAT(weights.out, HasSubstr("largest stable dt"));

  const Outcome judged = tarn("evaluate " + run);
  EXPECT_EQ(judged.code, 0) << judged.err;
  EXPECT_THAT(judged.out + judged.err, HasSubstr("posterior variance over the exact one"));
  EXPECT_TRUE(fs::exists(folder / run / "evaluation-1" / "report.html"));

  expect_fine("-q sample " + run + " --chains 32 --steps 20 --thin 0 --out draws");
  const DrawReader draws(folder / "draws" / "samples.nc");
  EXPECT_EQ(draws.n_chains(), 32);
  EXPECT_EQ(draws.n_dims(), 2);
  expect_fine("-q sample " + run + " --chains 32 --steps 20 --thin 0 --chain-range 0:16 --out low");
  expect_fine("-q sample " + run + " --chains 32 --steps 20 --thin 0 --chain-range 16:32 --out high");
  expect_fine("merge low/samples high/samples --out both.nc");
  EXPECT_EQ(DrawReader(folder / "both.nc").draw(-1), draws.draw(-1));
}

TEST_F(HeeCli, Generates) {
  const std::string run = run_tiny("--set training.epochs=1 --set sampling.steps=20 --set sampling.thin=0");
  for (const std::string mode :
       {"joint", "marginal --inner-steps 5", "layerwise", "ancestral", "joint --start prior"}) {
    const std::string out = "draws-" + mode.substr(0, mode.find(' ')) + std::to_string(mode.size());
    expect_fine("-q sample " + run + " --chains 33 --steps 20 --thin 0 --burn-in 0 --mode " + mode + " --out " + out);
    const DrawReader draws(folder / out / "samples.nc");
    EXPECT_EQ(draws.n_chains(), 33);
    EXPECT_EQ(draws.n_dims(), 4 + 4 + 2) << mode;
  }
  const Outcome plan = tarn("run hee.toml --dry-run --set sampling.mode=layerwise");
  EXPECT_THAT(plan.out, HasSubstr("512 layerwise chains"));
}

TEST_F(HeeCli, RestoresAndSaysWhatIsNotThere) {
  const std::string run = run_tiny("--set training.epochs=1 --set sampling.steps=20");
  Matrix<float> mask(1, 4);
  mask(0, 1) = 1.0f;
  write_npy(folder / "mask.npy", mask, {4});
  write_npy(folder / "long.npy", Matrix<float>(1, 5), {5});
  const std::string restore = "evaluate " + run + " --set evaluation.restore_steps=40 --set evaluation.inpaint=";
  const Outcome restored = tarn(restore + "mask.npy --set evaluation.denoise=[0.5]");
  EXPECT_EQ(restored.code, 0) << restored.err;
  EXPECT_THAT(restored.out + restored.err, HasSubstr("inpainting (mask hidden): squared error a feature"));
  for (const char* file : {"restored_inpainting.npy", "restored_denoising_0.5.npy"})
    EXPECT_TRUE(fs::exists(folder / run / "evaluation-1" / file)) << file;
  expect_refused(restore + "long.npy", 2, "is a mask of shape (5,), the data have 4 features; allowed: (4,)");
  expect_refused(restore + "left", 2, "is half of an image, the data are none");
  expect_refused(restore + "missing.npy", 1, "missing.npy");
  expect_refused("evaluate " + run + " --set evaluation.denoise=[-1]", 2, "evaluation.denoise");
  expect_refused("evaluate " + run + " --set evaluation.restore_path=x.npy", 2, "has no meaning with data.kind");
}

TEST_F(HeeCli, ChecksAndPlans) {
  const Outcome check = tarn("check hee.toml");
  EXPECT_EQ(check.code, 0) << check.err;
  const Outcome plan = tarn("run hee.toml --dry-run --set model.layers[1].size=3");
  EXPECT_EQ(plan.code, 0) << plan.err;
  EXPECT_THAT(plan.out, HasSubstr("posterior chains"));
  EXPECT_FALSE(fs::exists(folder / "runs"));
}

TEST_F(HeeCli, RefusalsAreOneLine) {
  expect_refused("run hee.toml --set inference.tau_ratio=1.5", 2, "interneurons must be faster than neurons");
  expect_refused("run hee.toml --set inference.dt=3", 2, "too large for the stiffest unit");
  expect_refused("run hee.toml --set model.layers[1].family=laplace_scale", 2, "no layer above sets the scale");
  expect_refused("run hee.toml --set model.layers[1].rate=3", 2, "no meaning with family = \"gaussian\"");
  expect_refused("run hee.toml --set training.batch_size=1e5", 2, "more than the 1280 items");
  const std::string run = run_tiny("--set training.epochs=1 --set sampling.steps=20");
  expect_refused("sample " + run + "/weights.safetensors", 2, "an hee model samples given data");
  expect_refused("evaluate " + run + " --against x.npy", 2, "draws of an hee run are latents");
  expect_refused("sample " + run + " --chain-range 1:4", 2, "cuts through the 2 chains of a datum");
  expect_refused("sample " + run + " --mode backwards", 2,
                 "allowed: one of: posterior, joint, marginal, layerwise, ancestral");
  expect_refused("sample " + run + " --mode marginal --inner-steps 0", 2, "sampling.inner_steps");
  expect_refused("sample " + run + " --mode marginal --inner-steps 7", 2, "no multiple of sampling.inner_steps = 7");
  expect_refused("sample " + run + " --mode joint --inner-steps 7", 2, "they belong to --mode marginal");
  expect_refused("sample " + run + " --mode ancestral --start prior", 2, "ancestral makes the prior itself");
  expect_refused("sample " + run + " --mode joint --clamp x.npy", 2, "sampling.clamp has no meaning");
}

TEST_F(HeeCli, ARunKilledAtRandomMomentsEndsWithTheSameBytes) {
  const Outcome outcome = tarn(
      "verify-resume hee.toml --kills 4 --threads 1 --set training.epochs=20 --set inference.latents=continual "
      "--set inference.interneurons=sampled --set evaluation.denoise=[0.5]");
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_THAT(outcome.out, HasSubstr("the same bytes in every file"));
}

TEST_F(HeeCli, GenerationKilledAtRandomMomentsEndsWithTheSameBytes) {
  for (const std::string mode : {"marginal", "layerwise"}) {
    const Outcome outcome = tarn(
        "verify-resume hee.toml --kills 3 --threads 1 --set training.epochs=2 --set sampling.chains=8192 --set "
        "sampling.steps=" +
        std::string(test::sanitized ? "2000" : "20000") +
        " --set sampling.burn_in=0 --set sampling.thin=0 --set sampling.mode=" + mode);
    EXPECT_EQ(outcome.code, 0) << outcome.err;
    EXPECT_THAT(outcome.out, HasSubstr("the same bytes in every file"));
  }
}

}  // namespace
}  // namespace tarn
