// Patches of images: where they are cut, what is done to them, and stacks that are not what they should be.
#include "tarn/data/patches.hpp"

#include <gmock/gmock.h>

#include <algorithm>
#include <boost/math/distributions/chi_squared.hpp>
#include <cmath>
#include <numbers>
#include <set>

#include "message_of.hpp"
#include "tarn/core/noise.hpp"
#include "tarn/data/filter.hpp"
#include "tarn/data/mapped_batches.hpp"
#include "tarn/io/npy.hpp"

namespace tarn {
namespace {

using test::message_of;
using ::testing::HasSubstr;

// Every pixel says where it is: image * 10000 + row * 100 + column.
std::shared_ptr<const ImageStack> numbered(std::int64_t n, std::int64_t rows, std::int64_t cols) {
  auto stack = std::make_shared<ImageStack>();
  stack->pixels = Matrix<float>(n, rows * cols);
  stack->rows = rows;
  stack->cols = cols;
  stack->source = "numbered";
  for (std::int64_t k = 0; k < n; ++k) {
    for (std::int64_t i = 0; i < rows; ++i) {
      for (std::int64_t j = 0; j < cols; ++j)
        stack->pixels(k, i * cols + j) = static_cast<float>(10000 * k + 100 * i + j);
    }
  }
  return stack;
}

PatchSettings plain(std::int64_t size, std::int64_t border) {
  PatchSettings settings;
  settings.size = size;
  settings.border = border;
  settings.subtract_mean = false;
  return settings;
}

TEST(Patches, LieWhereTheThreeWordsSay) {
  PatchBatches batches(numbered(3, 20, 30), plain(5, 2), 77);
  Matrix<float> patches(600, 25);
  batches.cut(1000, patches);
  Matrix<std::uint32_t> words(600, 3);
  fill_words(77, Stream::patches, 1000, 0, 1, words);
  for (std::int64_t i = 0; i < patches.rows(); ++i) {
    const auto choice = [&](std::int64_t k, double n) { return std::floor(words(i, k) / 4294967296.0 * n); };
    // 20 - 2 * 2 - 5 + 1 rows and 30 - 2 * 2 - 5 + 1 columns where a patch may begin
    const double image = choice(0, 3), row = 2 + choice(1, 12), column = 2 + choice(2, 22);
    for (int r = 0; r < 5; ++r) {
      for (int c = 0; c < 5; ++c)
        ASSERT_EQ(patches(i, 5 * r + c), 10000 * image + 100 * (row + r) + column + c) << "patch " << i;
    }
  }
}

TEST(Patches, AreTheSameHoweverTheyAreAskedFor) {
  PatchBatches batches(numbered(2, 16, 16), plain(4, 0), 3);
  Matrix<float> all(8 * 50, 16), step(50, 16);
  batches.fill(5, 8, all);
  for (std::int64_t s = 7; s >= 0; --s) {
    batches.fill(5 + s, 1, step);
    EXPECT_TRUE(std::equal(step.data(), step.data() + step.size(), all.row(50 * s))) << "step " << s;
  }
  PatchBatches other(numbered(2, 16, 16), plain(4, 0), 4);
  other.fill(5, 1, step);
  EXPECT_FALSE(std::equal(step.data(), step.data() + step.size(), all.row(0))) << "the seed changes nothing";
  EXPECT_EQ(batches.n_columns(), 16);
  EXPECT_EQ(batches.steps_per_epoch(100), 100);
  EXPECT_EQ(batches.steps_per_epoch(20000), 1);
}

// Chi-squared of 4 images x 6 x 6 places, false-alarm level 1e-6.
TEST(Patches, FallEverywhereAlike) {
  PatchBatches batches(numbered(4, 10, 10), plain(3, 1), 8);
  Matrix<float> patches(144 * 200, 9);
  batches.cut(0, patches);
  std::vector<double> counts(144, 0.0);
  for (std::int64_t i = 0; i < patches.rows(); ++i) {
    const auto at = static_cast<int>(patches(i, 0));
    const int row = at / 100 % 100 - 1, column = at % 100 - 1;
    ASSERT_TRUE(row >= 0 && row < 6 && column >= 0 && column < 6) << at;
    ++counts[static_cast<std::size_t>((at / 10000 * 6 + row) * 6 + column)];
  }
  double statistic = 0.0;
  for (const double n : counts) statistic += (n - 200.0) * (n - 200.0) / 200.0;
  EXPECT_LT(statistic, boost::math::quantile(boost::math::complement(boost::math::chi_squared(143.0), 1e-6)));
}

TEST(Patches, LoseTheirMeanWhereAsked) {
  PatchSettings settings = plain(6, 0);
  settings.subtract_mean = true;
  Matrix<float> with(50, 36), without(50, 36);
  PatchBatches(numbered(2, 20, 20), plain(6, 0), 1).cut(0, with);
  PatchBatches(numbered(2, 20, 20), settings, 1).cut(0, without);
  for (std::int64_t i = 0; i < 50; ++i) {
    double sum = 0.0;
    for (std::int64_t k = 0; k < 36; ++k) sum += without(i, k);
    EXPECT_NEAR(sum / 36.0, 0.0, 1e-3);
    EXPECT_EQ(without(i, 35) - without(i, 0), with(i, 35) - with(i, 0));
  }
}

TEST(Patches, OfAFittingImageAreTheImage) {
  PatchBatches batches(numbered(1, 9, 9), plain(5, 2), 1);  // one place only
  Matrix<float> patch(3, 25);
  batches.cut(0, patch);
  for (std::int64_t i = 0; i < 3; ++i) {
    EXPECT_EQ(patch(i, 0), 202.0f);
    EXPECT_EQ(patch(i, 24), 606.0f);
  }
  EXPECT_THAT(message_of([] { PatchBatches(numbered(1, 9, 30), plain(6, 2), 1); }),
              HasSubstr("no patch of 6 pixels a side fits into 1 images of 9 x 30 with a border of 2"));
  EXPECT_THAT(message_of([] { PatchBatches(numbered(0, 9, 9), plain(6, 0), 1); }), HasSubstr("into 0 images"));
  EXPECT_THAT(message_of([] { PatchBatches(numbered(1, 9, 9), plain(2, INT64_MAX), 1); }), HasSubstr("no patch"));
}

TEST(MappedBatches, ScaleAndFilterEachRow) {
  Matrix<float> raw(20, 9);
  PatchBatches(numbered(1, 8, 8), plain(3, 0), 9).fill(2, 1, raw);
  DatumScaling divide;
  divide.kind = DatumScalingKind::divide_255;
  const AffineScaling scaling{std::vector<double>(9, 0.5), 2.0};
  MappedBatches mapped(std::make_unique<PatchBatches>(numbered(1, 8, 8), plain(3, 0), 9), divide,
                       std::make_shared<IdentityFilter>(9), scaling);
  Matrix<float> rows(20, 9);
  mapped.fill(2, 1, rows);
  for (std::int64_t k = 0; k < rows.size(); ++k) EXPECT_NEAR(rows.data()[k], (raw.data()[k] / 255.0 - 0.5) / 2.0, 1e-6);
  EXPECT_THAT(message_of([&] {
                MappedBatches(std::make_unique<PatchBatches>(numbered(1, 8, 8), plain(3, 0), 9), {},
                              std::make_shared<IdentityFilter>(8), {});
              }),
              HasSubstr("9 columns, the filter takes 8"));
}

template <class T>
Bytes npy(std::vector<T> values, Shape shape) {
  return encode_npy(make_npy(std::span<const T>(values), std::move(shape)));
}

TEST(ImageStacks, AreReadFromBytesAndFloats) {
  const auto bytes = npy<std::uint8_t>({0, 1, 2, 3, 4, 255, 6, 7, 8, 9, 10, 11}, {2, 3, 2});
  const ImageStack stack = parse_image_stack(bytes, "a.npy");
  EXPECT_EQ(stack.n_images(), 2);
  EXPECT_EQ(stack.rows, 3);
  EXPECT_EQ(stack.cols, 2);
  EXPECT_EQ(stack.pixels(0, 5), 255.0f);
  EXPECT_EQ(stack.pixels(1, 0), 6.0f);
  EXPECT_EQ(parse_image_stack(bytes, "a.npy", {1}).n_images(), 1);
  EXPECT_EQ(parse_image_stack(npy<double>({-1.5, 2.0}, {1, 1, 2, 1}), "b.npy").pixels(0, 0), -1.5f);
}

TEST(ImageStacks, ThatLieAreRefused) {
  const auto refused = [](const Bytes& bytes) { return message_of([&] { parse_image_stack(bytes, "a.npy"); }); };
  EXPECT_THAT(refused(npy<float>(std::vector<float>(6), {2, 3})), HasSubstr("gray images, (n, rows, columns)"));
  EXPECT_THAT(refused(npy<float>(std::vector<float>(12), {1, 2, 2, 3})), HasSubstr("gray images"));
  EXPECT_THAT(refused(npy<float>({1.0f, std::nanf(""), 0.0f, 2.0f}, {1, 2, 2})), HasSubstr("finite"));
  EXPECT_THAT(refused(npy<double>({1.0, 1e300, 0.0, 2.0}, {1, 2, 2})), HasSubstr("finite"));
  EXPECT_THAT(refused(npy<float>({}, {0, 2, 2})), HasSubstr("a.npy"));
  EXPECT_THAT(refused(npy<float>({}, {2, 0, 2})), HasSubstr("images of 0 x 2"));
  EXPECT_THAT(refused(npy<float>(std::vector<float>(70000), {1, 1, 70000})), HasSubstr("1 to 65536 a side"));
  Bytes cut = npy<float>(std::vector<float>(8, 1.0f), {2, 2, 2});
  cut.pop_back();
  EXPECT_THAT(refused(cut), HasSubstr("a.npy"));
  ImageStack flat = parse_image_stack(npy<float>(std::vector<float>(8, 3.0f), {2, 2, 2}), "flat.npy");
  EXPECT_THAT(message_of([&] { divide_by_standard_deviation(flat); }), HasSubstr("flat.npy: pixels have the standard"));
}

TEST(ImageStacks, GetUnitVariance) {
  ImageStack stack = *numbered(2, 7, 9);
  const double ratio = stack.pixels(1, 3) / stack.pixels(0, 10);
  divide_by_standard_deviation(stack);
  double sum = 0.0, squares = 0.0;
  for (std::int64_t k = 0; k < stack.pixels.size(); ++k) sum += stack.pixels.data()[k];
  const double mean = sum / static_cast<double>(stack.pixels.size());
  for (std::int64_t k = 0; k < stack.pixels.size(); ++k) squares += std::pow(stack.pixels.data()[k] - mean, 2);
  EXPECT_NEAR(squares / static_cast<double>(stack.pixels.size()), 1.0, 1e-5);
  EXPECT_NEAR(stack.pixels(1, 3) / stack.pixels(0, 10), ratio, 1e-3 * ratio) << "one factor for all, and no shift";
}

// Waves that fit into the image are eigenvectors of the filter, f exp(-(f / cutoff)^4) their eigenvalues.
TEST(Whitening, MultipliesEachFrequencyByItsGain) {
  constexpr std::int64_t rows = 39, cols = 44;  // 3 * 13 and 4 * 11: no powers of two
  struct Wave {
    int ky, kx;
  };
  for (const Wave wave : {Wave{0, 0}, {3, 0}, {0, 7}, {5, -9}, {19, 22}}) {
    ImageStack stack = *numbered(2, rows, cols);
    const auto value = [&](std::int64_t i, std::int64_t j) {
      return std::cos(2 * std::numbers::pi *
                          (static_cast<double>(wave.ky * i) / rows + static_cast<double>(wave.kx * j) / cols) +
                      (wave.kx == 22 ? 0.0 : 0.4));
    };
    for (std::int64_t i = 0; i < rows; ++i) {
      for (std::int64_t j = 0; j < cols; ++j)
        stack.pixels(1, i * cols + j) = static_cast<float>(10.0 + 3.0 * value(i, j));
    }
    whiten(stack, {0.3, false});
    const double f = std::hypot(wave.ky / static_cast<double>(rows), wave.kx / static_cast<double>(cols));
    const double gain = f * std::exp(-std::pow(f / 0.3, 4));
    for (std::int64_t i = 0; i < rows; ++i) {
      for (std::int64_t j = 0; j < cols; ++j) {
        const double expected = wave.ky == 0 && wave.kx == 0 ? 0.0 : 3.0 * gain * value(i, j);
        ASSERT_NEAR(stack.pixels(1, i * cols + j), expected, 1e-5) << wave.ky << ", " << wave.kx;
      }
    }
  }
}

TEST(Whitening, TakesALogarithmFirst) {
  ImageStack plain = *numbered(1, 12, 12), intensities = plain;
  for (std::int64_t k = 0; k < plain.pixels.size(); ++k) {
    plain.pixels.data()[k] = static_cast<float>(std::sin(0.1 * static_cast<double>(k * k)) + 1.0);
    intensities.pixels.data()[k] = std::expm1(plain.pixels.data()[k]);
  }
  whiten(plain, {0.4, false});
  whiten(intensities, {0.4, true});
  for (std::int64_t k = 0; k < plain.pixels.size(); ++k)
    EXPECT_NEAR(plain.pixels.data()[k], intensities.pixels.data()[k], 1e-5);
  ImageStack dark = *numbered(1, 4, 4);
  dark.pixels(0, 5) = -2.0f;
  EXPECT_THAT(message_of([&] { whiten(dark, {0.4, true}); }), HasSubstr("pixel (1, 1) of image 0 is -2"));
  EXPECT_THAT(message_of([&] { whiten(dark, {0.0, false}); }), HasSubstr("above 0"));
}

}  // namespace
}  // namespace tarn
