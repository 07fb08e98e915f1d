// Live diagnostics of a session's chains on the CPU: which units are looked at, and that looks are of the states that are read.
#include <gmock/gmock.h>

#include "compute/hee_watch_checks.hpp"
#include "message_of.hpp"

namespace tarn {
namespace {

using test::some_hee;
using testing::HasSubstr;
using Order = std::vector<HeeUnits>;

TEST(HeeWatch, FirstUnitsOfEachLayerStandInFront) {
  const HeeParameters p = some_hee({{5, 9, 2, 6}, std::vector<Family>(4, Family::gaussian)});
  EXPECT_EQ(watched_units(p, 0, 0, 3), (Order{{0, 0, 5}}));
  EXPECT_EQ(watched_units(p, 0, 0, 5), (Order{{0, 0, 5}}));
  // a layer that has no more leaves its share to the others
  EXPECT_EQ(watched_units(p, 1, 3, 8), (Order{{1, 0, 3}, {2, 0, 2}, {3, 0, 3}, {1, 3, 6}, {3, 3, 3}}));
  EXPECT_EQ(watched_units(p, 1, 3, 2), (Order{{1, 0, 1}, {2, 0, 1}, {1, 1, 8}, {2, 1, 1}, {3, 0, 6}}));
  EXPECT_EQ(watched_units(p, 1, 3, 17), (Order{{1, 0, 9}, {2, 0, 2}, {3, 0, 6}}));
  EXPECT_EQ(n_units(watched_units(p, 1, 3, 8)), 17);
  EXPECT_THROW(watched_units(p, 1, 3, 18), Error);
  EXPECT_THROW(watched_units(p, 1, 4, 2), Error);
  EXPECT_THROW(watched_units(p, -1, 1, 2), Error);
}

TEST(HeeWatch, LooksAreOfTheStatesThatAreRead) {
  for (const int n_threads : {1, 3}) {
    const auto backend = make_cpu_backend(n_threads);
    const test::MakeHee make = [&](const HeeParameters& p, const HeeOptimizer& o) {
      return backend->make_hee_session(p, o);
    };
    test::expect_watched(make, 1, 2, false, 8);
    test::expect_watched(make, 0, 0, true, 2);
    test::expect_watched(make, 0, 0, false, 1);
  }
}

TEST(HeeWatch, MisuseIsRefused) {
  const HeeParameters p = some_hee({{5, 9}, {Family::gaussian, Family::gaussian}});
  const auto session = make_cpu_backend(1)->make_hee_session(p, {});
  session->set_rows({.n_data = 4});
  EXPECT_THAT(test::message_of([&] { session->observe(); }), HasSubstr("nothing is watched"));
  EXPECT_THROW(session->read_watch(), Error);
  WatchPlan plan;
  plan.n_outputs = 4;
  session->watch(1, 1, plan);
  session->observe();
  const WatchState state = session->read_watch();
  session->set_rows({.n_data = 5});
  EXPECT_THROW(session->observe(), Error);
  EXPECT_THROW(session->watch(1, 1, plan, &state), Error);
  EXPECT_THROW(session->watch(1, 2, plan), Error);
}

}  // namespace
}  // namespace tarn
