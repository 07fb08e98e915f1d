// A(eta) read from interneurons against the exact one. Tolerances: 5 standard errors as stated (a false alarm below 1e-6 for each of 18
// comparisons), and the bias of an Euler-Maruyama step of that length.
#include "tarn/models/interneuron_partition.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <omp.h>

#include <cmath>

#include "message_of.hpp"
#include "tarn/models/exponential_family.hpp"

namespace tarn::test {
namespace {

struct Case {
  Family family;
  double low, middle, high;
};

class InterneuronPartition : public testing::TestWithParam<Case> {};

TEST_P(InterneuronPartition, IsTheExactOne) {
  const HeeLayer layer{3, GetParam().family, {}, {}};
  const ExponentialFamily exact(layer.family, layer.parameters);
  const std::vector<double> eta{GetParam().low, GetParam().middle, GetParam().high};
  PartitionPath path;
  path.dt = 0.005;
  path.per_unit = 24;
  path.n_nodes = 6;
  const PartitionEstimate found = interneuron_log_partition(layer, 0, eta, path, 3);
  EXPECT_EQ(found.n_lost, 0);
  for (std::size_t i = 0; i < eta.size(); ++i) {
    const double way = exact.log_partition(eta[i]) - exact.log_partition(exact.link(0.0));
    EXPECT_NEAR(found.log_partition[i], exact.log_partition(eta[i]),
                5.0 * found.standard_error[i] + 0.02 * std::abs(way))
        << "eta " << eta[i];
    EXPECT_LT(found.standard_error[i], 0.15) << "an interval as wide as this says nothing";
    EXPECT_GT(std::abs(way), 6.0 * found.standard_error[i])
        << "a way as short as this could be passed by standing still";
  }
}
INSTANTIATE_TEST_SUITE_P(Families, InterneuronPartition,
                         testing::Values(Case{Family::gaussian, -2.0, 1.0, 3.0}, Case{Family::laplace, -3.0, 2.0, 3.0},
                                         Case{Family::gaussian_scale, 0.25, 2.0, 5.0},
                                         Case{Family::laplace_scale, 0.4, 2.0, 4.0},
                                         Case{Family::quartic, -2.0, 1.0, 3.0},
                                         Case{Family::rectified, -2.0, 1.0, 3.0}),
                         [](const auto& of) { return std::string(name_of(of.param.family)); });

TEST(InterneuronPartitions, DoNotDependOnThreadsNorOnOtherUnits) {
  const HeeLayer layer{2, Family::laplace, {}, {}};
  PartitionPath path;
  path.settle = path.time = 1.0;
  const std::vector<double> eta{1.0, -2.0};
  const int before = omp_get_max_threads();
  omp_set_num_threads(1);
  const PartitionEstimate one = interneuron_log_partition(layer, 1, eta, path, 3);
  omp_set_num_threads(3);
  const PartitionEstimate three = interneuron_log_partition(layer, 1, eta, path, 3);
  omp_set_num_threads(before);
  EXPECT_EQ(one.log_partition, three.log_partition);
  EXPECT_EQ(one.standard_error, three.standard_error);
}

// A step far beyond stability throws the quartic's interneurons off: they are counted, not averaged.
TEST(InterneuronPartitions, LostInterneuronsAreCounted) {
  PartitionPath path;
  path.dt = 5.0;
  path.settle = path.time = 100.0;
  const PartitionEstimate found = interneuron_log_partition({1, Family::quartic, {}, {}}, 0, std::vector{1.0}, path, 3);
  EXPECT_EQ(found.n_lost, path.per_unit);
  EXPECT_TRUE(std::isnan(found.log_partition[0]));
}

TEST(InterneuronPartitions, BadRequestsAreRefusedInOneLine) {
  const HeeLayer layer{1, Family::laplace, {}, {}};
  const auto refusal = [&](const PartitionPath& path, double eta) {
    return message_of([&] { interneuron_log_partition(layer, 0, std::vector{eta}, path, 1); });
  };
  EXPECT_THAT(refusal({}, 4.0), testing::HasSubstr("eta is 4; allowed for laplace: above -4, below 4"));
  PartitionPath path;
  path.n_nodes = 0;
  EXPECT_THAT(refusal(path, 1.0), testing::HasSubstr("0 nodes; allowed: 1 to 64"));
  path = {};
  path.per_unit = 1;
  EXPECT_THAT(refusal(path, 1.0), testing::HasSubstr("1 interneurons a unit"));
  path = {};
  path.dt = -1.0;
  EXPECT_THAT(refusal(path, 1.0), testing::HasSubstr("dt is -1"));
}

}  // namespace
}  // namespace tarn::test
