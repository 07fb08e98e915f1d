// Whether a sanitizer watches this program: long sweeps then take a part of their cases, since each costs many times as much and the
// ordinary build runs them all.
#pragma once

namespace tarn::test {

#if defined(TARN_SANITIZED)
inline constexpr bool sanitized = true;
#else
inline constexpr bool sanitized = false;
#endif

}  // namespace tarn::test
