#include "energy_gradient.hpp"

#include <algorithm>
#include <cmath>

#include "blocked_product.hpp"
#include "energy_kernels.hpp"
#include "tarn/core/error.hpp"
#include "tarn/core/noise.hpp"

namespace tarn::energy {
namespace {

constexpr std::int64_t block_rows = 64;  // of elementwise loops, fixed

void fit(Matrix<float>& m, std::int64_t rows, std::int64_t cols) {
  if (m.rows() != rows || m.cols() != cols) m = Matrix<float>(rows, cols);
}

// Below so many elements waking other threads takes longer than the loop.
template <class F>
void for_each_block(std::int64_t n, std::int64_t width, F f) {
#pragma omp parallel for schedule(static) if (n * width > 32768)
  for (std::int64_t begin = 0; begin < n; begin += block_rows) f(begin, std::min(begin + block_rows, n));
}

float precision(const SamplingNetwork& network) { return static_cast<float>(1.0 / (network.s * network.s)); }

// The columns of `h` times v, in place.
void weigh(const SamplingNetwork& network, MatrixView<float> h) {
  if (network.v.empty()) return;
  for_each_block(h.rows, h.cols, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      for (std::int64_t j = 0; j < h.cols; ++j) h(i, j) *= network.v(0, j);
    }
  });
}

// out_j += factor * sum of column j, in double, row after row.
void add_column_sums(MatrixView<const float> x, double factor, Matrix<float>& out) {
  std::vector<double> sum(static_cast<std::size_t>(x.cols), 0.0);
  for (std::int64_t i = 0; i < x.rows; ++i) {
    for (std::int64_t j = 0; j < x.cols; ++j) sum[static_cast<std::size_t>(j)] += x(i, j);
  }
  for (std::int64_t j = 0; j < x.cols; ++j) out(0, j) += static_cast<float>(factor * sum[static_cast<std::size_t>(j)]);
}

}  // namespace

void unit_inputs(const SamplingNetwork& network, MatrixView<const float> x, MatrixView<float> u) {
  for_each_block(u.rows, u.cols, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) std::copy_n(network.b.data(), u.cols, u.row(i));
  });
  blocked_product<float>(Transposed::no, x, Transposed::yes, network.W_in, u, precision(network), 1.0f);
}

double GradientRoom::add(const SamplingNetwork& network, MatrixView<const float> x, double sign, Gradient& gradient) {
  const std::int64_t n = x.rows, D = x.cols, N = network.n_neurons();
  const Kernels& run = kernels(current_isa());
  for (Matrix<float>* m : {&u_, &rate_, &potential_}) fit(*m, n, N);
  unit_inputs(network, x, u_.view());
  for_each_block(n, N, [&](std::int64_t begin, std::int64_t end) {
    run.rate(network.phi, (end - begin) * N, u_.row(begin), rate_.row(begin));
    run.potential(network.phi, (end - begin) * N, u_.row(begin), potential_.row(begin));
  });
  const double share = sign / static_cast<double>(n);
  double energy = 0.0;
  for (std::int64_t i = 0; i < n; ++i) {
    double square = 0.0, units = 0.0;
    for (std::int64_t d = 0; d < D; ++d) {
      const double off = static_cast<double>(x(i, d)) - static_cast<double>(network.a(0, d));
      square += off * off;
    }
    for (std::int64_t j = 0; j < N; ++j) {
      const float strength = network.v.empty() ? 1.0f : network.v(0, j);
      units += static_cast<double>(strength) * static_cast<double>(potential_(i, j));
    }
    energy += (0.5 * square / (network.s * network.s) - units) / static_cast<double>(n);
  }
  if (!network.v.empty()) add_column_sums(potential_, -share, gradient.v);
  weigh(network, rate_.view());
  add_column_sums(rate_, -share, gradient.b);
  blocked_product<float>(Transposed::yes, rate_, Transposed::no, x, gradient.W.view(),
                         static_cast<float>(-share) * precision(network), 1.0f);
  // -(x - a) / s^2; a cancels between data and particles
  add_column_sums(x, -share / (network.s * network.s), gradient.a);
  return energy;
}

double GradientRoom::reconstruction_error(const SamplingNetwork& network, MatrixView<const float> x) {
  fit(back_, x.rows, x.cols);
  blocked_product<float>(Transposed::no, rate_, Transposed::no, network.W_in, back_.view());
  double sum = 0.0;
  for (std::int64_t i = 0; i < x.rows; ++i) {
    for (std::int64_t d = 0; d < x.cols; ++d) {
      const double off =
          static_cast<double>(x(i, d)) - static_cast<double>(network.a(0, d)) - static_cast<double>(back_(i, d));
      sum += off * off;
    }
  }
  return sum / static_cast<double>(x.size());
}

GradientReading GradientRoom::compute(const SamplingNetwork& network, MatrixView<const float> data,
                                      MatrixView<const float> particles, Gradient& gradient) {
  fit(gradient.W, network.W_in.rows(), network.W_in.cols());
  fit(gradient.b, 1, network.b.cols());
  fit(gradient.a, 1, network.a.cols());
  fit(gradient.v, network.v.rows(), network.v.cols());
  for (Matrix<float>* m : {&gradient.W, &gradient.b, &gradient.a, &gradient.v}) std::fill_n(m->data(), m->size(), 0.0f);
  GradientReading reading;
  reading.gap = add(network, data, 1.0, gradient);
  reading.reconstruction = reconstruction_error(network, data);  // of the units as the data left them
  reading.gap -= add(network, particles, -1.0, gradient);
  return reading;
}

void ParticleRoom::make_room(const SamplingNetwork& network, std::int64_t n) {
  fit(u_, n, network.n_neurons());
  fit(pushed_, n, network.n_outputs);
  fit(normals_, n, network.n_outputs);
}

void ParticleRoom::push(const SamplingNetwork& network) {
  blocked_product<float>(Transposed::no, u_, Transposed::no, network.W_in, pushed_.view());
}

void ParticleRoom::gibbs(const SamplingNetwork& network, ParticleNoise noise, MatrixView<float> x) {
  const std::int64_t n = x.rows, N = network.n_neurons();
  const Kernels& run = kernels(current_isa());
  make_room(network, n);
  if (words_.rows() != n || words_.cols() != N) words_ = Matrix<std::uint32_t>(n, N);
  fill_words(noise.seed, Stream::particle_units, 0, noise.step, 1, words_.view());
  fill_normals(noise.seed, Stream::particles, 0, noise.step, 1, normals_.view());
  unit_inputs(network, x, u_.view());
  for_each_block(n, N, [&](std::int64_t begin, std::int64_t end) {
    run.rate(network.phi, (end - begin) * N, u_.row(begin), u_.row(begin));
    run.fire((end - begin) * N, words_.row(begin), u_.row(begin), u_.row(begin));
  });
  push(network);
  const auto s = static_cast<float>(network.s);
  for_each_block(n, x.cols, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      for (std::int64_t d = 0; d < x.cols; ++d) x(i, d) = network.a(0, d) + pushed_(i, d) + s * normals_(i, d);
    }
  });
}

void ParticleRoom::langevin(const SamplingNetwork& network, double dt, ParticleNoise noise, MatrixView<float> x) {
  const std::int64_t n = x.rows, N = network.n_neurons();
  const Kernels& run = kernels(current_isa());
  make_room(network, n);
  fill_normals(noise.seed, Stream::particles, 0, noise.step, 1, normals_.view());
  unit_inputs(network, x, u_.view());
  for_each_block(n, N, [&](std::int64_t begin, std::int64_t end) {
    run.rate(network.phi, (end - begin) * N, u_.row(begin), u_.row(begin));
  });
  weigh(network, u_.view());
  push(network);
  const auto gain = static_cast<float>(dt) * precision(network), spread = static_cast<float>(std::sqrt(2.0 * dt));
  for_each_block(n, x.cols, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      for (std::int64_t d = 0; d < x.cols; ++d)
        x(i, d) += gain * (network.a(0, d) - x(i, d) + pushed_(i, d)) + spread * normals_(i, d);
    }
  });
}

}  // namespace tarn::energy
