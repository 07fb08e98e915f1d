// The working memory of one thread, and the steps of inference on a tile of chains.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "hee_chains.hpp"
#include "hee_kernels.hpp"
#include "hee_sums.hpp"

namespace tarn::cpu {

/// What is the same for all tiles of a call.
struct HeeCall {
  HeeCall(const HeeModel& model, const HeeDynamics& dynamics, const HeeSteps& steps);

  HeeDynamics dynamics;
  HeeSteps steps;
  int first_moving;                                      ///< 0 where the observation moves, else 1
  bool averages;                                         ///< it moves by the mean of eta_0 over some steps
  std::uint64_t stride;                                  ///< of the neurons' noise
  float interneuron_dt;                                  ///< of a substep, in units of tau_e
  std::vector<std::shared_ptr<const void>> relaxations;  ///< l < L: of interneurons with an exact step
  bool learns_biases = true;
};

class HeeTile {
 public:
  /// Room for tiles of so many panels.
  HeeTile(const HeeModel& model, std::int64_t n_panels);
  /// Room for what this call needs beside; here, not in `run`, which is called by many threads: out of memory is an exception.
  void prepare(const HeeCall& call);

  /// Runs panels `first` to `last` through all steps of the call. `sums` may be null where there are no statistics, `means` (of layers 1..L
  /// at [l - 1]) where there are none.
  void run(const HeeCall& call, HeeChains& chains, std::int64_t first, std::int64_t last, HeeGroupSums* sums,
           std::vector<Panels>* means);

 private:
  // What a run is about.
  struct Run {
    const HeeCall& call;
    HeeChains& chains;
    HeeGroupSums* sums;
    std::int64_t first, n_panels, n_chains;
    int packs(std::int64_t p) const { return packs_of_panel(n_chains, p); }
  };

  void start(const Run& run);
  void run_alone(const Run& run);
  void predict(const Run& run, int l);
  void find_errors(const Run& run, int l, bool sampled, std::uint64_t step);
  void average_eta(const Run& run, bool is_last);
  void send_up(const Run& run);
  void collect(const Run& run);
  void update(const Run& run, int first, int last, std::uint64_t step);
  void update_layer(const Run& run, int l, std::int64_t p, std::uint64_t step);
  void quarantine(const Run& run, std::uint64_t step);
  void close_slot(const Run& run);
  void add_up(const Run& run);

  PanelRows driving(const Run& run, int l) const;
  float* error(const Run& run, int l, std::int64_t p);
  float* rows(const Run& run, int l, std::int64_t p);
  LaneNoise noise(const Run& run, Stream stream, std::int64_t p) const;

  const HeeModel& model_;
  const GemmKernels& gemm_;
  const HeeErrorKernels& errors_;
  const HeeUpdateKernels& updates_;
  const HeeStatisticsKernels& statistics_;
  std::int64_t n_slots_, slot_ = 0;         ///< steps whose statistics are summed by one product; the present one
  std::vector<Panels> a_;                   ///< l < L: a, then eta
  Panels eta_sum_;                          ///< of layer 0, over the steps since the observation moved
  std::vector<Panels> error_;               ///< l <= L: `[slot][panel]`; at [L] stands T(x_L)
  std::vector<Panels> fx_;                  ///< l = 1..L at [l - 1]: f(x), where f is not the identity
  std::vector<Panels> message_;             ///< l = 1..L at [l - 1]
  std::vector<AlignedVector<float>> rows_;  ///< l = 1..L at [l - 1]: f(x) `[slot][panel][32, stride]`
  std::vector<Panels> kept_;                ///< l <= L: normals of the present step, where each serves two
  Matrix<float> normals_;                   ///< `[chains, units]`, likewise
  std::vector<std::uint32_t> well_;         ///< lanes of each panel
  AlignedVector<float> square_;             ///< `[panel][32]`
};

}  // namespace tarn::cpu
