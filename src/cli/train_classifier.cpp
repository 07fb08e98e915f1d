#include <algorithm>
#include <memory>

#include "commands.hpp"
#include "tarn/core/error.hpp"
#include "tarn/core/log.hpp"
#include "tarn/data/dataset.hpp"
#include "tarn/training/classifier.hpp"

namespace tarn::cli {

void add_train_classifier(CLI::App& app, Action& action) {
  struct Arguments {
    std::string data, out = "classifier.safetensors", kind = "idx", labels;
    std::int64_t max_items = 0;
    std::uint64_t seed = 3407;
    ClassifierFit fit;
  };
  auto a = std::make_shared<Arguments>();
  CLI::App* command =
      app.add_subcommand("train-classifier", "Train the classifier that evaluation.classifier judges images with");
  command->add_option("--data", a->data, "Labelled images: a file or folder, as data.path of a config")->required();
  command->add_option("--kind", a->kind, "idx, cifar10, npy, png_folder")->capture_default_str();
  command->add_option("--labels", a->labels, "Labels in a file of their own, IDX or .npy");
  command->add_option("--max-items", a->max_items, "The first so many images; 0: all")
      ->capture_default_str()
      ->check(CLI::NonNegativeNumber);
  command->add_option("--out", a->out, "File to write")->capture_default_str();
  command->add_option("--seed", a->seed, "Of the split, the initial weights and the batches")->capture_default_str();
  command->add_option("--epochs", a->fit.epochs, "Passes over the half that is trained on")
      ->capture_default_str()
      ->check(CLI::Range(0, 100000));
  command->callback([a, &action] {
    action = [a] {
      ReadOptions options;
      if (a->max_items > 0) options.max_items = a->max_items;
      Dataset set = read_dataset(parse_dataset_kind(a->kind), a->data, options);
      if (!a->labels.empty()) {
        set.labels = read_labels(a->labels);
        if (static_cast<std::int64_t>(set.labels.size()) < set.x.rows())
          fail("{}: {} labels for {} items of {}", a->labels, set.labels.size(), set.x.rows(), set.source);
        set.labels.resize(static_cast<std::size_t>(set.x.rows()));
      }
      if (set.labels.empty()) fail_usage("{}: has no labels; give them with --labels", a->data);
      a->fit.batch_size = std::min(a->fit.batch_size, set.x.rows() - set.x.rows() / 2);
      const Classifier classifier = fit_classifier(set.x, set.labels, a->fit, a->seed);
      save_classifier(classifier, a->out);
      info("{}: {} classes, trained on {} images; {:.2f} % of {} others named as they are labelled", a->out,
           classifier.labels.size(), classifier.n_rows - classifier.n_rows / 2, 100.0 * classifier.accuracy,
           classifier.n_rows / 2);
      return 0;
    };
  });
}

}  // namespace tarn::cli
