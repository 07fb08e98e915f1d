// The learned law itself: exact draws of the model, ancestors first, beside the data.
#include <algorithm>
#include <cmath>

#include "classifier_quality.hpp"
#include "hee_judgements.hpp"
#include "quality_outcome.hpp"
#include "tarn/evaluation/planar.hpp"
#include "tarn/models/hee_model.hpp"
#include "tarn/models/hee_reading.hpp"

namespace tarn {
namespace {

// The square that holds the data, with a little room.
struct Square {
  double low[2], high[2];
};

Square square_around(MatrixView<const float> rows) {
  double reach = 0.0;
  for (std::int64_t i = 0; i < rows.size(); ++i) reach = std::max(reach, std::abs(static_cast<double>(rows.data[i])));
  reach *= 1.2;
  return {{-reach, -reach}, {reach, reach}};
}

void density_figure(const HeeEvaluationInput& in, MatrixView<const float> draws, MatrixView<const float> data,
                    EvaluationOutcome& out) {
  constexpr std::int64_t n_cells = 60;
  const Square square = square_around(data);
  const auto law = [&](const std::string& name, MatrixView<const float> points) {
    return PlanarDensity{name,
                         n_cells,
                         {square.low[0], square.high[0]},
                         {square.low[1], square.high[1]},
                         planar_histogram(points, n_cells, square.low, square.high).densities};
  };
  const Figure figure = figure_planar_densities({law(fmt::format("{} ancestral draws of the model", draws.rows), draws),
                                                 law(fmt::format("{} data", data.rows), data)});
  if (const FigureFile file = draw(figure, in.folder.figures())) {
    out.figures.push_back(
        {file.png.empty() ? file.svg : file.png,
         "Exact draws of the learned model, from the top down, and the data. Colours are logarithmic, "
         "from the largest density down to a thousandth of it."});
  }
}

// E[x_0 | x_1] is the image that the latents stand for; x_0 has the noise of the observation on it.
void judge_images(const HeeEvaluationInput& in, EvaluationOutcome& out) {
  const Matrix<float> real = outputs_of(in.data);
  const auto n_chains = static_cast<std::int64_t>(in.sampling.first_bad_step.size());
  if (in.config.evaluation.classifier.empty() || real.rows() < 4 || in.sampling.n_quarantined == n_chains) return;
  const ReferenceLaws laws = fit_reference_laws(real, quality_settings(in.config));
  const Matrix<float> means = mean_given(in.training.model.parameters, 0, in.sampling.last_draw);
  judge_by_classifier({in.config, in.data, in.folder, laws},
                      {{means, "classifier", ", E[x_0 | x_1]"}, {in.sampling.last_draw[0], "classifier_x_0", ", x_0"}},
                      out);
}

}  // namespace

void judge_generation(const HeeEvaluationInput& in, EvaluationOutcome& out) {
  constexpr std::int64_t most_rows = 10000, largest_dimension = 256;
  const std::int64_t D = in.data.n_outputs;
  const bool generates = in.config.sampling.mode != "posterior";
  if (generates && in.data.image) {
    const auto path = in.folder.figures() / "samples.png";
    write_png(path, side_by_side(grid_of_images(in.config, in.data, in.sampling.last_draw[0]),
                                 grid_of_images(in.config, in.data, in.data.rows), 12));
    out.figures.push_back(
        {path, fmt::format("Left: draws of the model, {}. Right: data.", in.config.sampling.mode), true});
  }
  if (generates && in.data.image) judge_images(in, out);
  if (D > largest_dimension) return;
  const auto data = in.data.rows.view().slice(0, std::min(in.data.rows.rows(), most_rows));
  const std::vector<Matrix<float>> x =
      draw_ancestral(in.training.model.parameters, in.config.run.seed, 0, 0, data.rows);
  add_set_comparison(x[0], data, "generated", "of ancestral draws", in.config.run.seed, out);
  if (generates && in.config.sampling.mode != "ancestral") {  // those are the very draws
    add_set_comparison(in.sampling.last_draw[0], x[0], "sampled",
                       fmt::format("of {} draws to ancestral ones", in.config.sampling.mode), in.config.run.seed, out);
  }
  if (D == 2) density_figure(in, x[0], data, out);
}

}  // namespace tarn
