#include "device_watch.hpp"

#include "host_watch.hpp"
#include "watch.hpp"

namespace tarn::cuda {

void DeviceWatch::load(const WatchPlan& plan, const WatchState& from, std::int64_t D, StreamHandle stream) {
  state_ = from;
  D_ = D;
  K_ = plan.n_outputs;
  n_modes_ = plan.centers.rows();
  for_each_pair(state_, [&](auto& host, auto& device) {
    device.reserve(std::ssize(host));
    copy_async(device.data(), host.data(), std::ssize(host), stream);
  });
  centers_.reserve(plan.centers.size());
  copy_async(centers_.data(), plan.centers.data(), plan.centers.size(), stream);
  TARN_CUDA_CHECK(cudaStreamSynchronize(stream));
}

void DeviceWatch::observe(const float* x, StreamHandle stream) {
  WatchLook look = next_look(state_.clock);
  look.x = x;
  look.centers = centers_.data();
  look.n = state_.n_chains;
  look.D = D_;
  look.K = K_;
  look.Q = state_.n_quantities;
  look.n_modes = n_modes_;
  launch_watch({batch_mean_.data(), batch_square_.data(), open_mean_.data(), open_square_.data(), variogram_.data(),
                recent_.data(), hashes_.data(), still_.data(), mode_.data()},
               look, sketch_.data(), modes_.data(), stream);
  state_.clock.advance();
}

WatchState DeviceWatch::read(StreamHandle stream) {
  WatchState out = state_;
  for_each_pair(out,
                [&](auto& host, auto& device) { copy_async(host.data(), device.data(), std::ssize(host), stream); });
  TARN_CUDA_CHECK(cudaStreamSynchronize(stream));
  return out;
}

}  // namespace tarn::cuda
