// Dense networks, their losses and gradients, written out by hand; templates so that tests can run them in double.
#pragma once

#include <algorithm>
#include <cmath>
#include <span>
#include <vector>

#include "blocked_product.hpp"
#include "tarn/core/activations.hpp"

namespace tarn {

/// Dense layers in a row. A nonlinearity follows every layer except the code and the last.
template <class T>
struct DenseNet {
  struct Layer {
    Matrix<T> W;  ///< `[n_out, n_in]`
    Matrix<T> b;  ///< `[1, n_out]`
  };
  std::vector<Layer> layers;
  std::size_t code = 0;                   ///< number of the layer that gives the code
  Nonlinearity phi = Nonlinearity::relu;  ///< relu or tanh

  bool is_linear(std::size_t l) const { return l == code || l + 1 == layers.size(); }
  std::int64_t n_parameters() const {
    std::int64_t n = 0;
    for (const Layer& layer : layers) n += layer.W.size() + layer.b.size();
    return n;
  }
};

inline float tanh_of(float u) { return activate<Nonlinearity::tanh>(u); }
inline double tanh_of(double u) { return std::tanh(u); }

/// Room for a pass over batches of one size.
template <class T>
struct DensePass {
  std::vector<Matrix<T>> h;  ///< outputs of the layers
  std::vector<Matrix<T>> g;  ///< derivatives of the loss by them, before phi
  std::vector<typename DenseNet<T>::Layer> gradient;

  DensePass(const DenseNet<T>& net, std::int64_t batch) {
    for (const auto& layer : net.layers) {
      h.emplace_back(batch, layer.W.rows());
      g.emplace_back(batch, layer.W.rows());
      gradient.push_back({Matrix<T>(layer.W.rows(), layer.W.cols()), Matrix<T>(1, layer.W.rows())});
    }
  }
};

/// Outputs of all layers for rows `x` `[B, P]`: `h_l = phi(h_{l-1} W_l^T + b_l)`, h_0 = x.
template <class T>
void forward(const DenseNet<T>& net, std::type_identity_t<MatrixView<const T>> x, DensePass<T>& pass) {
  for (std::size_t l = 0; l < net.layers.size(); ++l) {
    const auto& layer = net.layers[l];
    auto h = pass.h[l].view();
    for (std::int64_t i = 0; i < x.rows; ++i) std::copy_n(layer.b.data(), h.cols, h.row(i));
    blocked_product<T>(Transposed::no, l == 0 ? x : MatrixView<const T>(pass.h[l - 1].view()), Transposed::yes, layer.W,
                       h, T(1), T(1));
    if (net.is_linear(l)) continue;
    for (std::int64_t k = 0; k < h.size(); ++k) {
      const T u = h.data[k];
      h.data[k] = net.phi == Nonlinearity::relu ? (u < T(0) ? T(0) : u) : tanh_of(u);  // lets NaN through
    }
  }
}

/// From the derivative g_last of the loss by the last layer's outputs, in `pass.g`, to the gradient, also in `pass`. With g_l the
/// derivative by the argument of phi,
///
///     g_{l-1} = (g_l W_l) * phi'_{l-1},   dW_l = g_l^T h_{l-1},   db_l = sum_rows g_l.
template <class T>
void backward(const DenseNet<T>& net, std::type_identity_t<MatrixView<const T>> x, DensePass<T>& pass) {
  for (std::size_t l = net.layers.size(); l-- > 0;) {
    auto& dW = pass.gradient[l].W;
    auto& db = pass.gradient[l].b;
    const auto g = pass.g[l].view();
    blocked_product<T>(Transposed::yes, g, Transposed::no, l == 0 ? x : MatrixView<const T>(pass.h[l - 1].view()),
                       dW.view());
    std::fill_n(db.data(), db.size(), T(0));
    for (std::int64_t i = 0; i < x.rows; ++i) {
      for (std::int64_t j = 0; j < g.cols; ++j) db(0, j) += g(i, j);
    }
    if (l == 0) break;
    auto lower = pass.g[l - 1].view();
    blocked_product<T>(Transposed::no, g, Transposed::no, net.layers[l].W, lower);
    if (net.is_linear(l - 1)) continue;
    for (std::int64_t k = 0; k < lower.size(); ++k) {
      const T a = pass.h[l - 1].data()[k];
      lower.data[k] *= net.phi == Nonlinearity::relu ? (a > T(0) ? T(1) : T(0)) : T(1) - a * a;
    }
  }
}

/// Returns the autoencoder's loss `1/(2B) sum_i |net(x_i) - x_i|^2` for rows `x` `[B, P]` and leaves its gradient in `pass`.
template <class T>
double loss_and_gradient(const DenseNet<T>& net, std::type_identity_t<MatrixView<const T>> x, DensePass<T>& pass) {
  forward<T>(net, x, pass);
  double loss = 0.0;
  for (std::int64_t k = 0; k < x.size(); ++k) {
    const T e = pass.h.back().data()[k] - x.data[k];
    loss += static_cast<double>(e) * static_cast<double>(e);
    pass.g.back().data()[k] = e / static_cast<T>(x.rows);
  }
  backward<T>(net, x, pass);
  return loss / (2.0 * static_cast<double>(x.rows));
}

/// Returns the cross entropy `-1/B sum_i log softmax(net(x_i))_{labels_i}` in nats for rows `x` `[B, P]` and leaves its gradient in `pass`.
/// `labels` `[B]` are numbers of outputs.
template <class T>
double cross_entropy_and_gradient(const DenseNet<T>& net, std::type_identity_t<MatrixView<const T>> x,
                                  std::span<const int> labels, DensePass<T>& pass) {
  forward<T>(net, x, pass);
  double loss = 0.0;
  const auto& out = pass.h.back();
  for (std::int64_t i = 0; i < x.rows; ++i) {
    const T* u = out.row(i);
    T* g = pass.g.back().row(i);
    const T largest = *std::max_element(u, u + out.cols());
    T sum = T(0);
    for (std::int64_t c = 0; c < out.cols(); ++c) sum += g[c] = std::exp(u[c] - largest);
    const auto label = labels[static_cast<std::size_t>(i)];
    loss -= static_cast<double>(u[label] - largest - std::log(sum));
    for (std::int64_t c = 0; c < out.cols(); ++c) {
      g[c] = (g[c] / sum - (c == label ? T(1) : T(0))) / static_cast<T>(x.rows);
    }
  }
  backward<T>(net, x, pass);
  return loss / static_cast<double>(x.rows);
}

}  // namespace tarn
