// cuDNN and cuBLASLt of the major version before: what their files say of themselves, and nothing else. And a library
// that nothing but a test asks for.
#include <cstddef>

extern "C" size_t cudnnGetVersion() { return 80907; }
extern "C" size_t cublasLtGetVersion() { return 120805; }
extern "C" int graft_stub_library() { return 42; }
