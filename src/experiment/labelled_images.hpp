// The images of a run once more, as they are in the file: for what has to see them without the run's filter.
#pragma once

#include "tarn/data/dataset.hpp"
#include "tarn/experiment/config.hpp"

namespace tarn {

/// The data set of a config, classes chosen, rows in the order of `PreparedData::rows`. Throws as `prepare_data`.
Dataset read_items(const Config& config);

}  // namespace tarn
