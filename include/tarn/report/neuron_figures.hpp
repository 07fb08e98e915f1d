// Figures of recorded neurons, and of a posterior's coverage: plain numbers in, a `Figure` out.
#pragma once

#include <string>
#include <vector>

#include "tarn/report/figures.hpp"

namespace tarn {

/// One neuron's mean rate against a stimulus, with its standard error.
struct TuningPanel {
  std::string name;  ///< "neuron 17"
  std::vector<double> stimulus, mean, error;
};
/// Small multiples, three or four in a row; bands are two standard errors to each side.
Figure figure_tuning(const std::string& name, const std::string& stimulus, const std::vector<TuningPanel>& neurons);

/// A population; what is empty is left out of its panel.
struct PopulationPanels {
  std::vector<double> mean_rates;
  std::vector<double> correlations, shuffled;  ///< of pairs
  std::vector<double> times_ms;                ///< autocorrelation times
  std::vector<double> frequency_hz;            ///< of the spectra, without 0
  std::vector<double> density, density_low,
      density_high;  ///< mean over neurons, 10 and 90 % of them; variance 1, an Hz
};
/// Four panels: mean rates, noise correlations with what chance gives, autocorrelation times, power spectrum.
Figure figure_population(const PopulationPanels& population);

/// Coverage of central intervals and the probability integral transforms behind it, one curve an output.
struct CalibrationPanel {
  std::string name;  ///< "x_0"
  std::vector<double> expected, observed;
  double band = 0.0;
  std::vector<double> histogram;  ///< densities in even bins of [0, 1]
  double histogram_deviation = 0.0;
};
Figure figure_calibration(const std::vector<CalibrationPanel>& outputs);

}  // namespace tarn
