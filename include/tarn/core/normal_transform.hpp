// Two 32-bit words to two standard normals: Box-Muller without branches, of IEEE add, multiply, fma and square root
// only, so that the normals are the same bits on every device, instruction set and optimisation level. Permanent:
// changing a constant here changes every run.
#pragma once

#include <cstdint>

#include "tarn/core/host_device.hpp"
#include "tarn/core/math.hpp"

namespace tarn {

/// `radius_word` gives the radius through 31 bits of uniform in [2^-32, 1] (tails reach 6.66 sigma), `angle_word` the
/// angle. `W` is std::uint32_t with `V` float, or WordPack with Pack.
template <class W, class V>
TARN_HD void normal_pair(W radius_word, W angle_word, V& first, V& second) {
  const V uniform = fma(to_float(word_to_int(radius_word >> 1)), V(4.65661287e-10f), V(2.32830644e-10f));
  const V radius = sqrt(mul(math::log_normal_range(uniform), V(-2.0f)));

  // The angle is quadrant * pi/2 + y with |y| <= pi/4.
  const auto angle = word_to_int(angle_word + W(0x20000000u));
  const auto quadrant = (angle >> 30) & 3;
  const auto offset = (angle & 0x3fffffff) - 0x20000000;
  const V y = mul(to_float(offset), V(1.46291807926715968105e-9f));
  const V z = mul(y, y);
  V s = V(-0.000195172659f);
  s = fma(s, z, V(0.008332178f));
  s = fma(s, z, V(-0.166666552f));
  s = fma(mul(z, y), s, y);
  V c = V(2.44384137e-05f);
  c = fma(c, z, V(-0.00138873677f));
  c = fma(c, z, V(0.0416666456f));
  c = fma(mul(z, z), c, fma(z, V(-0.5f), V(1.0f)));

  const auto odd = (quadrant & 1) != 0;
  const V cosine = select(odd, s, c), sine = select(odd, c, s);
  // cos changes sign in quadrants 1 and 2, sin in 2 and 3
  const auto cosine_sign = ((quadrant + 1) & 2) << 30, sine_sign = (quadrant & 2) << 30;
  first = as_float(as_int(mul(radius, cosine)) ^ cosine_sign);
  second = as_float(as_int(mul(radius, sine)) ^ sine_sign);
}

/// A word to a uniform in (0, 1): `(word + 1/2) / 2^32`, exact in double.
inline double uniform_from_word(std::uint32_t word) { return (word + 0.5) * 0x1p-32; }

}  // namespace tarn
