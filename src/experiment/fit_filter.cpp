#include "fit_filter.hpp"

#include <cmath>

#include "tarn/core/progress.hpp"
#include "tarn/io/npy.hpp"
#include "tarn/training/autoencoder.hpp"
#include "tarn/training/linear_decoder.hpp"
#include "tarn/training/pca.hpp"
#include "tarn/training/sparse_code.hpp"

namespace tarn {
namespace {

constexpr std::int64_t tile_items = 4096;

// Share of the variance of `x` that its way through the filter and back keeps.
double variance_kept(const Filter& filter, MatrixView<const float> x, MatrixView<const float> codes) {
  std::vector<double> sum(static_cast<std::size_t>(x.cols));
  double squares = 0.0, error = 0.0;
  for (std::int64_t begin = 0; begin < x.rows; begin += tile_items) {
    const auto end = std::min(begin + tile_items, x.rows);
    const Matrix<float> back = filter.invert(codes.slice(begin, end));
    for (std::int64_t i = begin; i < end; ++i) {
      for (std::int64_t j = 0; j < x.cols; ++j) {
        const double value = x(i, j);
        sum[static_cast<std::size_t>(j)] += value;
        squares += value * value;
        error += (value - back(i - begin, j)) * (value - back(i - begin, j));
      }
    }
  }
  double total = squares;
  for (const double s : sum) total -= s * s / static_cast<double>(x.rows);
  return total > 0.0 ? 1.0 - error / total : 1.0;
}

// Shows how far a fit has come.
FitObserver shown(const std::string& title) {
  return [title, bar = std::shared_ptr<Progress>()](std::int64_t done, std::int64_t n_steps, double loss) mutable {
    if (!bar) bar = std::make_shared<Progress>(title, static_cast<double>(n_steps), "steps");
    bar->update(static_cast<double>(done), fmt::format("loss {:.4g}", loss));
  };
}

FittedFilter fit_sparse(const FilterConfig& config, std::uint64_t seed, MatrixView<const float> x) {
  SparseCodeFit fit;
  fit.atoms = config.components;
  fit.lasso = {config.penalty, config.iterations, parse_lasso_solver(config.solver)};
  fit.epochs = config.epochs;
  fit.batch_size = std::min(config.batch_size, x.rows);
  auto filter = std::make_shared<SparseCodeFilter>(fit_sparse_code(x, fit, seed, shown("sparse code")));
  FittedFilter out{filter, filter->apply(x), ""};
  const auto active = out.codes.size() - std::count(out.codes.data(), out.codes.data() + out.codes.size(), 0.0f);
  out.description = fmt::format(", sparse code over D = {} atoms", filter->n_outputs());
  if (config.epochs == 0) return out;
  out.description +=
      fmt::format(" ({:.1f} % of the variance, {:.0f} atoms active)", 100.0 * variance_kept(*filter, x, out.codes),
                  static_cast<double>(active) / static_cast<double>(x.rows));
  return out;
}

FittedFilter fit_dense(const FilterConfig& config, std::uint64_t seed, MatrixView<const float> x) {
  AutoencoderFit fit;
  fit.code_size = config.components;
  fit.hidden = config.hidden;
  fit.phi = parse_nonlinearity(config.nonlinearity);
  fit.epochs = config.epochs;
  fit.batch_size = std::min(config.batch_size, x.rows);
  fit.learning_rate = config.lr;
  auto filter = std::make_shared<AutoencoderFilter>(fit_autoencoder(x, fit, seed, shown("autoencoder")));
  FittedFilter out{filter, filter->apply(x), ""};
  out.description = fmt::format(", autoencoder to D = {}", filter->n_outputs());
  if (config.epochs > 0) {
    out.description += fmt::format(" ({:.1f} % of the variance)", 100.0 * variance_kept(*filter, x, out.codes));
  }
  return out;
}

FeatureFilter read_decoder(const std::string& path, std::int64_t D, std::int64_t P) {
  const Matrix<float> read = read_npy_matrix(path);
  require(read.cols() == P && (read.rows() == D || read.rows() == D + 1),
          "{}: a decoder [{}, {}]; {} features and items of {} values need [{}, {}], or [{}, {}] with an offset last",
          path, read.rows(), read.cols(), D, P, D, P, D + 1, P);
  Matrix<float> decoder(D, P);
  std::copy_n(read.data(), decoder.size(), decoder.data());
  std::vector<float> offset(static_cast<std::size_t>(P));
  if (read.rows() == D + 1) std::copy_n(read.row(D), P, offset.data());
  return {std::move(decoder), std::move(offset)};
}

FittedFilter with_features(const FilterConfig& config, MatrixView<const float> x, Matrix<float> features) {
  if (features.rows() != x.rows) fail_usage("filter.kind: \"features\" is for data that are read from files");
  FittedFilter out;
  out.filter = std::make_shared<FeatureFilter>(config.decoder == "linear"
                                                   ? fit_linear_decoder(features, x)
                                                   : read_decoder(config.decoder, features.cols(), x.cols));
  out.codes = std::move(features);
  out.description = fmt::format(", features of D = {} from {} ({:.1f} % of the variance by the decoder)",
                                out.codes.cols(), config.features, 100.0 * variance_kept(*out.filter, x, out.codes));
  return out;
}

}  // namespace

FittedFilter fit_filter(const FilterConfig& config, std::uint64_t seed, Matrix<float> x, Matrix<float> features) {
  if (config.kind == "sparse_code") return fit_sparse(config, seed, x);
  if (config.kind == "autoencoder") return fit_dense(config, seed, x);
  if (config.kind == "features") return with_features(config, x, std::move(features));
  if (config.kind == "pca") {
    auto pca = std::make_shared<PcaFilter>(fit_pca(x, config.components));
    return {pca, pca->apply(x),
            fmt::format(", PCA to D = {} ({:.1f} % of the variance)", pca->n_outputs(),
                        100.0 * pca->explained_variance_ratio())};
  }
  auto identity = std::make_shared<IdentityFilter>(x.cols());
  return {identity, std::move(x), ""};
}

bool has_own_size(const FilterConfig& config) { return config.kind != "none" && config.kind != "pca"; }

}  // namespace tarn
