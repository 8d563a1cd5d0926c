// cuDNN and cuBLASLt of the major version before: what their files say of themselves, and nothing else.
#include <cstddef>

extern "C" size_t cudnnGetVersion() { return 80907; }
extern "C" size_t cublasLtGetVersion() { return 120805; }
