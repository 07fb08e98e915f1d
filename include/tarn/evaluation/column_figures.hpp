// Sets of rows column by column: moments, Wasserstein distance and divergence of histograms, on the scale of docs/quality.md.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "tarn/evaluation/quality.hpp"

namespace tarn {

/// `KL(q || p)` of histograms whose bins hold one share each of a reference sample p: its edges are the reference's values number `k m / n_bins`, the outer
/// bins are open. Equal edges, as ties give, become one, so that every bin has rows of the reference: the divergence is finite for all draws, and none
/// lies outside. Both sorted, ascending and finite. By the data-processing inequality it is below that of the laws, up to the bias of the counts: for equal
/// laws its mean is `(K - 1) / 2 (1 / n + 1 / m)` with K bins, to first order. NaN where either is empty or the reference is constant.
double equal_share_kl(std::span<const float> draws, std::span<const float> reference, std::int64_t n_bins);

/// For the first `most_columns` columns d of the sets "mean_d", "variance_d", "excess_kurtosis_d", "w1_d" and "kl_d", in this order column by column. The last
/// two are the 1-Wasserstein distance and `equal_share_kl` against the reference, of which 10000 rows are looked at, in 30 bins or a tenth of these rows.
/// Intervals (95 %, `half_sample_intervals`) are those of drawing the judged rows and the reference. Pure function of its arguments for any number of threads.
std::vector<QualityFigure> column_figures(const ComparedSets& sets, std::int64_t most_columns,
                                          const QualitySettings& settings);

}  // namespace tarn
