// Inpainting and denoising: E[x_0 | y] by chains of the latents (docs/hee.md, section 9), beside what one Gaussian knows, with errors against
// the clean images.
#include <algorithm>
#include <cmath>
#include <numeric>

#include "hee_judgements.hpp"
#include "restoration_data.hpp"
#include "tarn/core/log.hpp"
#include "tarn/core/noise.hpp"
#include "tarn/evaluation/gaussian_conditional.hpp"
#include "tarn/evaluation/image_set.hpp"
#include "tarn/experiment/restoration.hpp"
#include "tarn/io/npy.hpp"

namespace tarn {
namespace {

constexpr double ridge = 1e-4;  // of the mean variance of a feature: pixels that are always black have none
constexpr std::int64_t most_columns = 12;
// Stream::evaluation, EvaluationNoise::restoration (src/evaluation/evaluation_noise.hpp): the noise on the data.
constexpr std::uint64_t first_noise_chain = std::uint64_t{13} << 40;
// Of the streams of the dynamics: behind all chains of training, sampling and generation, which may have other numbers of units.
constexpr std::uint64_t first_restoring_chain = std::uint64_t{1} << 46;

/// What is asked for: features that are seen, and the noise on them.
struct Task {
  std::string name, heading;  // "inpainting", "denoising_0.5"
  std::vector<std::int64_t> seen, judged;
  double sigma = 0.0;
  std::uint64_t number = 0;  // of this task in the run
};

/// Squared error of each datum, a mean over the judged features. Data with a value that is not finite are left out and counted.
struct Errors {
  std::vector<double> of_datum;
  std::int64_t n_lost = 0;
  double mean() const { return std::accumulate(of_datum.begin(), of_datum.end(), 0.0) / n(); }
  double standard_error() const {
    const double centre = mean();
    double sum = 0.0;
    for (const double e : of_datum) sum += (e - centre) * (e - centre);
    return std::sqrt(sum / (n() * (n() - 1.0)));
  }
  double n() const { return static_cast<double>(of_datum.size()); }
};

Errors errors_of(const Matrix<float>& x, const Matrix<float>& clean, const Task& task) {
  Errors out;
  for (std::int64_t i = 0; i < clean.rows(); ++i) {
    double sum = 0.0;
    for (const std::int64_t j : task.judged) {
      const double error = static_cast<double>(x(i, j)) - static_cast<double>(clean(i, j));
      sum += error * error;
    }
    if (std::isfinite(sum)) {
      out.of_datum.push_back(sum / static_cast<double>(task.judged.size()));
    } else {
      ++out.n_lost;
    }
  }
  return out;
}

/// Of the average over C chains of a datum, per judged feature: a C-th of the variance between them. NaN with one chain.
double chance(const Matrix<float>& of_chain, std::int64_t C, const Task& task) {
  if (C < 2) return std::nan("");
  double total = 0.0;
  std::int64_t n = 0;
  for (std::int64_t i = 0; i < of_chain.rows(); i += C) {
    double sum = 0.0;
    for (const std::int64_t j : task.judged) {
      double mean = 0.0, square = 0.0;
      for (std::int64_t c = 0; c < C; ++c) mean += static_cast<double>(of_chain(i + c, j)) / static_cast<double>(C);
      for (std::int64_t c = 0; c < C; ++c) {
        const double off = static_cast<double>(of_chain(i + c, j)) - mean;
        square += off * off;
      }
      sum += square / static_cast<double>(C * (C - 1));
    }
    if (!std::isfinite(sum)) continue;
    total += sum / static_cast<double>(task.judged.size());
    ++n;
  }
  return total / static_cast<double>(n);
}

class Restorer {
 public:
  Restorer(const HeeEvaluationInput& in) : in_(in), data_(restoration_data(in.config, in.data)) {
    GaussianMoments moments(data_.fit.cols());
    moments.add(data_.fit);
    mean_ = moments.mean();
    covariance_ = moments.covariance();
    for (std::int64_t i = 0; i < covariance_.rows(); ++i)
      small_ += ridge * covariance_(i, i) / static_cast<double>(covariance_.rows());
    decoder_ = linear_decoder_of(in.data, covariance_);
  }

  std::int64_t n_features() const { return data_.clean.cols(); }
  void judge(const Task& task, ReportTable& table, EvaluationOutcome& out) const;

 private:
  Matrix<float> seen_of(const Task& task) const;
  Measurement measurement(const Task& task) const;
  /// Features of x_0: `A x_0 + c`, and what y says of the part that the filter discards.
  Matrix<float> features(const Matrix<float>& x_0, MatrixView<const float> y, const Task& task) const;
  void add_figure(const Task& task, MatrixView<const float> y, const std::vector<const Matrix<float>*>& rows,
                  EvaluationOutcome& out) const;
  Matrix<float> in_data_units(const Matrix<float>& x) const {
    Matrix<float> out = x;
    in_.data.datum_scaling.invert(out);
    return out;
  }

  const HeeEvaluationInput& in_;
  RestorationData data_;
  std::vector<double> mean_;
  Matrix<double> covariance_;
  double small_ = 0.0;
  LinearDecoder decoder_;
};

Matrix<float> Restorer::seen_of(const Task& task) const {
  Matrix<float> noise(data_.clean.rows(), n_features()), y(data_.clean.rows(), std::ssize(task.seen));
  fill_normals(in_.config.run.seed, Stream::evaluation, first_noise_chain + (task.number << 32), 0, 1, noise);
  for (std::int64_t i = 0; i < y.rows(); ++i) {
    for (std::int64_t k = 0; k < y.cols(); ++k) {
      const std::int64_t j = task.seen[static_cast<std::size_t>(k)];
      y(i, k) =
          static_cast<float>(static_cast<double>(data_.clean(i, j)) + task.sigma * static_cast<double>(noise(i, j)));
    }
  }
  return y;
}

// In the units of the features, but for the identity: there in the model's own, so that what is seen without noise is a unit itself.
Measurement Restorer::measurement(const Task& task) const {
  const double scale = in_.data.scaling.scale;
  const std::int64_t n_0 = in_.data.n_outputs;
  if (decoder_.is_identity) return Measurement::of_units(n_0, task.seen, task.sigma / scale);
  const std::int64_t m = std::ssize(task.seen);
  Measurement out{Matrix<double>(m, n_0), {}, Matrix<double>(m, m)};
  for (std::int64_t i = 0; i < m; ++i) {
    const std::int64_t unit = task.seen[static_cast<std::size_t>(i)];
    std::copy_n(decoder_.A.row(unit), n_0, out.A.row(i));
    out.offset.push_back(decoder_.c[static_cast<std::size_t>(unit)]);
    for (std::int64_t j = 0; j < m; ++j)
      out.noise(i, j) = decoder_.residual(unit, task.seen[static_cast<std::size_t>(j)]);
    out.noise(i, i) += task.sigma * task.sigma + small_;
  }
  return out;
}

Matrix<float> Restorer::features(const Matrix<float>& x_0, MatrixView<const float> y, const Task& task) const {
  Matrix<float> x(x_0.rows(), n_features());
  for (std::int64_t i = 0; i < x.rows(); ++i) {
    for (std::int64_t j = 0; j < x.cols(); ++j) {
      double sum = decoder_.c[static_cast<std::size_t>(j)];
      if (decoder_.is_identity) {
        sum += decoder_.A(j, j) * static_cast<double>(x_0(i, j));
      } else {
        for (std::int64_t k = 0; k < x_0.cols(); ++k) sum += decoder_.A(j, k) * static_cast<double>(x_0(i, k));
      }
      x(i, j) = static_cast<float>(sum);
    }
  }
  if (decoder_.is_identity) return x;
  const GaussianConditional discarded(decoder_.residual, task.seen, task.sigma * task.sigma + small_);
  return discarded(x, y);
}

void Restorer::judge(const Task& task, ReportTable& table, EvaluationOutcome& out) const {
  const EvaluationConfig& e = in_.config.evaluation;
  const std::int64_t n = data_.clean.rows(), C = e.restore_chains;
  const Matrix<float> y = seen_of(task);
  Matrix<float> measured_y = y;
  if (decoder_.is_identity) {
    for (std::int64_t i = 0; i < n; ++i) {
      for (std::int64_t k = 0; k < y.cols(); ++k) {
        const auto j = static_cast<std::size_t>(task.seen[static_cast<std::size_t>(k)]);
        measured_y(i, k) = static_cast<float>((static_cast<double>(y(i, k)) - decoder_.c[j]) / in_.data.scaling.scale);
      }
    }
  }
  RestorationPlan plan;
  plan.dynamics = hee_dynamics(in_.config);
  plan.dynamics.adaptation_strength = 0.0f;
  plan.chains_per_datum = C;
  plan.n_steps = e.restore_steps;
  plan.spread = static_cast<float>(in_.config.inference.spread);
  plan.seed = in_.config.run.seed;
  plan.first_chain = first_restoring_chain + (task.number << 36);
  info("{}: {} data, {} chains each, {} steps", task.heading, n, C, plan.n_steps);
  const MeasuredHee measured(in_.training.model.parameters, measurement(task));
  const Restored found = restore(in_.backend, measured, plan, measured_y);

  Matrix<float> repeated(n * C, y.cols()), means(n, n_features());
  for (std::int64_t i = 0; i < n * C; ++i) std::copy_n(y.row(i / C), y.cols(), repeated.row(i));
  for (std::int64_t i = 0; i < n; ++i) {
    for (std::int64_t j = 0; j < n_features(); ++j)
      means(i, j) = static_cast<float>(mean_[static_cast<std::size_t>(j)]);
  }
  const Matrix<float> restored = features(found.mean, y, task), draw = features(found.draw, y, task);
  const Matrix<float> by_gaussian =
      GaussianConditional(covariance_, task.seen, task.sigma * task.sigma + small_)(means, y);
  Matrix<float> nothing = means;  // the mean where nothing is seen, else what is seen
  for (std::int64_t i = 0; i < n; ++i) {
    for (std::int64_t k = 0; k < y.cols(); ++k) nothing(i, task.seen[static_cast<std::size_t>(k)]) = y(i, k);
  }
  const Errors model = errors_of(restored, data_.clean, task), one_draw = errors_of(draw, data_.clean, task),
               gaussian = errors_of(by_gaussian, data_.clean, task), raw = errors_of(nothing, data_.clean, task);
  const double by_chance = chance(features(found.of_chain, repeated, task), C, task);
  const auto with_error = [](const Errors& x) { return fmt::format("{:.4g} +- {:.2g}", x.mean(), x.standard_error()); };
  const std::string beside = task.sigma > 0.0 ? "the noisy data themselves" : "the mean of the data";
  out.add(
      task.name + "_error", task.heading + ": squared error a feature", model.mean(),
      fmt::format("standard error {:.2g} over {} data{}; of that {:.2g} by the finite length of {} chains each",
                  model.standard_error(), model.of_datum.size(), data_.is_held_out ? " held out" : "", by_chance, C));
  out.add(task.name + "_error_draw", "... by one draw of the latents", one_draw.mean());
  out.add(task.name + "_error_gaussian", "... by one Gaussian of the data's moments", gaussian.mean());
  out.add(task.name + "_error_nothing", "... by " + beside, raw.mean());
  table.rows.push_back({task.heading, with_error(model), with_error(one_draw), with_error(gaussian), with_error(raw),
                        number_text(by_chance, 2), number_text(static_cast<double>(found.dt))});
  if (found.n_lost > 0) {
    out.warnings.push_back(fmt::format("{}: {} of {} chains became non-finite and are left out, {} data with them",
                                       task.heading, found.n_lost, n * C, model.n_lost));
  }
  const Matrix<float> whole = in_data_units(restored);
  write_npy(in_.folder.path() / ("restored_" + task.name + ".npy"), whole,
            in_.data.image ? Shape{n, in_.data.image->rows, in_.data.image->cols, in_.data.image->channels}
                           : Shape{n, n_features()});
  if (in_.data.image) add_figure(task, y, {&restored, &draw, &by_gaussian}, out);
}

void Restorer::add_figure(const Task& task, MatrixView<const float> y, const std::vector<const Matrix<float>*>& rows,
                          EvaluationOutcome& out) const {
  const std::int64_t n = std::min(most_columns, data_.clean.rows()), P = n_features();
  Matrix<float> seen(n, P);
  for (std::int64_t i = 0; i < n; ++i) {  // what is hidden is half-way between black and white
    const float* clean = data_.clean.row(i);
    const auto [low, high] = std::minmax_element(clean, clean + P);
    std::fill_n(seen.row(i), P, 0.5f * (*low + *high));
    for (std::int64_t k = 0; k < y.cols; ++k) seen(i, task.seen[static_cast<std::size_t>(k)]) = y(i, k);
  }
  std::vector<const Matrix<float>*> all{&data_.clean, &seen};
  all.insert(all.end(), rows.begin(), rows.end());
  Matrix<float> images(std::ssize(all) * n, P);
  for (std::size_t r = 0; r < all.size(); ++r)
    std::copy_n(all[r]->data(), n * P, images.row(static_cast<std::int64_t>(r) * n));
  const auto path = in_.folder.figures() / (task.name + ".png");
  write_png(path, grid_of_pixels(in_.config, in_.data, in_data_units(images), std::ssize(all), n));
  out.figures.push_back(
      {path,
       fmt::format(
           "{}. Rows from the top: clean, seen, posterior mean, E[x_0 | y, latents] at one draw of the latents, "
           "conditional mean of one Gaussian.",
           task.heading),
       true});
}

}  // namespace

void judge_restoration(const HeeEvaluationInput& in, EvaluationOutcome& out) {
  const EvaluationConfig& e = in.config.evaluation;
  const Restorer restorer(in);
  const std::int64_t P = restorer.n_features();
  ReportTable table;
  table.caption = "Inpainting and denoising";
  table.columns = {"", "posterior mean", "one draw", "one Gaussian", "nothing done", "by chance", "dt"};
  std::vector<Task> tasks;
  if (!e.inpaint.empty()) {
    Task task;
    task.name = "inpainting";
    task.heading = fmt::format("inpainting ({} hidden)", e.inpaint.ends_with(".npy") ? "mask" : e.inpaint);
    const std::vector<bool> hidden = hidden_features(e.inpaint, in.data.image, P);
    for (std::int64_t j = 0; j < P; ++j) (hidden[static_cast<std::size_t>(j)] ? task.judged : task.seen).push_back(j);
    tasks.push_back(std::move(task));
  }
  for (const double sigma : e.denoise) {
    Task task;
    task.name = fmt::format("denoising_{}", sigma);
    task.heading = fmt::format("denoising (noise {})", sigma);
    task.seen.resize(static_cast<std::size_t>(P));
    std::iota(task.seen.begin(), task.seen.end(), 0);
    task.judged = task.seen;
    task.sigma = sigma;
    task.number = static_cast<std::uint64_t>(std::ssize(tasks)) + 1;
    tasks.push_back(std::move(task));
  }
  for (const Task& task : tasks) restorer.judge(task, table, out);
  table.note = fmt::format(
      "Mean square error a feature (hidden ones where some are hidden), in the units after data.scaling, with its "
      "standard error over data. {} By chance: what the finite length of {} chains of {} steps adds to the posterior "
      "mean's. One Gaussian: conditional mean under the moments of the run's data. Nothing done: the data's mean, or "
      "the "
      "noisy data.",
      e.restore_path.empty() ? "The run's own data." : "Data that training has not seen.", e.restore_chains,
      e.restore_steps);
  out.tables.push_back(std::move(table));
}

}  // namespace tarn
