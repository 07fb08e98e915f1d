#include "hee_tile.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>

#include "tarn/core/noise.hpp"

namespace tarn::cpu {
namespace {

constexpr std::uint32_t all_lanes = 0xffffffffu;
constexpr std::int64_t chain_steps_a_product = 256;  // of the statistics
constexpr std::int64_t units_a_piece = 64;           // of an update, so that its passes find them in the first cache

std::size_t at(int l) { return static_cast<std::size_t>(l); }

// Zero in all lanes that are not in `lanes`, of rows of 32.
void keep_lanes(float* panel, std::int64_t n_rows, std::uint32_t lanes) {
  for (std::int64_t k = 0; k < n_rows; ++k) {
    for (std::int64_t i = 0; i < panel_lanes; ++i) {
      if ((lanes >> i & 1) == 0) panel[k * panel_lanes + i] = 0.0f;
    }
  }
}

}  // namespace

HeeCall::HeeCall(const HeeModel& model, const HeeDynamics& d, const HeeSteps& s)
    : dynamics(d),
      steps(s),
      first_moving(d.free_observation ? 0 : 1),
      averages(d.observation_every > 1),
      stride(static_cast<std::uint64_t>(step_stride(n_units_from(model.parameters(), first_moving)))),
      interneuron_dt(static_cast<float>(static_cast<double>(d.dt) / d.substeps / static_cast<double>(d.tau_ratio))) {
  if (d.interneurons == Interneurons::exact) return;
  const double time = static_cast<double>(d.dt) / d.substeps / static_cast<double>(d.tau_ratio);
  for (int l = 0; l < model.L(); ++l) relaxations.push_back(model.law(l).relaxation(time));
}

HeeTile::HeeTile(const HeeModel& model, std::int64_t n_panels)
    : model_(model),
      gemm_(gemm_kernels(current_isa())),
      errors_(hee_error_kernels(current_isa())),
      updates_(hee_update_kernels(current_isa())),
      statistics_(hee_statistics_kernels(current_isa())),
      n_slots_(std::max<std::int64_t>(1, chain_steps_a_product / (n_panels * panel_lanes))),
      well_(static_cast<std::size_t>(n_panels)),
      square_(static_cast<std::size_t>(n_panels * panel_lanes)) {
  const std::int64_t n_chains = n_panels * panel_lanes;
  for (int l = 0; l <= model.L(); ++l) {
    error_.emplace_back(n_slots_ * n_chains, model.size(l));
    if (l < model.L()) a_.emplace_back(n_chains, model.size(l));
    if (l == 0) continue;
    message_.emplace_back(n_chains, model.size(l));
    fx_.emplace_back(model.nonlinearity(l) ? n_chains : 0, model.size(l));
    rows_.emplace_back(static_cast<std::size_t>(n_slots_ * n_chains * model.stride(l)), 0.0f);
  }
}

void HeeTile::prepare(const HeeCall& call) {
  if (call.averages && eta_sum_.empty()) eta_sum_ = Panels(std::ssize(square_), model_.size(0));
  if (call.dynamics.integrator != Integrator::leimkuhler_matthews) return;
  const auto n_chains = static_cast<std::int64_t>(square_.size());
  const std::int64_t n_units = n_units_from(model_.parameters(), call.first_moving);
  if (normals_.cols() == n_units) return;
  normals_ = Matrix<float>(n_chains, n_units);
  kept_.clear();
  for (int l = 0; l <= model_.L(); ++l) kept_.emplace_back(l < call.first_moving ? 0 : n_chains, model_.size(l));
}

// f(x_l) of the run's panels.
PanelRows HeeTile::driving(const Run& run, int l) const {
  const Panels& fx = fx_[at(l - 1)];
  if (model_.nonlinearity(l)) return {fx.panel(0), fx.stride()};
  const Panels& x = run.chains.x(l);
  return {x.panel(run.first), x.stride()};
}

float* HeeTile::error(const Run& run, int l, std::int64_t p) { return error_[at(l)].panel(slot_ * run.n_panels + p); }

float* HeeTile::rows(const Run& run, int l, std::int64_t p) {
  return rows_[at(l - 1)].data() + (slot_ * run.n_panels + p) * panel_lanes * model_.stride(l);
}

LaneNoise HeeTile::noise(const Run& run, Stream stream, std::int64_t p) const {
  const std::uint64_t chain = run.chains.rows().first_chain + static_cast<std::uint64_t>((run.first + p) * panel_lanes);
  return {run.call.steps.seed, static_cast<std::uint64_t>(stream) << 48 | chain, 0};
}

void HeeTile::run(const HeeCall& call, HeeChains& chains, std::int64_t first, std::int64_t last, HeeGroupSums* sums,
                  std::vector<Panels>* means) {
  const Run run{call,  chains,       sums,
                first, last - first, std::min(last * panel_lanes, chains.rows().n_rows()) - first * panel_lanes};
  start(run);
  if (call.dynamics.only_layer >= 0) return run_alone(run);
  const int K = call.dynamics.observation_every;
  const bool sampled = call.dynamics.interneurons == Interneurons::sampled;
  for (std::int64_t t = 0; t < call.steps.n_steps; ++t) {
    const std::uint64_t step = call.steps.first_step + static_cast<std::uint64_t>(t);
    const bool observation_moves = call.first_moving == 0 && (t + 1) % K == 0;
    for (int l = 0; l < model_.L(); ++l) {
      predict(run, l);
      find_errors(run, l, sampled, step);
    }
    if (call.averages) average_eta(run, observation_moves);
    if (sums) collect(run);
    if (means) {
      for (int l = 1; l <= model_.L(); ++l)
        updates_.accumulate(chains.x(l).panel(first), (*means)[at(l - 1)].panel(first),
                            run.n_panels * chains.x(l).stride());
    }
    send_up(run);
    update(run, observation_moves ? 0 : 1, model_.L(), step);
    quarantine(run, step);
    if (sums) close_slot(run);
  }
  if (sums) add_up(run);
}

// One layer given the one above, which stands still, so that eta does too.
void HeeTile::run_alone(const Run& run) {
  const int l = run.call.dynamics.only_layer;
  if (l < model_.L()) {
    predict(run, l);
    find_errors(run, l, false, run.call.steps.first_step);
  }
  for (std::int64_t t = 0; t < run.call.steps.n_steps; ++t) {
    const std::uint64_t step = run.call.steps.first_step + static_cast<std::uint64_t>(t);
    update(run, l, l, step);
    quarantine(run, step);
  }
}

void HeeTile::start(const Run& run) {
  slot_ = 0;
  for (std::int64_t p = 0; p < run.n_panels; ++p) {
    well_[static_cast<std::size_t>(p)] = run.chains.well(run.first + p);
    // A chain may have been given numbers that are not finite; it must not reach the statistics.
    float* square = square_.data() + p * panel_lanes;
    std::fill_n(square, panel_lanes, 0.0f);
    for (int l = 0; l <= model_.L(); ++l) {
      const float* x = run.chains.x(l).panel(run.first + p);
      for (std::int64_t i = 0; i < run.chains.x(l).stride(); ++i) square[i % panel_lanes] += x[i] * x[i];
    }
    for (int l = 1; l <= model_.L(); ++l) {
      if (const auto& f = model_.nonlinearity(l))
        updates_.activate(*f, run.chains.x(l).panel(run.first + p), fx_[at(l - 1)].panel(p), fx_[at(l - 1)].stride());
    }
  }
  quarantine(run, run.call.steps.first_step);
  if (run.call.dynamics.integrator != Integrator::leimkuhler_matthews) return;
  const MatrixView<float> normals = normals_.view().slice(0, run.n_chains);
  const std::uint64_t first_chain = run.chains.rows().first_chain + static_cast<std::uint64_t>(run.first * panel_lanes);
  fill_normals(run.call.steps.seed, Stream::dynamics, first_chain, run.call.steps.first_step, 1, normals);
  std::int64_t column = 0;
  const auto take = [&](int l) {
    for (std::int64_t i = 0; i < normals.rows; ++i) {
      float* lane = kept_[at(l)].panel(i / panel_lanes) + i % panel_lanes;
      for (std::int64_t k = 0; k < model_.size(l); ++k) lane[k * panel_lanes] = normals(i, column + k);
    }
    column += model_.size(l);
  };
  for (int l = 1; l <= model_.L(); ++l) take(l);
  if (run.call.first_moving != 0) return;
  if (run.call.averages) {  // the observation's first step is a later one
    fill_normals(run.call.steps.seed, Stream::dynamics, first_chain,
                 run.call.steps.first_step + static_cast<std::uint64_t>(run.call.dynamics.observation_every - 1), 1,
                 normals);
  }
  take(0);
}

// a of layer l < L.
void HeeTile::predict(const Run& run, int l) {
  const PanelRows in = driving(run, l + 1);
  PanelProduct p;
  p.n_rows = model_.size(l);
  p.n_k = model_.size(l + 1);
  p.n_columns = run.n_chains;
  p.weights = model_.W(l + 1).data();
  p.weight_row = model_.stride(l + 1);
  p.in = in.data;
  p.in_panel = in.panel_stride;
  p.out = a_[at(l)].data();
  p.out_panel = a_[at(l)].stride();
  p.bias = model_.b(l).data();
  gemm_.product(p);
}

// Errors of layer l < L; a becomes eta where the layer's own step needs it.
void HeeTile::find_errors(const Run& run, int l, bool sampled, std::uint64_t step) {
  const HeeDynamics& d = run.call.dynamics;
  const std::size_t family = model_.law(l).index();
  HeeErrorCall q;
  q.law = model_.law(l).values.get();
  q.n_units = model_.size(l);
  q.keeps_eta = l >= run.call.first_moving;
  if (sampled) {
    q.relaxation = run.call.relaxations[at(l)].get();
    q.dt = run.call.interneuron_dt;
    q.scale = std::sqrt(2.0f * q.dt);
    q.per_unit = d.per_unit;
    q.substeps = d.substeps;
    q.stride = static_cast<std::uint64_t>(step_stride(q.n_units * d.per_unit));
  }
  for (std::int64_t p = 0; p < run.n_panels; ++p) {
    q.packs = run.packs(p);
    q.x = run.chains.x(l).panel(run.first + p);
    q.a = a_[at(l)].panel(p);
    q.error = error(run, l, p);
    if (sampled) {
      q.e = run.chains.e(l).panel(run.first + p);
      q.noise = noise(run, stream_of_layer(Stream::interneurons, l), p);
      q.noise.offset = step * static_cast<std::uint64_t>(d.substeps) * q.stride;
    }
    (sampled ? errors_.sampled : errors_.exact)[family](q);
  }
}

// Adds eta_0 to its sum; the last step before the observation moves puts the mean in its place.
void HeeTile::average_eta(const Run& run, bool is_last) {
  const std::int64_t n = run.n_panels * eta_sum_.stride();
  float *eta = a_[0].panel(0), *sum = eta_sum_.panel(0);
  updates_.accumulate(eta, sum, n);
  if (!is_last) return;
  const float share = 1.0f / static_cast<float>(run.call.dynamics.observation_every);
  for (std::int64_t i = 0; i < n; ++i) eta[i] = sum[i] * share;
  std::fill_n(sum, n, 0.0f);
}

// Messages of layers 1..L: errors of the layer below through the weights.
void HeeTile::send_up(const Run& run) {
  for (int l = 1; l <= model_.L(); ++l) {
    PanelProduct p;
    p.n_rows = model_.size(l);
    p.n_k = model_.size(l - 1);
    p.n_columns = run.n_chains;
    p.weights = model_.transposed(l).data();
    p.weight_row = model_.transposed_stride(l);
    p.in = error(run, l - 1, 0);
    p.in_panel = error_[at(l - 1)].stride();
    p.out = message_[at(l - 1)].data();
    p.out_panel = message_[at(l - 1)].stride();
    gemm_.product(p);
  }
}

void HeeTile::update(const Run& run, int first, int last, std::uint64_t step) {
  std::fill(square_.begin(), square_.end(), 0.0f);
  for (std::int64_t p = 0; p < run.n_panels; ++p) {
    for (int l = first; l <= last; ++l) update_layer(run, l, p, step);
  }
}

void HeeTile::update_layer(const Run& run, int l, std::int64_t p, std::uint64_t step) {
  const HeeDynamics& d = run.call.dynamics;
  const bool momentum = d.integrator == Integrator::baoab, shared = d.integrator == Integrator::leimkuhler_matthews;
  const std::size_t family = model_.law(l).index();
  // Components are counted over layers 1..L, those of layer 0 come last.
  const auto begin = static_cast<std::uint64_t>(n_units_from(model_.parameters(), 1) -
                                                n_units_from(model_.parameters(), std::max(l, 1)));
  const std::uint64_t component = l > 0 ? begin : static_cast<std::uint64_t>(n_units_from(model_.parameters(), 1));
  const int next = l > 0 ? 1 : d.observation_every;  // steps until this layer moves again
  const std::uint64_t offset = (step + static_cast<std::uint64_t>(shared ? next : 0)) * run.call.stride + component;
  const float dt = d.dt_of(l);

  HeeUpdateCall q;
  q.law = model_.law(l).values.get();
  q.packs = run.packs(p);
  q.noise = noise(run, Stream::dynamics, p);
  q.dt = dt;
  q.scale = std::sqrt((shared ? 0.5f : 2.0f) * dt);
  if (momentum) {
    q.decay = std::exp(-d.friction * dt);
    q.scale = std::sqrt(-std::expm1(-2.0f * d.friction * dt));
  } else if (run.chains.has_v()) {
    q.v_rate = dt / d.adaptation_tau;
    q.strength = d.adaptation_strength;
  }
  q.square = square_.data() + p * panel_lanes;

  float* const x = run.chains.x(l).panel(run.first + p);
  float* const message = l > 0 && d.only_layer < 0 ? message_[at(l - 1)].panel(p) : nullptr;
  const float* const eta = l < model_.L() ? a_[at(l)].panel(p) : model_.top_eta().data();
  const auto& f = model_.nonlinearity(l);
  float* const fx = f && message ? fx_[at(l - 1)].panel(p) : nullptr;  // a layer alone drives nobody
  // Pieces end where a block of noise does.
  std::int64_t n = units_a_piece - static_cast<std::int64_t>(component % 4);
  for (std::int64_t first = 0; first < model_.size(l); first += n, n = units_a_piece) {
    n = std::min(n, model_.size(l) - first);
    const std::int64_t i = first * panel_lanes;
    if (fx) updates_.derive(*f, x + i, fx + i, message + i, n * panel_lanes);
    q.n_units = n;
    q.x = x + i;
    q.message = message ? message + i : nullptr;
    q.eta = eta + i;
    if (run.chains.has_v()) q.v = run.chains.v(l).panel(run.first + p) + i;
    if (shared) q.kept = kept_[at(l)].panel(p) + i;
    q.noise.offset = offset + static_cast<std::uint64_t>(first);
    (momentum ? updates_.momentum : updates_.overdamped)[family](q);
    if (fx) updates_.activate(*f, x + i, fx + i, n * panel_lanes);
  }
}

void HeeTile::quarantine(const Run& run, std::uint64_t step) {
  for (std::int64_t p = 0; p < run.n_panels; ++p) {
    const float* square = square_.data() + p * panel_lanes;
    std::uint32_t finite = 0;
    for (std::int64_t i = 0; i < panel_lanes; ++i)
      finite |= square[i] <= std::numeric_limits<float>::max() ? std::uint32_t{1} << i : 0;
    std::uint32_t& well = well_[static_cast<std::size_t>(p)];
    if (const std::uint32_t bad = well & ~finite) {
      run.chains.quarantine(run.first + p, bad, step);
      well &= finite;
    }
  }
}

// Rows of f(x) at the beginning of the step, beside the errors.
void HeeTile::collect(const Run& run) {
  for (std::int64_t p = 0; p < run.n_panels; ++p) {
    for (int l = 1; l <= model_.L(); ++l) {
      const PanelRows from = driving(run, l);
      statistics_.to_rows(from.data + p * from.panel_stride, model_.size(l), rows(run, l, p), model_.stride(l));
    }
    const int L = model_.L();
    if (run.call.learns_biases)
      errors_.statistic[model_.law(L).index()](model_.law(L).values.get(), run.chains.x(L).panel(run.first + p),
                                               error(run, L, p), run.chains.x(L).stride());
  }
}

// Leaves out lanes without a chain that is still well after this step.
void HeeTile::close_slot(const Run& run) {
  for (std::int64_t p = 0; p < run.n_panels; ++p) {
    const std::uint32_t well = well_[static_cast<std::size_t>(p)];
    run.sums->n_samples += std::popcount(well);
    if (well == all_lanes) continue;
    for (int l = 0; l <= model_.L(); ++l) {
      keep_lanes(error(run, l, p), model_.size(l), well);
      for (std::int64_t i = 0; l > 0 && i < panel_lanes; ++i) {
        if ((well >> i & 1) == 0) std::fill_n(rows(run, l, p) + i * model_.stride(l), model_.stride(l), 0.0f);
      }
    }
  }
  if (++slot_ == n_slots_) add_up(run);
}

// Adds what the slots hold to the group's sums.
void HeeTile::add_up(const Run& run) {
  const std::int64_t n_panels = slot_ * run.n_panels;
  slot_ = 0;
  if (n_panels == 0) return;
  HeeGroupSums& sums = *run.sums;
  for (int l = 0; l <= model_.L(); ++l) {
    if (l < model_.L() || run.call.learns_biases)
      sums.error[at(l)] += statistics_.unit_sums(error_[at(l)].data(), n_panels, model_.size(l), sums.b[at(l)].data());
    if (l == 0) continue;
    statistics_.moments(rows_[at(l - 1)].data(), n_panels * panel_lanes * model_.stride(l), sums.activity[at(l - 1)],
                        sums.activity_2[at(l - 1)]);
    PanelProduct p;
    p.n_rows = model_.size(l - 1);
    p.n_k = n_panels * panel_lanes;
    p.n_columns = model_.size(l);
    p.weights = error_[at(l - 1)].data();
    p.weight_row = panel_lanes;
    p.k_block = panel_lanes;
    p.weight_block = error_[at(l - 1)].stride();
    p.in = rows_[at(l - 1)].data();
    p.in_panel = panel_lanes;
    p.in_row = model_.stride(l);
    p.out = sums.W[at(l - 1)].data();
    p.out_panel = panel_lanes;
    p.out_row = model_.stride(l);
    p.epilogue = Epilogue::add;
    gemm_.product(p);
  }
}

}  // namespace tarn::cpu
