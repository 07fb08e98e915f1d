#include <sys/resource.h>

#include <cmath>
#include <csignal>
#include <fstream>

#include "draw_test_tools.hpp"
#include "sanitized.hpp"

namespace tarn {
namespace {

using DrawsTest = IoTest;

TEST_F(DrawsTest, SegmentsHoldTheDrawsAndTheirClock) {
  SmallRun run;
  run.layout.n_recorded = 2;
  run.write(folder_);
  const auto manifest = read_manifest(folder_);
  // 4 chains x (3 + 2) floats + 16 bytes: 3 draws fit into 300 bytes; 2 chains: 5 draws.
  ASSERT_EQ(manifest.segments.size(), 3U + 3U + 2U);
  EXPECT_TRUE(manifest.finished());
  EXPECT_EQ(manifest.attributes, run.attributes);
  for (const auto& segment : manifest.segments) {
    const auto path = in_folder(segment.file);
    EXPECT_EQ(xxh3_of_file(path), segment.xxh3);
    EXPECT_EQ(std::filesystem::file_size(path), segment.bytes);
    EXPECT_LE(segment.n_draws * (segment.n_chains * 20 + 16), 300);
    const Look look(path);
    EXPECT_EQ(look.dimensions(look.root(), "x"), (std::vector<std::string>{"chain", "draw", "dim"}));
    EXPECT_EQ(look.dimensions(look.root(), "activity"), (std::vector<std::string>{"chain", "draw", "recorded"}));
    EXPECT_EQ(look.number_attribute(look.root(), "seed"), 3407);
    const auto x = look.values(look.root(), "x");
    const auto activity = look.values(look.root(), "activity");
    const auto chains = look.values(look.root(), "chain");
    const auto draws = look.values(look.root(), "draw");
    ASSERT_EQ(static_cast<std::int64_t>(x.size()), segment.n_chains * segment.n_draws * 3);
    for (std::int64_t c = 0; c < segment.n_chains; ++c) {
      EXPECT_EQ(chains[static_cast<std::size_t>(c)], static_cast<double>(segment.first_chain + c));
      for (std::int64_t d = 0; d < segment.n_draws; ++d) {
        const auto chain = segment.first_chain + c;
        const auto draw = segment.first_draw + d;
        EXPECT_EQ(draws[static_cast<std::size_t>(d)], static_cast<double>(draw));
        EXPECT_EQ(look.values(look.root(), "step")[static_cast<std::size_t>(d)], static_cast<double>(draw + 1) * 100);
        EXPECT_EQ(look.values(look.root(), "time")[static_cast<std::size_t>(d)], static_cast<double>(draw + 1) * 0.01);
        for (std::int64_t j = 0; j < 3; ++j) {
          const auto found = x[static_cast<std::size_t>((c * segment.n_draws + d) * 3 + j)];
          if (chain == 5 && draw >= 3) {
            EXPECT_TRUE(std::isnan(found));
          } else {
            EXPECT_EQ(found, draw_value(chain, draw, j));
          }
        }
        for (std::int64_t j = 0; j < 2; ++j) {
          const auto found = activity[static_cast<std::size_t>((c * segment.n_draws + d) * 2 + j)];
          if (draw % 2 == 1) {
            EXPECT_TRUE(std::isnan(found));
          } else {
            EXPECT_EQ(found, -draw_value(chain, draw, j));
          }
        }
      }
    }
  }
  const Look stats(in_folder("sample_stats.nc"));
  EXPECT_EQ(stats.values(stats.root(), "first_bad_step")[5], 350);
  EXPECT_EQ(stats.values(stats.root(), "first_bad_step")[4], -1);
  EXPECT_EQ(stats.values(stats.root(), "score_norm")[9], 4.5);
}

TEST_F(DrawsTest, DrawsLargerThanASegmentAreSplitByChains) {
  SmallRun run;
  run.policy.segment_bytes = 25;  // two chains of 12 bytes
  run.n_draws = 2;
  run.write(in_folder("a"));
  const auto manifest = read_manifest(in_folder("a"));
  ASSERT_EQ(manifest.segments.size(), 2U * 5U);
  for (const auto& segment : manifest.segments) EXPECT_EQ(segment.n_chains, 2);
  merge_draws({in_folder("a")}, in_folder("a.nc"));
  run.policy.segment_bytes = 1U << 20;
  run.write(in_folder("b"));
  EXPECT_EQ(read_manifest(in_folder("b")).segments.size(), 3U);
  merge_draws({in_folder("b")}, in_folder("b.nc"));
  EXPECT_EQ(read_file(in_folder("a.nc")), read_file(in_folder("b.nc")));
}

TEST_F(DrawsTest, RefusesDrawsOutOfOrder) {
  SmallRun run;
  DrawSegments segments(folder_, run.layout, {}, run.policy);
  EXPECT_REFUSED(run.take(segments, 0, 4, 1), "draw 1 of chains 0 to 3 came where draw 0 was expected");
  run.take(segments, 0, 4, 0);
  EXPECT_REFUSED(run.take(segments, 0, 4, 0), "draw 0 of chains 0 to 3 came where draw 1 was expected");
  EXPECT_REFUSED(run.take(segments, 0, 4, 2), "came where draw 1 was expected");
  EXPECT_REFUSED(run.take(segments, 2, 4, 0), "overlap chains 0 to 3");
  EXPECT_REFUSED(run.take(segments, 0, 3, 1), "overlap chains 0 to 3");
  EXPECT_REFUSED(run.take(segments, 8, 4, 0), "chains 0 to 9 are recorded");
  run.layout.n_dims = 4;
  EXPECT_REFUSED(run.take(segments, 4, 4, 0), "3 columns were expected");
  run.layout.n_dims = 3;
  run.layout.n_recorded = 2;
  EXPECT_REFUSED(run.take(segments, 4, 4, 0), "recordings of shape 4 x 2");
  auto summary = run.summary();
  summary.first_bad_step.pop_back();
  EXPECT_REFUSED(segments.finish(summary), "first_bad_step has 9 entries for 10 chains");
  summary = run.summary();
  summary.extras["chain"].resize(10);
  EXPECT_REFUSED(segments.finish(summary), "\"chain\" cannot name");
}

TEST_F(DrawsTest, NeverOverwritesARun) {
  SmallRun run;
  run.write(folder_);
  EXPECT_REFUSED(run.write(folder_), "holds draws already");
  auto other = run;
  other.layout.n_dims = 4;
  EXPECT_REFUSED(DrawSegments(folder_, other.layout, run.attributes, run.policy, OpenMode::resume), "another run");
  EXPECT_REFUSED(DrawSegments(folder_, run.layout, {}, run.policy, OpenMode::resume), "another run");
  EXPECT_REFUSED(DrawSegments(folder_, {0, 0, -1, 1, 0, {}}), "of 0 cannot be recorded");
  EXPECT_REFUSED(DrawSegments(folder_, {5, 3, 3, 1, 0, {}}), "chains 3 to 3 of 5");
  EXPECT_REFUSED(DrawSegments(folder_, {5, 0, -1, 2, 0, {"a"}}), "1 names for 2 dimensions");
  EXPECT_REFUSED(DrawSegments(in_folder("x"), run.layout, {{"bound", HUGE_VAL}}), "attribute \"bound\" is inf");
}

TEST_F(DrawsTest, AnInterruptedRunResumesToTheSameFiles) {
  SmallRun run;
  run.layout.n_recorded = 1;
  run.write(in_folder("whole"));
  const auto expected = contents(in_folder("whole"));
  const std::int64_t n_sent = run.n_draws * static_cast<std::int64_t>(run.blocks.size());
  for (std::int64_t stop = 0; stop <= n_sent; ++stop) {
    const auto folder = in_folder(fmt::format("cut{}", stop));
    {
      DrawSegments segments(folder, run.layout, run.attributes, run.policy);
      EXPECT_EQ(run.send(segments, stop), stop == n_sent);
    }
    // What a kill may leave behind: a half-written segment, and a closed one that the manifest does not list yet.
    const auto next = read_manifest(folder).segments.size();
    std::ofstream(folder / "part-000002.nc.tmp") << "half";
    std::ofstream(folder / fmt::format("part-{:06}.nc", next)) << "not listed";
    {
      DrawSegments segments(folder, run.layout, run.attributes, run.policy, OpenMode::resume);
      // Draws up to the last closed segment are not needed again.
      std::int64_t first = 0;
      for (const auto n : run.blocks) {
        for (auto draw = segments.next_draw(first, n) / 2; draw < run.n_draws; ++draw)
          run.take(segments, first, n, draw);
        first += n;
      }
      segments.finish(run.summary());
    }
    std::filesystem::remove(folder / "part-000002.nc.tmp");
    std::filesystem::remove(folder / "part-000008.nc");
    EXPECT_EQ(contents(folder), expected) << "stopped after " << stop;
  }
}

// A checkpoint holds the open segment: nothing before it needs to come again.
TEST_F(DrawsTest, AStoredOpenSegmentGoesOn) {
  SmallRun run;
  run.layout.n_recorded = 1;
  run.write(in_folder("whole"));
  const auto expected = contents(in_folder("whole"));
  const std::int64_t n_sent = run.n_draws * static_cast<std::int64_t>(run.blocks.size());
  // The checkpoint is written after `stop` draws, the kill comes `late` draws after that.
  const auto each_draw = [&](std::int64_t from, std::int64_t to, auto&& action) {
    std::int64_t first = 0, at = 0;
    for (const auto n : run.blocks) {
      for (std::int64_t draw = 0; draw < run.n_draws; ++draw, ++at) {
        if (at >= from && at < to) action(first, n, draw);
      }
      first += n;
    }
  };
  for (std::int64_t stop = 0; stop <= n_sent; ++stop) {
    for (const std::int64_t late : {0, 4}) {
      const auto folder = in_folder(fmt::format("cut{}-{}", stop, late));
      TensorFile checkpoint;
      {
        DrawSegments segments(folder, run.layout, run.attributes, run.policy);
        const auto take = [&](std::int64_t first, std::int64_t n, std::int64_t draw) {
          run.take(segments, first, n, draw);
        };
        each_draw(0, stop, take);
        segments.put_open_segment(checkpoint);
        each_draw(stop, stop + late, take);
      }
      checkpoint = parse_safetensors(encode_safetensors(checkpoint), "checkpoint");
      DrawSegments segments(folder, run.layout, run.attributes, run.policy, OpenMode::resume);
      segments.take_open_segment(checkpoint);
      each_draw(stop, n_sent,
                [&](std::int64_t first, std::int64_t n, std::int64_t draw) { run.take(segments, first, n, draw); });
      segments.finish(run.summary());
      EXPECT_EQ(contents(folder), expected) << "checkpoint after " << stop << ", killed " << late << " later";
    }
  }
}

TEST_F(DrawsTest, AnOpenSegmentOfAnotherRunIsRefused) {
  SmallRun run;
  TensorFile checkpoint;
  {
    DrawSegments segments(in_folder("a"), run.layout, run.attributes, run.policy);
    run.send(segments, 5);
    segments.put_open_segment(checkpoint);
  }
  ASSERT_TRUE(checkpoint.has("open.x"));
  const auto refused = [&](auto&& change) {
    TensorFile other = checkpoint;
    change(other);
    DrawSegments segments(in_folder("a"), run.layout, run.attributes, run.policy, OpenMode::resume);
    EXPECT_THROW(segments.take_open_segment(other), Error);
  };
  refused([](TensorFile& f) { f.put_vector("open.place", std::vector<std::int64_t>{8, 4, 4}); });
  refused([](TensorFile& f) { f.put_vector("open.place", std::vector<std::int64_t>{0, 4, 5}); });
  refused([](TensorFile& f) { f.put_vector("open.place", std::vector<std::int64_t>{0, -4, 4}); });
  refused([](TensorFile& f) { f.put_vector("open.times", std::vector<double>(7)); });
  refused([](TensorFile& f) { f.put_vector("open.x", std::vector<float>(7)); });
  refused([](TensorFile& f) {
    f.put_vector("open.steps", std::vector<std::int64_t>(1000));
    f.put_vector("open.times", std::vector<double>(1000));
  });
}

TEST_F(DrawsTest, ResumedBlocksMustStayTheSame) {
  SmallRun run;
  {
    DrawSegments segments(folder_, run.layout, run.attributes, run.policy);
    run.send(segments, 5);
  }
  DrawSegments segments(folder_, run.layout, run.attributes, run.policy, OpenMode::resume);
  EXPECT_EQ(segments.next_draw(0, 4), 4);
  EXPECT_EQ(segments.next_draw(0, 5), 0);
  EXPECT_EQ(segments.next_draw(4, 4), 0);
  EXPECT_REFUSED(run.take(segments, 0, 5, 0), "blocks must stay the same");
  EXPECT_REFUSED(run.take(segments, 0, 4, 6), "where draw 4 was expected");
}

TEST_F(DrawsTest, AFullDiskLeavesClosedSegmentsReadable) {
  SmallRun run;
  run.policy.segment_bytes = 100'000;
  run.blocks = {10};
  run.n_draws = 2000;
  std::signal(SIGXFSZ, SIG_IGN);
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &before), 0);
  std::string message;
  {
    DrawSegments segments(folder_, run.layout, run.attributes, run.policy);
    for (std::int64_t draw = 0; draw < 800; ++draw) run.take(segments, 0, 10, draw);
    rlimit small = before;
    small.rlim_cur = 50'000;
    ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &small), 0);
    message = refusal([&] {
      for (std::int64_t draw = 800; draw < 2000; ++draw) run.take(segments, 0, 10, draw);
    });
    ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &before), 0);
    EXPECT_REFUSED(segments.finish(run.summary()), "an earlier segment could not be written");
  }
  EXPECT_THAT(message, testing::HasSubstr("part-000001.nc"));
  EXPECT_THAT(files(), testing::ElementsAre("manifest.json", "part-000000.nc"));
  EXPECT_EQ(read_manifest(folder_).segments.size(), 1U);
  DrawSegments segments(folder_, run.layout, run.attributes, run.policy, OpenMode::resume);
  run.send(segments);
  segments.finish(run.summary());
  merge_draws({folder_}, in_folder("out.nc"));
  EXPECT_EQ(DrawReader(in_folder("out.nc")).draw(1999)(9, 2), draw_value(9, 1999, 2));
}

TEST_F(DrawsTest, MemoryIsBoundedByOneSegment) {
  if (test::sanitized) GTEST_SKIP() << "sanitizers keep freed memory for a while";
  const auto peak_kb = [] {
    std::ifstream status("/proc/self/status");
    for (std::string line; std::getline(status, line);) {
      if (line.starts_with("VmHWM:")) return std::stol(line.substr(6));
    }
    return 0L;
  };
  SmallRun run;
  run.layout = {1000, 0, -1, 10, 0, {}};
  run.blocks = {1000};
  run.n_draws = 100;
  run.policy.segment_bytes = 4U << 20;
  run.write(in_folder("short"));
  merge_draws({in_folder("short")}, in_folder("short.nc"), stored(run.policy));
  const auto before = peak_kb();
  run.n_draws = 2000;  // 80 MB
  run.write(in_folder("long"));
  merge_draws({in_folder("long")}, in_folder("long.nc"), stored(run.policy));
  EXPECT_LT(peak_kb() - before, 8'000);
}

DrawManifest example() {
  DrawManifest manifest;
  manifest.layout = {10, 2, 8, 3, 1, {"a", "b \"x\"\n", "c"}};
  manifest.attributes = {{"dt", 1.0}, {"seed", std::int64_t{-3}}, {"model", std::string("x")}};
  manifest.segments = {{"part-000000.nc", "0123456789abcdef", 1000, 2, 3, 0, 5},
                       {"part-000001.nc", "0123456789abcdef", 1000, 5, 3, 0, 5}};
  manifest.sample_stats_xxh3 = "fedcba9876543210";
  return manifest;
}

TEST(Manifest, RoundTrip) {
  EXPECT_EQ(parse_manifest(encode_manifest(example()), "m"), example());
  auto open = example();
  open.sample_stats_xxh3.clear();
  open.segments.clear();
  EXPECT_EQ(parse_manifest(encode_manifest(open), "m"), open);
}

TEST(Manifest, RefusesWhatNoRunWouldWrite) {
  const auto with = [](const std::string& from, const std::string& to) {
    auto text = encode_manifest(example());
    const auto at = text.find(from);
    EXPECT_NE(at, std::string::npos) << from;
    return parse_manifest(text.replace(at, from.size(), to), "manifest.json");
  };
  EXPECT_REFUSED(with("part-000001.nc", "../../etc/passwd"), "file must be \"part-000001.nc\"");
  EXPECT_REFUSED(with("\"format_version\": 1", "\"format_version\": 2"), "allowed: 1 to 1");
  EXPECT_REFUSED(with("\"n_dims\": 3", "\"n_dims\": 0"), "\"n_dims\" is 0");
  EXPECT_REFUSED(with("\"n_dims\": 3", "\"n_dims\": 3.5"), "\"n_dims\" is 3.5");
  EXPECT_REFUSED(with("\"n_dims\": 3", "\"n_dims\": 18446744073709551615"), "\"n_dims\" is");
  EXPECT_REFUSED(with("\"n_dims\": 3", "\"n_dims\": 2"), "3 names for 2 dimensions");
  EXPECT_REFUSED(with("\"chain_end\": 8", "\"chain_end\": 11"), "\"chain_end\" is 11; allowed: 3 to 10");
  EXPECT_REFUSED(with("\"first_chain\": 5", "\"first_chain\": 1"), "segment 1: \"first_chain\" is 1");
  EXPECT_REFUSED(with("\"n_chains\": 3", "\"n_chains\": 7"), "\"n_chains\" is 7; allowed: 1 to 6");
  EXPECT_REFUSED(with("\"n_draws\": 5", "\"n_draws\": 9007199254740000"), "1000 bytes cannot hold");
  EXPECT_REFUSED(with("0123456789abcdef", "0123456789abcdeF"), "16 hexadecimal digits");
  EXPECT_REFUSED(with("\"n_dims\"", "\"n_dim\""), "unknown key \"n_dim\"");
  EXPECT_REFUSED(with("\"n_dims\": 3,", ""), "lacks \"n_dims\"");
  EXPECT_REFUSED(with("\"n_dims\": 3", "\"n_dims\": 3, \"n_dims\": 3"), "stands twice");
  EXPECT_REFUSED(with("\"dt\":1.0", "\"dt\":[1]"), "attribute \"dt\"");
  EXPECT_REFUSED(with("\"a\"", "[[[[]]]]"), "nested more than 3 deep");
  EXPECT_REFUSED(parse_manifest("", "m"), "not well-formed JSON");
  EXPECT_REFUSED(parse_manifest("[]", "m"), "expected a JSON object");
}

TEST(Manifest, SurvivesDamage) {
  auto data = to_bytes(encode_manifest(example()));
  data.resize(data.size() - 1);  // without the line break at the end it is still whole
  const auto parse = [](ByteView bytes) {
    parse_manifest({reinterpret_cast<const char*>(bytes.data()), bytes.size()}, "m");
  };
  refuses_truncations(data, parse);
  survives_byte_changes(data, parse);
}

}  // namespace
}  // namespace tarn
