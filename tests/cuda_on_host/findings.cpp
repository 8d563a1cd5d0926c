#include "tests/cuda_on_host/findings.h"

#include <dlfcn.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <memory>
#include <utility>

#include "tests/cuda_on_host/control.h"

namespace graft::cuda_on_host {
namespace {

struct Findings {
  std::vector<std::string> texts;
  ~Findings() {  // at the end of the program: a defect that no test asked about is a failure
    if (texts.empty()) return;
    std::fprintf(stderr, "cuda_on_host: %zu finding(s) that no test took\n", texts.size());
    std::fflush(nullptr);
    _exit(kFindingsExitCode);
  }
};
Findings findings;

}  // namespace

void add_finding(std::string text) {
  std::fprintf(stderr, "cuda_on_host: %s\n", text.c_str());
  findings.texts.push_back(std::move(text));
}

std::vector<std::string> take_findings() { return std::exchange(findings.texts, {}); }

std::string describe(const std::source_location& site) {
  return fmt::format("{}:{}", std::filesystem::path(site.file_name()).filename().string(), site.line());
}

std::string describe_code(const void* pc) {
  Dl_info module;
  if (!dladdr(pc, &module) || !module.dli_fname) return "an unknown place";
  const auto offset = reinterpret_cast<uintptr_t>(pc) - 1 - reinterpret_cast<uintptr_t>(module.dli_fbase);
  // Position-independent programs are linked at 0, others at their address.
  const auto base = reinterpret_cast<uintptr_t>(module.dli_fbase);
  const auto address = base == 0x400000 ? offset + base : offset;
  std::error_code ignored;
  auto file = std::filesystem::read_symlink("/proc/self/exe", ignored).string();
  const auto command = fmt::format("addr2line -se '{}' {:#x} 2>/dev/null", file, address);
  const std::unique_ptr<FILE, int (*)(FILE*)> pipe(popen(command.c_str(), "r"), pclose);
  char line[256] = "";
  if (pipe && std::fgets(line, sizeof line, pipe.get())) {
    std::string place(line);
    place.erase(place.find_last_not_of('\n') + 1);
    if (!place.starts_with("??")) return place.substr(0, place.find(" ("));
  }
  return fmt::format("{}+{:#x}", std::filesystem::path(file).filename().string(), address);
}

}  // namespace graft::cuda_on_host
