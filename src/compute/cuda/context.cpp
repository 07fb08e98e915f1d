#include "context.hpp"

#include "devices.hpp"
#include "memory.hpp"
#include "probe.hpp"
#include "tarn/core/error.hpp"

namespace tarn::cuda {
namespace {

std::string version_text(int version) { return fmt::format("{}.{}", version / 1000, version % 1000 / 10); }

int attribute(cudaDeviceAttr what, int ordinal) {
  int value = 0;
  TARN_CUDA_CHECK(cudaDeviceGetAttribute(&value, what, ordinal));
  return value;
}

// Cheap facts: asking for free memory would make a context on the device.
DeviceInfo facts(int ordinal) {
  cudaDeviceProp p{};
  TARN_CUDA_CHECK(cudaGetDeviceProperties(&p, ordinal));
  DeviceInfo info;
  info.ordinal = ordinal;
  info.name = p.name;
  info.major = p.major;
  info.minor = p.minor;
  info.n_multiprocessors = p.multiProcessorCount;
  info.shared_bytes_a_block = attribute(cudaDevAttrMaxSharedMemoryPerBlockOptin, ordinal);
  info.l2_bytes = attribute(cudaDevAttrL2CacheSize, ordinal);
  info.total_bytes = static_cast<std::int64_t>(p.totalGlobalMem);
  return info;
}

}  // namespace

Survey survey() {
  Survey s;
  s.is_built = true;
  const cudaError_t error = cudaGetDeviceCount(&s.n_devices);
  if (error == cudaSuccess && s.n_devices > 0) return s;
  s.n_devices = 0;
  cudaGetLastError();  // said here, not to be found by the next check
  int runtime = 0;
  if (cudaRuntimeGetVersion(&runtime) != cudaSuccess) runtime = 0;
  if (error == cudaErrorInsufficientDriver) {
    int driver = 0;
    if (cudaDriverGetVersion(&driver) != cudaSuccess) driver = 0;
    s.problem = driver == 0 ? "no NVIDIA driver was found"
                            : fmt::format("the NVIDIA driver knows CUDA {}, this build needs {}", version_text(driver),
                                          version_text(runtime));
  } else if (error == cudaErrorNoDevice || error == cudaSuccess) {
    s.problem = "the NVIDIA driver sees no device";
  } else {
    s.problem = fmt::format("{} ({})", cudaGetErrorString(error), cudaGetErrorName(error));
  }
  return s;
}

std::vector<std::string> device_lines() {
  std::vector<std::string> lines;
  const int n = survey().n_devices;
  int driver = 0, runtime = 0;
  if (n > 0) {
    TARN_CUDA_CHECK(cudaDriverGetVersion(&driver));
    TARN_CUDA_CHECK(cudaRuntimeGetVersion(&runtime));
  }
  for (int i = 0; i < n; ++i) {
    try {
      const DeviceInfo d = device_info(i);
      lines.push_back(
          fmt::format("cuda:{}  {}, compute capability {}.{}, {} multiprocessors, {:.1f} of {:.1f} GiB free, {:.0f} "
                      "MiB L2; driver for CUDA {}, built with {}",
                      i, d.name, d.major, d.minor, d.n_multiprocessors, static_cast<double>(d.free_bytes) / 0x1p30,
                      static_cast<double>(d.total_bytes) / 0x1p30, static_cast<double>(d.l2_bytes) / 0x1p20,
                      version_text(driver), version_text(runtime)));
    } catch (const Error& error) {  // in use by somebody alone, for one: the others are of interest all the same
      lines.push_back(fmt::format("cuda:{}  {}", i, error.what()));
    }
  }
  return lines;
}

DeviceInfo device_info(int ordinal) {
  const Survey found = survey();
  if (found.n_devices == 0)
    fail("device \"cuda:{}\": {}; use --device cpu, or auto, which takes a GPU where there is one", ordinal,
         found.problem);
  if (ordinal < 0 || ordinal >= found.n_devices) {
    fail("device \"cuda:{}\": there {} {} CUDA device{} here, cuda:0{}; tarn devices lists what there is", ordinal,
         found.n_devices == 1 ? "is" : "are", found.n_devices, found.n_devices == 1 ? "" : "s",
         found.n_devices == 1 ? "" : fmt::format(" to cuda:{}", found.n_devices - 1));
  }
  DeviceInfo info = facts(ordinal);
  int before = 0;
  TARN_CUDA_CHECK(cudaGetDevice(&before));
  TARN_CUDA_CHECK(cudaSetDevice(ordinal));
  std::size_t free = 0, total = 0;
  const cudaError_t error = cudaMemGetInfo(&free, &total);
  TARN_CUDA_CHECK(cudaSetDevice(before));
  TARN_CUDA_CHECK(error);
  info.free_bytes = static_cast<std::int64_t>(free);
  return info;
}

DeviceInfo use_device(int ordinal) {
  DeviceInfo info = device_info(ordinal);
  TARN_CUDA_CHECK(cudaSetDevice(ordinal));
  if (const cudaError_t error = probe_kernels(); error != cudaSuccess) {
    cudaGetLastError();
    fail(
        "device \"cuda:{}\" ({}, compute capability {}.{}): this build has no code for it ({}); configure with "
        "-DTARN_CUDA_ARCHITECTURES={}{} or use --device cpu",
        ordinal, info.name, info.major, info.minor, cudaGetErrorName(error), info.major, info.minor);
  }
  return info;
}

Context::Context(int ordinal, Precision wanted)
    : info(use_device(ordinal)), precision(wanted), blas(make_blas(&tuner)) {}

}  // namespace tarn::cuda
