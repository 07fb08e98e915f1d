// Steps of inference on a block of chains: matrix products, and between them one pass over the units of each layer. Recorded as CUDA graphs.
#pragma once

#include <cstdint>
#include <vector>

#include "hee_chains.hpp"
#include "hee_weights.hpp"

namespace tarn::cuda {

/// What the statistics of a block of chains are summed into.
struct HeeRowSums {
  std::vector<DeviceBuffer<double>> error;     ///< l = 0..L: `[n_rows]` squares of the errors; at [L] of T(x_L)
  std::vector<DeviceBuffer<double>> activity;  ///< l = 1..L at [l - 1]: of f(x_l)
  std::vector<DeviceBuffer<double>> activity_2;
};

class HeeStepper {
 public:
  HeeStepper(const HeeWeights& weights, HeeDeviceChains& chains, Context& context, bool graphs)
      : weights_(weights), chains_(chains), context_(context), uses_graphs_(graphs), clock_(1) {}

  /// New working memory for the block of chains, which has changed its size.
  void resize();
  /// Recordings hold addresses and numbers that are no more.
  void forget();
  /// Takes the steps. `sums` and `rows` are added to where `steps.statistics`, `means` where `steps.means`; they must stay where they are
  /// until `forget`. Asynchronous.
  void run(const HeeDynamics& dynamics, const HeeSteps& steps, HeeDeviceSums& sums, HeeRowSums& rows,
           std::vector<DeviceBuffer<float>>& means);

 private:
  static std::size_t at(int l) { return static_cast<std::size_t>(l); }
  struct Call {
    HeeDynamics dynamics;
    bool statistics, means;
    bool operator==(const Call& other) const;
  };
  struct Recording {
    Call call;
    CudaGraph graph;
  };
  /// `observation_moves`: whether this step is one of its.
  void step(const Call& call, bool observation_moves, std::uint64_t offset, HeeDeviceSums& sums, HeeRowSums& rows,
            std::vector<DeviceBuffer<float>>& means, StreamHandle stream);
  void begin_alone(const Call& call, StreamHandle stream);
  void predict(int l, StreamHandle stream);
  void find_errors(const Call& call, int l, bool sampled, std::uint64_t offset, StreamHandle stream);
  void collect(HeeDeviceSums& sums, HeeRowSums& rows, StreamHandle stream);
  void send_up(StreamHandle stream);
  void update(const Call& call, int first, int last, std::uint64_t offset, std::vector<DeviceBuffer<float>>& means,
              StreamHandle stream);

  const HeeWeights& weights_;
  HeeDeviceChains& chains_;
  Context& context_;
  bool uses_graphs_;
  DeviceBuffer<HeeClock> clock_;
  std::vector<DeviceBuffer<float>> a_;        ///< l < L: `[n_rows, stride]`, a, then eta
  DeviceBuffer<float> eta_sum_;               ///< of layer 0, over the steps since the observation moved; or empty
  std::vector<DeviceBuffer<float>> error_;    ///< l <= L; at [L] stands T(x_L)
  std::vector<DeviceBuffer<float>> message_;  ///< l = 1..L at [l - 1]
  DeviceBuffer<float> ones_;                  ///< `[n_rows]`
  std::vector<Recording> recordings_;
};

}  // namespace tarn::cuda
