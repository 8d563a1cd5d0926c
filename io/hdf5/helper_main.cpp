// graft-h5-index: reads an HDF5 file that nobody vouches for and answers with its index (index.h) on standard output.
//
//   graft-h5-index < FILE        as graft starts it, see guarded_index.cpp
//   graft-h5-index FILE          by hand
//
// It links the HDF5 library and little else, is linked statically, and gives up every right it does not need before it
// looks at the file. Exit code 0: there is an answer, an index or a refusal. Everything else is a crash.
#include <fcntl.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <new>
#include <string_view>

#include "core/error.h"
#include "io/hdf5/handle.h"
#include "io/hdf5/indexer.h"
#include "io/hdf5/sandbox.h"

// HDF5 loads filter plug-ins with these. Here there are none to load.
extern "C" {
void* dlopen(const char*, int) { return nullptr; }
void* dlsym(void*, const char*) { return nullptr; }
int dlclose(void*) { return 0; }
char* dlerror() { return nullptr; }
}

namespace {

std::string answer() {
  using namespace graft;
  if (H5open() < 0) return io::encode_refusal("graft-h5-index: HDF5 does not start");
  H5PLset_loading_state(0);
  const char* refused = io::limit_resources({});
  if (!refused) refused = io::restrict_system_calls();
  if (refused)
    return io::encode_refusal(
        fmt::format("it is not opened: graft-h5-index, which reads model files, first gives up every right it does not "
                    "need, and this system refuses it {}; a container's settings may be the reason",
                    refused));
  try {
    std::string index = io::encode_index(io::index_hdf5(STDIN_FILENO));
    GRAFT_CHECK(index.size() <= io::kMaxIndexBytes, "its index is larger than that of any network");
    return index;
  } catch (const Error& error) {
    return io::encode_refusal(error.what());
  } catch (const std::bad_alloc&) {
    return io::encode_refusal("reading its index takes more memory than a model file needs; it is damaged or hostile");
  }
}

bool write_all(std::string_view text) {
  while (!text.empty()) {
    const ssize_t n = write(STDOUT_FILENO, text.data(), text.size());
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return false;
    text.remove_prefix(static_cast<size_t>(n));
  }
  return true;
}

}  // namespace

int main(int argc, char** argv) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (argc > 1) {
    const int file = open(argv[1], O_RDONLY);
    if (file < 0 || dup2(file, STDIN_FILENO) < 0 || close(file) != 0) {
      std::fprintf(stderr, "graft-h5-index: cannot open %s: %s\n", argv[1], std::strerror(errno));
      return 2;
    }
  }
  _exit(write_all(answer()) ? 0 : 3);  // no destructors: HDF5's would want more than it may
}
