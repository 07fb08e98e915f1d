// Writes draws to closed segments while the chains run.
#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <limits>

#include "netcdf_file.hpp"
#include "tarn/io/draws.hpp"

namespace tarn {
namespace {

/// Draws of one block of chains on their way to a segment.
struct Piece {
  std::int64_t first_chain = 0;
  std::int64_t n_chains = 0;
  std::int64_t first_draw = 0;
  std::vector<std::int64_t> steps;
  std::vector<double> times;
  const float* x = nullptr;         ///< `[n_chains, n_draws, D]`
  const float* activity = nullptr;  ///< `[n_chains, n_draws, n_recorded]` or null
};

void require_layout(DrawLayout& layout) {
  if (layout.chain_end < 0) layout.chain_end = layout.n_chains_total;
  require(layout.n_chains_total > 0 && layout.chain_begin >= 0 && layout.chain_begin < layout.chain_end &&
              layout.chain_end <= layout.n_chains_total,
          "chains {} to {} of {} cannot be recorded", layout.chain_begin, layout.chain_end, layout.n_chains_total);
  require(layout.n_dims > 0 && layout.n_recorded >= 0,
          "draws of {} dimensions with {} recorded units cannot be written", layout.n_dims, layout.n_recorded);
  require(layout.dim_names.empty() || static_cast<std::int64_t>(layout.dim_names.size()) == layout.n_dims,
          "{} names for {} dimensions", layout.dim_names.size(), layout.n_dims);
}

bool is_identifier(const std::string& name) {
  const auto is_letter = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; };
  return !name.empty() && is_letter(name[0]) &&
         std::all_of(name.begin(), name.end(), [&](char c) { return is_letter(c) || (c >= '0' && c <= '9'); });
}

}  // namespace

struct DrawSegments::State {
  std::filesystem::path directory;
  StoragePolicy policy;
  DrawManifest manifest;

  struct Lane {
    std::int64_t n_chains = 0;
    std::int64_t next_draw = 0;  ///< first draw that no closed segment holds
  };
  std::map<std::int64_t, Lane> lanes;  ///< by first chain

  // The open segment: values as `[chain, capacity, column]`, of which the first `steps.size()` draws are filled.
  std::int64_t open_first = 0;
  std::int64_t open_chains = 0;
  std::int64_t open_draw = 0;  ///< its first draw
  std::int64_t capacity = 0;
  std::vector<std::int64_t> steps;
  std::vector<double> times;
  std::unique_ptr<float[]> x;
  std::unique_ptr<float[]> activity;
  bool failed = false;

  const DrawLayout& layout() const { return manifest.layout; }
  std::int64_t n_open() const { return static_cast<std::int64_t>(steps.size()); }
  std::uint64_t chain_bytes() const {
    return static_cast<std::uint64_t>(layout().n_dims + layout().n_recorded) * sizeof(float);
  }
  /// Chains that go into one segment when a single draw of a block is larger than a segment may be.
  std::int64_t max_chains() const {
    return std::max<std::int64_t>(1, static_cast<std::int64_t>(policy.segment_bytes / chain_bytes()));
  }

  void save_manifest() const { write_file_atomically(directory / manifest_file, encode_manifest(manifest)); }
  Lane& lane(std::int64_t first_chain, std::int64_t n_chains);
  void take_rows(const DrawBlock& block, std::int64_t begin, std::int64_t end, std::int64_t draws_per_segment);
  void open_segment(std::int64_t first_chain, std::int64_t n_chains, std::int64_t first_draw, std::int64_t draws);
  void flush();
  void write(const Piece& piece);
  std::string write_stats(const ChainSummary& summary) const;
  void put_statistics(NetcdfFile& file, const std::map<std::string, DrawStatistic>& of_draws,
                      const std::vector<int>& variables) const;
};

DrawSegments::State::Lane& DrawSegments::State::lane(std::int64_t first_chain, std::int64_t n_chains) {
  const auto after = lanes.upper_bound(first_chain);
  if (after != lanes.begin()) {
    const auto& [first, before] = *std::prev(after);
    if (first == first_chain && before.n_chains == n_chains) return std::prev(after)->second;
    if (first + before.n_chains > first_chain) {
      fail("{}: chains {} to {} overlap chains {} to {}, which were written as one block; blocks must stay the same",
           directory.string(), first_chain, first_chain + n_chains - 1, first, first + before.n_chains - 1);
    }
  }
  if (after != lanes.end() && first_chain + n_chains > after->first) {
    fail("{}: chains {} to {} overlap chains {} to {}, which were written as one block; blocks must stay the same",
         directory.string(), first_chain, first_chain + n_chains - 1, after->first,
         after->first + after->second.n_chains - 1);
  }
  return lanes.emplace(first_chain, Lane{n_chains, 0}).first->second;
}

void DrawSegments::State::take_rows(const DrawBlock& block, std::int64_t begin, std::int64_t end,
                                    std::int64_t draws_per_segment) {
  const auto first = block.first_chain + begin;
  const auto n = end - begin;
  const bool continues = n_open() > 0 && first == open_first && n == open_chains;
  if (n_open() > 0 && !continues) flush();
  auto& own = lane(first, n);
  const auto expected = continues ? open_draw + n_open() : own.next_draw;
  if (block.draw < own.next_draw) return;  // a closed segment holds it already
  if (block.draw != expected) {
    fail("{}: draw {} of chains {} to {} came where draw {} was expected", directory.string(), block.draw, first,
         first + n - 1, expected);
  }
  const auto n_dims = layout().n_dims;
  const auto n_recorded = layout().n_recorded;
  const bool has_activity = block.activity.size() > 0;
  if (draws_per_segment == 1 && (n_recorded == 0 || has_activity)) {  // nothing to collect
    write({first,
           n,
           block.draw,
           {block.step},
           {block.time},
           block.x.row(begin),
           has_activity ? block.activity.row(begin) : nullptr});
    return;
  }
  if (!continues) open_segment(first, n, block.draw, draws_per_segment);
  const auto at = n_open();
  for (std::int64_t i = 0; i < n; ++i) {
    const auto place = i * capacity + at;
    std::copy_n(block.x.row(begin + i), n_dims, x.get() + place * n_dims);
    if (n_recorded == 0) continue;
    auto* row = activity.get() + place * n_recorded;
    if (has_activity) {
      std::copy_n(block.activity.row(begin + i), n_recorded, row);
    } else {
      std::fill_n(row, n_recorded, std::numeric_limits<float>::quiet_NaN());
    }
  }
  steps.push_back(block.step);
  times.push_back(block.time);
  if (n_open() == capacity) flush();
}

void DrawSegments::State::open_segment(std::int64_t first_chain, std::int64_t n_chains, std::int64_t first_draw,
                                       std::int64_t draws) {
  if (open_chains != n_chains || capacity != draws || !x) {
    const auto places = static_cast<std::size_t>(n_chains * draws);
    x.reset();
    activity.reset();
    x = std::make_unique_for_overwrite<float[]>(places * static_cast<std::size_t>(layout().n_dims));
    if (layout().n_recorded > 0) {
      activity = std::make_unique_for_overwrite<float[]>(places * static_cast<std::size_t>(layout().n_recorded));
    }
  }
  open_first = first_chain;
  open_chains = n_chains;
  open_draw = first_draw;
  capacity = draws;
}

void DrawSegments::State::flush() {
  const auto n_draws = n_open();
  if (n_draws == 0) return;
  // Close the gaps that draws not taken leave behind each chain.
  const auto compact = [&](float* values, std::int64_t cols) {
    for (std::int64_t i = 1; i < open_chains && n_draws < capacity; ++i) {
      std::memmove(values + i * n_draws * cols, values + i * capacity * cols,
                   static_cast<std::size_t>(n_draws * cols) * sizeof(float));
    }
  };
  compact(x.get(), layout().n_dims);
  if (activity) compact(activity.get(), layout().n_recorded);
  Piece piece{open_first, open_chains, open_draw, std::move(steps), std::move(times), x.get(), activity.get()};
  steps.clear();
  times.clear();
  write(piece);
}

void DrawSegments::State::write(const Piece& piece) {
  const auto n_draws = static_cast<std::int64_t>(piece.steps.size());
  SegmentEntry entry;
  entry.file = fmt::format("part-{:06}.nc", manifest.segments.size());
  entry.first_chain = piece.first_chain;
  entry.n_chains = piece.n_chains;
  entry.first_draw = piece.first_draw;
  entry.n_draws = n_draws;

  const auto path = directory / entry.file;
  TemporaryFile temporary(path);
  failed = true;  // until all of this went well
  {
    auto file = NetcdfFile::create(temporary.path());
    const auto root = file.root();
    const auto chain = file.define_dimension(root, "chain", piece.n_chains);
    const auto draw = file.define_dimension(root, "draw", n_draws);
    const auto dim = file.define_dimension(root, "dim", layout().n_dims);
    const auto chains = define_axis(file, root, "chain", chain);
    const auto draws = define_axis(file, root, "draw", draw);
    const auto step = define_axis(file, root, "step", draw);
    const auto time = file.define_variable(root, "time", NC_DOUBLE, {draw});
    file.set_attribute(root, time, "units", std::string("tau"));
    const auto values = file.define_variable(root, "x", NC_FLOAT, {chain, draw, dim}, policy);
    file.set_attribute(root, values, "coordinates", std::string("step time"));
    int recordings = -1;
    if (piece.activity != nullptr) {
      const auto recorded = file.define_dimension(root, "recorded", layout().n_recorded);
      recordings = file.define_variable(root, "activity", NC_FLOAT, {chain, draw, recorded}, policy);
      file.set_attribute(root, recordings, "coordinates", std::string("step time"));
    }
    file.set_attributes(root, manifest.attributes);
    file.end_definitions();

    const auto count = [](std::int64_t n) { return static_cast<std::size_t>(n); };
    put_counting(file, root, chains, 0, piece.n_chains, piece.first_chain);
    put_counting(file, root, draws, 0, n_draws, piece.first_draw);
    file.put(root, step, {{0}, {count(n_draws)}}, piece.steps);
    file.put(root, time, {{0}, {count(n_draws)}}, piece.times);
    const auto put = [&](int variable, const float* data, std::int64_t cols) {
      file.put(root, variable, {{0, 0, 0}, {count(piece.n_chains), count(n_draws), count(cols)}},
               std::span(data, count(piece.n_chains * n_draws * cols)));
    };
    put(values, piece.x, layout().n_dims);
    if (piece.activity != nullptr) put(recordings, piece.activity, layout().n_recorded);
    file.close();
  }
  entry.xxh3 = xxh3_of_file(temporary.path());
  entry.bytes = std::filesystem::file_size(temporary.path());
  temporary.publish();
  manifest.segments.push_back(std::move(entry));
  manifest.sample_stats_xxh3.clear();  // a finished run that goes on is unfinished again
  save_manifest();
  lane(piece.first_chain, piece.n_chains).next_draw = piece.first_draw + n_draws;
  failed = false;
}

std::string DrawSegments::State::write_stats(const ChainSummary& summary) const {
  const auto path = directory / sample_stats_file;
  TemporaryFile temporary(path);
  {
    auto file = NetcdfFile::create(temporary.path());
    const auto root = file.root();
    const auto n = layout().chain_end - layout().chain_begin;
    const auto chain = file.define_dimension(root, "chain", n);
    const auto chains = define_axis(file, root, "chain", chain);
    const auto bad = define_axis(file, root, "first_bad_step", chain);
    std::vector<int> extras, statistics;
    for (const auto& [name, values] : summary.extras) {
      extras.push_back(file.define_variable(root, name, NC_DOUBLE, {chain}));
    }
    if (!summary.of_draws.empty()) {
      const auto draw = file.define_dimension(root, "draw", lanes.begin()->second.next_draw);
      for (const auto& [name, statistic] : summary.of_draws)
        statistics.push_back(file.define_variable(root, name, NC_FLOAT, {chain, draw}, policy));
    }
    file.end_definitions();
    const Slab all{{0}, {static_cast<std::size_t>(n)}};
    put_counting(file, root, chains, 0, n, layout().chain_begin);
    file.put(root, bad, all, summary.first_bad_step);
    auto variable = extras.begin();
    for (const auto& [name, values] : summary.extras) file.put(root, *variable++, all, values);
    if (!summary.of_draws.empty()) put_statistics(file, summary.of_draws, statistics);
    file.close();
  }
  auto hash = xxh3_of_file(temporary.path());
  temporary.publish();
  return hash;
}

/// Reads the draws back, a bounded number at a time, since nothing else holds all of them.
void DrawSegments::State::put_statistics(NetcdfFile& file, const std::map<std::string, DrawStatistic>& of_draws,
                                         const std::vector<int>& variables) const {
  const auto at = [](std::int64_t n) { return static_cast<std::size_t>(n); };
  constexpr std::uint64_t most_bytes = 64ULL << 20;
  const std::int64_t D = layout().n_dims;
  for (const SegmentEntry& segment : manifest.segments) {
    const auto in = NetcdfFile::open(directory / segment.file);
    const auto source = in.variable(in.root(), "x", NC_FLOAT, {segment.n_chains, segment.n_draws, D});
    const auto chain_values = static_cast<std::uint64_t>(segment.n_draws * D) * sizeof(float);
    const auto piece = std::max<std::int64_t>(1, static_cast<std::int64_t>(most_bytes / chain_values));
    for (std::int64_t c = 0; c < segment.n_chains; c += piece) {
      const std::int64_t n = std::min(piece, segment.n_chains - c);
      Matrix<float> rows(n * segment.n_draws, D);
      in.get(in.root(), source, {{at(c), 0, 0}, {at(n), at(segment.n_draws), at(D)}},
             std::span(rows.data(), at(rows.size())));
      const DrawSlab slab{segment.first_chain + c, n, segment.first_draw, segment.n_draws, rows.view()};
      std::vector<float> values(at(rows.rows()));
      auto variable = variables.begin();
      for (const auto& [name, statistic] : of_draws) {
        statistic(slab, values);
        file.put(file.root(), *variable++,
                 {{at(slab.first_chain - layout().chain_begin), at(slab.first_draw)}, {at(n), at(slab.n_draws)}},
                 values);
      }
    }
  }
}

DrawSegments::DrawSegments(std::filesystem::path directory, DrawLayout layout, Attributes attributes,
                           StoragePolicy policy, OpenMode mode)
    : state_(std::make_unique<State>()) {
  require_layout(layout);
  require(policy.segment_bytes > 0 && policy.deflate >= 0 && policy.deflate <= 9,
          "segments of {} bytes with deflate level {} cannot be written; deflate goes from 0 to 9",
          policy.segment_bytes, policy.deflate);
  state_->directory = std::move(directory);
  state_->policy = policy;
  std::error_code failure;
  std::filesystem::create_directories(state_->directory, failure);
  const auto& folder = state_->directory;
  if (failure) fail("{}: folder cannot be made ({})", folder.string(), failure.message());
  if (std::filesystem::exists(folder / manifest_file, failure)) {
    if (mode == OpenMode::create) fail("{}: holds draws already; choose another folder", folder.string());
    state_->manifest = read_manifest(folder);
    if (state_->manifest.layout != layout || state_->manifest.attributes != attributes) {
      fail("{}: holds draws of another run (sizes or attributes differ); it cannot be resumed", folder.string());
    }
    for (const auto& segment : state_->manifest.segments) {
      auto& lane = state_->lane(segment.first_chain, segment.n_chains);
      if (segment.first_draw != lane.next_draw) {
        fail("{}: draws {} to {} of chains {} to {} are missing in the manifest", folder.string(), lane.next_draw,
             segment.first_draw - 1, segment.first_chain, segment.first_chain + segment.n_chains - 1);
      }
      lane.next_draw += segment.n_draws;
    }
    return;
  }
  state_->manifest.layout = std::move(layout);
  state_->manifest.attributes = std::move(attributes);
  state_->save_manifest();
}

DrawSegments::~DrawSegments() = default;

std::int64_t DrawSegments::draws_per_segment(std::int64_t n_chains) const {
  // A draw also takes its step and its time.
  const auto bytes = static_cast<std::uint64_t>(n_chains) * state_->chain_bytes() + 16;
  return std::max<std::int64_t>(1, static_cast<std::int64_t>(state_->policy.segment_bytes / bytes));
}

void DrawSegments::take(const DrawBlock& block) {
  const auto& layout = state_->layout();
  require(!state_->failed, "{}: an earlier segment could not be written", state_->directory.string());
  require(block.x.rows > 0 && block.x.cols == layout.n_dims,
          "draws of shape {} x {} came where {} columns were expected", block.x.rows, block.x.cols, layout.n_dims);
  require(
      block.activity.size() == 0 || (block.activity.rows == block.x.rows && block.activity.cols == layout.n_recorded),
      "recordings of shape {} x {} came where {} x {} were expected", block.activity.rows, block.activity.cols,
      block.x.rows, layout.n_recorded);
  require(block.first_chain >= layout.chain_begin && block.x.rows <= layout.chain_end - block.first_chain,
          "draws of chains {} to {} came where chains {} to {} are recorded", block.first_chain,
          block.first_chain + block.x.rows - 1, layout.chain_begin, layout.chain_end - 1);
  const auto piece = state_->max_chains();
  if (block.x.rows <= piece) {
    state_->take_rows(block, 0, block.x.rows, draws_per_segment(block.x.rows));
    return;
  }
  for (std::int64_t begin = 0; begin < block.x.rows; begin += piece) {
    state_->take_rows(block, begin, std::min(begin + piece, block.x.rows), 1);
  }
}

std::int64_t DrawSegments::next_draw(std::int64_t first_chain, std::int64_t n_chains) const {
  auto next = std::numeric_limits<std::int64_t>::max();
  const auto piece = state_->max_chains();
  for (std::int64_t begin = 0; begin < n_chains; begin += piece) {
    const auto found = state_->lanes.find(first_chain + begin);
    const bool same = found != state_->lanes.end() && found->second.n_chains == std::min(piece, n_chains - begin);
    next = std::min(next, same ? found->second.next_draw : 0);
  }
  return n_chains > 0 ? next : 0;
}

void DrawSegments::finish(const ChainSummary& summary) {
  const auto& layout = state_->layout();
  const auto n = static_cast<std::size_t>(layout.chain_end - layout.chain_begin);
  require(!state_->failed, "{}: an earlier segment could not be written", state_->directory.string());
  require(summary.first_bad_step.size() == n, "first_bad_step has {} entries for {} chains",
          summary.first_bad_step.size(), n);
  const auto require_name = [](const std::string& name) {
    require(is_identifier(name) && name != "chain" && name != "draw" && name != "first_bad_step" && name != "diverging",
            "\"{}\" cannot name a number of each chain; allowed: letters, digits and _", name);
  };
  for (const auto& [name, statistic] : summary.of_draws) {
    require_name(name);
    require(!summary.extras.contains(name), "\"{}\" names a number of each chain and one of each draw", name);
  }
  for (const auto& [name, values] : summary.extras) {
    require_name(name);
    require(values.size() == n, "{} has {} entries for {} chains", name, values.size(), n);
  }
  state_->flush();
  require(summary.of_draws.empty() || !state_->lanes.empty(), "{}: holds no draws to take numbers of",
          state_->directory.string());
  state_->manifest.sample_stats_xxh3 = state_->write_stats(summary);
  state_->save_manifest();
}

void DrawSegments::put_open_segment(TensorFile& file) const {
  const State& s = *state_;
  if (s.n_open() == 0) return;
  file.put_vector("open.place", std::vector<std::int64_t>{s.open_first, s.open_chains, s.open_draw});
  file.put_vector("open.steps", s.steps);
  file.put_vector("open.times", s.times);
  const auto put = [&](const char* name, const float* values, std::int64_t cols) {
    std::vector<float> filled;
    filled.reserve(static_cast<std::size_t>(s.open_chains * s.n_open() * cols));
    for (std::int64_t i = 0; i < s.open_chains; ++i) {
      const float* chain = values + i * s.capacity * cols;
      filled.insert(filled.end(), chain, chain + s.n_open() * cols);
    }
    file.put_vector(name, filled);
  };
  put("open.x", s.x.get(), s.layout().n_dims);
  if (s.activity) put("open.activity", s.activity.get(), s.layout().n_recorded);
}

void DrawSegments::take_open_segment(const TensorFile& file) {
  if (!file.has("open.place")) return;
  State& s = *state_;
  const auto place = file.values<std::int64_t>("open.place", 3);
  const std::int64_t first = place[0], n = place[1], draw = place[2];
  const auto& layout = s.layout();
  require(n > 0 && n <= s.max_chains() && first >= layout.chain_begin && first <= layout.chain_end - n && draw >= 0,
          "{}: an open segment of {} chains from {} does not belong to this run", file.source, n, first);
  if (draw < s.lane(first, n).next_draw) return;
  const auto steps = file.values<std::int64_t>("open.steps");
  const auto times = file.values<double>("open.times", std::ssize(steps));
  require(std::ssize(steps) > 0 && std::ssize(steps) < draws_per_segment(n) && draw == s.lane(first, n).next_draw,
          "{}: an open segment of {} draws from {} does not belong to this run", file.source, steps.size(), draw);
  s.open_segment(first, n, draw, draws_per_segment(n));
  const auto take = [&](const char* name, float* values, std::int64_t cols) {
    const auto filled = file.values<float>(name, n * std::ssize(steps) * cols);
    for (std::int64_t i = 0; i < n; ++i)
      std::copy_n(filled.data() + i * std::ssize(steps) * cols, std::ssize(steps) * cols,
                  values + i * s.capacity * cols);
  };
  take("open.x", s.x.get(), layout.n_dims);
  if (s.activity) take("open.activity", s.activity.get(), layout.n_recorded);
  s.steps = steps;
  s.times = times;
}

const DrawManifest& DrawSegments::manifest() const { return state_->manifest; }

DrawManifest read_manifest(const std::filesystem::path& directory) {
  const auto path = directory / manifest_file;
  constexpr std::uint64_t most_bytes = 1U << 26;  // 400 000 segments; JSON takes ten times its size in memory
  return parse_manifest(read_text_file(path, most_bytes), path.string());
}

}  // namespace tarn
