#include <cmath>
#include <functional>

#include "draw_test_tools.hpp"

namespace tarn {
namespace {

using MergeTest = IoTest;

TEST_F(MergeTest, RoundTrip) {
  const SmallRun run;
  run.write(in_folder("a"));
  merge_draws({in_folder("a")}, in_folder("samples.nc"));
  EXPECT_THAT(files(), testing::ElementsAre("a", "samples.nc"));
  const DrawReader reader(in_folder("samples.nc"));
  ASSERT_EQ(reader.n_chains(), 10);
  ASSERT_EQ(reader.n_draws(), 7);
  ASSERT_EQ(reader.n_dims(), 3);
  EXPECT_EQ(reader.steps(), (std::vector<std::int64_t>{100, 200, 300, 400, 500, 600, 700}));
  EXPECT_EQ(reader.times()[6], 0.07);
  for (std::int64_t chain = 0; chain < 10; ++chain) {
    EXPECT_EQ(reader.first_bad_step()[static_cast<std::size_t>(chain)], chain == 5 ? 350 : -1);
    const auto own = reader.chains(chain, chain + 1);
    ASSERT_EQ(own.rows(), 7);
    for (std::int64_t draw = 0; draw < 7; ++draw) {
      const auto all = reader.draw(draw);
      ASSERT_EQ(all.rows(), 10);
      for (std::int64_t j = 0; j < 3; ++j) {
        const bool bad = chain == 5 && draw >= 3;
        EXPECT_EQ(std::isnan(all(chain, j)), bad);
        EXPECT_EQ(std::isnan(own(draw, j)), bad);
        if (bad) continue;
        EXPECT_EQ(all(chain, j), draw_value(chain, draw, j));
        EXPECT_EQ(own(draw, j), draw_value(chain, draw, j));
      }
    }
  }
  EXPECT_EQ(reader.draw(-1)(9, 0), draw_value(9, 6, 0));
  EXPECT_EQ(reader.draw(-7)(9, 0), draw_value(9, 0, 0));
  EXPECT_REFUSED(reader.draw(7), "has 7 draws");
  EXPECT_REFUSED(reader.draw(-8), "has 7 draws");
  EXPECT_REFUSED(reader.chains(3, 11), "has 10 chains");
  EXPECT_EQ(reader.chains(4, 4).rows(), 0);
}

TEST_F(MergeTest, FollowsTheConventionsOfInferenceData) {
  SmallRun run;
  run.layout.dim_names = {"first", "second", "third"};
  run.layout.n_recorded = 2;
  run.write(in_folder("a"));
  MergeOptions options;
  options.attributes["title"] = std::string("t");
  merge_draws({in_folder("a")}, in_folder("samples.nc"), options);
  const Look look(in_folder("samples.nc"));
  EXPECT_EQ(look.text_attribute(look.root(), "", "title"), "t");
  EXPECT_EQ(look.text_attribute(look.root(), "", "model"), "reservoir_sampler");
  EXPECT_EQ(look.number_attribute(look.root(), "dt"), 1e-4);
  for (const std::string name : {"posterior", "sample_stats", "recordings"}) {
    const auto group = look.group(name);
    EXPECT_EQ(look.text_attribute(group, "", "inference_library"), "tarn");
    EXPECT_FALSE(look.text_attribute(group, "", "inference_library_version").empty());
    EXPECT_TRUE(look.text_attribute(group, "", "created_at").empty());
    EXPECT_TRUE(std::isnan(look.number_attribute(group, "sampling_time")));
    EXPECT_EQ(look.values(group, "chain")[9], 9);
    EXPECT_EQ(look.values(group, "draw")[6], 6);
    EXPECT_EQ(look.values(group, "step")[6], 700);
    EXPECT_EQ(look.values(group, "time")[0], 0.01);
  }
  EXPECT_EQ(look.dimensions(look.group("posterior"), "x"), (std::vector<std::string>{"chain", "draw", "dim"}));
  EXPECT_EQ(look.text_attribute(look.group("posterior"), "x", "coordinates"), "step time");
  EXPECT_EQ(look.texts(look.group("posterior"), "dim"), run.layout.dim_names);
  EXPECT_EQ(look.text_attribute(look.group("sample_stats"), "diverging", "dtype"), "bool");
  const auto diverging = look.values(look.group("sample_stats"), "diverging");
  for (std::size_t i = 0; i < 70; ++i) EXPECT_EQ(diverging[i], i / 7 == 5 && i % 7 >= 3 ? 1 : 0);
  EXPECT_EQ(look.values(look.group("sample_stats"), "score_norm")[9], 4.5);
  const auto activity = look.values(look.group("recordings"), "activity");
  EXPECT_EQ(activity[(8 * 7 + 4) * 2 + 1], -draw_value(8, 4, 1));
  EXPECT_TRUE(std::isnan(activity[(8 * 7 + 3) * 2 + 1]));
}

TEST_F(MergeTest, NumbersOfDrawsAndObservedData) {
  SmallRun run;
  run.layout = {10, 0, -1, 3, 0, {}};
  // where a draw lies tells which number it must get, whatever the pieces it comes in
  const auto write = [&](const std::string& name, const StoragePolicy& policy) {
    DrawSegments segments(in_folder(name), run.layout, run.attributes, policy);
    run.send(segments);
    ChainSummary summary = run.summary();
    summary.of_draws["place"] = [](const DrawSlab& slab, std::span<float> out) {
      for (std::int64_t i = 0; i < slab.x.rows; ++i) {
        const std::int64_t chain = slab.first_chain + i / slab.n_draws, draw = slab.first_draw + i % slab.n_draws;
        const float x = slab.x(i, 1);
        if (!std::isnan(x)) {
          EXPECT_EQ(x, draw_value(chain, draw, 1));
        }
        out[static_cast<std::size_t>(i)] = static_cast<float>(100 * chain + draw);
      }
    };
    segments.finish(summary);
  };
  Matrix<float> given(2, 3);
  for (int i = 0; i < 6; ++i) given.data()[i] = static_cast<float>(i);
  MergeOptions options;
  options.sampling_time = 2.5;
  options.created_at = "2026-01-02T03:04:05+00:00";
  options.observed = ObservedData{"x_0", given.view()};
  for (const std::uint64_t bytes : {60, 300, 100000}) {  // one draw of some chains in a segment, several, all
    const std::string name = fmt::format("a{}", bytes), merged = name + ".nc";
    write(name, {bytes, 0});
    options.storage = {bytes, 0};
    merge_draws({in_folder(name)}, in_folder(merged), options);
    const Look look(in_folder(merged));
    const int stats = look.group("sample_stats"), observed = look.group("observed_data");
    EXPECT_EQ(look.dimensions(stats, "place"), (std::vector<std::string>{"chain", "draw"}));
    const auto place = look.values(stats, "place");
    ASSERT_EQ(place.size(), 70u);
    for (std::size_t i = 0; i < 70; ++i) EXPECT_EQ(place[i], static_cast<double>(100 * (i / 7) + i % 7)) << i;
    EXPECT_EQ(look.values(stats, "score_norm")[9], 4.5);
    EXPECT_EQ(look.dimensions(observed, "x_0"), (std::vector<std::string>{"datum", "unit"}));
    EXPECT_EQ(look.values(observed, "x_0")[5], 5.0);
    for (const std::string group : {"posterior", "sample_stats", "observed_data"}) {
      EXPECT_EQ(look.text_attribute(look.group(group), "", "created_at"), options.created_at);
      EXPECT_EQ(look.text_attribute(look.group(group), "", "inference_library"), "tarn");
    }
    EXPECT_EQ(look.number_attribute(look.group("posterior"), "sampling_time"), 2.5);
    EXPECT_EQ(look.number_attribute(look.group("posterior"), "seed"), 3407.0);
    EXPECT_EQ(difference_but_times(in_folder(merged), in_folder("a60.nc")), "");
  }
}

TEST_F(MergeTest, DifferencesAreFoundAndTimesAreNot) {
  SmallRun run;
  run.layout.dim_names = {"first", "second", "third"};
  const auto merged = [&](const std::string& name, const std::function<void(SmallRun&, MergeOptions&)>& change) {
    SmallRun other = run;
    MergeOptions options;
    change(other, options);
    other.write(in_folder(name));
    merge_draws({in_folder(name)}, in_folder(name + ".nc"), options);
    return in_folder(name + ".nc");
  };
  const auto plain = merged("plain", [](auto&, auto&) {});
  const auto difference = [&](const std::string& name, const auto& change) {
    return difference_but_times(plain, merged(name, change));
  };
  EXPECT_EQ(difference("same", [](auto&, auto&) {}), "");
  EXPECT_EQ(difference("timed",
                       [](auto&, MergeOptions& o) {
                         o.sampling_time = 3.0;
                         o.created_at = "now";
                       }),
            "");
  EXPECT_EQ(difference("seed", [](SmallRun& r, auto&) { r.attributes["seed"] = std::int64_t{1}; }), "/: attributes");
  EXPECT_EQ(difference("bad", [](SmallRun& r, auto&) { r.bad_chain = 6; }), "/posterior/x");
  EXPECT_EQ(difference("names", [](SmallRun& r, auto&) { r.layout.dim_names[1] = "2nd"; }), "/posterior/dim");
  EXPECT_EQ(difference("fewer", [](SmallRun& r, auto&) { r.n_draws = 6; }), "/posterior/: dimensions");
  Matrix<float> values(4, 12);
  EXPECT_EQ(difference("images",
                       [&](auto&, MergeOptions& o) {
                         o.images = DecodedImages{values.view(), 3, 4, 1};
                       }),
            "/: groups");
  EXPECT_REFUSED(difference_but_times(plain, in_folder("none.nc")), "cannot be opened");
}

TEST_F(MergeTest, HoldsDecodedImages) {
  const SmallRun run;
  run.write(in_folder("a"));
  Matrix<float> values(4, 12);
  for (int i = 0; i < 48; ++i) values.data()[i] = static_cast<float>(i);
  MergeOptions options;
  options.sampling_time = 12.5;
  options.images = DecodedImages{values, 2, 2, 3};
  merge_draws({in_folder("a")}, in_folder("color.nc"), options);
  options.images = DecodedImages{values, 3, 4, 1};
  merge_draws({in_folder("a")}, in_folder("gray.nc"), options);
  const Look color(in_folder("color.nc"));
  EXPECT_EQ(color.number_attribute(color.group("posterior"), "sampling_time"), 12.5);
  EXPECT_EQ(color.dimensions(color.group("images"), "decoded"),
            (std::vector<std::string>{"chain", "row", "column", "channel"}));
  EXPECT_EQ(color.values(color.group("images"), "decoded")[47], 47);
  const Look gray(in_folder("gray.nc"));
  EXPECT_EQ(gray.dimensions(gray.group("images"), "decoded"), (std::vector<std::string>{"chain", "row", "column"}));
  EXPECT_EQ(gray.values(gray.group("images"), "chain").size(), 4U);
  options.images = DecodedImages{values, 3, 5, 1};
  EXPECT_REFUSED(merge_draws({in_folder("a")}, in_folder("gray.nc"), options), "decoded images of shape 4 x 12");
}

TEST_F(MergeTest, EqualRunsGiveEqualBytes) {
  for (const int deflate : {0, 4}) {
    SmallRun run;
    run.layout.n_recorded = 2;
    run.layout.dim_names = {"first", "second", "third"};
    run.policy.deflate = deflate;
    const auto a = in_folder(fmt::format("a{}", deflate));
    const auto b = in_folder(fmt::format("b{}", deflate));
    run.write(a);
    merge_draws({a}, a / "samples.nc", stored(run.policy));
    // HDF5 counts time in seconds.
    ::sleep(deflate == 0 ? 2 : 0);
    run.write(b);
    merge_draws({b}, b / "samples.nc", stored(run.policy));
    EXPECT_EQ(contents(a), contents(b)) << "deflate " << deflate;
    EXPECT_EQ(DrawReader(a / "samples.nc").draw(6)(9, 2), draw_value(9, 6, 2));
  }
}

TEST_F(MergeTest, CompressedFilesHoldTheSameDraws) {
  SmallRun run;
  run.bad_chain = -1;
  run.layout = {60, 0, -1, 700, 0, {}};
  run.blocks = {25, 25, 10};
  run.n_draws = 20;
  run.policy = {1U << 18, 5};
  run.write(in_folder("a"));
  // Chunks of 1 MiB do not line up with segments, and the pass works in smaller pieces still.
  merge_draws({in_folder("a")}, in_folder("a.nc"), stored({5000, 5}));
  merge_draws({in_folder("a")}, in_folder("b.nc"), stored({1000, 0}));
  merge_draws({in_folder("a")}, in_folder("c.nc"), stored({1U << 26, 0}));
  EXPECT_LT(std::filesystem::file_size(in_folder("a.nc")), std::filesystem::file_size(in_folder("b.nc")) / 2);
  EXPECT_EQ(read_file(in_folder("b.nc")), read_file(in_folder("c.nc")));
  const DrawReader packed(in_folder("a.nc"));
  const DrawReader plain(in_folder("b.nc"));
  EXPECT_EQ(packed.chains(0, 60), plain.chains(0, 60));
  EXPECT_EQ(plain.draw(19)(59, 699), draw_value(59, 19, 699));
}

TEST_F(MergeTest, FoldersTogetherEqualOneRun) {
  SmallRun whole;
  whole.write(in_folder("whole"));
  merge_draws({in_folder("whole")}, in_folder("whole.nc"));
  SmallRun first = whole;
  first.layout.chain_end = 6;
  first.blocks = {1, 5};
  first.attributes["host"] = std::string("a");  // not common to both: left out
  SmallRun second = whole;
  second.layout.chain_begin = 6;
  second.layout.chain_end = 10;
  second.blocks = {4};
  second.attributes["host"] = std::string("b");
  first.write(in_folder("first"));
  second.write(in_folder("second"));
  merge_draws({in_folder("second"), in_folder("first")}, in_folder("both.nc"));
  EXPECT_EQ(read_file(in_folder("both.nc")), read_file(in_folder("whole.nc")));
}

TEST_F(MergeTest, NamesChainsThatAreMissingOrStandTwice) {
  const auto part = [&](const std::string& name, std::int64_t begin, std::int64_t end) {
    SmallRun run;
    run.layout.chain_begin = begin;
    run.layout.chain_end = end;
    run.blocks = {end - begin};
    run.write(in_folder(name));
  };
  part("a", 0, 4);
  part("b", 5, 10);
  part("c", 3, 10);
  part("d", 4, 9);
  const auto out = in_folder("out.nc");
  EXPECT_REFUSED(merge_draws({in_folder("a"), in_folder("b")}, out), "no folder holds chain 4");
  EXPECT_REFUSED(merge_draws({in_folder("a"), in_folder("c")}, out), "holds chain 3, and so does another folder");
  EXPECT_REFUSED(merge_draws({in_folder("a"), in_folder("d")}, out), "no folder holds chain 9");
  EXPECT_REFUSED(merge_draws({in_folder("b")}, out), "no folder holds chains 0 to 4");
  EXPECT_REFUSED(merge_draws({in_folder("a"), in_folder("a")}, out), "holds chains 0 to 3, and so does another folder");
  EXPECT_REFUSED(merge_draws({}, out), "no folder");
  EXPECT_REFUSED(merge_draws({in_folder("x")}, out), "No such file");

  // A run that recorded fewer chains than it announced.
  SmallRun run;
  run.blocks = {4, 4};
  run.write(in_folder("fewer"));
  EXPECT_REFUSED(merge_draws({in_folder("fewer")}, out), "holds no draws of chains 8 to 9");
  SmallRun other;
  other.layout.n_dims = 4;
  other.write(in_folder("other"));
  EXPECT_REFUSED(merge_draws({in_folder("a"), in_folder("other")}, out), "another run");
  EXPECT_FALSE(std::filesystem::exists(out));
  EXPECT_FALSE(std::filesystem::exists(out.string() + ".tmp"));
}

TEST_F(MergeTest, RefusesUnfinishedAndUnevenRuns) {
  const SmallRun run;
  {
    DrawSegments segments(in_folder("open"), run.layout, run.attributes, run.policy);
    run.send(segments);
  }
  EXPECT_REFUSED(merge_draws({in_folder("open")}, in_folder("out.nc")), "not finished");
  {
    DrawSegments segments(in_folder("uneven"), run.layout, run.attributes, run.policy);
    run.send(segments, 20);
    segments.finish(run.summary());
  }
  EXPECT_REFUSED(merge_draws({in_folder("uneven")}, in_folder("out.nc")),
                 "holds chains 8 to 9 with 6 draws, but chains 0 to 3 with 7");
  {
    DrawSegments segments(in_folder("clock"), run.layout, run.attributes, run.policy);
    Matrix<float> x(5, 3);
    segments.take({0, 0, 100, 0.01, x, {}});
    segments.take({5, 0, 101, 0.01, x, {}});
    segments.finish(run.summary());
  }
  EXPECT_REFUSED(merge_draws({in_folder("clock")}, in_folder("out.nc")), "other steps or times");
}

TEST_F(MergeTest, ChecksEverySegmentBeforeItIsOpened) {
  const SmallRun run;
  run.write(in_folder("a"));
  const auto out = in_folder("out.nc");
  merge_draws({in_folder("a")}, out);
  const auto before = read_file(out);
  for (const std::string name : {"part-000000.nc", "part-000003.nc", "sample_stats.nc"}) {
    const auto path = in_folder("a") / name;
    const auto whole = read_file(path);
    for (std::size_t at = 0; at < whole.size(); at += 997) {
      auto changed = whole;
      changed[at] ^= std::byte{0x40};
      write_file_atomically(path, changed);
      EXPECT_REFUSED(merge_draws({in_folder("a")}, out), name + ": is damaged");
      write_file_atomically(path, ByteView(whole).first(at));
      EXPECT_REFUSED(merge_draws({in_folder("a")}, out), name + ": is damaged");
    }
    std::filesystem::remove(path);
    EXPECT_REFUSED(merge_draws({in_folder("a")}, out), "No such file");
    write_file_atomically(path, whole);
  }
  EXPECT_EQ(read_file(out), before);
  EXPECT_THAT(files(), testing::ElementsAre("a", "out.nc"));
  // A manifest that lies about a segment that is otherwise whole.
  auto manifest = read_manifest(in_folder("a"));
  manifest.layout.n_dims = 2;
  write_file_atomically(in_folder("a") / "manifest.json", encode_manifest(manifest));
  EXPECT_REFUSED(merge_draws({in_folder("a")}, out), "variable x has shape (4, 4, 3)");
  EXPECT_EQ(read_file(out), before);
}

TEST_F(MergeTest, AManifestThatClaimsTooMuchFillsNoDisk) {
  // One segment said to hold 2^40 chains in as many bytes as that takes: nothing is written on its word.
  const SmallRun run;
  run.write(in_folder("a"));
  auto manifest = read_manifest(in_folder("a"));
  manifest.layout.n_chains_total = manifest.layout.chain_end = 1LL << 40;
  manifest.segments.resize(1);
  manifest.segments[0].bytes = 1ULL << 60;
  manifest.segments[0].n_chains = 1LL << 40;
  write_file_atomically(in_folder("a") / "manifest.json", encode_manifest(manifest));
  EXPECT_REFUSED(merge_draws({in_folder("a")}, in_folder("out.nc")),
                 "part-000000.nc: is damaged: holds " +
                     std::to_string(std::filesystem::file_size(in_folder("a") / "part-000000.nc")) +
                     " bytes, the manifest says 1152921504606846976");
  EXPECT_THAT(files(), testing::ElementsAre("a"));
  write_file_atomically(in_folder("a") / "manifest.json", std::string((1U << 26) + 1, ' '));
  EXPECT_REFUSED(read_manifest(in_folder("a")), "at most 67108864 are allowed here");
}

TEST_F(MergeTest, ReaderRefusesOtherFiles) {
  EXPECT_REFUSED(DrawReader(in_folder("missing.nc")), "cannot be opened as NetCDF");
  // Never an address: no network is touched.
  EXPECT_REFUSED(DrawReader("https://example.com/samples.nc"), "No such file");
  EXPECT_REFUSED(DrawReader(golden("f4.npy")), "cannot be opened as NetCDF");
  const SmallRun run;
  run.write(in_folder("a"));
  EXPECT_REFUSED(DrawReader(in_folder("a") / "part-000000.nc"), "group posterior");
}

}  // namespace
}  // namespace tarn
