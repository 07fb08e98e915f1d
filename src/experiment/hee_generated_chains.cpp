#include <algorithm>

#include "hee_checkpoint.hpp"
#include "hee_run_chains.hpp"
#include "tarn/core/error.hpp"
#include "tarn/experiment/hee_generation.hpp"
#include "tarn/models/hee_reading.hpp"

namespace tarn {
namespace {

// Puts `from` into the columns of `to` from `column` on.
void put_columns(MatrixView<const float> from, std::int64_t column, Matrix<float>& to) {
  for (std::int64_t i = 0; i < from.rows; ++i) std::copy_n(from.row(i), from.cols, to.row(i) + column);
}

class GeneratedChains final : public HeeRunChains {
 public:
  GeneratedChains(const Config& config, const PreparedData& data, const HeeModel& model, Backend& backend,
                  const ChainRange& range)
      : HeeRunChains(range),
        config_(config),
        scaling_(data.scaling),
        model_(model.parameters),
        generator_(backend, model.parameters, generation_plan(config)) {
    at.tile_size = config.sampling.until.empty() ? usual_tile : n_chains();  // a rule judges all of them
    at.first_bad_step.assign(static_cast<std::size_t>(n_chains()), -1);
    at.last_draw = Matrix<float>(n_chains(), n_units());
  }

  std::string description() const override {
    return fmt::format("{} generation, {} chains, {} steps, {} products with a weight matrix each",
                       config_.sampling.mode, n_chains(), n_steps(), n_products());
  }
  Attributes attributes() const override {
    Attributes out{{"generation", config_.sampling.mode},
                   {"n_observed", model_.layers[0].size},
                   {"matrix_products", n_products()}};
    const std::string& mode = config_.sampling.mode;
    if (mode == "marginal") out["inner_steps"] = config_.sampling.inner_steps;
    if (mode == "joint" || mode == "marginal") out["start"] = config_.sampling.start;
    return out;
  }
  std::int64_t n_steps() const override { return generator_.n_steps(); }
  std::int64_t whole_steps() const override { return generator_.whole_steps(); }
  std::int64_t steps_in_turn() const override { return generator_.steps_in_turn(); }
  std::int64_t n_dims() const override { return model_.layers[0].size + n_units(); }
  std::int64_t n_units() const override { return n_units_from(model_, 0); }

  HeeSession* session() override { return generator_.session(); }
  void begin_tile() override { generator_.begin(first_chain(), n_tile()); }
  void advance(std::int64_t n) override {
    generator_.advance(n);
    at.done += n;
    at.chain_steps += static_cast<double>(n) * static_cast<double>(n_tile());
  }
  Matrix<float> draw() const override {
    std::vector<Matrix<float>> x = generator_.state();
    Matrix<float> mean = mean_given(model_, 0, x);
    for (Matrix<float>* observed : {&x[0], &mean}) invert_scaling(scaling_, *observed);
    Matrix<float> out(n_tile(), n_dims());
    put_columns(x[0], 0, out);
    put_columns(mean, mean.cols(), out);
    std::int64_t column = 2 * mean.cols();
    for (std::size_t l = 1; l < x.size(); column += x[l++].cols()) put_columns(x[l], column, out);
    return out;
  }
  void end_tile() override {
    const Matrix<float> x = side_by_side(generator_.state());
    std::copy_n(x.data(), x.size(), at.last_draw.row(at.tile_begin));
    std::ranges::copy(generator_.first_bad_step(), at.first_bad_step.begin() + at.tile_begin);
    at.tile_begin += n_tile();
    at.done = at.draw = 0;
  }
  void put(TensorFile& checkpoint) const override {
    if (generator_.session()) put_hee_chains(checkpoint, *generator_.session());
  }
  void restore(const TensorFile& checkpoint) override {
    restore_position(checkpoint);
    if (at.done == 0) return;
    if (HeeSession* session = generator_.session())
      restore_hee_chains(checkpoint, {.n_data = n_tile(), .first_chain = first_chain()}, *session);
    generator_.go_on(first_chain(), n_tile(), at.done);
  }
  std::vector<Matrix<float>> last_state() const override { return layers_of(at.last_draw, model_); }

 private:
  std::uint64_t first_chain() const { return static_cast<std::uint64_t>(range_.begin + at.tile_begin); }
  std::int64_t n_products() const { return generator_.n_products(n_steps()); }

  const Config& config_;
  const AffineScaling& scaling_;
  const HeeParameters& model_;
  HeeGenerator generator_;
};

}  // namespace

void HeeRunChains::restore_position(const TensorFile& checkpoint) {
  at = sampling_position(checkpoint);
  const std::int64_t n = n_chains();
  if (at.tile_size < 1 || at.tile_begin > n || std::ssize(at.first_bad_step) != n || at.last_draw.rows() != n ||
      at.last_draw.cols() != n_units())
    fail("{}: its chains are not those of this run", checkpoint.source);
}

std::unique_ptr<HeeRunChains> make_generated_chains(const Config& config, const PreparedData& data,
                                                    const HeeModel& model, Backend& backend, const ChainRange& range) {
  return std::make_unique<GeneratedChains>(config, data, model, backend, range);
}

Matrix<float> side_by_side(const std::vector<Matrix<float>>& layers) {
  std::int64_t n_units = 0, column = 0;
  for (const Matrix<float>& layer : layers) n_units += layer.cols();
  Matrix<float> out(layers[0].rows(), n_units);
  for (const Matrix<float>& layer : layers) {
    put_columns(layer, column, out);
    column += layer.cols();
  }
  return out;
}

std::vector<Matrix<float>> layers_of(const Matrix<float>& state, const HeeParameters& model) {
  std::vector<Matrix<float>> layers;
  std::int64_t column = 0;
  for (const HeeLayer& its : model.layers) {
    Matrix<float> layer(state.rows(), its.size);
    for (std::int64_t i = 0; i < state.rows(); ++i) std::copy_n(state.row(i) + column, its.size, layer.row(i));
    column += its.size;
    layers.push_back(std::move(layer));
  }
  return layers;
}

std::vector<Matrix<float>> generated_state(const Matrix<float>& draws, const PreparedData& data,
                                           const HeeParameters& model) {
  const std::int64_t n_observed = model.layers[0].size;
  Matrix<float> state(draws.rows(), draws.cols() - n_observed);
  for (std::int64_t i = 0; i < draws.rows(); ++i) {
    std::copy_n(draws.row(i), n_observed, state.row(i));
    std::copy_n(draws.row(i) + 2 * n_observed, state.cols() - n_observed, state.row(i) + n_observed);
  }
  std::vector<Matrix<float>> layers = layers_of(state, model);
  apply_scaling(data.scaling, layers[0]);
  return layers;
}

}  // namespace tarn
