// Name what is in photos.
//
//   predict pets.h5 photo.jpg another.png
#include <graft/graft.h>

#include <cstdio>

int main(int argc, char** argv) try {
  if (argc < 3) return std::puts("usage: predict MODEL.h5 PHOTO..."), 2;

  const auto classifier = graft::Classifier::load(argv[1]);
  for (int i = 2; i < argc; ++i) {
    std::printf("%s\n", argv[i]);
    for (const graft::Prediction& p : classifier.predict(argv[i], 3))
      std::printf("  %5.1f %%  %s\n", 100 * p.probability, p.name.c_str());
  }
  return 0;
} catch (const graft::Error& e) {
  std::fprintf(stderr, "predict: %s\n", e.what());
  return 1;
}
