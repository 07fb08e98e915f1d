#include "tarn/experiment/evaluate_features.hpp"

#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>

#include "experiment/run_tools.hpp"
#include "message_of.hpp"
#include "tarn/core/noise.hpp"
#include "tarn/io/npy.hpp"

namespace tarn {
namespace {

namespace fs = std::filesystem;
using test::message_of;
using testing::HasSubstr;

class EvaluateFeatures : public test::RunTest {
 protected:
  static Matrix<float> normals(std::int64_t n, std::int64_t D, std::uint64_t seed, float shift = 0.0f) {
    Matrix<float> x(n, D);
    fill_normals(seed, Stream::synthetic_data, 0, 0, 1, x.view());
    for (std::int64_t i = 0; i < n; ++i) x(i, 0) += shift;
    return x;
  }
  fs::path write(const std::string& name, const Matrix<float>& x) const {
    write_npy(folder / name, x.view());
    return folder / name;
  }
  EvaluateFeaturesOptions options() const {
    EvaluateFeaturesOptions result;
    result.out = folder / "out";
    result.mixture = 4;
    result.n_threads = 2;
    return result;
  }
};

TEST_F(EvaluateFeatures, WritesFiguresWithIntervals) {
  Matrix<float> fake = normals(400, 3, 2, 1.0f);
  fake(7, 2) = std::numeric_limits<float>::quiet_NaN();
  const EvaluatedRun found =
      evaluate_features(write("real.npy", normals(1200, 3, 1)), write("fake.npy", fake), options());
  EXPECT_EQ(found.folder, folder / "out" / "features-1");
  EXPECT_NE(test::read_text(found.folder / "report.html").find("1 of 400 rows are not finite"), std::string::npos);
  std::map<std::string, nlohmann::json> lines;
  for (const std::string& line : test::lines_of(test::read_text(found.folder / "metrics.jsonl"))) {
    const auto parsed = nlohmann::json::parse(line);
    lines[parsed.at("name")] = parsed;
  }
  EXPECT_EQ(lines.at("rows_not_finite").at("value"), 1.0);
  for (const char* name :
       {"frechet", "sliced_w2", "energy_distance", "squared_mmd", "precision", "recall", "density", "coverage"}) {
    const auto& line = lines.at(std::string(name) + "_features");
    EXPECT_LT(line.at("low"), line.at("value")) << name;
    EXPECT_GT(line.at("high"), line.at("value")) << name;
    EXPECT_TRUE(line.contains("mixture") && line.contains("gaussian") && line.contains("floor")) << name;
    EXPECT_EQ(line.at("n"), 399) << name;
  }
  // N((1, 0, 0), I) against N(0, I): the squared distance of the means. Four standard errors, 2 sqrt(1/399 + 1/801), for one check
  const auto& frechet = lines.at("frechet_features");
  EXPECT_NEAR(frechet.at("value").get<double>(), 1.0, 0.5);
  EXPECT_GT(frechet.at("low").get<double>(), frechet.at("floor_high").get<double>());
  // along x_0 W1 is the shift; that of exact draws is led by the difference of two means, of standard error 0.06
  for (const char* name : {"mean_0", "variance_0", "excess_kurtosis_0", "w1_0", "kl_0", "w1_2", "kl_2"}) {
    const auto& line = lines.at(name);
    EXPECT_LT(line.at("low"), line.at("value")) << name;
    EXPECT_GT(line.at("high"), line.at("value")) << name;
    EXPECT_LT(line.at("floor_low"), line.at("floor_high")) << name;
    EXPECT_TRUE(line.contains("mixture") && line.contains("gaussian")) << name;
    EXPECT_EQ(line.at("n"), 399) << name;
    EXPECT_EQ(line.at("n_reference"), 801) << name;
  }
  EXPECT_NEAR(lines.at("w1_0").at("value").get<double>(), 1.0, 0.3);
  EXPECT_LT(lines.at("w1_0").at("floor").get<double>(), 0.2);
  EXPECT_GT(lines.at("w1_0").at("low").get<double>(), lines.at("w1_0").at("floor_high").get<double>());
  EXPECT_GT(lines.at("kl_0").at("low").get<double>(), lines.at("kl_0").at("floor_high").get<double>());
  // the table has what the file has
  const std::string page = test::read_text(found.folder / "report.html");
  const auto& w1 = lines.at("w1_0");
  EXPECT_NE(
      page.find(fmt::format("<th scope=\"row\">W1 of x_0</th><td class=\"intervals\">{:.3g} [{:.3g},\u00a0{:.3g}]</td>",
                            w1.at("value").get<double>(), w1.at("low").get<double>(), w1.at("high").get<double>())),
      std::string::npos);

  // again: the next folder, the same bytes on another number of threads but for the last digits of Frechet distances
  EvaluateFeaturesOptions one = options();
  one.n_threads = 1;
  const EvaluatedRun again = evaluate_features(folder / "real.npy", folder / "fake.npy", one);
  EXPECT_EQ(again.folder, folder / "out" / "features-2");
  const auto lines_but_frechet = [](const fs::path& of) {
    std::vector<std::string> kept = test::lines_of(test::read_text(of / "metrics.jsonl"));
    std::erase_if(kept, [](const std::string& line) { return line.find("frechet") != std::string::npos; });
    return kept;
  };
  EXPECT_EQ(lines_but_frechet(again.folder), lines_but_frechet(found.folder));
}

TEST_F(EvaluateFeatures, RefusesInOneLine) {
  const fs::path real = write("real.npy", normals(50, 3, 1)), other = write("other.npy", normals(50, 4, 1));
  Matrix<float> lost = normals(50, 3, 3);
  std::fill_n(lost.data(), lost.size() - 3, std::numeric_limits<float>::quiet_NaN());
  const fs::path gone = write("gone.npy", lost);
  const auto refused = [&](const fs::path& a, const fs::path& b) {
    return message_of([&] { evaluate_features(a, b, options()); });
  };
  EXPECT_THAT(refused(real, other), HasSubstr("other.npy: has 4 columns"));
  EXPECT_THAT(refused(real, gone),
              HasSubstr("gone.npy: has 1 finite rows and 49 others; a comparison needs 2 or more"));
  EXPECT_THAT(refused(gone, real),
              HasSubstr("gone.npy: has 1 finite rows and 49 others; a comparison needs 4 or more"));
  EXPECT_THAT(refused(folder / "nothing.npy", real), HasSubstr("nothing.npy"));
  EXPECT_FALSE(fs::exists(folder / "out")) << "nothing half-written";
}

}  // namespace
}  // namespace tarn
