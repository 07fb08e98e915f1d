// One network of a sweep: trained, and judged against the exact law. Private to the sweep.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "tarn/compute/backend.hpp"
#include "tarn/evaluation/best_fit.hpp"
#include "tarn/evaluation/equal_cells.hpp"
#include "tarn/evaluation/law_1d.hpp"
#include "tarn/experiment/config.hpp"
#include "tarn/experiment/prepared_data.hpp"
#include "tarn/models/sampling_network.hpp"

namespace tarn {

/// A network to be trained, or the best fit of a class.
struct SweepPoint {
  std::size_t target = 0;  ///< index into `Config::targets`
  std::string kind;        ///< of model
  bool best_fit = false;
  std::int64_t neurons = 0;  ///< N; of classes without a reservoir D
  std::uint64_t seed = 0;
};
/// "double_peak-reservoir_sampler-N00064-seed3407": names its file.
std::string name_of(const SweepPoint& point, const Config& sweep);
/// All points, seed after seed, so that what an interrupted sweep has done is a sweep of fewer seeds; then the best fits, which also start
/// from all trained networks of their class.
std::vector<SweepPoint> points_of(const Config& sweep, const std::vector<std::int64_t>& n_outputs);

/// What was found of one point.
struct PointResult {
  double score_error = 0.0;            ///< E |s - s*|^2 under the law smoothed by the last level
  double score_error_deviation = 0.0;  ///< standard error of that mean over draws; 0: by quadrature
  double kl = 0.0;  ///< KL(network's law || smoothed law): D = 1 of the stationary law; else over cells, less its bias
  std::int64_t n_lost = 0;  ///< chains that were quarantined: the KL is of the others
  std::string note;         ///< why a value is not finite, or the formula of a fit
};
/// One line of JSON and back. `read_point` throws `Error` for what no sweep would have written.
std::string point_line(const PointResult& result);
PointResult read_point(const std::filesystem::path& path);

/// The config that one network is trained and run by.
Config config_of(const Config& target, const SweepPoint& point);

/// Trains through all levels and returns the last one's network. Throws `Error` and `Interrupted`.
SamplingNetwork train_point(const Config& config, const PreparedData& data, Backend& backend, const std::string& title);

/// One law, smoothed by the last noise level, and all that is needed to judge networks by it; made once.
class LawJudge {
 public:
  /// `target` resolved, `data` prepared from it; both must outlive the judge.
  LawJudge(const Config& target, const PreparedData& data, const SweepConfig& sweep);

  PointResult judge(Backend& backend, const PreparedNetwork& network, const Config& config) const;
  /// `trained`: networks of that class, from which the search starts as well.
  PointResult judge_best_fit(Backend& backend, ModelKind kind, const Config& config,
                             const std::vector<SamplingNetwork>& trained) const;

  /// What exact draws reach in place of the chains: mean and standard deviation of the KL. NaN for D = 1, where there are none.
  double kl_floor() const { return kl_floor_; }
  double kl_floor_deviation() const { return kl_floor_deviation_; }

 private:
  void score_error(Backend& backend, const PreparedNetwork& network, PointResult& result) const;
  void stationary_kl(Backend& backend, const PreparedNetwork& network, PointResult& result) const;
  void sampled_kl(Backend& backend, const PreparedNetwork& network, const Config& config, PointResult& result) const;

  const Config& config_;
  const PreparedData& data_;
  const SweepConfig sweep_;
  double sigma_ = 0.0;
  std::optional<Law1d> law_;         ///< D = 1
  Matrix<float> points_;             ///< `[n, D]` exact draws, D > 1
  Matrix<double> scores_;            ///< `[n, D]` s* there
  std::optional<EqualCells> cells_;  ///< D > 1
  double kl_floor_, kl_floor_deviation_;
};

}  // namespace tarn
