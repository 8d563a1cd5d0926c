// Three threads predict with one classifier on the same picture and must agree; then an error must come out as
// graft::Error.
#include <graft/graft.h>

#include <cstdio>
#include <thread>
#include <vector>

int main(int argc, char** argv) try {
  if (argc != 2) return 2;
  const auto classifier = graft::Classifier::load(argv[1], {.threads = 2});
  const graft::Model& model = classifier.model();
  std::printf("%s, %lld parameters, %zu layers, %d pixels\n", model.architecture().c_str(),
              static_cast<long long>(model.parameters()), model.layers().size(), model.input_size());
  std::vector<uint8_t> rgb(48 * 40 * 3);
  for (size_t i = 0; i < rgb.size(); ++i) rgb[i] = static_cast<uint8_t>(i * 37 % 251);
  std::vector<std::vector<graft::Prediction>> answers(3);
  std::vector<std::thread> threads;
  for (auto& answer : answers) threads.emplace_back([&] { answer = classifier.predict(rgb.data(), 48, 40, 3); });
  for (auto& t : threads) t.join();
  for (const auto& answer : answers)
    for (size_t i = 0; i < 3; ++i)
      if (answer.size() != 3 || answer[i].index != answers[0][i].index ||
          answer[i].probability != answers[0][i].probability)
        return std::puts("threads disagree"), 1;
  try {
    graft::Classifier::load("no-such-file.h5");
  } catch (const graft::Error& e) {
    std::printf("an error, as it should be: %s\n", e.what());
    return 0;
  }
  return 1;
} catch (const std::exception& e) {
  std::fprintf(stderr, "consumer: %s\n", e.what());
  return 1;
}
