// Gabor fits find what was drawn; the two criteria let Gabors with noise pass and stop everything that only looks like one to a fit.
#include "tarn/evaluation/receptive_fields.hpp"

#include <gmock/gmock.h>

#include <cmath>
#include <numbers>

#include "message_of.hpp"
#include "tarn/core/noise.hpp"

namespace tarn {
namespace {

using test::message_of;

constexpr std::int64_t side = 12;
constexpr double pi = std::numbers::pi;

using Field = std::vector<float>;

// Column j of a field lies at x = j - 5.5, row i at y = 5.5 - i.
template <class F>
Field drawn(F&& value, std::int64_t rows = side, std::int64_t cols = side) {
  Field field;
  for (std::int64_t i = 0; i < rows; ++i) {
    for (std::int64_t j = 0; j < cols; ++j) {
      field.push_back(static_cast<float>(value(static_cast<double>(j) - 0.5 * static_cast<double>(cols - 1),
                                               0.5 * static_cast<double>(rows - 1) - static_cast<double>(i))));
    }
  }
  return field;
}

Field gabor(const GaborFit& g, std::int64_t rows = side, std::int64_t cols = side) {
  const double direction = g.orientation < pi / 2 ? g.orientation + pi / 2 : g.orientation - pi / 2;  // in [0, pi)
  const double c = std::cos(direction), s = std::sin(direction);
  return drawn(
      [&](double x, double y) {
        const double u = (x - g.x) * c + (y - g.y) * s, v = -(x - g.x) * s + (y - g.y) * c;
        return g.amplitude * std::exp(-u * u / (2 * g.sigma_x * g.sigma_x) - v * v / (2 * g.sigma_y * g.sigma_y)) *
               std::cos(2 * pi * g.frequency * u + g.phase);
      },
      rows, cols);
}

Matrix<float> stacked(const std::vector<Field>& fields) {
  Matrix<float> rows(static_cast<std::int64_t>(fields.size()), static_cast<std::int64_t>(fields[0].size()));
  for (std::size_t i = 0; i < fields.size(); ++i)
    std::copy(fields[i].begin(), fields[i].end(), rows.row(static_cast<std::int64_t>(i)));
  return rows;
}

FieldPopulation judged(const std::vector<Field>& fields) {
  return summarise(judge_receptive_fields(stacked(fields), side, side));
}

double angle_between(double a, double b) {  // of orientations
  const double d = std::abs(a - b);
  return std::min(d, pi - d);
}

// Gabors like those of V1, spread evenly over all parameters by the golden ratio and its relatives.
std::vector<GaborFit> many_gabors(int n) {
  std::vector<GaborFit> all;
  for (int k = 0; k < n; ++k) {
    const auto spread = [k](double step, double low, double high) {
      const double t = (k + 0.5) * step;
      return low + (high - low) * (t - std::floor(t));
    };
    GaborFit g;
    g.x = spread(0.6180339887, -2.0, 2.0);
    g.y = spread(0.7548776662, -2.0, 2.0);
    g.frequency = spread(0.5698402910, 0.18, 0.35);
    g.orientation = spread(0.8191725134, 0.0, pi);
    g.phase = spread(0.6710436067, -pi, pi);
    g.sigma_x = spread(0.5497004779, 1.3, 2.4);
    g.sigma_y = spread(0.8566748838, 1.3, 3.0);
    g.amplitude = spread(0.7338918566, 0.1, 5.0);
    all.push_back(g);
  }
  return all;
}

TEST(GaborFits, RecoverTheParametersOfCleanGabors) {
  for (const GaborFit& truth : many_gabors(60)) {
    const Field field = gabor(truth);
    const GaborFit fit = fit_gabor(field.data(), side, side);
    SCOPED_TRACE(fmt::format("x {} y {} f {} orientation {} phase {} widths {} {}", truth.x, truth.y, truth.frequency,
                             truth.orientation, truth.phase, truth.sigma_x, truth.sigma_y));
    EXPECT_GT(fit.r_squared, 0.9999);
    EXPECT_NEAR(fit.x, truth.x, 0.02);
    EXPECT_NEAR(fit.y, truth.y, 0.02);
    EXPECT_NEAR(fit.frequency, truth.frequency, 0.002);
    EXPECT_LT(angle_between(fit.orientation, truth.orientation), 0.01);
    EXPECT_NEAR(std::remainder(fit.phase - truth.phase, 2 * pi), 0.0, 0.03);
    EXPECT_NEAR(fit.sigma_x / truth.sigma_x, 1.0, 0.02);
    EXPECT_NEAR(fit.sigma_y / truth.sigma_y, 1.0, 0.02);
    EXPECT_NEAR(fit.amplitude / truth.amplitude, 1.0, 0.02);
    EXPECT_NEAR(fit.n_x(), truth.sigma_x * truth.frequency, 0.02);
  }
}

// Orientation and axes as a person sees them: these three could be mirrored and all else would still agree.
TEST(GaborFits, SeeTheFieldTheRightWayUp) {
  GaborFit g;
  g.x = 2.0, g.y = 1.0, g.frequency = 0.2, g.sigma_x = g.sigma_y = 1.6, g.amplitude = 1.0;
  g.orientation = pi / 4;  // from bottom left to top right
  const Field field = gabor(g, 12, 14);
  EXPECT_GT(field[4 * 14 + 9], 0.8f * *std::max_element(field.begin(), field.end()))
      << "bright right of the middle and above it";
  EXPECT_GT(field[3 * 14 + 10], 2.0f * field[3 * 14 + 7]) << "the bar goes on to the upper right";
  const GaborFit fit = fit_gabor(field.data(), 12, 14);
  EXPECT_NEAR(fit.orientation, pi / 4, 1e-3);
  EXPECT_NEAR(fit.x, 2.0, 1e-3);
  EXPECT_NEAR(fit.y, 1.0, 1e-3);
  EXPECT_NEAR(fourier_shape(field.data(), 12, 14).orientation, pi / 4, 0.1);

  const Field horizontal = drawn([](double, double y) { return std::exp(-y * y / 4) * std::cos(2 * pi * 0.25 * y); });
  EXPECT_LT(angle_between(fit_gabor(horizontal.data(), side, side).orientation, 0.0), 1e-3);
  EXPECT_LT(angle_between(fourier_shape(horizontal.data(), side, side).orientation, 0.0), 1e-9);
}

TEST(FieldCriteria, GaborsWithNoisePass) {
  std::vector<Field> fields;
  const auto truth = many_gabors(100);
  Matrix<float> noise(static_cast<std::int64_t>(truth.size()), side * side);
  fill_normals(5, Stream::evaluation, 0, 0, 1, noise);
  for (std::size_t k = 0; k < truth.size(); ++k) {
    Field field = gabor(truth[k]);
    double square = 0.0;
    for (const float w : field) square += w * w;
    // noise with a tenth of the field's energy: R^2 of the true Gabor is about 0.9
    const double deviation = std::sqrt(0.1 * square / (side * side));
    for (std::size_t i = 0; i < field.size(); ++i)
      field[i] += static_cast<float>(deviation * noise(static_cast<std::int64_t>(k), static_cast<std::int64_t>(i)));
    fields.push_back(std::move(field));
  }
  const auto results = judge_receptive_fields(stacked(fields), side, side);
  const FieldPopulation p = summarise(results);
  EXPECT_EQ(p.n, 100);
  EXPECT_GE(p.n_passed, 95);
  EXPECT_NEAR(p.median_r_squared, 0.91, 0.02);
  EXPECT_EQ(p.n_orientations_filled(), 8);
  int close = 0;
  for (std::size_t k = 0; k < truth.size(); ++k) {
    close += angle_between(results[k].gabor.orientation, truth[k].orientation) < 0.1 &&
                     std::abs(results[k].gabor.frequency - truth[k].frequency) < 0.02
                 ? 1
                 : 0;
  }
  EXPECT_GE(close, 90);
  EXPECT_NEAR(p.frequency[1], 0.265, 0.02);
}

// The controls: what a Gabor function can imitate without being one that V1 would know.
TEST(FieldCriteria, DeltasFail) {
  std::vector<Field> fields;
  for (int k = 0; k < side * side; k += 5) {
    Field field(side * side, 0.0f);
    field[static_cast<std::size_t>(k)] = 1.0f;
    fields.push_back(std::move(field));
  }
  const FieldPopulation p = judged(fields);
  EXPECT_EQ(p.n_fourier, 0);
  EXPECT_EQ(p.n_passed, 0);
  EXPECT_GT(p.n_gabor, p.n / 2) << "the fit alone is fooled; that is why there are two criteria";
}

TEST(FieldCriteria, RoundBlobsFail) {
  std::vector<Field> fields;
  for (int k = 0; k < 30; ++k) {
    const double width = 0.8 + 0.07 * k, x0 = 0.1 * (k - 15), y0 = 0.15 * (k % 7 - 3);
    fields.push_back(drawn([&](double x, double y) {
      return std::exp(-((x - x0) * (x - x0) + (y - y0) * (y - y0)) / (2 * width * width));
    }));
  }
  const FieldPopulation p = judged(fields);
  EXPECT_EQ(p.n_fourier, 0);
  EXPECT_GT(p.n_gabor, p.n / 3);
}

TEST(FieldCriteria, ABarWithFaintFlanksFails) {
  GaborFit g;  // oriented and local, a perfect Gabor function, but it answers to even light
  g.frequency = 0.15, g.sigma_x = 1.5, g.sigma_y = 3.0, g.amplitude = 1.0;
  const auto field = judge_receptive_fields(stacked({gabor(g)}), side, side)[0];
  EXPECT_TRUE(field.gabor_passes);
  EXPECT_LT(field.fourier.crossed, 0.5);
  EXPECT_NEAR(field.fourier.dc, 2.0 * std::exp(-2.0 * std::pow(pi * 0.15 * 1.5, 2)) / 1.02, 0.05);
  EXPECT_FALSE(field.fourier_passes);
}

TEST(FieldCriteria, TheCosineBasisFails) {
  std::vector<Field> fields;
  for (int m = 0; m < side; ++m) {
    for (int n = 0; n < side; ++n) {
      Field field;
      for (int i = 0; i < side; ++i) {
        for (int j = 0; j < side; ++j) {
          field.push_back(
              static_cast<float>(std::cos(pi * m * (i + 0.5) / side) * std::cos(pi * n * (j + 0.5) / side)));
        }
      }
      fields.push_back(std::move(field));
    }
  }
  EXPECT_EQ(judged(fields).n_passed, 0);
}

TEST(FieldCriteria, NoiseAndNothingFail) {
  Matrix<float> noise(40, side * side);
  fill_normals(6, Stream::evaluation, 0, 0, 1, noise);
  std::fill_n(noise.row(0), noise.cols(), 0.0f);
  std::fill_n(noise.row(1), noise.cols(), 3.0f);
  noise(2, 7) = std::nanf("");
  const auto results = judge_receptive_fields(noise, side, side);
  EXPECT_EQ(summarise(results).n_passed, 0);
  for (int k = 0; k < 3; ++k) EXPECT_EQ(results[static_cast<std::size_t>(k)].gabor.r_squared, 0.0) << k;
}

TEST(FourierShapes, AreWhatTheirDefinitionsSay) {
  // A plaid is as strong at its frequency turned by 90 degrees; a grating of whole periods has no DC.
  const auto plaid = fourier_shape(
      drawn([](double x, double y) { return std::cos(2 * pi * 0.25 * x) + std::cos(2 * pi * 0.25 * y); }).data(), side,
      side);
  EXPECT_NEAR(plaid.crossed, 1.0, 1e-6);
  const auto grating =
      fourier_shape(drawn([](double x, double) { return std::cos(2 * pi * 0.25 * x); }).data(), side, side);
  EXPECT_NEAR(grating.frequency, 0.25, 1e-9);
  EXPECT_NEAR(grating.orientation, pi / 2, 1e-9) << "bars stand upright";
  EXPECT_LT(grating.crossed, 0.01);
  EXPECT_LT(grating.dc, 0.01);
  // |F(0)| of a constant is the largest there is
  const auto constant = fourier_shape(Field(side * side, 2.0f).data(), side, side);
  EXPECT_NEAR(constant.dc, 1.0, 1e-12);
  EXPECT_NEAR(constant.participation, side * side, 1e-6);
  Field two(side * side, 0.0f);
  two[3] = 1.0f, two[40] = -1.0f;
  EXPECT_NEAR(fourier_shape(two.data(), side, side).participation, 2.0, 1e-9);
}

TEST(FieldCriteria, SayWhatDoesNotFit) {
  EXPECT_THAT(message_of([] { judge_receptive_fields(Matrix<float>(2, 100), 12, 12); }),
              ::testing::HasSubstr("receptive fields of 12 x 12 pixels in rows of 100 values"));
  EXPECT_THAT(message_of([] { judge_receptive_fields(Matrix<float>(2, 6), 2, 3); }),
              ::testing::HasSubstr("sides of 4 to 256"));
  EXPECT_TRUE(std::isnan(summarise({}).frequency[0]));
  EXPECT_EQ(summarise({}).share_passed(), 0.0);
}

}  // namespace
}  // namespace tarn
