#include "tarn/io/png.hpp"

#include <limits>

#include "io_test_tools.hpp"
#include "tarn/io/npy.hpp"

namespace tarn {
namespace {

using PngTest = IoTest;

/// What make_golden.py drew: gray (i, j) is 7 (7 i + j); RGB holds gray, 255 - gray, gray / 2.
Image expected_gray() {
  Image image{5, 7, 1, {}};
  for (int p = 0; p < 35; ++p) image.pixels.push_back(static_cast<std::uint8_t>(7 * p));
  return image;
}
Image expected_rgb() {
  Image image{5, 7, 3, {}};
  for (int p = 0; p < 35; ++p) {
    for (const int value : {7 * p, 255 - 7 * p, 7 * p / 2}) image.pixels.push_back(static_cast<std::uint8_t>(value));
  }
  return image;
}

TEST_F(PngTest, ReadsWhatPillowWrites) {
  EXPECT_EQ(read_png(golden("gray.png")), expected_gray());
  EXPECT_EQ(read_png(golden("rgb.png")), expected_rgb());
  EXPECT_EQ(read_png(golden("rgba.png")), expected_rgb());  // alpha is ignored
  EXPECT_EQ(read_png(golden("gray_alpha.png")), expected_gray());
  EXPECT_EQ(read_png(golden("gray16.png")), expected_gray());
  auto bilevel = expected_gray();
  for (auto& pixel : bilevel.pixels) pixel = pixel > 120 ? 255 : 0;
  EXPECT_EQ(read_png(golden("bilevel.png")), bilevel);
  const auto palette = read_png(golden("palette.png"));
  const auto expected = read_npy(golden("palette_expected.npy"));
  ASSERT_EQ(palette.pixels.size(), expected.bytes.size());
  EXPECT_EQ(std::memcmp(palette.pixels.data(), expected.bytes.data(), expected.bytes.size()), 0);
}

TEST_F(PngTest, RoundTripIsReproducible) {
  for (const auto& image : {expected_gray(), expected_rgb(), Image{1, 1, 1, {9}}}) {
    write_png(in_folder("i.png"), image);
    EXPECT_EQ(read_png(in_folder("i.png")), image);
    EXPECT_EQ(encode_png(image), read_file(in_folder("i.png")));
  }
  EXPECT_REFUSED(encode_png({2, 2, 1, {1, 2, 3}}), "takes 4 bytes, found 3");
  EXPECT_REFUSED(encode_png({2, 2, 2, std::vector<std::uint8_t>(8)}), "2 channels");
  EXPECT_REFUSED(encode_png({0, 2, 1, {}}), "0 x 2");
}

TEST_F(PngTest, RefusesDamageAndLargeClaims) {
  EXPECT_REFUSED(read_png(golden("gray.png"), 34), "at most 34 pixels");
  EXPECT_REFUSED(read_png(golden("f4.npy")), "wrong magic");
  for (const std::string name : {"gray.png", "palette.png"}) {
    const auto data = read_file(golden(name));
    const auto parse = [](ByteView bytes) { parse_png(bytes, "x"); };
    refuses_truncations(data, parse);
    survives_byte_changes(data, parse);
  }
  // A header that claims 16000 x 16000 pixels, its checksum right.
  auto claim = encode_png({1, 1, 1, {0}});
  const std::string header("\x00\x00\x3e\x80\x00\x00\x3e\x80", 8);
  std::memcpy(claim.data() + 16, header.data(), 8);
  const std::uint32_t crc = [&] {
    std::uint32_t c = 0xffffffffU;
    for (std::size_t i = 12; i < 29; ++i) {
      c ^= std::to_integer<std::uint32_t>(claim[i]);
      for (int bit = 0; bit < 8; ++bit) c = (c & 1U) != 0 ? 0xedb88320U ^ (c >> 1) : c >> 1;
    }
    return ~c;
  }();
  for (int i = 0; i < 4; ++i) claim[29 + static_cast<std::size_t>(i)] = static_cast<std::byte>(crc >> (24 - 8 * i));
  EXPECT_REFUSED(parse_png(claim, "x"), "cannot hold 16000 x 16000 pixels");
}

GridLayout two_by_two() {
  GridLayout layout;
  layout.rows = layout.cols = layout.grid_rows = layout.grid_cols = 2;
  return layout;
}

std::uint8_t at(const Image& image, std::int64_t i, std::int64_t j, std::int64_t c = 0) {
  return image.pixels[static_cast<std::size_t>((i * image.cols + j) * image.channels + c)];
}

TEST_F(PngTest, GridPlacesAndScalesImages) {
  Matrix<float> images(3, 4);
  const float values[12] = {0.0F, 0.5F, 1.0F, 2.0F, -1.0F, 0.2F, 0.4F, 0.1F, 2.0F, 2.0F, 2.0F, 2.0F};
  std::copy_n(values, 12, images.data());
  const auto grid = image_grid(images, two_by_two());
  ASSERT_EQ(grid.rows, 7);
  ASSERT_EQ(grid.cols, 7);
  EXPECT_EQ(at(grid, 0, 0), 255);  // gap
  EXPECT_EQ(at(grid, 1, 1), 0);
  EXPECT_EQ(at(grid, 1, 2), 128);
  EXPECT_EQ(at(grid, 2, 1), 255);
  EXPECT_EQ(at(grid, 2, 2), 255);  // 2 is clamped
  EXPECT_EQ(at(grid, 1, 3), 255);  // gap
  EXPECT_EQ(at(grid, 1, 4), 0);    // -1 is clamped
  EXPECT_EQ(at(grid, 1, 5), 51);
  EXPECT_EQ(at(grid, 5, 5), 255);  // a place left over

  const auto own_max = image_grid(images, two_by_two(), {PixelRange::Kind::own_max, 0.0F, 0.0F});
  EXPECT_EQ(at(own_max, 1, 2), 64);
  EXPECT_EQ(at(own_max, 1, 5), 128);
  EXPECT_EQ(at(own_max, 2, 4), 255);
  const auto own_range = image_grid(images, two_by_two(), {PixelRange::Kind::own_range, 0.0F, 0.0F});
  EXPECT_EQ(at(own_range, 1, 4), 0);
  EXPECT_EQ(at(own_range, 1, 5), 219);  // (0.2 + 1) / 1.4
  EXPECT_EQ(at(own_range, 4, 1), 0);    // no contrast
  const auto fixed = image_grid(images, two_by_two(), {PixelRange::Kind::fixed, -1.0F, 4.0F});
  EXPECT_EQ(at(fixed, 1, 1), 51);
}

TEST_F(PngTest, GridDrawsColors) {
  auto layout = two_by_two();
  layout.channels = 3;
  layout.gap = 0;
  layout.background = 7;
  Matrix<float> images(1, 12);
  images(0, 4) = 1.0F;  // green of pixel (0, 1)
  const auto grid = image_grid(images, layout);
  EXPECT_EQ(grid.channels, 3);
  EXPECT_EQ(at(grid, 0, 1, 0), 0);
  EXPECT_EQ(at(grid, 0, 1, 1), 255);
  EXPECT_EQ(at(grid, 3, 3, 2), 7);
}

TEST_F(PngTest, ImagesThatAreNotFiniteAreMarked) {
  for (const float bad : {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()}) {
    GridLayout layout;
    layout.rows = layout.cols = 8;
    layout.grid_rows = layout.grid_cols = 1;
    layout.gap = 0;
    Matrix<float> images(1, 64);
    images(0, 17) = bad;
    for (const auto kind : {PixelRange::Kind::fixed, PixelRange::Kind::own_max}) {
      const auto grid = image_grid(images, layout, {kind, 0.0F, 1.0F});
      int gray = 0;
      for (int i = 0; i < 8; ++i) {
        EXPECT_EQ(at(grid, i, i), 255);
        EXPECT_EQ(at(grid, i, 7 - i), 0);
        for (int j = 0; j < 8; ++j) gray += at(grid, i, j) == 128 ? 1 : 0;
      }
      EXPECT_EQ(gray, 48);
    }
  }
}

TEST_F(PngTest, GridsStandSideBySide) {
  const Image left{2, 1, 1, {1, 2}};
  const Image right{1, 2, 3, {3, 4, 5, 6, 7, 8}};
  const auto both = side_by_side(left, right, 1, 200);
  ASSERT_EQ(both.rows, 2);
  ASSERT_EQ(both.cols, 4);
  ASSERT_EQ(both.channels, 3);
  EXPECT_EQ(both.pixels, (std::vector<std::uint8_t>{1, 1, 1, 200, 200, 200, 3,   4,   5,   6,   7,   8,
                                                    2, 2, 2, 200, 200, 200, 200, 200, 200, 200, 200, 200}));
}

TEST_F(PngTest, GridsStandInRows) {
  const std::vector<Image> three{{2, 1, 1, {1, 2}}, {1, 1, 1, {3}}, {1, 1, 1, {4}}};
  const Image all = in_rows(three, 2, 1, 200);
  ASSERT_EQ(all.rows, 5);
  ASSERT_EQ(all.cols, 3);
  ASSERT_EQ(all.channels, 1);
  EXPECT_EQ(all.pixels, (std::vector<std::uint8_t>{1, 200, 3,      //
                                                   2, 200, 200,    //
                                                   200, 200, 200,  //
                                                   4, 200, 200,    //
                                                   200, 200, 200}));
  const Image row = in_rows(three, 9, 0);
  EXPECT_EQ(row.rows, 2);
  EXPECT_EQ(row.cols, 3) << "no column is left empty";
  EXPECT_REFUSED(in_rows(three, 0, 1), "one a row");
  EXPECT_REFUSED(in_rows({}, 2, 1), "need an image");
}

TEST_F(PngTest, GridRefusesSizesThatDoNotFit) {
  EXPECT_REFUSED(image_grid(Matrix<float>(1, 5), two_by_two()), "images have 5 values");
  auto layout = two_by_two();
  layout.grid_cols = 1LL << 29;
  EXPECT_REFUSED(image_grid(Matrix<float>(1, 4), layout), "too large");
  EXPECT_REFUSED(image_grid(Matrix<float>(1, 4), two_by_two(), {PixelRange::Kind::fixed, 1.0F, 1.0F}), "low = 1");
}

}  // namespace
}  // namespace tarn
