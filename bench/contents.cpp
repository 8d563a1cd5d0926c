// What the tensors of a case hold.
#include "bench/contestant.h"

namespace graft::bench {

namespace {

// Uniform in [0, 1): splitmix64's mixer on the place.
double unit(int view, int64_t i) {
  uint64_t z = (static_cast<uint64_t>(view) << 40) + static_cast<uint64_t>(i) * 0x9E3779B97F4A7C15ull;
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ull;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBull;
  z ^= z >> 31;
  return static_cast<double>(z >> 11) * 0x1p-53;
}

double number(const Content& content, int view, int64_t i) {
  switch (content.kind) {
    case Content::Kind::uniform:
      return 2 * unit(view, i) - 1;
    case Content::Kind::positive:
      return 0.5 + 1.5 * unit(view, i);
    case Content::Kind::whole:
      return static_cast<double>(static_cast<int64_t>(unit(view, i) * content.value));
    case Content::Kind::constant:
      break;
  }
  return content.value;
}

}  // namespace

Tensors contents_of(const KernelCase& c) {
  Tensors tensors;
  for (int i = 0; i < c.roles().inputs + c.roles().inouts; ++i) {
    const TensorView& view = c.view(i);
    if (!view.present()) continue;
    Bytes& bytes = tensors[static_cast<size_t>(i)];
    bytes.resize(static_cast<size_t>(view.bytes()));
    const Content& content = c.contents[static_cast<size_t>(i)];
    for (int64_t e = 0; e < view.numel(); ++e)
      put_element(bytes, view.dtype, e, rounded_to(view.dtype, number(content, i, e)));
  }
  return tensors;
}

}  // namespace graft::bench
