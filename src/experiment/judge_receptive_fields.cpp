#include <algorithm>
#include <cmath>
#include <numbers>
#include <numeric>

#include "hee_judgements.hpp"
#include "tarn/evaluation/receptive_fields.hpp"
#include "tarn/io/file.hpp"
#include "tarn/io/png.hpp"
#include "tarn/report/field_figures.hpp"

namespace tarn {
namespace {

// What a unit of layer 1 adds to the observation, in the data's own units: columns of W_1 as rows, by the way back of scaling and filter,
// without its shift.
Matrix<float> fields_in_pixels(const PreparedData& data, const Matrix<float>& W) {
  Matrix<float> columns(W.cols() + 1, W.rows());
  for (std::int64_t i = 0; i < W.rows(); ++i) {
    for (std::int64_t j = 0; j < W.cols(); ++j) columns(j, i) = W(i, j);
  }
  const Matrix<float> mapped = data.to_data_units(columns);  // the last row, all zeros, shows the shift
  Matrix<float> fields(W.cols(), mapped.cols());
  for (std::int64_t j = 0; j < fields.rows(); ++j) {
    for (std::int64_t k = 0; k < fields.cols(); ++k) fields(j, k) = mapped(j, k) - mapped(W.cols(), k);
  }
  return fields;
}

// Each field with its largest |w| at white or black and zero in the middle, enlarged so that pixels can be seen.
void write_grid(const Matrix<float>& fields, const ImageShape& shape, const std::filesystem::path& path) {
  constexpr std::int64_t most = 400;
  const std::int64_t n = std::min(fields.rows(), most), zoom = std::max<std::int64_t>(1, 48 / shape.rows);
  GridLayout layout;
  layout.rows = zoom * shape.rows;
  layout.cols = zoom * shape.cols;
  layout.grid_cols = static_cast<std::int64_t>(std::ceil(std::sqrt(static_cast<double>(n))));
  layout.grid_rows = (n + layout.grid_cols - 1) / layout.grid_cols;
  layout.gap = 3;
  Matrix<float> images(n, layout.rows * layout.cols);
  for (std::int64_t k = 0; k < n; ++k) {
    float largest = 0.0f;
    for (std::int64_t p = 0; p < fields.cols(); ++p) largest = std::max(largest, std::abs(fields(k, p)));
    if (!(largest > 0.0f)) largest = 1.0f;
    for (std::int64_t i = 0; i < layout.rows; ++i) {
      for (std::int64_t j = 0; j < layout.cols; ++j)
        images(k, i * layout.cols + j) = fields(k, i / zoom * shape.cols + j / zoom) / largest;
    }
  }
  write_png(path, image_grid(images, layout, {PixelRange::Kind::fixed, -1.0f, 1.0f}));
}

std::vector<FieldShape> shapes_of(const std::vector<ReceptiveField>& fields) {
  std::vector<FieldShape> shapes;
  for (const ReceptiveField& field : fields) {
    const GaborFit& g = field.gabor;
    shapes.push_back(
        {g.x, g.y, g.orientation, field.fourier.frequency, g.sigma_y, g.n_x(), g.n_y(), g.r_squared, field.passes()});
  }
  return shapes;
}

void write_table(const std::vector<ReceptiveField>& fields, const std::filesystem::path& path) {
  std::string text =
      "unit,passes,r_squared,x,y,frequency,orientation_deg,phase_deg,sigma_x,sigma_y,n_x,n_y,amplitude,peak_frequency,"
      "crossed,dc,"
      "participation\n";
  constexpr double degrees = 180.0 / std::numbers::pi;
  for (std::size_t i = 0; i < fields.size(); ++i) {
    const GaborFit& g = fields[i].gabor;
    const FourierShape& f = fields[i].fourier;
    text += fmt::format(
        "{},{:d},{:.4g},{:.4g},{:.4g},{:.4g},{:.4g},{:.4g},{:.4g},{:.4g},{:.4g},{:.4g},{:.4g},{:.4g},{:.4g},{:.4g},{:."
        "4g}\n",
        i, fields[i].passes(), g.r_squared, g.x, g.y, g.frequency, g.orientation * degrees, g.phase * degrees,
        g.sigma_x, g.sigma_y, g.n_x(), g.n_y(), g.amplitude, f.frequency, f.crossed, f.dc, f.participation);
  }
  write_file_atomically(path, std::string_view(text));
}

void add_population(const FieldPopulation& p, EvaluationOutcome& out) {
  const auto of_all = [&](std::int64_t n) { return fmt::format("{} of {} units", n, p.n); };
  const auto share = [&](std::int64_t n) { return static_cast<double>(n) / static_cast<double>(p.n); };
  out.add("fields_passed", "receptive fields: share that passes both criteria", p.share_passed(), of_all(p.n_passed));
  out.add("fields_gabor", "... the Gabor fit, R^2 > 0.7", share(p.n_gabor), of_all(p.n_gabor));
  out.add("fields_fourier", "... the criteria in the frequency domain", share(p.n_fourier), of_all(p.n_fourier));
  out.add("fields_r_squared", "median R^2 of the Gabor fits", p.median_r_squared);
  std::string counts;
  for (const std::int64_t n : p.orientations) counts += fmt::format("{}{}", counts.empty() ? "" : " ", n);
  out.add("fields_orientations", "orientation bins filled, of 8", static_cast<double>(p.n_orientations_filled()),
          counts);
  const auto spread = [](const std::array<double, 3>& q) {
    return std::isnan(q[1]) ? std::string("no field passes") : fmt::format("80 % within {:.3g} to {:.3g}", q[0], q[2]);
  };
  out.add("fields_frequency", "median frequency, cycles a pixel", p.frequency[1], spread(p.frequency));
  out.add("fields_n_x", "median n_x, width across the bars in periods", p.n_x[1], spread(p.n_x));
  out.add("fields_n_y", "median n_y, width along the bars in periods", p.n_y[1], spread(p.n_y));
}

// The units of layer 2 with the largest weights.
std::vector<PoolingUnit> pooling_units(const Matrix<float>& W, std::size_t most) {
  std::vector<PoolingUnit> units;
  for (std::int64_t j = 0; j < W.cols(); ++j) {
    PoolingUnit unit{j, {}};
    for (std::int64_t i = 0; i < W.rows(); ++i) unit.weights.push_back(W(i, j));
    units.push_back(std::move(unit));
  }
  const auto norm = [](const PoolingUnit& u) {
    return std::inner_product(u.weights.begin(), u.weights.end(), u.weights.begin(), 0.0);
  };
  std::stable_sort(units.begin(), units.end(), [&](const auto& a, const auto& b) { return norm(a) > norm(b); });
  if (units.size() > most) units.resize(most);
  return units;
}

}  // namespace

void judge_receptive_fields(const HeeEvaluationInput& in, EvaluationOutcome& out) {
  constexpr std::int64_t largest_side = 64;  // beyond it Gabor fits take long
  const ImageShape& shape = *in.data.image;
  const HeeParameters& p = in.training.model.parameters;
  if (shape.channels != 1) return;
  const Matrix<float> fields = fields_in_pixels(in.data, p.W[0]);
  const auto grid = in.folder.figures() / "receptive_fields.png";
  write_grid(fields, shape, grid);
  out.figures.push_back(
      {grid,
       fmt::format("What units of the first layer add to the observation: the columns of W_1{}. Each has its own "
                   "scale; gray is zero.",
                   fields.rows() > 400 ? ", the first 400" : ""),
       true, "Receptive fields"});
  const bool can_judge = in.data.patches && shape.rows >= 8 && shape.rows <= largest_side;
  if (!can_judge) return;

  const FieldCriteria criteria;
  const std::vector<ReceptiveField> judged = judge_receptive_fields(fields, shape.rows, shape.cols, criteria);
  add_population(summarise(judged), out);
  write_table(judged, in.folder.path() / "receptive_fields.csv");
  const std::vector<FieldShape> shapes = shapes_of(judged);
  if (const FigureFile file = draw(figure_receptive_fields(shapes, criteria.r_squared), in.folder.figures())) {
    out.figures.push_back({file.svg,
                           "Gabor fits of the first layer's fields. A field passes with R^2 > 0.7 if it is also "
                           "oriented, band-pass and local by its "
                           "Fourier transform. Dashed: roughly where most simple cells of macaque V1 lie (after "
                           "Ringach 2002; an outline, not data). Widths "
                           "of 2 periods or more are drawn at the edge.",
                           false, "Receptive fields"});
  }
  if (p.W.size() < 2 || std::ranges::none_of(shapes, &FieldShape::passes)) return;  // only fields that pass are drawn
  constexpr std::size_t most_units = 24;
  const Family family = p.layers[1].family;
  const bool scales = family == Family::gaussian_scale || family == Family::laplace_scale;
  const Figure pooling = figure_pooling(shapes, pooling_units(p.W[1], most_units), static_cast<double>(shape.rows));
  if (const FigureFile file = draw(pooling, in.folder.figures())) {
    out.figures.push_back(
        {file.svg,
         fmt::format("The second layer's units with the largest weights, each by the first-layer fields that "
                     "it is coupled to most: a "
                     "line lies where the field lies, along its bars, as long as its envelope.{}",
                     scales ? " The weights act on inverse scales: an active unit makes fields of positive "
                              "weight quieter and those of "
                              "negative weight louder, or the other way round where its own sign turns."
                            : ""),
         false, "Receptive fields"});
  }
}

}  // namespace tarn
