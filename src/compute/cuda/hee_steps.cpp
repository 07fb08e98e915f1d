#include "hee_steps.hpp"

#include <cmath>
#include <tuple>
#include <utility>

#include "hee_error.hpp"
#include "hee_update.hpp"

namespace tarn::cuda {
namespace {

constexpr std::int64_t steps_a_graph = 8;
constexpr std::size_t most_recordings = 8;

auto as_tuple(const HeeDynamics& d) {
  return std::tie(d.integrator, d.dt, d.interneurons, d.tau_ratio, d.per_unit, d.substeps, d.friction,
                  d.adaptation_strength, d.adaptation_tau, d.free_observation, d.observation_every, d.observation_dt,
                  d.only_layer);
}

}  // namespace

bool HeeStepper::Call::operator==(const Call& other) const {
  return as_tuple(dynamics) == as_tuple(other.dynamics) && statistics == other.statistics && means == other.means;
}

void HeeStepper::forget() {
  if (recordings_.empty()) return;
  context_.stream.synchronize();  // they may still run
  recordings_.clear();
}

void HeeStepper::resize() {
  forget();
  for (auto* arrays : {&a_, &error_, &message_}) arrays->clear();
  const auto zeros = [&](std::int64_t n) {
    DeviceBuffer<float> buffer(n);
    zero_async(buffer.data(), n, context_.stream.handle());
    return buffer;
  };
  const std::int64_t n_rows = chains_.n_rows();
  for (int l = 0; l <= weights_.L(); ++l) {
    const std::int64_t n = n_rows * weights_.stride(l);
    error_.push_back(zeros(n));
    if (l < weights_.L()) a_.push_back(zeros(n));
    if (l > 0) message_.push_back(zeros(n));
  }
  eta_sum_ = {};
  ones_ = DeviceBuffer<float>(n_rows);
  const std::vector<float> ones(static_cast<std::size_t>(n_rows), 1.0f);
  copy_async(ones_.data(), ones.data(), n_rows, context_.stream.handle());
  context_.stream.synchronize();  // `ones` goes
}

void HeeStepper::run(const HeeDynamics& dynamics, const HeeSteps& steps, HeeDeviceSums& sums, HeeRowSums& rows,
                     std::vector<DeviceBuffer<float>>& means) {
  const StreamHandle stream = context_.stream.handle();
  const Call call{dynamics, steps.statistics, steps.means};
  if (dynamics.observation_every > 1 && eta_sum_.empty()) {
    eta_sum_ = DeviceBuffer<float>(chains_.n_rows() * weights_.stride(0));
    zero_async(eta_sum_.data(), eta_sum_.size(), stream);
  }
  launch_hee_begin({steps.seed, chains_.rows().first_chain, steps.first_step}, clock_.data(), stream);
  chains_.begin(clock_.data());
  if (dynamics.only_layer >= 0) begin_alone(call, stream);
  // Steps of the call in which the observation moves; a recording holds whole rounds of them, or steps between two.
  const std::int64_t K = dynamics.observation_every;
  const auto moves = [&](std::int64_t t) { return dynamics.free_observation && (t + 1) % K == 0; };
  const bool between = K > steps_a_graph;
  const std::int64_t n_recorded = between ? steps_a_graph : steps_a_graph / K * K;
  std::int64_t done = 0;
  std::uint64_t ahead = 0;  // of the clock
  const auto eager = [&] { step(call, moves(done++), ahead++, sums, rows, means, stream); };
  const auto set_clock = [&] {
    if (ahead > 0) launch_hee_advance(clock_.data(), std::exchange(ahead, 0), stream);
  };
  if (uses_graphs_ && steps.n_steps > n_recorded + (between ? 0 : K - 1)) {
    // Products choose their algorithms at their first call, and may not do so in a recording.
    for (std::int64_t t = 0; t < (between ? 1 : K); ++t) eager();
    set_clock();
    auto found = recordings_.begin();
    while (found != recordings_.end() && !(found->call == call)) ++found;
    if (found == recordings_.end()) {
      if (recordings_.size() == most_recordings) forget();
      recordings_.push_back({call, CudaGraph(context_.stream, [&](StreamHandle recording) {
                               for (std::int64_t i = 0; i < n_recorded; ++i)
                                 step(call, !between && moves(i), static_cast<std::uint64_t>(i), sums, rows, means,
                                      recording);
                               launch_hee_advance(clock_.data(), static_cast<std::uint64_t>(n_recorded), recording);
                             })});
      found = recordings_.end() - 1;
    }
    while (done + n_recorded <= steps.n_steps) {
      if (between && done % K + n_recorded >= K) {
        eager();
        continue;
      }
      set_clock();
      found->graph.launch(context_.stream);
      done += n_recorded;
    }
  }
  while (done < steps.n_steps) eager();
  chains_.ran();
}

void HeeStepper::step(const Call& call, bool observation_moves, std::uint64_t offset, HeeDeviceSums& sums,
                      HeeRowSums& rows, std::vector<DeviceBuffer<float>>& means, StreamHandle stream) {
  const HeeDynamics& d = call.dynamics;
  if (d.only_layer >= 0) {
    update(call, d.only_layer, d.only_layer, offset, means, stream);
  } else {
    for (int l = 0; l < weights_.L(); ++l) {
      predict(l, stream);
      find_errors(call, l, d.interneurons == Interneurons::sampled, offset, stream);
    }
    if (d.observation_every > 1) {
      launch_hee_average(a_[0].data(), eta_sum_.data(), eta_sum_.size(),
                         observation_moves ? 1.0f / static_cast<float>(d.observation_every) : 0.0f, stream);
    }
    if (call.statistics) collect(sums, rows, stream);
    send_up(stream);
    update(call, observation_moves ? 0 : 1, weights_.L(), offset, means, stream);
  }
  chains_.quarantine(clock_.data(), offset, stream);
}

// eta of a layer whose layer above stands still.
void HeeStepper::begin_alone(const Call& call, StreamHandle stream) {
  const int l = call.dynamics.only_layer;
  if (l == weights_.L()) return;
  predict(l, stream);
  find_errors(call, l, false, 0, stream);
}

// a of layer l < L.
void HeeStepper::predict(int l, StreamHandle stream) {
  Product p;
  p.m = chains_.n_rows();
  p.n = weights_.stride(l);
  p.k = weights_.stride(l + 1);
  p.a = chains_.drive(l + 1);
  p.lda = p.k;
  p.b = weights_.W(l + 1);
  p.ldb = p.k;
  p.transpose_b = true;
  p.c = a_[at(l)].data();
  p.ldc = p.n;
  p.bias = weights_.b(l);
  context_.blas->product(p, stream);
}

void HeeStepper::find_errors(const Call& call, int l, bool sampled, std::uint64_t offset, StreamHandle stream) {
  const HeeDynamics& d = call.dynamics;
  HeeErrorCall q;
  q.n_rows = chains_.n_rows();
  q.n_units = weights_.size(l);
  q.stride = weights_.stride(l);
  q.x = chains_.x(l);
  q.a = a_[at(l)].data();
  q.keeps_eta = l >= chains_.first_moving();
  q.error = error_[at(l)].data();
  q.first_bad_step = chains_.first_bad_step();
  q.bad = chains_.bad();
  if (sampled) {
    q.e = chains_.e(l);
    q.e_stride = chains_.e_stride(l);
    q.per_unit = d.per_unit;
    q.substeps = d.substeps;
    q.time = static_cast<double>(d.dt) / d.substeps / static_cast<double>(d.tau_ratio);
    q.layer = l;
  }
  launch_hee_error(weights_.law(l), q, sampled, clock_.data(), offset, stream);
}

void HeeStepper::collect(HeeDeviceSums& sums, HeeRowSums& rows, StreamHandle stream) {
  const std::int64_t n_rows = chains_.n_rows();
  const int L = weights_.L();
  const int n_errors = weights_.optimizer().learn_biases ? L + 1 : L;
  if (n_errors > L) {
    launch_hee_statistic(weights_.law(L), chains_.x(L), n_rows, weights_.size(L), weights_.stride(L),
                         chains_.first_bad_step(), error_[at(L)].data(), stream);
  }
  for (int l = 0; l < n_errors; ++l) {
    launch_hee_row_sums(error_[at(l)].data(), n_rows, weights_.size(l), weights_.stride(l), chains_.first_bad_step(),
                        nullptr, rows.error[at(l)].data(), stream);
    Product p;  // sums over chains
    p.m = 1;
    p.n = weights_.stride(l);
    p.k = n_rows;
    p.a = ones_.data();
    p.lda = n_rows;
    p.b = error_[at(l)].data();
    p.ldb = p.n;
    p.c = sums.b[at(l)].data();
    p.ldc = p.n;
    p.beta = 1.0f;
    context_.blas->product(p, stream);
  }
  for (int l = 1; l <= L; ++l) {
    launch_hee_row_sums(chains_.drive(l), n_rows, weights_.size(l), weights_.stride(l), chains_.first_bad_step(),
                        rows.activity[at(l - 1)].data(), rows.activity_2[at(l - 1)].data(), stream);
    Product p;  // error^T f(x)
    p.m = weights_.stride(l - 1);
    p.n = weights_.stride(l);
    p.k = n_rows;
    p.a = error_[at(l - 1)].data();
    p.lda = p.m;
    p.transpose_a = true;
    p.b = chains_.drive(l);
    p.ldb = p.n;
    p.c = sums.W[at(l - 1)].data();
    p.ldc = p.n;
    p.beta = 1.0f;
    context_.blas->product(p, stream);
  }
}

// Messages of layers 1..L: errors of the layer below through the weights.
void HeeStepper::send_up(StreamHandle stream) {
  for (int l = 1; l <= weights_.L(); ++l) {
    Product p;
    p.m = chains_.n_rows();
    p.n = weights_.stride(l);
    p.k = weights_.stride(l - 1);
    p.a = error_[at(l - 1)].data();
    p.lda = p.k;
    p.b = weights_.W(l);
    p.ldb = p.n;
    p.c = message_[at(l - 1)].data();
    p.ldc = p.n;
    context_.blas->product(p, stream);
  }
}

void HeeStepper::update(const Call& call, int first, int last, std::uint64_t offset,
                        std::vector<DeviceBuffer<float>>& means, StreamHandle stream) {
  const HeeDynamics& d = call.dynamics;
  const HeeParameters& parameters = weights_.shape();
  HeeUpdateCall q;
  q.n_rows = chains_.n_rows();
  q.first_bad_step = chains_.first_bad_step();
  q.bad = chains_.bad();
  q.n_components = n_units_from(parameters, chains_.first_moving());
  const bool midpoint = d.integrator == Integrator::leimkuhler_matthews;
  q.momentum = d.integrator == Integrator::baoab;
  for (int l = first; l <= last; ++l) {
    q.dt = d.dt_of(l);
    q.scale = std::sqrt((midpoint ? 0.5f : 2.0f) * q.dt);
    if (midpoint) q.noise_shared_with = l > 0 ? 1 : d.observation_every;
    if (q.momentum) {
      q.decay = std::exp(-d.friction * q.dt);
      q.scale = std::sqrt(-std::expm1(-2.0f * d.friction * q.dt));
    } else {
      q.v_rate = q.dt / d.adaptation_tau;
      q.strength = d.adaptation_strength;
    }
    q.n_units = weights_.size(l);
    q.stride = weights_.stride(l);
    q.x = chains_.x(l);
    q.message = l > 0 && d.only_layer < 0 ? message_[at(l - 1)].data() : nullptr;
    q.shared_eta = l == weights_.L();
    q.eta = q.shared_eta ? weights_.top_eta() : a_[at(l)].data();
    q.fx = chains_.fx(l);
    q.v = chains_.v(l);
    q.mean_sum = call.means && l > 0 ? means[at(l - 1)].data() : nullptr;
    // components are counted over layers 1..L, those of layer 0 come last
    q.component = n_units_from(parameters, 1) - (l > 0 ? n_units_from(parameters, l) : 0);
    launch_hee_update(weights_.law(l), weights_.layer(l).nonlinearity, q, clock_.data(), offset, stream);
  }
}

}  // namespace tarn::cuda
