// What a program needs that trains circuits and draws from them (docs/cpp-api.md); the other headers are for those who want more.
#pragma once

#include "tarn/core/error.hpp"
#include "tarn/core/log.hpp"
#include "tarn/core/matrix.hpp"
#include "tarn/core/version.hpp"
#include "tarn/data/synthetic.hpp"
#include "tarn/evaluation/moments.hpp"
#include "tarn/experiment/circuit.hpp"
#include "tarn/io/npy.hpp"
#include "tarn/models/weights_file.hpp"
