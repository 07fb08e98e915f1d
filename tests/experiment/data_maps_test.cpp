// data.safetensors of a run folder: what its tensors say must fit together.
#include <cmath>

#include "experiment/run_tools.hpp"
#include "tarn/core/error.hpp"
#include "tarn/experiment/prepared_data.hpp"

namespace tarn {
namespace {

using testing::HasSubstr;

class DataMaps : public test::RunTest {
 protected:
  /// Maps of 12 features, images of 2 x 2 x 3, scaled and shifted.
  DataMaps() {
    PreparedData data;
    data.n_outputs = 12;
    data.n_inputs = 1;
    data.filter = std::make_shared<IdentityFilter>(12);
    data.datum_scaling = {DatumScalingKind::standardise, std::vector<float>(12, 0.5F), std::vector<float>(12, 2.0F)};
    data.scaling.shift = std::vector<double>(12, 1.0);
    data.scaling.scale = 0.5;
    data.largest_norm = 3.0;
    data.image = ImageShape{2, 2, 3};
    data.description = "test";
    save_data_maps(data, path);
    good = read_safetensors(path);
  }
  /// The line with which the file is refused once `change` has been at its tensors.
  template <class Change>
  std::string refusal(Change change) {
    TensorFile file = good;
    change(file);
    write_safetensors(path, file);
    try {
      load_data_maps(path);
    } catch (const Error& error) {
      return error.what();
    }
    ADD_FAILURE() << "not refused";
    return "";
  }
  template <class T>
  std::string refusal_of(const std::string& name, const std::vector<T>& values) {
    return refusal([&](TensorFile& file) { file.put_vector(name, values); });
  }

  const std::filesystem::path path = folder / "data.safetensors";
  TensorFile good;
};

TEST_F(DataMaps, GoRound) {
  const PreparedData data = load_data_maps(path);
  EXPECT_EQ(data.n_outputs, 12);
  EXPECT_EQ(data.n_inputs, 1);
  EXPECT_EQ(data.image, (ImageShape{2, 2, 3}));
  EXPECT_EQ(data.scaling.scale, 0.5);
}

TEST_F(DataMaps, ThatDoNotFitAreRefused) {
  using Sizes = std::vector<std::int64_t>;
  using Reals = std::vector<double>;
  EXPECT_THAT(refusal_of("sizes", Sizes{11, 1}), HasSubstr("sizes are 11 outputs and 1 inputs, but the filter has 12"));
  EXPECT_THAT(refusal_of("sizes", Sizes{12, -1}), HasSubstr("-1 inputs"));
  EXPECT_THAT(refusal_of("sizes", Sizes{12, INT64_MAX}), HasSubstr("9223372036854775807 inputs"));
  EXPECT_THAT(refusal_of("sizes", Sizes{12}), HasSubstr("sizes"));
  EXPECT_THAT(refusal_of("image", Sizes{3, 2, 3}), HasSubstr("images of 3 x 2 x 3 do not fit the 12 values"));
  EXPECT_THAT(refusal_of("image", Sizes{-2, -2, 3}), HasSubstr("images of -2 x -2 x 3"));
  EXPECT_THAT(refusal_of("image", Sizes{1LL << 62, 4, 12}), HasSubstr("do not fit"));
  EXPECT_THAT(refusal_of("scaling.scale", Reals{0.0}), HasSubstr("the scale 0"));
  EXPECT_THAT(refusal_of("scaling.scale", Reals{std::nan("")}), HasSubstr("the scale nan"));
  EXPECT_THAT(refusal_of("scaling.shift", Reals(11, 0.0)), HasSubstr("11 shifts"));
  EXPECT_THAT(refusal_of("scaling.shift", Reals(12, INFINITY)), HasSubstr("all finite"));
  EXPECT_THAT(refusal_of("largest_norm", Reals{-1.0}), HasSubstr("largest_norm is -1"));
  EXPECT_THAT(refusal([](TensorFile& file) {
                file.put_vector("datum_scaling.mean", std::vector<float>(5, 0.0F));
                file.put_vector("datum_scaling.standard_deviation", std::vector<float>(5, 1.0F));
              }),
              HasSubstr("datum_scaling.mean has 5 values, the filter takes 12"));
  EXPECT_THAT(refusal([](TensorFile& file) { file.metadata["filter.kind"] = "wavelet\n"; }),
              HasSubstr("unknown filter \"wavelet?\""));
  EXPECT_THAT(refusal([](TensorFile& file) { file.metadata["datum_scaling.kind"] = "none or so"; }),
              HasSubstr("none or so"));
}

}  // namespace
}  // namespace tarn
