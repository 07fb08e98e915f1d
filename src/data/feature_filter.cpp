#include "tarn/data/feature_filter.hpp"

#include "tile_product.hpp"

namespace tarn {

FeatureFilter::FeatureFilter(Matrix<float> decoder, std::vector<float> offset)
    : decoder_(std::move(decoder)), offset_(std::move(offset)) {
  require(decoder_.size() > 0 && static_cast<std::int64_t>(offset_.size()) == decoder_.cols(),
          "features: the decoder is [{}, {}], its offset has {} values", decoder_.rows(), decoder_.cols(),
          offset_.size());
  require(data::all_finite(decoder_) && data::all_finite(offset_),
          "features: the decoder or its offset hold values that are not finite");
}

void FeatureFilter::apply(MatrixView<const float> in, MatrixView<float> out) const {
  data::check_shapes(in, out, n_inputs(), n_outputs());
  fail("features: they were read from a file, and what computed them from the data is not known here");
}

void FeatureFilter::invert(MatrixView<const float> in, MatrixView<float> out) const {
  data::check_shapes(in, out, n_outputs(), n_inputs());
  data::affine_rows(in, decoder_, offset_, out);
}

void FeatureFilter::to_tensors(TensorFile& file) const {
  file.metadata["filter.kind"] = kind();
  file.put("filter.decoder", decoder_.view());
  file.put_vector("filter.offset", offset_);
}

FeatureFilter FeatureFilter::from_tensors(const TensorFile& file) {
  return {file.matrix("filter.decoder"), file.vector("filter.offset")};
}

}  // namespace tarn
