// Reads merged draws back.
#include <limits>

#include "netcdf_file.hpp"
#include "tarn/io/draws.hpp"

namespace tarn {

struct DrawReader::State {
  NetcdfFile file;
  int group;
  int x;
  std::vector<std::int64_t> extents;
  int recordings = -1, activity = -1;  // where there are some
  std::int64_t n_recorded = 0;

  explicit State(const std::filesystem::path& path)
      : file(NetcdfFile::open(path)),
        group(file.group(file.root(), "posterior")),
        x(file.variable(group, "x", NC_FLOAT, {-1, -1, -1})),
        extents(file.extents(group, x)) {
    // Deflate makes at most 1032 bytes from one: a larger claim is a lie, and nothing of that size is allocated.
    double bytes = sizeof(float);
    for (const auto extent : extents) bytes *= static_cast<double>(extent);
    const auto found = static_cast<double>(std::filesystem::file_size(path));
    if (bytes == 0.0 || bytes > 1032.0 * found) {
      fail("{}: claims {} chains by {} draws by {} dimensions in {} bytes", path.string(), extents[0], extents[1],
           extents[2], found);
    }
    int id = 0;
    if (nc_inq_grp_ncid(file.root(), "recordings", &id) != NC_NOERR) return;
    recordings = id;
    activity = file.variable(id, "activity", NC_FLOAT, {extents[0], extents[1], -1});
    n_recorded = file.extents(id, activity)[2];
    if (bytes / static_cast<double>(extents[2]) * static_cast<double>(n_recorded) > 1032.0 * found)
      fail("{}: claims {} recorded neurons in {} bytes", path.string(), n_recorded, found);
  }

  /// Chains `begin .. end - 1` of a variable whose last axis has so many entries.
  Matrix<float> rows(int in_group, int variable, std::int64_t begin, std::int64_t end, std::int64_t width) const {
    if (begin < 0 || begin > end || end > extents[0])
      fail("{}: has {} chains, asked for {} to {}", file.name(), extents[0], begin, end);
    Matrix<float> out((end - begin) * extents[1], width);
    const auto count = [](std::int64_t n) { return static_cast<std::size_t>(n); };
    if (out.size() == 0) return out;
    file.get(in_group, variable, {{count(begin), 0, 0}, {count(end - begin), count(extents[1]), count(width)}},
             std::span(out.data(), count(out.size())));
    return out;
  }
};

DrawReader::DrawReader(const std::filesystem::path& path) : state_(std::make_unique<State>(path)) {}
DrawReader::~DrawReader() = default;

std::int64_t DrawReader::n_chains() const { return state_->extents[0]; }
std::int64_t DrawReader::n_draws() const { return state_->extents[1]; }
std::int64_t DrawReader::n_dims() const { return state_->extents[2]; }

std::vector<std::int64_t> DrawReader::steps() const {
  const auto& file = state_->file;
  std::vector<std::int64_t> out(static_cast<std::size_t>(n_draws()));
  const auto variable = file.variable(state_->group, "step", NC_INT64, {n_draws()});
  file.get(state_->group, variable, {{0}, {out.size()}}, std::span(out));
  return out;
}

std::vector<double> DrawReader::times() const {
  const auto& file = state_->file;
  std::vector<double> out(static_cast<std::size_t>(n_draws()));
  const auto variable = file.variable(state_->group, "time", NC_DOUBLE, {n_draws()});
  file.get(state_->group, variable, {{0}, {out.size()}}, std::span(out));
  return out;
}

std::vector<std::int64_t> DrawReader::first_bad_step() const {
  const auto& file = state_->file;
  const auto group = file.group(file.root(), "sample_stats");
  std::vector<std::int64_t> out(static_cast<std::size_t>(n_chains()));
  file.get(group, file.variable(group, "first_bad_step", NC_INT64, {n_chains()}), {{0}, {out.size()}}, std::span(out));
  return out;
}

Matrix<float> DrawReader::draw(std::int64_t draw) const {
  if (draw < -n_draws() || draw >= n_draws()) {
    fail("{}: has {} draws, asked for draw {}", state_->file.name(), n_draws(), draw);
  }
  if (draw < 0) draw += n_draws();
  Matrix<float> out(n_chains(), n_dims());
  const auto count = [](std::int64_t n) { return static_cast<std::size_t>(n); };
  state_->file.get(state_->group, state_->x, {{0, count(draw), 0}, {count(n_chains()), 1, count(n_dims())}},
                   std::span(out.data(), count(out.size())));
  return out;
}

Matrix<float> DrawReader::chains(std::int64_t begin, std::int64_t end) const {
  return state_->rows(state_->group, state_->x, begin, end, n_dims());
}

std::int64_t DrawReader::n_recorded() const { return state_->n_recorded; }

Matrix<float> DrawReader::recorded(std::int64_t begin, std::int64_t end) const {
  if (state_->activity < 0) fail("{}: no activity was recorded", state_->file.name());
  return state_->rows(state_->recordings, state_->activity, begin, end, state_->n_recorded);
}

}  // namespace tarn
