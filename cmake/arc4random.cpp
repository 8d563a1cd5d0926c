// libstdc++'s archive refers to arc4random, which is glibc's since 2.36 only, for std::random_device. graft has no
// random_device: whatever calls this is a mistake.
#include <cstdint>
#include <cstdlib>

extern "C" std::uint32_t arc4random() { std::abort(); }
