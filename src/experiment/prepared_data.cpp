#include "tarn/experiment/prepared_data.hpp"

#include <algorithm>
#include <cmath>

#include "fit_filter.hpp"
#include "labelled_images.hpp"
#include "tarn/data/batches.hpp"
#include "tarn/data/mapped_batches.hpp"
#include "tarn/data/synthetic.hpp"
#include "tarn/io/npy.hpp"

namespace tarn {
namespace {

constexpr std::int64_t largest_sample = 100000;  // of fresh draws, to which scalings are fitted

// Keeps the items with one of these labels, of data and of what goes with them (matrices that may be empty).
void keep_classes(const DataConfig& config, Dataset& data, std::initializer_list<Matrix<float>*> beside) {
  if (config.classes.empty()) return;
  if (data.labels.empty()) fail_usage("data.classes: {} has no labels; give them with data.labels", data.source);
  std::vector<std::int64_t> kept;
  for (std::size_t i = 0; i < data.labels.size(); ++i) {
    if (std::find(config.classes.begin(), config.classes.end(), data.labels[i]) != config.classes.end()) {
      kept.push_back(static_cast<std::int64_t>(i));
    }
  }
  if (kept.empty()) fail_usage("data.classes: no item of {} has one of these labels", data.source);
  const auto gather = [&](const Matrix<float>& from) {
    Matrix<float> to(static_cast<std::int64_t>(kept.size()), from.cols());
    for (std::size_t i = 0; i < kept.size(); ++i) {
      std::copy_n(from.row(kept[i]), from.cols(), to.row(static_cast<std::int64_t>(i)));
    }
    return to;
  };
  std::vector<int> labels;
  for (const auto i : kept) labels.push_back(data.labels[static_cast<std::size_t>(i)]);
  data.x = gather(data.x);
  data.labels = std::move(labels);
  for (Matrix<float>* rows : beside) {
    if (!rows->empty()) *rows = gather(*rows);
  }
}

// Puts outputs `[n, D]` and inputs `[n, U]` side by side and measures the outputs.
void set_rows(PreparedData& data, MatrixView<const float> x, const Matrix<float>& u) {
  data.n_outputs = x.cols;
  data.n_inputs = u.cols();
  data.rows = Matrix<float>(x.rows, x.cols + u.cols());
  for (std::int64_t i = 0; i < x.rows; ++i) {
    std::copy_n(x.row(i), x.cols, data.rows.row(i));
    std::copy_n(u.row(i), u.cols(), data.rows.row(i) + x.cols);
  }
}

void measure(PreparedData& data) {
  double largest = 0.0;
  for (std::int64_t i = 0; i < data.rows.rows(); ++i) {
    double square = 0.0;
    for (std::int64_t d = 0; d < data.n_outputs; ++d) square += static_cast<double>(data.rows(i, d)) * data.rows(i, d);
    largest = std::max(largest, square);
  }
  data.largest_norm = std::sqrt(largest);
}

PreparedData prepare_synthetic(const Config& config) {
  PreparedData data;
  data.target = make_target(config.data);
  const std::int64_t columns = data.target->dimension();
  data.n_inputs = config.data.inputs;
  data.n_outputs = columns - data.n_inputs;
  if (data.n_outputs < 1) {
    fail_usage("data.inputs: must leave at least one output of the {} dimensions, found {}", columns, data.n_inputs);
  }
  if (config.filter.kind != "none")
    fail_usage("filter.kind: \"{}\" needs a data set; synthetic laws take \"none\"", config.filter.kind);
  if (config.data.scaling == "auto") {
    data.scaling = exact_affine_scaling(*data.target);
    data.scaling.shift.resize(static_cast<std::size_t>(data.n_outputs));
  } else if (config.data.scaling != "none") {
    fail_usage("data.scaling: \"{}\" is for data sets; synthetic laws take \"auto\" or \"none\"", config.data.scaling);
  }
  data.filter = std::make_shared<IdentityFilter>(data.n_outputs);
  data.rows = Matrix<float>(std::min(config.data.epoch_size, largest_sample), columns);
  data.target->draw(config.run.seed, 0, data.rows);
  apply_scaling(data.scaling, data.rows);
  data.description = fmt::format("{}, D = {}{}, fresh draws", data.target->name(), data.n_outputs,
                                 data.n_inputs > 0 ? fmt::format(", U = {}", data.n_inputs) : "");
  return data;
}

// Scalings and filter fitted to outputs `[n, P]`; inputs `u` `[n, U]` stay as they are. `features` `[n, D]`: those of a
// filter that reads them. `maps`, where given, has scalings and filter that are used as they are.
PreparedData prepare_items(const Config& config, Dataset set, const Matrix<float>& u, Matrix<float> features,
                           const PreparedData* maps = nullptr) {
  PreparedData data;
  const DataConfig& d = config.data;
  const bool per_datum = d.scaling != "auto" && d.scaling != "none";
  data.datum_scaling =
      maps != nullptr
          ? maps->datum_scaling
          : fit_datum_scaling(per_datum ? parse_datum_scaling_kind(d.scaling) : DatumScalingKind::none, set.x);
  data.datum_scaling.apply(set.x);
  FittedFilter fitted;
  if (maps == nullptr) {
    fitted = fit_filter(config.filter, config.run.seed, std::move(set.x), std::move(features));
  } else {
    fitted = {maps->filter, features.empty() ? maps->filter->apply(set.x) : std::move(features), ""};
  }
  data.filter = fitted.filter;
  Matrix<float> x = std::move(fitted.codes);
  require(x.cols() == data.filter->n_outputs(), "{}: {} values an item in filter space, the filter has {}", set.source,
          x.cols(), data.filter->n_outputs());
  if (maps != nullptr) {
    data.scaling = maps->scaling;
  } else if (d.scaling == "auto" || (per_datum && has_own_size(config.filter))) {
    data.scaling = fit_affine_scaling(x);
  }
  if (data.scaling.scale != 1.0 || !data.scaling.shift.empty()) apply_scaling(data.scaling, x);
  set_rows(data, x, u);
  data.image = set.image;
  data.labels = std::move(set.labels);
  data.description = fmt::format(
      "{}: {} items{}, scaling {}{}{}", set.source, data.rows.rows(),
      set.image ? fmt::format(" of {} x {}{}", set.image->rows, set.image->cols,
                              set.image->channels > 1 ? fmt::format(" x {}", set.image->channels) : "")
                : fmt::format(" of {} values", data.filter->n_inputs()),
      d.scaling, fitted.description, data.n_inputs > 0 ? fmt::format(", U = {} inputs", data.n_inputs) : "");
  return data;
}

// The items with their labels, before classes are chosen.
Dataset read_all_items(const DataConfig& d) {
  Dataset set =
      read_dataset(parse_dataset_kind(d.kind), d.path, {d.max_items > 0 ? d.max_items : ReadOptions{}.max_items});
  if (!d.labels.empty()) {
    set.labels = read_labels(d.labels);
    if (static_cast<std::int64_t>(set.labels.size()) < set.x.rows()) {
      fail("{}: {} labels for {} items of {}", d.labels, set.labels.size(), set.x.rows(), set.source);
    }
    set.labels.resize(static_cast<std::size_t>(set.x.rows()));
  }
  return set;
}

PreparedData prepare_set(const Config& config, const PreparedData* maps = nullptr) {
  require_data_path(config);
  const DataConfig& d = config.data;
  Dataset set = read_all_items(d);
  Matrix<float> u = d.condition.empty() ? Matrix<float>(set.x.rows(), 0) : read_condition(d.condition, set);
  Matrix<float> features;
  if (config.filter.kind == "features") features = read_item_rows(config.filter.features, set, "features");
  keep_classes(d, set, {&u, &features});
  if (u.rows() == 0) u = Matrix<float>(set.x.rows(), 0);
  return prepare_items(config, std::move(set), u, std::move(features), maps);
}

// Patches are fresh in every batch; scalings and filter are fitted to a sample of them.
PreparedData prepare_patches(const Config& config, const PreparedData* maps = nullptr) {
  require_data_path(config);
  const DataConfig& d = config.data;
  if (config.filter.kind == "features")
    fail_usage("filter.kind: \"features\" go with the items of a file; patches are cut anew for each batch");
  auto stack =
      std::make_shared<ImageStack>(read_image_stack(d.path, {d.max_items > 0 ? d.max_items : ReadOptions{}.max_items}));
  if (d.whiten) whiten(*stack, {d.whiten_cutoff, d.whiten_log});
  if (d.unit_variance) divide_by_standard_deviation(*stack);
  auto patches = std::make_shared<const PatchBatches>(
      stack, PatchSettings{d.patch_size, d.border, d.subtract_mean, d.epoch_size}, config.run.seed);
  Dataset set;
  set.x = Matrix<float>(std::min(d.epoch_size, largest_sample), patches->n_columns());
  patches->cut(0, set.x);
  set.image = ImageShape{d.patch_size, d.patch_size, 1};
  set.source = stack->source;
  const Matrix<float> no_inputs(set.x.rows(), 0);
  PreparedData data = prepare_items(config, std::move(set), no_inputs, {}, maps);
  data.patches = std::move(patches);
  data.description =
      fmt::format("{}: fresh patches of {} x {} from {} images of {} x {}{}, scaling {}", stack->source, d.patch_size,
                  d.patch_size, stack->n_images(), stack->rows, stack->cols, d.whiten ? ", whitened" : "", d.scaling);
  return data;
}

PreparedData measured(PreparedData data, const Config& config) {
  data.seed = config.run.seed;
  data.epoch_size = config.data.epoch_size;
  measure(data);
  return data;
}

}  // namespace

Dataset read_items(const Config& config) {
  require_data_path(config);
  Dataset set = read_all_items(config.data);
  keep_classes(config.data, set, {});
  return set;
}

std::unique_ptr<BatchSource> PreparedData::batches() const {
  if (target) return std::make_unique<SyntheticBatches>(target, scaling, seed, epoch_size);
  if (patches) {
    return std::make_unique<MappedBatches>(std::make_unique<PatchBatches>(*patches), datum_scaling, filter, scaling);
  }
  return std::make_unique<DatasetBatches>(rows, seed);
}

Matrix<float> PreparedData::to_data_units(MatrixView<const float> x) const {
  Matrix<float> filtered(x.rows, x.cols);
  std::copy_n(x.data, x.size(), filtered.data());
  invert_scaling(scaling, filtered);
  Matrix<float> out = filter->invert(filtered.view());
  datum_scaling.invert(out);
  return out;
}

std::shared_ptr<const Target> make_target(const DataConfig& d) {
  if (d.kind == "ring") return std::make_shared<RingTarget>(d.radius, d.width);
  if (d.kind == "two_moons") return std::make_shared<TwoMoonsTarget>(d.noise);
  if (d.kind == "checkerboard") return std::make_shared<CheckerboardTarget>(d.cells, 0.5 * d.side);
  const std::size_t K = std::max(d.means.size(), d.covariances.size());
  std::vector<MixtureComponent> components;
  for (std::size_t k = 0; k < K; ++k) {
    MixtureComponent component;
    const std::size_t D = d.means.empty() ? d.covariances[k].size() : d.means[k].size();
    component.weight = d.weights.empty() ? 1.0 : d.weights[k];
    component.mean = d.means.empty() ? std::vector<double>(D, 0.0) : d.means[k];
    if (d.covariances.empty()) {
      component =
          MixtureComponent::isotropic(component.weight, component.mean, d.std.size() == 1 ? d.std[0] : d.std[k]);
    } else {
      for (const auto& row : d.covariances[k])
        component.covariance.insert(component.covariance.end(), row.begin(), row.end());
    }
    components.push_back(std::move(component));
  }
  if (d.kind == "laplace_mixture") return std::make_shared<LaplaceMixture>(std::move(components));
  return std::make_shared<GaussianMixture>(std::move(components));
}

PreparedData prepare_data(const Config& config) {
  if (is_synthetic(config.data)) return measured(prepare_synthetic(config), config);
  return measured(is_patches(config.data) ? prepare_patches(config) : prepare_set(config), config);
}

PreparedData prepare_data_with(const PreparedData& maps, const Config& config) {
  if (is_synthetic(config.data)) return prepare_data(config);
  PreparedData data =
      measured(is_patches(config.data) ? prepare_patches(config, &maps) : prepare_set(config, &maps), config);
  data.description = maps.description;
  return data;
}

PreparedData prepare_data(const Config& config, Dataset set) {
  require(set.x.rows() > 0 && set.x.cols() > 0, "{}: {} items of {} values; neither may be 0", set.source, set.x.rows(),
          set.x.cols());
  const Matrix<float> no_inputs(set.x.rows(), 0);
  return measured(prepare_items(config, std::move(set), no_inputs, {}), config);
}

DataFacts facts_of(const PreparedData& data) {
  return {data.n_outputs, data.n_inputs, data.target || data.patches ? data.epoch_size : data.rows.rows(),
          data.image.has_value()};
}

void save_data_maps(const PreparedData& data, const std::filesystem::path& path) {
  TensorFile file;
  data.datum_scaling.to_tensors(file);
  data.filter->to_tensors(file);
  file.put_vector("scaling.shift", data.scaling.shift);
  file.put_vector("scaling.scale", std::vector<double>{data.scaling.scale});
  file.put_vector("sizes", std::vector<std::int64_t>{data.n_outputs, data.n_inputs});
  file.put_vector("largest_norm", std::vector<double>{data.largest_norm});
  if (data.image) {
    file.put_vector("image", std::vector<std::int64_t>{data.image->rows, data.image->cols, data.image->channels});
  }
  file.metadata["description"] = data.description;
  write_safetensors(path, file);
}

namespace {

// What the tensors of a file say must fit together before anything is computed with it.
void check_maps(const PreparedData& data, const std::string& name) {
  constexpr std::int64_t most = 1LL << 31;
  if (data.n_outputs < 1 || data.n_inputs < 0 || data.n_outputs > most || data.n_inputs > most ||
      data.n_outputs != data.filter->n_outputs()) {
    fail("{}: sizes are {} outputs and {} inputs, but the filter has {} outputs", name, data.n_outputs, data.n_inputs,
         data.filter->n_outputs());
  }
  const auto n_features = data.filter->n_inputs();
  const bool standardised = data.datum_scaling.kind == DatumScalingKind::standardise;
  if (standardised && static_cast<std::int64_t>(data.datum_scaling.mean.size()) != n_features) {
    fail("{}: datum_scaling.mean has {} values, the filter takes {}", name, data.datum_scaling.mean.size(), n_features);
  }
  const auto& scaling = data.scaling;
  const bool finite = std::ranges::all_of(scaling.shift, [](double value) { return std::isfinite(value); });
  if (!finite || !(scaling.scale > 0.0) || !std::isfinite(scaling.scale) ||
      (!scaling.shift.empty() && static_cast<std::int64_t>(scaling.shift.size()) != data.n_outputs)) {
    fail("{}: scaling has {} shifts and the scale {}; allowed: none or {} shifts, a scale above 0, all finite", name,
         scaling.shift.size(), scaling.scale, data.n_outputs);
  }
  if (!std::isfinite(data.largest_norm) || data.largest_norm < 0.0) {
    fail("{}: largest_norm is {}; it must be finite and not negative", name, data.largest_norm);
  }
  if (!data.image) return;
  const auto [rows, cols, channels] = *data.image;
  const bool in_range =
      rows > 0 && cols > 0 && rows < (1 << 24) && cols < (1 << 24) && (channels == 1 || channels == 3);
  if (!in_range || data.image->size() != n_features) {
    fail("{}: images of {} x {} x {} do not fit the {} values that the filter takes", name, rows, cols, channels,
         n_features);
  }
}

}  // namespace

PreparedData load_data_maps(const std::filesystem::path& path) {
  const TensorFile file = read_safetensors(path);
  PreparedData data;
  data.datum_scaling = DatumScaling::from_tensors(file);
  data.filter = filter_from_tensors(file);
  data.scaling.shift = file.values<double>("scaling.shift");
  data.scaling.scale = file.values<double>("scaling.scale", 1)[0];
  const auto sizes = file.values<std::int64_t>("sizes", 2);
  data.n_outputs = sizes[0];
  data.n_inputs = sizes[1];
  data.largest_norm = file.values<double>("largest_norm", 1)[0];
  if (file.has("image")) {
    const auto image = file.values<std::int64_t>("image", 3);
    data.image = ImageShape{image[0], image[1], image[2]};
  }
  check_maps(data, path.string());
  data.description = file.metadata_at("description");
  return data;
}

}  // namespace tarn
