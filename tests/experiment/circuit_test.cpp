// A circuit trained on rows in memory is the one that a run makes of the same rows in a file.
#include "tarn/experiment/circuit.hpp"

#include <cmath>
#include <limits>

#include "experiment/run_tools.hpp"
#include "message_of.hpp"
#include "tarn/core/error.hpp"
#include "tarn/data/synthetic.hpp"
#include "tarn/experiment/stages.hpp"
#include "tarn/io/draws.hpp"
#include "tarn/io/npy.hpp"
#include "tarn/models/score.hpp"

namespace tarn {
namespace {

using test::message_of;
using test::RunTest;
using testing::HasSubstr;

const std::vector<std::string> small{"run.seed=5", "model.neurons=24", "training.epochs=4", "training.noise.levels=3",
                                     "training.batch_size=64"};

Matrix<float> moons(std::int64_t n) {
  Matrix<float> rows(n, 2);
  TwoMoonsTarget(0.1).draw(1, 0, rows);
  for (std::int64_t i = 0; i < rows.size(); ++i) rows.data()[i] = 3.0f * rows.data()[i] + 7.0f;
  return rows;
}

class CircuitTest : public RunTest {};

TEST_F(CircuitTest, IsWhatARunMakesOfTheSameRows) {
  const Matrix<float> rows = moons(640);
  write_npy((folder / "rows.npy").string(), rows.view());
  std::vector<std::string> settings = small;
  const Config config = parse_config("[run]\nname = \"moons\"\n[data]\nkind = \"npy\"\npath = \"" +
                                         (folder / "rows.npy").string() + "\"\n[sampling]\nchains = 50\n",
                                     "moons.toml", small);
  const RunOutcome run = run_experiment(config, {folder / "runs", 1});

  const Circuit circuit = Circuit::train(rows, small, 2);
  const StoredRun stored = load_run(run.folder);
  ASSERT_EQ(circuit.levels().size(), stored.levels.size());
  for (std::size_t l = 0; l < stored.levels.size(); ++l) {
    EXPECT_TRUE(circuit.levels()[l].W_out == stored.levels[l].W_out) << l;
    EXPECT_TRUE(circuit.levels()[l].W_in == stored.levels[l].W_in) << l;
    EXPECT_TRUE(circuit.levels()[l].b == stored.levels[l].b) << l;
  }
  const Matrix<float> draws = circuit.sample(50);
  EXPECT_TRUE(draws == DrawReader(run.folder / "samples.nc").draw(-1));
  EXPECT_TRUE(Circuit::load(run.folder).sample(50) == draws);
  EXPECT_TRUE(Circuit::load(run.folder).score(rows) == circuit.score(rows));

  // more chains go on where fewer ended; another seed is another noise; settings reach the schedule
  const Matrix<float> more = circuit.sample(80);
  for (std::int64_t i = 0; i < draws.size(); ++i) EXPECT_EQ(draws.data()[i], more.data()[i]) << i;
  EXPECT_FALSE(circuit.sample(50, {"run.seed=6"}) == draws);
  EXPECT_FALSE(circuit.sample(50, {"sampling.annealed.steps_per_level=2"}) == draws);
  EXPECT_TRUE(circuit.sample(50) == draws) << "settings of a call stay with that call";
}

TEST_F(CircuitTest, FiltersAndUnitsAreUndone) {
  Matrix<float> rows(400, 3);  // a plane in three dimensions
  const Matrix<float> plane = moons(400);
  for (std::int64_t i = 0; i < 400; ++i) {
    rows(i, 0) = plane(i, 0);
    rows(i, 1) = plane(i, 1);
    rows(i, 2) = plane(i, 0) - plane(i, 1) + 100.0f;
  }
  std::vector<std::string> settings = small;
  settings.insert(settings.end(), {"filter.kind=\"pca\"", "filter.components=2"});
  const Matrix<float> draws = Circuit::train(rows, settings).sample(30);
  ASSERT_EQ(draws.rows(), 30);
  ASSERT_EQ(draws.cols(), 3);
  for (std::int64_t i = 0; i < 30; ++i) {
    EXPECT_NEAR(draws(i, 2), draws(i, 0) - draws(i, 1) + 100.0f, 1e-2f) << "draws lie in the plane of the data";
  }
}

TEST_F(CircuitTest, RefusesWhatItCannotUse) {
  Matrix<float> rows = moons(100);
  const auto usage = [&](const std::vector<std::string>& settings) {
    return message_of<UsageError>([&] { Circuit::train(rows, settings); });
  };
  EXPECT_EQ(usage({"data.path=\"x.npy\""}),
            "data.path: has no meaning for rows in memory; of the [data] table they take data.scaling alone");
  EXPECT_THAT(usage({"modle.neurons=3"}), HasSubstr("model.neurons"));
  EXPECT_THAT(usage({"training.batch_size=101"}), HasSubstr("more than the 100 items"));
  EXPECT_THAT(message_of<Error>([] { Circuit::train(Matrix<float>(0, 2)); }), HasSubstr("0 items of 2 values"));
  rows(17, 1) = std::numeric_limits<float>::quiet_NaN();
  EXPECT_EQ(message_of<Error>([&] { Circuit::train(rows, small); }),
            "rows in memory: nan at [17, 1]; every value must be finite");
  EXPECT_THAT(message_of<Error>([&] { Circuit::load(folder); }), HasSubstr(folder.string()));
}

}  // namespace
}  // namespace tarn
