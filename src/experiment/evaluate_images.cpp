#include <algorithm>
#include <cmath>

#include "tarn/evaluation/image_set.hpp"
#include "tarn/experiment/evaluation_stage.hpp"
#include "tarn/io/png.hpp"

namespace tarn {
namespace {

// The first images of a set in pixels, by the way back of scaling and filter.
Matrix<float> first_images(const PreparedData& data, MatrixView<const float> x, std::int64_t n) {
  Matrix<float> rows(std::min(n, x.rows), data.n_outputs);
  for (std::int64_t i = 0; i < rows.rows(); ++i) std::copy_n(x.row(i), data.n_outputs, rows.row(i));
  return data.to_data_units(rows);
}

// Samples on the left, real images (as the filter keeps them) on the right.
std::filesystem::path write_grids(const EvaluationInput& in, MatrixView<const float> samples, const std::string& name) {
  const Image left = grid_of_images(in.config, in.data, samples);
  const auto path = in.folder.figures() / (name + ".png");
  write_png(path, side_by_side(left, grid_of_images(in.config, in.data, in.data.rows), 12));
  write_png(in.folder.figures() / (name + "_only.png"), left);
  return path;
}

}  // namespace

Image grid_of_pixels(const Config& config, const PreparedData& data, MatrixView<const float> images,
                     std::int64_t grid_rows, std::int64_t grid_cols) {
  const ImageShape& shape = *data.image;
  GridLayout layout;
  layout.rows = shape.rows;
  layout.cols = shape.cols;
  layout.channels = shape.channels;
  layout.grid_rows = grid_rows;
  layout.grid_cols = grid_cols;
  layout.background = 0;
  PixelRange range;
  range.kind = PixelRange::Kind::own_max;  // unit-norm images and arrays have no common white
  if (data.datum_scaling.is_invertible() && config.data.kind != "npy") {
    range.kind = PixelRange::Kind::fixed;
    range.high = 255.0f;
  }
  if (data.patches) range.kind = PixelRange::Kind::own_range;  // signed
  return image_grid(images, layout, range);
}

Image grid_of_images(const Config& config, const PreparedData& data, MatrixView<const float> x) {
  const std::int64_t side = config.evaluation.grid;
  return grid_of_pixels(config, data, first_images(data, x, side * side), side, side);
}

Matrix<float> evaluate_images(const EvaluationInput& in, EvaluationOutcome& out) {
  const Matrix<float>& draws = in.sampling.result.last_draw;
  const NormCount count = count_beyond(draws, in.data.largest_norm);
  const auto share = [](const NormCount& c) {
    return fmt::format("of {}: {:.3g} %{}", c.n_draws, 100.0 * c.share_lost(),
                       c.n_not_finite > 0 ? fmt::format(", {} quarantined", c.n_not_finite) : "");
  };
  out.add("chains_beyond", "draws beyond 1.2 x the largest norm in the data",
          static_cast<double>(count.n_beyond + count.n_not_finite), share(count));
  out.figures.push_back({write_grids(in, draws, "samples"),
                         "Left: final draws of the chains. Right: real images, seen through the same filter.", true});

  const std::int64_t more = in.config.evaluation.last_level_steps;
  if (more <= 0) return {};
  // The paper's network is the last level left alone: some of the chains go on there.
  const SamplingNetwork& last = in.training.levels.back();
  const std::int64_t n = std::min(in.config.evaluation.last_level_chains, draws.rows());
  Matrix<float> start(n, in.data.n_outputs);
  std::copy_n(draws.data(), start.size(), start.data());
  for (std::int64_t i = 0; i < start.size(); ++i) {
    if (!std::isfinite(start.data()[i])) start.data()[i] = 0.0f;  // a quarantined chain starts anew in the middle
  }
  const PreparedLevels prepared(in.backend, {last}, {}, {}, drift_form(in.config.sampling));
  Stage stage;
  stage.network = &prepared[0];
  stage.sigma = last.sigma;
  stage.dt = in.config.sampling.annealed.dt0 * last.sigma * last.sigma;
  stage.bound = chain_bound(in.config.sampling.bound, in.data.largest_norm, in.data.n_outputs, last.sigma);
  SamplingRun run;
  run.stages = plain_schedule(stage, 0, more, 0);
  run.seed = in.config.run.seed;
  run.first_step =
      static_cast<std::uint64_t>(n_steps(in.sampling.stages)) + in.sampling.stages.size();  // noise not yet used
  run.n_chains = n;
  run.inputs = in.sampling.inputs.view().slice(0, in.sampling.inputs.empty() ? 0 : n);
  const Matrix<float>& clamp = in.sampling.clamp;
  run.clamp = clamp.rows() > 1 ? clamp.view().slice(0, n) : clamp.view();
  run.initial.kind = InitialKind::file;
  run.initial.rows = start.view();
  run.denoise = final_denoise(in.config.sampling);
  SamplingResult after = run_chains(in.backend, run, nullptr);
  const NormCount later = count_beyond(after.last_draw, in.data.largest_norm);
  out.add("chains_beyond_after_last_level", fmt::format("the same after {} further steps at the last level", more),
          static_cast<double>(later.n_beyond + later.n_not_finite), share(later));
  out.figures.push_back({write_grids(in, after.last_draw, "samples_after_last_level"),
                         fmt::format("The first chains after {} further steps at the last noise level (T = {:.3g} "
                                     "tau), beside real images: the law of the "
                                     "last level's network alone.",
                                     more, static_cast<double>(more) * stage.dt),
                         true});
  return std::move(after.last_draw);
}

}  // namespace tarn
