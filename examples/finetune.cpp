// Load a trained network, freeze its trunk, train a new head on a folder of photos, save.
//
//   finetune lite0.h5 photos/ pets.h5          photos/ holds one folder for each class
#include <graft/graft.h>

#include <cstdio>

int main(int argc, char** argv) try {
  if (argc != 4) return std::puts("usage: finetune MODEL.h5 PHOTOS OUT.h5"), 2;

  graft::TrainSettings settings;
  settings.epochs = 5;  // no word of layers: the trunk is frozen, a new head trains

  graft::Trainer trainer(argv[1], argv[2], settings);
  const auto result = trainer.run(argv[3], [](const graft::EpochReport& e) {
    std::printf("epoch %d: loss %.3f, accuracy on photos it has not seen %.1f %%\n", static_cast<int>(e.epoch),
                e.train_loss, 100 * e.validation_accuracy);
    return true;  // go on
  });

  std::printf("best: %.1f %%, saved in %s\n", 100 * result.best_accuracy, argv[3]);
  return 0;
} catch (const graft::Error& e) {
  std::fprintf(stderr, "finetune: %s\n", e.what());
  return 1;
}
