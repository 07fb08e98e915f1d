// Figures of chains: traces, ranks, autocorrelation; and curves of several runs on common axes.
#pragma once

#include <string>
#include <vector>

#include "tarn/report/figures.hpp"
#include "tarn/report/html_report.hpp"

namespace tarn {

/// One output along some chains.
struct ChainTraces {
  std::string name;                         ///< "x_0"
  std::vector<double> steps;                ///< of the chain, before each draw
  std::vector<std::vector<double>> chains;  ///< one series a chain, as long as `steps`
};
/// A panel an output, a colour a chain (up to four); `levels` are marked where the noise level changes. Of more than 1000 draws an even
/// selection is drawn. Throws `Error` without outputs.
Figure figure_traces(const std::vector<ChainTraces>& outputs, const std::vector<Marker>& levels = {});

/// How the ranks of part of the draws among all draws are spread, 1 for even.
struct RankShares {
  std::string name;            ///< "chain 0"
  std::vector<double> shares;  ///< one a bin, over that of even ranks
  double deviation = 0.0;      ///< of a share if the part's draws were independent of each other
};
/// One output's rank plots (Vehtari et al. 2021, figure 5): single chains or blocks of chains, and stretches of time all chains taken together.
struct RankPlot {
  std::string name;
  std::vector<RankShares> chains;     ///< up to four panels
  std::vector<RankShares> stretches;  ///< in one panel, in order of time
};
/// A row an output: a panel for each of `chains` with the band that 95 % of even shares lie in, then one of `stretches`.
Figure figure_ranks(const std::vector<RankPlot>& outputs);

/// Autocorrelation of several outputs over the lag in units of tau.
Figure figure_autocorrelation(const std::vector<ReportCurve>& outputs);

/// Curves of one plot on common axes: references dark and dashed, the others in colours by their order, up to eight. `name` is the
/// figure's. Throws `Error` without curves.
Figure figure_curves(const std::string& name, const std::string& title, const std::vector<ReportCurve>& curves);

}  // namespace tarn
