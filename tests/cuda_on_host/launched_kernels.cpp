#include "tests/cuda_on_host/launched_kernels.h"

#include <cxxabi.h>
#include <elf.h>
#include <fmt/format.h>
#include <sys/auxv.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <memory>
#include <unordered_map>
#include <vector>

#include "tests/cuda_on_host/control.h"

namespace graft::cuda_on_host {
namespace {

// The functions of this program by address, local ones and hidden ones included: .symtab has them all, which dladdr()
// has not. Addresses are as linked.
std::unordered_map<uintptr_t, std::string> read_functions() {
  std::unordered_map<uintptr_t, std::string> functions;
  std::ifstream file("/proc/self/exe", std::ios::binary);
  const auto read = [&](uint64_t offset, auto& out, size_t count) {
    out.resize(count);
    file.seekg(static_cast<std::streamoff>(offset));
    file.read(reinterpret_cast<char*>(out.data()), static_cast<std::streamsize>(count * sizeof(out[0])));
  };
  std::vector<Elf64_Ehdr> header;
  read(0, header, 1);
  std::vector<Elf64_Shdr> sections;
  read(header[0].e_shoff, sections, header[0].e_shnum);
  for (const auto& section : sections) {
    if (section.sh_type != SHT_SYMTAB || !file) continue;
    std::vector<Elf64_Sym> symbols;
    std::vector<char> names;
    read(section.sh_offset, symbols, section.sh_size / sizeof(Elf64_Sym));
    read(sections[section.sh_link].sh_offset, names, sections[section.sh_link].sh_size);
    for (const auto& symbol : symbols)
      if (ELF64_ST_TYPE(symbol.st_info) == STT_FUNC && symbol.st_value)
        functions.emplace(symbol.st_value, names.data() + symbol.st_name);
  }
  return functions;
}

// Where the program was loaded, over where it was linked: the header table tells both.
uintptr_t load_bias() {
  const auto* table = reinterpret_cast<const Elf64_Phdr*>(getauxval(AT_PHDR));
  for (size_t i = 0; i < getauxval(AT_PHNUM); ++i)
    if (table[i].p_type == PT_PHDR) return reinterpret_cast<uintptr_t>(table) - table[i].p_vaddr;
  return 0;
}

std::map<std::string, LaunchedKernel>& launched() {
  static auto* kernels = new std::map<std::string, LaunchedKernel>;
  return *kernels;
}

}  // namespace

std::string kernel_name(const void* kernel) {
  static const auto* functions = new std::unordered_map<uintptr_t, std::string>(read_functions());
  static auto* names = new std::unordered_map<const void*, std::string>;
  std::string& name = (*names)[kernel];
  if (!name.empty()) return name;
  const auto function = functions->find(reinterpret_cast<uintptr_t>(kernel) - load_bias());
  if (function == functions->end()) return name = fmt::format("kernel at {}", kernel);
  int status = 0;
  const std::unique_ptr<char, void (*)(void*)> readable(
      abi::__cxa_demangle(function->second.c_str(), nullptr, nullptr, &status), std::free);
  return name = status == 0 ? readable.get() : function->second;
}

void note_launch(const std::string& kernel, size_t blocks, size_t threads, size_t shared_bytes,
                 size_t static_shared_bytes) {
  LaunchedKernel& k = launched()[kernel];
  ++k.launches;
  k.most_blocks = std::max<uint64_t>(k.most_blocks, blocks);
  k.most_threads = std::max<uint64_t>(k.most_threads, threads);
  k.most_shared_bytes = std::max(k.most_shared_bytes, shared_bytes);
  k.static_shared_bytes = std::max(k.static_shared_bytes, static_shared_bytes);
}

const std::map<std::string, LaunchedKernel>& launched_kernels() { return launched(); }

}  // namespace graft::cuda_on_host
