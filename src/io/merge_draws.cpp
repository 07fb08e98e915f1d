// One streaming pass from segments to a single file that ArviZ, xarray and h5py open.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "netcdf_file.hpp"
#include "tarn/io/draws.hpp"

namespace tarn {
namespace {

/// A folder with its manifest.
struct Part {
  std::filesystem::path directory;
  DrawManifest manifest;
};

/// Chains that were written as one block, with their segments in order of draw.
struct Lane {
  const Part* part = nullptr;
  std::int64_t n_chains = 0;
  std::vector<const SegmentEntry*> segments;

  std::int64_t n_draws() const { return segments.back()->first_draw + segments.back()->n_draws; }
};
using Lanes = std::map<std::int64_t, Lane>;  // by first chain

std::string chain_range(std::int64_t begin, std::int64_t end) {
  return end - begin == 1 ? fmt::format("chain {}", begin) : fmt::format("chains {} to {}", begin, end - 1);
}

std::vector<Part> read_parts(const std::vector<std::filesystem::path>& directories) {
  require(!directories.empty(), "no folder of draws to merge was given");
  std::vector<Part> parts;
  for (const auto& directory : directories) {
    parts.push_back({directory, read_manifest(directory)});
    const auto& first = parts.front();
    const auto& layout = parts.back().manifest.layout;
    const auto& wanted = first.manifest.layout;
    if (!parts.back().manifest.finished()) fail("{}: its run is not finished; resume it first", directory.string());
    if (layout.n_chains_total != wanted.n_chains_total || layout.n_dims != wanted.n_dims ||
        layout.n_recorded != wanted.n_recorded || layout.dim_names != wanted.dim_names) {
      fail("{}: holds draws of another run than {} ({} chains of {} dimensions, expected {} of {})", directory.string(),
           first.directory.string(), layout.n_chains_total, layout.n_dims, wanted.n_chains_total, wanted.n_dims);
    }
  }
  // Folders must share out the chains: each brings its own summary of them.
  std::vector<const Part*> order;
  for (const auto& part : parts) order.push_back(&part);
  std::sort(order.begin(), order.end(), [](const Part* a, const Part* b) {
    return a->manifest.layout.chain_begin < b->manifest.layout.chain_begin;
  });
  std::int64_t at = 0;
  for (const auto* part : order) {
    const auto& layout = part->manifest.layout;
    if (layout.chain_begin > at) fail("no folder holds {}", chain_range(at, layout.chain_begin));
    if (layout.chain_begin < at) {
      fail("{}: holds {}, and so does another folder", part->directory.string(),
           chain_range(layout.chain_begin, std::min(at, layout.chain_end)));
    }
    at = layout.chain_end;
  }
  const auto total = parts.front().manifest.layout.n_chains_total;
  if (at < total) fail("no folder holds {}", chain_range(at, total));
  return parts;
}

/// Sorts the segments and checks that they hold every chain and every draw exactly once.
Lanes sort_segments(const std::vector<Part>& parts) {
  Lanes lanes;
  for (const auto& part : parts) {
    for (const auto& segment : part.manifest.segments) {
      auto& lane = lanes[segment.first_chain];
      if (lane.part == nullptr) {
        lane.part = &part;
        lane.n_chains = segment.n_chains;
      }
      if (lane.part != &part || lane.n_chains != segment.n_chains) {
        fail("{}: holds {} twice", (part.directory / segment.file).string(),
             chain_range(segment.first_chain, segment.first_chain + segment.n_chains));
      }
      lane.segments.push_back(&segment);
    }
  }
  std::int64_t at = 0;
  for (auto& [first, lane] : lanes) {
    const auto& folder = lane.part->directory;
    if (first > at) fail("{}: holds no draws of {}", folder.string(), chain_range(at, first));
    if (first < at)
      fail("{}: holds {} twice", folder.string(), chain_range(first, std::min(at, first + lane.n_chains)));
    at = first + lane.n_chains;
    std::sort(lane.segments.begin(), lane.segments.end(),
              [](const auto* a, const auto* b) { return a->first_draw < b->first_draw; });
    std::int64_t draw = 0;
    for (const auto* segment : lane.segments) {
      if (segment->first_draw != draw) {
        fail("{}: of {}, draws from {} on {}", folder.string(), chain_range(first, at),
             std::min(draw, segment->first_draw), segment->first_draw > draw ? "are missing" : "stand twice");
      }
      draw += segment->n_draws;
    }
  }
  const auto total = parts.front().manifest.layout.n_chains_total;
  if (at < total)
    fail("{}: holds no draws of {}",
         lanes.empty() ? parts.front().directory.string() : std::prev(lanes.end())->second.part->directory.string(),
         chain_range(at, total));
  const auto& [first, reference] = *lanes.begin();
  for (const auto& [begin, lane] : lanes) {
    if (lane.n_draws() != reference.n_draws()) {
      fail("{}: holds {} with {} draws, but {} with {}", lane.part->directory.string(),
           chain_range(begin, begin + lane.n_chains), lane.n_draws(), chain_range(first, first + reference.n_chains),
           reference.n_draws());
    }
  }
  return lanes;
}

void verify(const std::filesystem::path& path, const std::string& expected) {
  const auto found = xxh3_of_file(path);
  if (found != expected) fail("{}: is damaged: XXH3 is {}, the manifest says {}", path.string(), found, expected);
}

/// Sizes first: what is written to the merged file before the segments are opened is in proportion to their bytes, so
/// that a manifest that claims more than there is cannot fill the disk.
void check_sizes(const std::vector<Part>& parts) {
  for (const auto& part : parts) {
    for (const auto& segment : part.manifest.segments) {
      const auto path = part.directory / segment.file;
      std::error_code failure;
      const auto found = std::filesystem::file_size(path, failure);
      if (failure) fail("{}: cannot be read ({})", path.string(), failure.message());
      if (found != segment.bytes) {
        fail("{}: is damaged: holds {} bytes, the manifest says {}", path.string(), found, segment.bytes);
      }
    }
  }
}

Attributes common_attributes(const std::vector<Part>& parts) {
  auto common = parts.front().manifest.attributes;
  for (const auto& part : parts) {
    std::erase_if(common, [&](const auto& attribute) {
      const auto found = part.manifest.attributes.find(attribute.first);
      return found == part.manifest.attributes.end() || found->second != attribute.second;
    });
  }
  return common;
}

/// What a summary holds beside the first bad steps.
struct SummaryNames {
  std::vector<std::string> of_chains, of_draws;
  bool operator==(const SummaryNames&) const = default;
};

/// The file in the making: where each variable is.
class MergedFile {
 public:
  MergedFile(const std::filesystem::path& path, const std::vector<Part>& parts, std::int64_t n_draws,
             SummaryNames names, const MergeOptions& options)
      : file_(NetcdfFile::create(path)),
        layout_(parts.front().manifest.layout),
        n_draws_(n_draws),
        names_(std::move(names)),
        created_at_(options.created_at),
        limit_(options.storage.segment_bytes) {
    auto attributes = options.attributes;
    attributes.merge(common_attributes(parts));
    if (!created_at_.empty()) attributes.emplace("created_at", created_at_);
    file_.set_attributes(file_.root(), attributes);
    define_posterior(options, attributes);
    define_stats(options.storage);
    if (layout_.n_recorded > 0) define_recordings(options.storage);
    if (options.images) define_images(*options.images, options.storage);
    if (options.observed) define_observed(*options.observed, options.storage);
    file_.end_definitions();
    put_axes(posterior_);
    put_axes(stats_);
    if (layout_.n_recorded > 0) put_axes(recordings_);
    put_dims();
    if (options.images) put_images(*options.images);
    if (options.observed) put_observed(*options.observed);
  }

  void copy(const Lane& lane, std::int64_t first_chain, const SegmentEntry& segment);
  void copy_stats(const Part& part);
  void close() { file_.close(); }

 private:
  struct Group {
    int id = -1;
    int chain_dim = -1, draw_dim = -1;
    int chain = -1, draw = -1, step = -1, time = -1;
  };

  Group define_group(const std::string& name) {
    Group group;
    group.id = file_.define_group(file_.root(), name);
    group.chain_dim = file_.define_dimension(group.id, "chain", layout_.n_chains_total);
    group.draw_dim = file_.define_dimension(group.id, "draw", n_draws_);
    group.chain = define_axis(file_, group.id, "chain", group.chain_dim);
    group.draw = define_axis(file_, group.id, "draw", group.draw_dim);
    group.step = define_axis(file_, group.id, "step", group.draw_dim);
    group.time = file_.define_variable(group.id, "time", NC_DOUBLE, {group.draw_dim});
    file_.set_attribute(group.id, group.time, "units", std::string("tau"));
    sign(group.id);
    return group;
  }
  void sign(int group) {
    file_.set_attributes(
        group, {{"inference_library", std::string("tarn")}, {"inference_library_version", std::string(TARN_VERSION)}});
    if (!created_at_.empty()) file_.set_attributes(group, {{"created_at", created_at_}});
  }
  /// xarray makes coordinates of the variables that this attribute names.
  void with_coordinates(int group, int variable) {
    file_.set_attribute(group, variable, "coordinates", std::string("step time"));
  }

  void define_posterior(const MergeOptions& options, Attributes attributes) {
    posterior_ = define_group("posterior");
    for (const char* key : {"inference_library", "inference_library_version", "created_at"}) attributes.erase(key);
    file_.set_attributes(posterior_.id, attributes);
    if (options.sampling_time) file_.set_attributes(posterior_.id, {{"sampling_time", *options.sampling_time}});
    const auto dim = file_.define_dimension(posterior_.id, "dim", layout_.n_dims);
    dim_ = layout_.dim_names.empty() ? define_axis(file_, posterior_.id, "dim", dim)
                                     : file_.define_variable(posterior_.id, "dim", NC_STRING, {dim});
    x_ = file_.define_variable(posterior_.id, "x", NC_FLOAT, {posterior_.chain_dim, posterior_.draw_dim, dim},
                               options.storage);
    with_coordinates(posterior_.id, x_);
  }
  void define_stats(const StoragePolicy& storage) {
    stats_ = define_group("sample_stats");
    bad_ = define_axis(file_, stats_.id, "first_bad_step", stats_.chain_dim);
    diverging_ = file_.define_variable(stats_.id, "diverging", NC_BYTE, {stats_.chain_dim, stats_.draw_dim}, storage);
    file_.set_attribute(stats_.id, diverging_, "dtype", std::string("bool"));  // xarray's mark for booleans
    with_coordinates(stats_.id, diverging_);
    for (const auto& name : names_.of_chains) {
      extras_.push_back(file_.define_variable(stats_.id, name, NC_DOUBLE, {stats_.chain_dim}));
    }
    for (const auto& name : names_.of_draws) {
      statistics_.push_back(
          file_.define_variable(stats_.id, name, NC_FLOAT, {stats_.chain_dim, stats_.draw_dim}, storage));
      with_coordinates(stats_.id, statistics_.back());
    }
  }
  void define_recordings(const StoragePolicy& storage) {
    recordings_ = define_group("recordings");
    const auto recorded = file_.define_dimension(recordings_.id, "recorded", layout_.n_recorded);
    activity_ = file_.define_variable(recordings_.id, "activity", NC_FLOAT,
                                      {recordings_.chain_dim, recordings_.draw_dim, recorded}, storage);
    with_coordinates(recordings_.id, activity_);
  }
  void define_images(const DecodedImages& images, const StoragePolicy& storage) {
    images_ = file_.define_group(file_.root(), "images");
    std::vector<int> dimensions{file_.define_dimension(images_, "chain", images.values.rows),
                                file_.define_dimension(images_, "row", images.rows),
                                file_.define_dimension(images_, "column", images.cols)};
    if (images.channels > 1) dimensions.push_back(file_.define_dimension(images_, "channel", images.channels));
    image_chain_ = define_axis(file_, images_, "chain", dimensions[0]);
    decoded_ = file_.define_variable(images_, "decoded", NC_FLOAT, dimensions, storage);
    sign(images_);
  }

  void define_observed(const ObservedData& observed, const StoragePolicy& storage) {
    observed_ = file_.define_group(file_.root(), "observed_data");
    const auto datum = file_.define_dimension(observed_, "datum", observed.values.rows);
    const auto unit = file_.define_dimension(observed_, "unit", observed.values.cols);
    datum_ = define_axis(file_, observed_, "datum", datum);
    unit_ = define_axis(file_, observed_, "unit", unit);
    given_ = file_.define_variable(observed_, observed.name, NC_FLOAT, {datum, unit}, storage);
    sign(observed_);
  }

  void put_axes(const Group& group) {
    put_counting(file_, group.id, group.chain, 0, layout_.n_chains_total, 0);
    put_counting(file_, group.id, group.draw, 0, n_draws_, 0);
  }
  void put_dims() {
    if (layout_.dim_names.empty()) {
      put_counting(file_, posterior_.id, dim_, 0, layout_.n_dims, 0);
    } else {
      file_.put_texts(posterior_.id, dim_, layout_.dim_names);
    }
  }
  void put_images(const DecodedImages& images) {
    put_counting(file_, images_, image_chain_, 0, images.values.rows, 0);
    const auto count = [](std::int64_t n) { return static_cast<std::size_t>(n); };
    Slab slab{{0, 0, 0}, {count(images.values.rows), count(images.rows), count(images.cols)}};
    if (images.channels > 1) {
      slab.start.push_back(0);
      slab.count.push_back(count(images.channels));
    }
    file_.put(images_, decoded_, slab, std::span(images.values.data, count(images.values.size())));
  }
  void put_observed(const ObservedData& observed) {
    const auto count = [](std::int64_t n) { return static_cast<std::size_t>(n); };
    put_counting(file_, observed_, datum_, 0, observed.values.rows, 0);
    put_counting(file_, observed_, unit_, 0, observed.values.cols, 0);
    file_.put(observed_, given_, {{0, 0}, {count(observed.values.rows), count(observed.values.cols)}},
              std::span(observed.values.data, count(observed.values.size())));
  }
  void copy_clock(const NetcdfFile& segment, const SegmentEntry& entry, bool first_lane);

  /// Copies `[chain, draw, cols]` in slabs of at most `limit_` bytes, and shows each to `seen`.
  template <class Seen>
  void copy_values(const NetcdfFile& in, const std::string& name, std::int64_t cols, const SegmentEntry& entry,
                   int group, int variable, Seen seen);

  NetcdfFile file_;
  DrawLayout layout_;
  std::int64_t n_draws_;
  SummaryNames names_;
  std::string created_at_;
  std::uint64_t limit_;
  Group posterior_, stats_, recordings_;
  int dim_ = -1, x_ = -1, bad_ = -1, diverging_ = -1, activity_ = -1, images_ = -1, image_chain_ = -1, decoded_ = -1;
  int observed_ = -1, datum_ = -1, unit_ = -1, given_ = -1;
  std::vector<int> extras_, statistics_;
  std::vector<float> buffer_;
  std::vector<signed char> flags_;
};

/// Steps and times come from the first block of chains; the others must have been drawn at the same ones.
void MergedFile::copy_clock(const NetcdfFile& segment, const SegmentEntry& entry, bool first_lane) {
  const auto step = segment.variable(segment.root(), "step", NC_INT64, {entry.n_draws});
  const auto time = segment.variable(segment.root(), "time", NC_DOUBLE, {entry.n_draws});
  constexpr std::int64_t piece = 1 << 16;
  for (std::int64_t done = 0; done < entry.n_draws; done += piece) {
    const auto n = static_cast<std::size_t>(std::min(piece, entry.n_draws - done));
    const Slab from{{static_cast<std::size_t>(done)}, {n}};
    const Slab to{{static_cast<std::size_t>(entry.first_draw + done)}, {n}};
    std::vector<std::int64_t> steps(n);
    std::vector<double> times(n);
    segment.get(segment.root(), step, from, std::span(steps));
    segment.get(segment.root(), time, from, std::span(times));
    if (first_lane) {
      for (const auto* group : {&posterior_, &stats_, &recordings_}) {
        if (group->id < 0) continue;
        file_.put(group->id, group->step, to, steps);
        file_.put(group->id, group->time, to, times);
      }
      continue;
    }
    std::vector<std::int64_t> expected_steps(n);
    std::vector<double> expected_times(n);
    file_.get(posterior_.id, posterior_.step, to, std::span(expected_steps));
    file_.get(posterior_.id, posterior_.time, to, std::span(expected_times));
    if (steps != expected_steps || times != expected_times) {
      fail("{}: its draws were taken at other steps or times than those of the first chains", segment.name());
    }
  }
}

template <class Seen>
void MergedFile::copy_values(const NetcdfFile& in, const std::string& name, std::int64_t cols,
                             const SegmentEntry& entry, int group, int variable, Seen seen) {
  const auto source = in.variable(in.root(), name, NC_FLOAT, {entry.n_chains, entry.n_draws, cols});
  const auto row_bytes = static_cast<std::uint64_t>(cols) * sizeof(float);
  const auto rows = std::max<std::int64_t>(1, static_cast<std::int64_t>(limit_ / row_bytes));
  const auto draws = std::min(entry.n_draws, rows);
  const auto chains = std::min(entry.n_chains, std::max<std::int64_t>(1, rows / entry.n_draws));
  for (std::int64_t c = 0; c < entry.n_chains; c += chains) {
    for (std::int64_t d = 0; d < entry.n_draws; d += draws) {
      const auto nc = static_cast<std::size_t>(std::min(chains, entry.n_chains - c));
      const auto nd = static_cast<std::size_t>(std::min(draws, entry.n_draws - d));
      const auto at = [](std::int64_t n) { return static_cast<std::size_t>(n); };
      buffer_.resize(nc * nd * at(cols));
      in.get(in.root(), source, {{at(c), at(d), 0}, {nc, nd, at(cols)}}, std::span(buffer_));
      const Slab to{{at(entry.first_chain + c), at(entry.first_draw + d), 0}, {nc, nd, at(cols)}};
      file_.put(group, variable, to, buffer_);
      seen(Slab{{to.start[0], to.start[1]}, {nc, nd}});
    }
  }
}

void MergedFile::copy(const Lane& lane, std::int64_t first_chain, const SegmentEntry& segment) {
  const auto path = lane.part->directory / segment.file;
  verify(path, segment.xxh3);
  const auto in = NetcdfFile::open(path);
  copy_clock(in, segment, first_chain == 0);
  copy_values(in, "x", layout_.n_dims, segment, posterior_.id, x_, [&](const Slab& rows) {
    flags_.resize(rows.size());
    const auto cols = static_cast<std::ptrdiff_t>(layout_.n_dims);
    for (std::size_t i = 0; i < flags_.size(); ++i) {
      const auto* row = buffer_.data() + static_cast<std::ptrdiff_t>(i) * cols;
      flags_[i] = std::all_of(row, row + cols, [](float v) { return std::isfinite(v); }) ? 0 : 1;
    }
    file_.put(stats_.id, diverging_, rows, flags_);
  });
  if (layout_.n_recorded > 0) {
    copy_values(in, "activity", layout_.n_recorded, segment, recordings_.id, activity_, [](const Slab&) {});
  }
}

void MergedFile::copy_stats(const Part& part) {
  const auto& layout = part.manifest.layout;
  const auto n = layout.chain_end - layout.chain_begin;
  const auto in = NetcdfFile::open(part.directory / sample_stats_file);
  constexpr std::int64_t piece = 1 << 16;
  for (std::int64_t done = 0; done < n; done += piece) {
    const auto count = static_cast<std::size_t>(std::min(piece, n - done));
    const Slab from{{static_cast<std::size_t>(done)}, {count}};
    const Slab to{{static_cast<std::size_t>(layout.chain_begin + done)}, {count}};
    std::vector<std::int64_t> bad(count);
    in.get(in.root(), in.variable(in.root(), "first_bad_step", NC_INT64, {n}), from, std::span(bad));
    file_.put(stats_.id, bad_, to, bad);
    std::vector<double> values(count);
    for (std::size_t i = 0; i < extras_.size(); ++i) {
      in.get(in.root(), in.variable(in.root(), names_.of_chains[i], NC_DOUBLE, {n}), from, std::span(values));
      file_.put(stats_.id, extras_[i], to, values);
    }
  }
  const auto draws = static_cast<std::size_t>(n_draws_);
  const auto rows = std::max<std::int64_t>(1, static_cast<std::int64_t>(limit_ / (draws * sizeof(float))));
  for (std::size_t i = 0; i < statistics_.size(); ++i) {
    const auto variable = in.variable(in.root(), names_.of_draws[i], NC_FLOAT, {n, n_draws_});
    for (std::int64_t done = 0; done < n; done += rows) {
      const auto count = static_cast<std::size_t>(std::min(rows, n - done));
      std::vector<float> values(count * draws);
      in.get(in.root(), variable, {{static_cast<std::size_t>(done), 0}, {count, draws}}, std::span(values));
      file_.put(stats_.id, statistics_[i], {{static_cast<std::size_t>(layout.chain_begin + done), 0}, {count, draws}},
                values);
    }
  }
}

/// Names of the numbers of each chain and of each draw, which all folders must agree on.
SummaryNames summary_names(const std::vector<Part>& parts) {
  SummaryNames reference;
  for (const auto& part : parts) {
    const auto path = part.directory / sample_stats_file;
    verify(path, part.manifest.sample_stats_xxh3);
    const auto file = NetcdfFile::open(path);
    auto all = file.variable_names(file.root());
    std::erase_if(all, [](const std::string& name) { return name == "chain" || name == "first_bad_step"; });
    std::sort(all.begin(), all.end());
    SummaryNames names;
    for (const auto& name : all) {
      const bool of_draws = file.n_axes(file.root(), name) == 2;
      (of_draws ? names.of_draws : names.of_chains).push_back(name);
    }
    if (&part == &parts.front()) reference = names;
    if (names != reference) fail("{}: holds other numbers of each chain than the first folder", path.string());
  }
  return reference;
}

void require_images(const DecodedImages& images, std::int64_t n_chains) {
  require(images.rows > 0 && images.cols > 0 && images.channels > 0 && images.values.rows > 0 &&
              images.values.rows <= n_chains && images.values.cols == images.rows * images.cols * images.channels,
          "decoded images of shape {} x {} do not fit {} chains of {} x {} pixels with {} channels", images.values.rows,
          images.values.cols, n_chains, images.rows, images.cols, images.channels);
}

}  // namespace

void merge_draws(const std::vector<std::filesystem::path>& directories, const std::filesystem::path& out,
                 const MergeOptions& options) {
  require(options.storage.segment_bytes > 0 && options.storage.deflate >= 0 && options.storage.deflate <= 9,
          "deflate level {} is out of range; allowed: 0 to 9", options.storage.deflate);
  const auto parts = read_parts(directories);
  const auto lanes = sort_segments(parts);
  check_sizes(parts);
  if (options.images) require_images(*options.images, parts.front().manifest.layout.n_chains_total);
  if (options.observed)
    require(options.observed->values.rows > 0 && options.observed->values.cols > 0, "observed data {} are empty",
            options.observed->name);
  TemporaryFile temporary(out);
  MergedFile merged(temporary.path(), parts, lanes.begin()->second.n_draws(), summary_names(parts), options);
  for (const auto& [first, lane] : lanes) {
    for (const auto* segment : lane.segments) merged.copy(lane, first, *segment);
  }
  for (const auto& part : parts) merged.copy_stats(part);
  merged.close();
  temporary.publish();
}

}  // namespace tarn
