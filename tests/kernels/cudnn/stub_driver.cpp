// A driver that takes every module and runs nothing. cuDNN compiles the kernels of some plans itself and has the driver
// load them before it calls a plan good; where there is no GPU, this one does. Everything else answers that it is a
// stub, as the library in the toolkit's folder `stubs` does, which refuses to load as well.
#include <dlfcn.h>

#include <cstring>

extern "C" {

constexpr int kStub = 34, kNotFound = 500;  // CUDA_ERROR_STUB_LIBRARY, CUDA_ERROR_NOT_FOUND

int cuDriverGetVersion(int* version) {
  *version = 13000;
  return 0;
}

int cuLibraryLoadData(void** library, const void*, void*, void*, unsigned, void*, void*, unsigned) {
  static char loaded;
  *library = &loaded;
  return 0;
}
int cuLibraryUnload(void*) { return 0; }
int cuLibraryGetKernel(void** kernel, void*, const char*) {
  static char found;
  *kernel = &found;
  return 0;
}
int cuKernelGetAttribute(int* value, int, void*, int) {
  *value = 0;
  return 0;
}
int cuKernelSetAttribute(int, int, void*, int) { return 0; }

#define GRAFT_STUB(name) \
  int name() { return kStub; }
GRAFT_STUB(cuInit)
GRAFT_STUB(cuCtxGetCurrent)
GRAFT_STUB(cuCtxGetLimit)
GRAFT_STUB(cuCtxPopCurrent)
GRAFT_STUB(cuCtxPushCurrent)
GRAFT_STUB(cuDeviceGet)
GRAFT_STUB(cuDeviceGetCount)
GRAFT_STUB(cuGetErrorName)
GRAFT_STUB(cuGetErrorString)
GRAFT_STUB(cuLaunchCooperativeKernel)
GRAFT_STUB(cuLaunchKernel)
GRAFT_STUB(cuLaunchKernelEx)
GRAFT_STUB(cuLibraryLoadFromFile)
GRAFT_STUB(cuLinkAddData)
GRAFT_STUB(cuLinkComplete)
GRAFT_STUB(cuLinkCreate)
GRAFT_STUB(cuLinkDestroy)
GRAFT_STUB(cuOccupancyMaxPotentialClusterSize)
GRAFT_STUB(cuStreamGetCtx)

int cuGetProcAddress_v2(const char* name, void** function, int, unsigned long, void*) {
  static void* const self = dlopen("libcuda.so.1", RTLD_NOW | RTLD_NOLOAD);
  *function = self != nullptr ? dlsym(self, name) : nullptr;
  return *function != nullptr ? 0 : kNotFound;
}

}  // extern "C"
