// What a run was worth: figures of merit with their floors, figures, image grids; and the page that shows them.
#pragma once

#include <functional>
#include <limits>
#include <optional>
#include <string>
#include <vector>

#include "tarn/evaluation/quality.hpp"
#include "tarn/evaluation/resampling.hpp"
#include "tarn/experiment/stages.hpp"
#include "tarn/io/png.hpp"
#include "tarn/report/figures.hpp"
#include "tarn/report/html_report.hpp"

namespace tarn {

/// One figure of merit. NaN where it could not be had; `note` says why.
struct Metric {
  std::string name;   ///< "kl_smoothed", as in metrics.jsonl
  std::string label;  ///< for tables
  double value = 0.0;
  double floor = 0.0;            ///< what exact draws reach at the same count (mean); NaN = none stated
  double floor_deviation = 0.0;  ///< spread of a single replicate
  std::string note;
  std::optional<QualityFigure> quality =
      {};  ///< where the figure stands on the scale of docs/quality.md; then it has a table of its own
  std::optional<Interval> interval = {};  ///< 95 %, by half-samples of the draws; its `value` is not looked at
};

struct EvaluationOutcome {
  std::vector<Metric> metrics;
  std::vector<ReportFigure> figures;
  std::vector<ReportTable> tables;       ///< beside that of the metrics
  std::vector<ReportCurve> curves = {};  ///< for pages about several runs
  std::vector<std::string> warnings;
  /// The worst of the live diagnostics (docs/diagnostics.md); NaN where chains were not watched, or not long enough.
  double live_r_hat = std::numeric_limits<double>::quiet_NaN(), live_ess = std::numeric_limits<double>::quiet_NaN();
  /// Chains of many data: their ESS is that of one datum, of which nobody asked how precisely its mean is known.
  bool live_by_datum = false;
  bool is_exact = false;  ///< draws were made one by one from their law, without chains

  void add(std::string name, std::string label, double value, std::string note = {});
  void add_with_floor(std::string name, std::string label, double value, double floor, double floor_deviation);
};

/// Everything the evaluation looks at.
struct EvaluationInput {
  const Config& config;
  const PreparedData& data;
  const TrainingOutcome& training;
  const SamplingOutcome& sampling;
  Backend& backend;
  const RunFolder& folder;
};

/// All that applies to the run: one-dimensional laws, image sets, moments. Writes figures, grids and lines of metrics.jsonl.
EvaluationOutcome evaluation_stage(const EvaluationInput& input);

/// Appends the figures of merit to metrics.jsonl and shows them, with the warnings.
void write_metrics(const RunFolder& folder, const EvaluationOutcome& outcome);

/// 1-D runs with a known law: learned score per level, density, stationary law, KL, W1, score error, each with its floor.
void evaluate_one_dimensional(const EvaluationInput& input, EvaluationOutcome& outcome);
/// Image runs: sample grids beside real ones; share of chains that left the data, at the end and after further steps at the last level.
/// Returns the state of the chains after those steps, `[n, D]`, or nothing.
Matrix<float> evaluate_images(const EvaluationInput& input, EvaluationOutcome& outcome);
/// Image runs: the figures of docs/quality.md in filter space and by the features of a classifier, beside real data, a mixture and one
/// Gaussian. `continued` are the chains after further steps at the last level; may be empty.
void evaluate_quality(const EvaluationInput& input, MatrixView<const float> continued, EvaluationOutcome& outcome);
/// What live diagnostics saw while the chains ran; warnings name chains that stand still or are copies.
void evaluate_live(const EvaluationInput& input, EvaluationOutcome& outcome);
/// Where eight draws a chain or more were kept: R-hat, effective sample sizes and Monte-Carlo errors of the first outputs, rank plots and
/// autocorrelation.
void evaluate_convergence(const EvaluationInput& input, EvaluationOutcome& outcome);
/// Some of the chains once more, from their start: traces and, for known laws on the line and in the plane, the distance to the target
/// against steps.
void evaluate_course(const EvaluationInput& input, EvaluationOutcome& outcome);
/// Where activity was recorded: tuning curves, rates, noise correlations, autocorrelation times and spectra of the neurons.
void evaluate_neurons(const EvaluationInput& input, EvaluationOutcome& outcome);
/// Conditional runs on Gaussian mixtures: coverage of the exact posterior's central intervals by the chains' last draws.
void evaluate_calibration(const EvaluationInput& input, EvaluationOutcome& outcome);
/// Some chains once more from their end with steps dt and dt/2 on one Brownian path: what the step does to mean and spread.
void evaluate_half_step(const EvaluationInput& input, EvaluationOutcome& outcome);
/// Models with an energy: the course of contrastive divergence.
void evaluate_energy(const EvaluationInput& input, EvaluationOutcome& outcome);
/// Any other run: moments of draws beside those of the data.
void evaluate_moments(const EvaluationInput& input, EvaluationOutcome& outcome);

/// The first of the images `x` `[n, D]`, in scaled filter space, `evaluation.grid` rows and columns of them, by the way back of filter and scaling.
Image grid_of_images(const Config& config, const PreparedData& data, MatrixView<const float> x);

/// Images `[n, P]` in the data's own units, row by row in a grid of `grid_cols` columns, with black and white as in `grid_of_images`.
Image grid_of_pixels(const Config& config, const PreparedData& data, MatrixView<const float> images,
                     std::int64_t grid_rows, std::int64_t grid_cols);

/// Frechet distance and sliced W2 of `draws` against `real`, each with its floor and with what a single Gaussian reaches; metrics are
/// named "frechet_<name>", "frechet_<name>_gaussian", "sliced_w2_<name>", ... Nothing where fewer than two draws are finite.
void add_set_comparison(MatrixView<const float> draws, MatrixView<const float> real, const std::string& name,
                        const std::string& label, std::uint64_t seed, EvaluationOutcome& outcome);

/// Gives the metrics from number `first` on 95 % intervals: `statistics` has their values, in order, for rows `[n, D]` of `draws`, of which those
/// that are not finite take no part. `sets` as in `half_sample_intervals`.
void add_intervals(MatrixView<const float> draws, std::size_t first, std::uint64_t seed, std::uint64_t sets,
                   std::int64_t n_resamples,
                   const std::function<std::vector<double>(MatrixView<const float>)>& statistics,
                   EvaluationOutcome& outcome);

/// The parts that every report has: what the run says of itself, warnings, diagnostics beside their thresholds, results beside their
/// floors, each section with its figures, the resolved config, the footer.
Report report_of_results(const EvaluationOutcome& outcome, const std::string& resolved_config, const Backend& backend);
Report report_of_results(const EvaluationOutcome& outcome, const std::string& resolved_config,
                         const std::string& footer);

/// What the page of a run is made of; the same for equal runs. Times come from timing.jsonl when the page is made (run_page.hpp).
Report make_report(const EvaluationInput& input, const EvaluationOutcome& outcome, const std::string& resolved_config);

}  // namespace tarn
