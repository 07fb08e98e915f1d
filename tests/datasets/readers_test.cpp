// Readers of data sets: round trips through hand-made files, real layouts, and files that lie.
#include <gmock/gmock.h>
#include <zlib.h>

#include <cmath>
#include <filesystem>
#include <fstream>

#include "message_of.hpp"
#include "tarn/data/dataset.hpp"
#include "tarn/io/npy.hpp"
#include "tarn/io/png.hpp"

namespace tarn {
namespace {

using test::message_of;

namespace fs = std::filesystem;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using Text = std::string;

class Readers : public ::testing::Test {
 protected:
  void SetUp() override {
    const auto* info = ::testing::UnitTest::GetInstance()->current_test_info();
    folder = fs::path(::testing::TempDir()) / (Text("tarn_readers_") + info->name());
    fs::remove_all(folder);
    fs::create_directories(folder);
  }
  void TearDown() override { fs::remove_all(folder); }

  fs::path write(const Text& name, const Text& content) const {
    std::ofstream(folder / name, std::ios::binary) << content;
    return folder / name;
  }
  fs::path write_gzip(const Text& name, const Text& content) const {
    gzFile file = gzopen((folder / name).c_str(), "wb");
    gzwrite(file, content.data(), static_cast<unsigned>(content.size()));
    gzclose(file);
    return folder / name;
  }

  fs::path folder;
};

Text big_endian(std::uint32_t value) {
  Text bytes;
  for (int shift = 24; shift >= 0; shift -= 8) bytes += static_cast<char>(value >> shift);
  return bytes;
}

Text idx_images(std::uint32_t n, std::uint32_t rows, std::uint32_t cols, std::size_t n_bytes) {
  Text bytes = big_endian(2051) + big_endian(n) + big_endian(rows) + big_endian(cols);
  for (std::size_t i = 0; i < n_bytes; ++i) bytes += static_cast<char>(i * 7);
  return bytes;
}

Text idx_labels(std::uint32_t n, std::size_t n_bytes) {
  Text bytes = big_endian(2049) + big_endian(n);
  for (std::size_t i = 0; i < n_bytes; ++i) bytes += static_cast<char>(i % 10);
  return bytes;
}

void expect_idx(const Dataset& dataset, std::int64_t n) {
  ASSERT_EQ(dataset.x.rows(), n);
  ASSERT_EQ(dataset.x.cols(), 6);
  for (std::int64_t i = 0; i < n * 6; ++i) EXPECT_EQ(dataset.x.data()[i], static_cast<float>((i * 7) % 256));
  EXPECT_EQ(dataset.image, (ImageShape{2, 3, 1}));
  EXPECT_EQ(dataset.n_available, 50);
}

TEST_F(Readers, IdxPlainGzipAndFolder) {
  write_gzip("train-images-idx3-ubyte.gz", idx_images(50, 2, 3, 300));
  write("train-labels-idx1-ubyte", idx_labels(50, 50));
  const auto dataset = read_idx(folder);
  expect_idx(dataset, 50);
  ASSERT_EQ(dataset.labels.size(), 50u);
  EXPECT_EQ(dataset.labels[17], 7);

  const auto plain = write("t10k-images.idx3-ubyte", idx_images(50, 2, 3, 300));
  expect_idx(read_idx(plain), 50);
  EXPECT_TRUE(read_idx(plain).labels.empty());
  write_gzip("t10k-labels.idx1-ubyte.gz", idx_labels(50, 50));
  const auto few = read_dataset(DatasetKind::idx, plain, {.max_items = 3});
  expect_idx(few, 3);
  EXPECT_THAT(few.labels, ElementsAre(0, 1, 2));
  expect_idx(read_idx(plain, {.max_items = 1000}), 50);
}

TEST_F(Readers, IdxThatLies) {
  const auto parse = [](const Text& bytes) { return message_of([&] { parse_idx_images(as_byte_view(bytes), "f"); }); };
  EXPECT_THAT(parse(""), HasSubstr("f: 0 bytes"));
  EXPECT_THAT(parse(idx_images(1, 1, 1, 0).substr(0, 15)), HasSubstr("15 bytes"));
  EXPECT_THAT(parse(idx_labels(8, 8)),
              HasSubstr("2049, but that of images of bytes is 2051 (this is a file of labels)"));
  EXPECT_THAT(parse(idx_images(50, 2, 3, 299)), HasSubstr("promises 50 images of 2 x 3 bytes, but 299 bytes follow"));
  EXPECT_THAT(parse(idx_images(50, 2, 3, 301)), HasSubstr("301 bytes"));
  EXPECT_THAT(parse(idx_images(50, 2, 3, 306)), HasSubstr("306 bytes"));
  EXPECT_THAT(parse(idx_images(50, 0, 3, 0)), HasSubstr("must be positive"));
  EXPECT_THAT(parse(idx_images(0, 2, 3, 0)), HasSubstr("no items"));
  // Sizes whose product is 0 modulo 2^64 or huge: rejected without an allocation.
  EXPECT_THAT(parse(idx_images(0xffffffff, 0xffffffff, 0xffffffff, 16)), HasSubstr("16 bytes follow"));
  EXPECT_THAT(parse(idx_images(0x80000000, 0x80000000, 4, 0)), HasSubstr("0 bytes follow"));
  const auto labels = [](const Text& bytes) { return message_of([&] { parse_idx_labels(as_byte_view(bytes), "l"); }); };
  EXPECT_THAT(labels(idx_labels(9, 8)), HasSubstr("promises 9 labels, but 8 bytes"));
  EXPECT_THAT(labels(idx_labels(0xffffffff, 8)), HasSubstr("8 bytes"));
  EXPECT_THAT(labels("abc"), HasSubstr("3 bytes"));
  EXPECT_THAT(labels(idx_images(1, 1, 1, 1)), HasSubstr("this is a file of images"));

  write("train-images-idx3-ubyte", idx_images(50, 2, 3, 300));
  write("train-labels-idx1-ubyte", idx_labels(49, 49));
  EXPECT_THAT(message_of([&] { read_idx(folder); }), HasSubstr("49 labels, but"));
  EXPECT_THAT(message_of([&] { read_idx(folder / "absent"); }), HasSubstr("absent"));
  fs::create_directory(folder / "empty");
  EXPECT_THAT(message_of([&] { read_idx(folder / "empty"); }), HasSubstr("neither train-images"));
  EXPECT_THROW(read_idx(folder, {.max_items = 0}), UsageError);
  const auto bytes = idx_images(50, 2, 3, 300);
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    EXPECT_THROW(parse_idx_images(as_byte_view(bytes).first(size), "f"), Error) << size;
  }
}

Text cifar(int n, int first_label) {
  Text bytes;
  for (int i = 0; i < n; ++i) {
    bytes += static_cast<char>((first_label + i) % 10);
    for (int channel = 0; channel < 3; ++channel) {
      for (int k = 0; k < 1024; ++k) bytes += static_cast<char>(channel * 80 + (k + i) % 80);
    }
  }
  return bytes;
}

TEST_F(Readers, Cifar10) {
  write("data_batch_1.bin", cifar(4, 0));
  write_gzip("data_batch_3.bin.gz", cifar(3, 5));
  const auto dataset = read_cifar10(folder);
  ASSERT_EQ(dataset.x.rows(), 7);
  ASSERT_EQ(dataset.x.cols(), 3072);
  EXPECT_EQ(dataset.image, (ImageShape{32, 32, 3}));
  EXPECT_THAT(dataset.labels, ElementsAre(0, 1, 2, 3, 5, 6, 7));
  for (const int i : {0, 3, 6}) {
    for (const int row : {0, 31}) {
      for (const int col : {0, 5, 31}) {
        for (int channel = 0; channel < 3; ++channel) {
          const int item = i < 4 ? i : i - 4;
          EXPECT_EQ(dataset.x(i, (row * 32 + col) * 3 + channel),
                    static_cast<float>(channel * 80 + (row * 32 + col + item) % 80));
        }
      }
    }
  }
  for (const std::int64_t kept : {1, 4, 5, 7, 20}) {
    const auto few = read_cifar10(folder, {.max_items = kept});
    EXPECT_EQ(few.x.rows(), std::min<std::int64_t>(kept, 7));
    EXPECT_EQ(few.labels.size(), static_cast<std::size_t>(few.x.rows()));
    EXPECT_EQ(few.n_available, 7);
    EXPECT_TRUE(std::equal(few.x.data(), few.x.data() + few.x.size(), dataset.x.data()));
  }
  EXPECT_EQ(read_dataset(DatasetKind::cifar10, folder / "data_batch_1.bin").x.rows(), 4);
}

TEST_F(Readers, Cifar10ThatLies) {
  const auto parse = [](const Text& bytes) { return message_of([&] { parse_cifar10(as_byte_view(bytes), "c"); }); };
  EXPECT_THAT(parse(""), HasSubstr("no items"));
  EXPECT_THAT(parse(cifar(2, 0) + "x"), HasSubstr("6147 bytes are not a multiple of 3073"));
  Text wrong = cifar(2, 0);
  wrong[3073] = 10;
  EXPECT_THAT(parse(wrong), HasSubstr("label 10 of image 1"));
  EXPECT_THAT(message_of([&] { read_cifar10(folder); }), HasSubstr("holds none of"));
  EXPECT_THROW(read_cifar10(std::vector<fs::path>{}), UsageError);
}

TEST_F(Readers, NpyShapes) {
  std::vector<float> values(24);
  for (std::size_t i = 0; i < 24; ++i) values[i] = static_cast<float>(i) * 0.5f;
  const auto save = [&](const Shape& shape) {
    write_npy(folder / "x.npy", make_npy(std::span<const float>(values), shape));
    return read_npy_dataset(folder / "x.npy");
  };
  EXPECT_EQ(save({24}).x.cols(), 1);
  EXPECT_FALSE(save({24}).image.has_value());
  const auto plain = save({4, 6});
  EXPECT_EQ(plain.x.rows(), 4);
  EXPECT_EQ(plain.x(3, 5), 11.5f);
  EXPECT_FALSE(plain.image.has_value());
  const auto few = read_dataset(DatasetKind::npy, folder / "x.npy", {.max_items = 2});
  EXPECT_EQ(few.x.rows(), 2);
  EXPECT_EQ(few.n_available, 4);
  EXPECT_EQ(save({4, 2, 3}).image, (ImageShape{2, 3, 1}));
  EXPECT_EQ(save({2, 2, 2, 3}).image, (ImageShape{2, 2, 3}));
  EXPECT_EQ(save({4, 6, 1, 1}).image, (ImageShape{6, 1, 1}));
  EXPECT_THAT(message_of([&] { save({2, 2, 3, 2}); }), HasSubstr("shape (2, 2, 3, 2); allowed are"));
  EXPECT_THAT(message_of([&] { save({}); }), HasSubstr("24"));
  values[13] = std::nanf("");
  EXPECT_THAT(message_of([&] { save({4, 6}); }), HasSubstr("row 2, column 1 is nan"));
  values.clear();
  EXPECT_THAT(message_of([&] { save({0, 6}); }), HasSubstr("no items"));
  EXPECT_THAT(message_of([&] { save({6, 0}); }), HasSubstr("no features"));
  EXPECT_THAT(message_of([&] { parse_npy_dataset(as_byte_view("\x93NUMPY"), "n"); }), HasSubstr("n: "));
}

TEST_F(Readers, LabelsOfTheirOwn) {
  const auto labels = [&](const std::vector<double>& values, const Shape& shape) {
    write_npy(folder / "l.npy", make_npy(std::span<const double>(values), shape));
    return read_labels(folder / "l.npy");
  };
  EXPECT_THAT(labels({3, -1, 2147483647}, {3}), ElementsAre(3, -1, 2147483647));
  EXPECT_THAT(labels({3, 0}, {2, 1}), ElementsAre(3, 0));
  const std::vector<std::int64_t> wide{16777217, 5};  // the first is not a float32
  write_npy(folder / "i.npy", make_npy(std::span<const std::int64_t>(wide), {2}));
  EXPECT_THAT(read_labels(folder / "i.npy"), ElementsAre(16777217, 5));
  EXPECT_THAT(read_labels(write_gzip("l.idx1.gz", idx_labels(3, 3))), ElementsAre(0, 1, 2));

  const auto complaint = [&](double value) { return message_of([&] { labels({1, value}, {2}); }); };
  EXPECT_THAT(complaint(std::nan("")), HasSubstr("label nan of item 1; labels are whole numbers"));
  EXPECT_THAT(complaint(1e30), HasSubstr("label 1e+30 of item 1"));
  EXPECT_THAT(complaint(-INFINITY), HasSubstr("label -inf"));
  EXPECT_THAT(complaint(2147483648.0), HasSubstr("label 2147483648"));
  EXPECT_THAT(complaint(0.5), HasSubstr("label 0.5"));
  EXPECT_THAT(message_of([&] { labels({1, 2}, {1, 2}); }), HasSubstr("labels of shape (1, 2); allowed are (n,)"));
  EXPECT_THAT(message_of([&] { labels({1}, {}); }), HasSubstr("labels of shape ()"));
}

TEST_F(Readers, Condition) {
  Matrix<float> u(5, 2);
  for (int i = 0; i < 10; ++i) u.data()[i] = static_cast<float>(i);
  write_npy(folder / "u.npy", u);
  Dataset dataset;
  dataset.source = "images";
  dataset.x = Matrix<float>(3, 1);
  dataset.n_available = 5;
  const auto kept = read_condition(folder / "u.npy", dataset);
  EXPECT_EQ(kept.rows(), 3);
  EXPECT_EQ(kept(2, 1), 5.0f);
  dataset.n_available = 6;
  EXPECT_THAT(message_of([&] { read_condition(folder / "u.npy", dataset); }),
              HasSubstr("5 rows of inputs, but images has 6 items"));
}

Image flat(std::int64_t rows, std::int64_t cols, std::int64_t channels, int value) {
  Image image{rows, cols, channels, {}};
  for (std::int64_t i = 0; i < rows * cols * channels; ++i) {
    image.pixels.push_back(static_cast<std::uint8_t>(value + i));
  }
  return image;
}

TEST_F(Readers, PngFolder) {
  write_png(folder / "b.png", flat(2, 3, 1, 100));
  write_png(folder / "a.PNG", flat(2, 3, 1, 0));
  write("readme.txt", "no image");
  const auto gray = read_png_folder(folder);
  EXPECT_EQ(gray.image, (ImageShape{2, 3, 1}));
  ASSERT_EQ(gray.x.rows(), 2);
  EXPECT_EQ(gray.x(0, 5), 5.0f);
  EXPECT_EQ(gray.x(1, 0), 100.0f);

  write_png(folder / "c.png", flat(2, 3, 3, 200));
  const auto mixed = read_dataset(DatasetKind::png_folder, folder);
  EXPECT_EQ(mixed.image, (ImageShape{2, 3, 3}));
  EXPECT_EQ(mixed.x(1, 3), 101.0f);
  EXPECT_EQ(mixed.x(1, 5), 101.0f);
  EXPECT_EQ(mixed.x(2, 17), 217.0f);
  const auto few = read_png_folder(folder, {.max_items = 2});
  EXPECT_EQ(few.image, (ImageShape{2, 3, 1}));
  EXPECT_EQ(few.n_available, 3);

  write_png(folder / "d.png", flat(3, 2, 1, 0));
  EXPECT_THAT(message_of([&] { read_png_folder(folder); }), HasSubstr("d.png: 3 x 2 pixels, but a.PNG has 2 x 3"));
  write("aa.png", "not a png");
  EXPECT_THAT(message_of([&] { read_png_folder(folder); }), HasSubstr("aa.png"));
  EXPECT_THAT(message_of([&] { read_png_folder(folder / "absent"); }), HasSubstr("not a folder"));
  fs::create_directory(folder / "empty");
  EXPECT_THAT(message_of([&] { read_png_folder(folder / "empty"); }), HasSubstr("no PNG files"));
}

TEST_F(Readers, PngBombsAreCountedBeforeTheyAreHeld) {
  // 4096 x 4096 black pixels take 50 kB as a file and 200 MB as floats; a folder of them would fill any memory.
  write_png(folder / "0.png", {4096, 4096, 3, std::vector<std::uint8_t>(std::size_t{3} << 24)});
  ASSERT_LT(fs::file_size(folder / "0.png"), 100'000u);
  const auto too_many = machine_memory() / (std::uint64_t{12} << 24) + 1;
  for (std::uint64_t i = 1; i < too_many; ++i)
    fs::create_hard_link(folder / "0.png", folder / fmt::format("{}.png", i));
  EXPECT_THAT(message_of([&] { read_png_folder(folder); }),
              ::testing::AllOf(HasSubstr("images of 4096 x 4096 pixels take"), HasSubstr("set max_items")));
}

TEST_F(Readers, Names) {
  for (const auto kind : {DatasetKind::idx, DatasetKind::cifar10, DatasetKind::npy, DatasetKind::png_folder}) {
    EXPECT_EQ(parse_dataset_kind(name_of(kind)), kind);
  }
  EXPECT_THAT(message_of([] { parse_dataset_kind("mnist"); }), HasSubstr("allowed are idx, cifar10, npy, png_folder"));
}

TEST_F(Readers, FashionMnistWhereInstalled) {
  const fs::path installed = "/usr/share/datasets/fashion-mnist";
  if (!fs::exists(installed)) GTEST_SKIP() << "Debian's dataset-fashion-mnist is not installed";
  const auto dataset = read_idx(installed);
  EXPECT_EQ(dataset.x.rows(), 60000);
  EXPECT_EQ(dataset.image, (ImageShape{28, 28, 1}));
  std::vector<int> count(10);
  for (const int label : dataset.labels) ++count.at(static_cast<std::size_t>(label));
  EXPECT_THAT(count, ::testing::Each(6000));
  double sum = 0.0;
  for (std::int64_t i = 0; i < dataset.x.size(); ++i) sum += dataset.x.data()[i];
  EXPECT_NEAR(sum / static_cast<double>(dataset.x.size()), 72.9403522, 1e-6);  // NumPy's mean of the same file
}

}  // namespace
}  // namespace tarn
