// What a build without the CUDA toolkit answers.
#include "devices.hpp"
#include "tarn/core/error.hpp"

namespace tarn::cuda {

Survey survey() { return {0, false, "this build has no CUDA backend"}; }
std::vector<std::string> device_lines() { return {}; }
std::unique_ptr<Backend> make_backend(int ordinal, Precision) {
  fail("device \"cuda:{}\": this build has no CUDA backend; use --device cpu, or configure with -DTARN_CUDA=ON",
       ordinal);
}

}  // namespace tarn::cuda
