#include "hee_checkpoint.hpp"

#include "tarn/core/error.hpp"

namespace tarn {
namespace {

constexpr std::string_view training_prefix = "training.", chains_prefix = "chains.";

std::map<std::string, Matrix<float>> matrices_below(const TensorFile& file, std::string_view prefix) {
  std::map<std::string, Matrix<float>> found;
  for (const auto& [name, tensor] : file.tensors) {
    if (name.starts_with(prefix) && tensor.shape.size() == 2) found[name.substr(prefix.size())] = file.matrix(name);
  }
  return found;
}

std::string latents_name(std::size_t layer) { return fmt::format("latents.{}", layer); }

}  // namespace

void put_hee_chains(TensorFile& file, const HeeSession& session) {
  const HeeChainState chains = session.chain_state();
  for (const auto& [name, array] : chains.arrays) file.put(std::string(chains_prefix) + name, array.view());
  file.put_vector("chains_first_bad_step", chains.first_bad_step);
}

void restore_hee_chains(const TensorFile& file, const HeeRows& rows, HeeSession& session) {
  HeeChainState chains;
  chains.arrays = matrices_below(file, chains_prefix);
  chains.first_bad_step = file.values<std::int64_t>("chains_first_bad_step", rows.n_rows());
  session.set_rows(rows);
  session.restore(chains);
}

void put_hee_training(TensorFile& file, const HeeTrainingPosition& at, const HeeSession& session) {
  const TrainingState state = session.training_state();
  file.put_vector("position", std::vector<std::int64_t>{at.step, state.n_updates, std::ssize(at.latents)});
  for (const auto& [name, array] : state.arrays) file.put(std::string(training_prefix) + name, array.view());
  for (std::size_t l = 0; l < at.latents.size(); ++l) file.put(latents_name(l + 1), at.latents[l].view());
  put_hee_chains(file, session);
}

HeeTrainingPosition restore_hee_training(const TensorFile& file, const HeeRows& rows, HeeSession& session) {
  const auto at = file.values<std::int64_t>("position", 3);
  for (const std::int64_t value : at)
    require(value >= 0 && value < (1LL << 48), "{}: position holds {}", file.source, value);
  TrainingState state;
  state.n_updates = at[1];
  state.arrays = matrices_below(file, training_prefix);
  session.restore(state);
  restore_hee_chains(file, rows, session);
  HeeTrainingPosition position;
  position.step = at[0];
  for (std::int64_t l = 1; l <= at[2]; ++l)
    position.latents.push_back(file.matrix(latents_name(static_cast<std::size_t>(l))));
  return position;
}

}  // namespace tarn
