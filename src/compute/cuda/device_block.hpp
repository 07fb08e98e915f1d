// Owner of a block of chains in device memory, and its way from and to the host.
#pragma once

#include "device_chains.hpp"
#include "memory.hpp"
#include "tarn/compute/backend.hpp"

namespace tarn::cuda {

class DeviceBlock {
 public:
  /// Copies state, inputs, clamps and first bad steps of a block. Asynchronous: the host's memory must stay.
  void load(const ChainBlock& block, StreamHandle stream) {
    chains_ = {};
    chains_.n = block.x.rows;
    chains_.x = copied(x_, block.x.data, block.x.size(), stream);
    if (block.u.size() > 0) load_inputs(block.u, stream);
    if (block.clamp.data) chains_.clamp = copied(clamp_, block.clamp.data, block.clamp.size(), stream);
    chains_.first_bad_step = copied(first_bad_step_, block.first_bad_step, block.x.rows, stream);
    if (block.v.data) chains_.v = copied(v_, block.v.data, block.v.size(), stream);
  }
  void load(const ReservoirBlock& block, StreamHandle stream) {
    load(block.chains, stream);
    chains_.r = copied(r_, block.r.data, block.r.size(), stream);
    chains_.P = copied(P_, block.P.data, block.P.size(), stream);
    if (block.private_noise.data)
      chains_.private_noise = copied(private_noise_, block.private_noise.data, block.private_noise.size(), stream);
  }
  void load_inputs(MatrixView<const float> u, StreamHandle stream) { chains_.u = copied(u_, u.data, u.size(), stream); }
  /// Copies back what changed. Asynchronous.
  void store(const ChainBlock& block, StreamHandle stream) const {
    copy_async(block.x.data, x_.data(), block.x.size(), stream);
    copy_async(block.first_bad_step, first_bad_step_.data(), block.x.rows, stream);
    if (block.v.data) copy_async(block.v.data, v_.data(), block.v.size(), stream);
  }
  void store(const ReservoirBlock& block, StreamHandle stream) const {
    store(block.chains, stream);
    copy_async(block.r.data, r_.data(), block.r.size(), stream);
  }
  const DeviceChains& chains() const { return chains_; }

 private:
  template <class T>
  static T* copied(DeviceBuffer<T>& to, const T* from, std::int64_t n, StreamHandle stream) {
    to.reserve(n);
    copy_async(to.data(), from, n, stream);
    return to.data();
  }

  DeviceBuffer<float> x_, u_, clamp_, v_, r_, P_, private_noise_;
  DeviceBuffer<std::int64_t> first_bad_step_;
  DeviceChains chains_;
};

}  // namespace tarn::cuda
