#include "train/initialise.h"

#include <cmath>
#include <numbers>

#include "contract/philox.h"
#include "io/xxh3.h"

namespace graft::train {

namespace {

using Kind = models::Initializer::Kind;

// In (0, 1): 53 bits of two words, so that its logarithm exists.
double unit_double(uint32_t high, uint32_t low) {
  const uint64_t bits = (static_cast<uint64_t>(high) << 21) ^ (low >> 11);
  return (static_cast<double>(bits) + 0.5) * 0x1p-53;
}

std::vector<float> draw(const models::Parameter& p, uint64_t seed) {
  const auto count = static_cast<uint64_t>(p.shape.numel());
  std::vector<float> values(count);
  const uint64_t stream = io::xxh3(std::as_bytes(std::span(p.name)));
  for (uint64_t i = 0; i < count; ++i) {
    const auto r = philox(seed, i, stream);
    const double u = unit_double(r.word[0], r.word[1]), v = unit_double(r.word[2], r.word[3]);
    double value = 0;
    switch (p.init.kind) {
      case Kind::zeros:
        break;
      case Kind::ones:
        value = 1;
        break;
      case Kind::normal:  // Box & Muller 1958
        value = p.init.scale * std::sqrt(-2 * std::log(u)) * std::cos(2 * std::numbers::pi * v);
        break;
      case Kind::uniform:
        value = p.init.scale * (2 * u - 1);
        break;
    }
    values[i] = static_cast<float>(value);
  }
  return values;
}

}  // namespace

void initialise(models::Network& network, uint64_t seed, const std::function<bool(const models::Parameter&)>& wanted) {
  for (const auto& entry : network.entries())
    if (wanted(entry.info)) network.set(entry.info.name, draw(entry.info, seed));
}

}  // namespace graft::train
