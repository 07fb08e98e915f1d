// Takes NVML's place in tests: one GPU, whose counter runs as environment variables say. FAKE_NVML_BUS its bus id; FAKE_NVML_READINGS what the counter
// shows reading by reading, in millijoules, the last one for ever, and "error N" in its place fails with that code; without it FAKE_NVML_WATTS of
// power, renewed every FAKE_NVML_MS; FAKE_NVML_INIT a code that initialisation fails with.
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <sstream>
#include <string>

namespace {

int n_readings = 0;

const char* variable(const char* name, const char* otherwise) {
  const char* const value = std::getenv(name);
  return value ? value : otherwise;
}

}  // namespace

extern "C" {

int nvmlInit_v2() {
  n_readings = 0;
  return std::atoi(variable("FAKE_NVML_INIT", "0"));
}
int nvmlShutdown() { return 0; }
int nvmlDeviceGetHandleByPciBusId_v2(const char* bus, void** device) {
  if (std::strcmp(bus, variable("FAKE_NVML_BUS", "0000:00:00.0")) != 0) return 6;  // not found
  *device = &n_readings;
  return 0;
}
int nvmlDeviceGetTotalEnergyConsumption(void* device, unsigned long long* millijoules) {
  if (device != &n_readings) return 2;  // invalid argument
  if (const char* const text = std::getenv("FAKE_NVML_READINGS")) {
    std::istringstream words(text);
    std::string word;
    for (int i = 0; i <= n_readings && words >> word; ++i) {
      if (word != "error") continue;
      words >> word;
      if (i == n_readings) return std::atoi(word.c_str());
    }
    ++n_readings;
    *millijoules = std::strtoull(word.c_str(), nullptr, 10);
    return 0;
  }
  using namespace std::chrono;
  const double ms = duration<double, std::milli>(steady_clock::now().time_since_epoch()).count();
  const double period = std::atof(variable("FAKE_NVML_MS", "20")),
               watts = std::atof(variable("FAKE_NVML_WATTS", "250"));
  *millijoules =
      static_cast<unsigned long long>(watts * period * static_cast<double>(static_cast<long long>(ms / period)));
  return 0;
}
const char* nvmlErrorString(int code) {
  return code == 6 ? "Not Found" : code == 3 ? "Not Supported" : code == 9 ? "Driver Not Loaded" : "Unknown Error";
}

}  // extern "C"
