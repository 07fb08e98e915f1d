// The ways to generate, at equal budgets of matrix products: how near their draws are to exact ones, from noise and from the prior, with and
// without momentum (docs/hee.md, section 8).
#include <algorithm>
#include <cmath>

#include "hee_judgements.hpp"
#include "tarn/evaluation/planar.hpp"
#include "tarn/experiment/hee_generation.hpp"
#include "tarn/io/png.hpp"
#include "tarn/models/hee_model.hpp"
#include "tarn/models/hee_reading.hpp"

namespace tarn {
namespace {

constexpr std::int64_t n_directions = 64;
constexpr std::uint64_t first_floor_draw = 2,
                        n_floor_draws = 5;  // of the ancestral draws; 0 and 1: reference and starts

// What is compared: x_0 and E[x_0 | x_1].
struct Observed {
  Matrix<float> x, mean;
};

Observed observed(const HeeParameters& p, std::vector<Matrix<float>> state) {
  Observed out;
  out.mean = mean_given(p, 0, state);
  out.x = std::move(state[0]);
  return out;
}

// Mean and standard deviation of single replicates (Welford 1962).
struct RunningFloor {
  double mean = 0.0, squares = 0.0;
  int n = 0;
  void add(double value) {
    const double before = value - mean;
    mean += before / ++n;
    squares += before * (value - mean);
  }
  double deviation() const { return std::sqrt(squares / (n - 1)); }
};

// Distances of draws to as many ancestral draws, and those of other ancestral draws.
class Yardstick {
 public:
  Yardstick(const HeeParameters& p, std::uint64_t seed, std::int64_t n)
      : exact_(observed(p, draw_ancestral(p, seed, 0, 0, n))),
        x_(exact_.x, n_directions, seed),
        mean_(exact_.mean, n_directions, seed) {
    for (std::uint64_t draw = first_floor_draw; draw < first_floor_draw + n_floor_draws; ++draw) {
      const Observed other = observed(p, draw_ancestral(p, seed, 0, draw, n));
      floor_x.add(x_(other.x));
      floor_mean.add(mean_(other.mean));
    }
  }
  double of_x(const Observed& draws) const { return x_(draws.x); }
  double of_mean(const Observed& draws) const { return mean_(draws.mean); }
  const Observed& exact() const { return exact_; }
  RunningFloor floor_x, floor_mean;

 private:
  Observed exact_;
  SlicedDistance x_, mean_;
};

struct Contender {
  std::string name;  // as the config has it
  GenerationPlan plan;
};

// One contender from one start: distances over products, or over steps of each layer where the products are always the same.
struct Course {
  std::vector<double> budget, x, mean;
  std::int64_t n_lost = 0;
  Observed last;
};

Contender contender(const HeeEvaluationInput& in, const std::string& name) {
  const std::size_t colon = name.find(':');
  Config config = in.config;
  config.sampling.mode = name.substr(0, colon);
  Contender out{name, generation_plan(config)};
  HeeDynamics& d = out.plan.dynamics;
  d.adaptation_strength = 0.0f;
  const bool had = d.integrator == Integrator::baoab, has = colon != std::string::npos;
  // a step without momentum is one of sqrt(2 dt) with it, from a fresh momentum
  const auto converted = [&](float dt) { return has ? std::sqrt(2.0f * dt) : 0.5f * dt * dt; };
  if (had != has) {
    d.dt = converted(d.dt);
    if (d.observation_dt > 0.0f) d.observation_dt = converted(d.observation_dt);
    d.integrator = has ? Integrator::baoab : Integrator::leimkuhler_matthews;
    const auto& layers = in.training.model.parameters.layers;
    const bool bounded = std::ranges::any_of(layers, [](const HeeLayer& l) { return l.family == Family::rectified; });
    if (!has && bounded) d.integrator = Integrator::euler_maruyama;
  }
  return out;
}

void measure(const HeeParameters& p, const HeeGenerator& chains, const Yardstick& yardstick, double budget,
             Course& course) {
  course.last = observed(p, chains.state());
  course.budget.push_back(budget);
  course.x.push_back(yardstick.of_x(course.last));
  course.mean.push_back(yardstick.of_mean(course.last));
  course.n_lost = std::ranges::count_if(chains.first_bad_step(), [](std::int64_t step) { return step >= 0; });
}

Course run(const HeeEvaluationInput& in, GenerationPlan plan, bool from_prior, const Yardstick& yardstick) {
  const HeeParameters& p = in.training.model.parameters;
  const std::int64_t L = p.n_latent_layers(), K = in.config.sampling.inner_steps;
  const std::int64_t n_chains = in.config.evaluation.generation_chains, budget = in.config.evaluation.generation_budget;
  Course course;
  plan.from_prior = from_prior;
  if (plan.mode == GenerationMode::layerwise) {  // each number of steps is a run of its own, at the price of one pass
    for (std::int64_t n = K; 2 * L * n <= budget; n *= 2) {
      plan.n_steps = n;
      HeeGenerator chains(in.backend, p, plan);
      chains.begin(0, n_chains);
      chains.advance(chains.n_steps());
      measure(p, chains, yardstick, static_cast<double>(n), course);
    }
    return course;
  }
  plan.n_steps = budget / (2 * L) / K * K;
  HeeGenerator chains(in.backend, p, plan);
  chains.begin(0, n_chains);
  for (std::int64_t n = K; 2 * L * n <= budget; n *= 2) {  // steps of the latents
    chains.advance(n - chains.done());
    measure(p, chains, yardstick, static_cast<double>(chains.n_products(n)), course);
  }
  return course;
}

// The first budget from which on the distance stays within twice the floor; NaN: none.
double budget_to_floor(const Course& course, double floor) {
  double found = std::nan("");
  for (std::size_t i = course.x.size(); i-- > 0 && course.x[i] <= 2.0 * floor;) found = course.budget[i];
  return found;
}

struct Result {
  Contender contender;
  bool from_prior;
  Course course;
  bool is_layerwise() const { return contender.plan.mode == GenerationMode::layerwise; }
};

void add_figure(const HeeEvaluationInput& in, const std::vector<Result>& results, const Yardstick& yardstick,
                EvaluationOutcome& out) {
  Figure figure;
  figure.name = "generation";
  figure.columns = 2;
  figure.height = 640;
  for (const bool from_prior : {false, true}) {
    for (const bool means : {false, true}) {
      Panel panel;
      panel.title = fmt::format("{}, from {}", means ? "E[x_0 | x_1]" : "x_0", from_prior ? "the prior" : "noise");
      panel.x_label = "log10 of matrix products a chain";
      panel.y_label = "sliced W2 to ancestral draws";
      panel.log_y = true;
      double low = 1e300, high = 0.0;
      for (const Result& r : results) {
        for (const double b : r.is_layerwise() ? std::vector<double>{} : r.course.budget) {
          low = std::min(low, std::log10(b));
          high = std::max(high, std::log10(b));
        }
      }
      if (high == 0.0) low = 0.0, high = 1.0;
      for (const Result& r : results) {
        if (r.from_prior != from_prior || r.course.budget.empty()) continue;
        Series series;
        series.name = r.contender.name;
        const std::vector<double>& y = means ? r.course.mean : r.course.x;
        if (r.is_layerwise()) {
          series.x = {low, high};
          series.y = {y.back(), y.back()};
          series.color = colors::third;
        } else {
          for (const double b : r.course.budget) series.x.push_back(std::log10(b));
          series.y = y;
          series.color = r.contender.plan.mode == GenerationMode::joint ? colors::other : colors::learned;
        }
        if (r.contender.plan.dynamics.integrator == Integrator::baoab) series.mark = Mark::dashed;
        panel.series.push_back(std::move(series));
      }
      const double floor = (means ? yardstick.floor_mean : yardstick.floor_x).mean;
      panel.series.push_back({"ancestral", {low, high}, {floor, floor}, Mark::line, colors::truth, 1.0, {}});
      figure.panels.push_back(std::move(panel));
    }
  }
  if (const FigureFile file = draw(figure, in.folder.figures())) {
    out.figures.push_back(
        {file.svg,
         "Ways to generate: distance to ancestral draws over the budget, matrix products that a chain takes. Layer by "
         "layer generation takes "
         "one pass whatever its steps are, so its line is level: what it reaches with as many elementwise steps a "
         "layer "
         "as the largest budget buys. Dashed: with momentum. Black: ancestral draws against ancestral draws."});
  }
}

// The first images of every way in rows of three, so that they can be made out: ancestral first, the data last.
void add_grids(const HeeEvaluationInput& in, const std::vector<Result>& results, const Yardstick& yardstick,
               EvaluationOutcome& out) {
  for (const bool means : {false, true}) {
    const auto of = [&](const Observed& o) { return grid_of_images(in.config, in.data, means ? o.mean : o.x); };
    std::vector<Image> all{of(yardstick.exact())};
    std::string order = "ancestral";
    for (const Result& r : results) {
      if (r.from_prior) continue;
      all.push_back(of(r.course.last));
      order += ", " + r.contender.name;
    }
    all.push_back(grid_of_images(in.config, in.data, in.data.rows));
    const auto path = in.folder.figures() / (means ? "generated_means.png" : "generated.png");
    write_png(path, in_rows(all, 3, 12));
    out.figures.push_back({path,
                           fmt::format("{} after the largest budget, from noise. Row by row: {}, data.",
                                       means ? "E[x_0 | x_1]" : "x_0", order),
                           true});
  }
}

}  // namespace

void judge_generation_modes(const HeeEvaluationInput& in, EvaluationOutcome& out) {
  const EvaluationConfig& e = in.config.evaluation;
  const Yardstick yardstick(in.training.model.parameters, in.config.run.seed, e.generation_chains);
  std::vector<Result> results;
  for (const std::string& name : e.generation) {
    const Contender its = contender(in, name);
    const bool layerwise = its.plan.mode == GenerationMode::layerwise;
    for (const bool from_prior : layerwise ? std::vector<bool>{false} : std::vector<bool>{false, true})
      results.push_back({its, from_prior, run(in, its.plan, from_prior, yardstick)});
  }
  ReportTable table;
  table.caption = "Ways to generate";
  table.columns = {"", "start", "step", "products", "x_0", "E[x_0 | x_1]", "within twice the floor", "lost chains"};
  table.rows.push_back({"ancestral", "", "",
                        count_text(static_cast<double>(in.training.model.parameters.n_latent_layers())),
                        number_text(yardstick.floor_x.mean), number_text(yardstick.floor_mean.mean), "", ""});
  for (const Result& r : results) {
    if (r.course.budget.empty()) continue;
    const double products = r.is_layerwise() ? in.training.model.parameters.n_latent_layers() : r.course.budget.back();
    const double needed = budget_to_floor(r.course, yardstick.floor_x.mean);
    const std::string unit = r.is_layerwise() ? " steps a layer" : " products", key = [&] {
      std::string text = r.contender.name;
      std::ranges::replace(text, ':', '_');
      return fmt::format("generation_{}_{}", text, r.from_prior ? "prior" : "noise");
    }();
    const std::string label = fmt::format("{} from {}", r.contender.name, r.from_prior ? "the prior" : "noise");
    out.add_with_floor(key + "_w2", fmt::format("sliced W2 to ancestral draws, {}", label), r.course.x.back(),
                       yardstick.floor_x.mean, yardstick.floor_x.deviation());
    out.add_with_floor(key + "_mean_w2", "... of E[x_0 | x_1]", r.course.mean.back(), yardstick.floor_mean.mean,
                       yardstick.floor_mean.deviation());
    table.rows.push_back({r.contender.name, r.from_prior ? "prior" : "noise",
                          number_text(static_cast<double>(r.contender.plan.dynamics.dt)), count_text(products),
                          number_text(r.course.x.back()), number_text(r.course.mean.back()),
                          std::isnan(needed) ? "not" : count_text(needed) + unit, fmt::format("{}", r.course.n_lost)});
    if (r.course.n_lost > 0) {
      out.warnings.push_back(
          fmt::format("generation, {}: {} of {} chains became non-finite and are left out of the distances", label,
                      r.course.n_lost, e.generation_chains));
    }
  }
  table.note = fmt::format(
      "Sliced W2 of {} chains to as many ancestral draws, in the model's units, after the largest budget of matrix "
      "products a chain; the "
      "first row is the floor, other ancestral draws against the same. Marginal: {} inner steps.",
      e.generation_chains, in.config.sampling.inner_steps);
  out.tables.push_back(std::move(table));
  add_figure(in, results, yardstick, out);
  if (in.data.image) add_grids(in, results, yardstick, out);
}

}  // namespace tarn
