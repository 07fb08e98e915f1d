// A circuit learns the two half moons and draws from what it has learned; prints moments of its draws beside the data's.
#include <cmath>
#include <cstdio>
#include <tarn/tarn.hpp>

int main() {
  tarn::Matrix<float> data(4000, 2);  // [items, dimensions]; rows of your own go here
  tarn::TwoMoonsTarget(/*noise=*/0.1).draw(/*seed=*/1, /*first=*/0, data);
  const tarn::Circuit circuit = tarn::Circuit::train(data, {"model.neurons=200", "training.epochs=200"});
  const tarn::Matrix<float> draws = circuit.sample(4000);

  const auto ours = tarn::column_moments(draws), theirs = tarn::column_moments(data);
  bool alike = true;
  for (std::size_t d = 0; d < 2; ++d) {
    std::printf("x_%zu: mean %.3f (data %.3f), variance %.3f (data %.3f)\n", d, ours[d].mean, theirs[d].mean,
                ours[d].variance, theirs[d].variance);
    alike &= std::abs(ours[d].mean - theirs[d].mean) < 0.1 && std::abs(ours[d].variance / theirs[d].variance - 1) < 0.2;
  }
  return alike ? 0 : 1;
}
