// What the kernels of the copy that ./mechanical makes ask before each barrier, wait and guard: is this one removed?
// GRAFT_REMOVED: the number of the place that is. GRAFT_REACHED: a file for the numbers of all that asked.
#include <cstdlib>
#include <fstream>
#include <vector>

bool graft_removed(int place);

namespace {

const char* const kRemoved = std::getenv("GRAFT_REMOVED");
const int kPlace = kRemoved != nullptr ? std::atoi(kRemoved) : -1;

struct Reached {
  std::vector<char> places = std::vector<char>(4096);
  ~Reached() {
    if (const char* file = std::getenv("GRAFT_REACHED")) {
      std::ofstream out(file);
      for (size_t i = 0; i < places.size(); ++i)
        if (places[i] != 0) out << i << '\n';
    }
  }
} reached;

}  // namespace

bool graft_removed(int place) {
  reached.places[static_cast<size_t>(place)] = 1;
  return place == kPlace;
}
