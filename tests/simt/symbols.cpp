#include "symbols.hpp"

#include <cxxabi.h>
#include <dlfcn.h>
#include <elf.h>
#include <fmt/format.h>
#include <link.h>

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <vector>

namespace simt {
namespace {

// Kernels are seldom exported, so that the dynamic symbols do not have them: the whole table is in the program's file.
std::string mangled_name(std::uintptr_t address) {
  Dl_info info{};
  struct link_map* map = nullptr;
  if (!dladdr1(reinterpret_cast<void*>(address), &info, reinterpret_cast<void**>(&map), RTLD_DL_LINKMAP) || !map)
    return {};
  std::ifstream file(map->l_name && *map->l_name ? map->l_name : "/proc/self/exe", std::ios::binary);
  const auto read = [&](std::uint64_t offset, auto* to, std::size_t n) {
    file.seekg(static_cast<std::streamoff>(offset));
    file.read(reinterpret_cast<char*>(to), static_cast<std::streamsize>(n * sizeof(*to)));
    return static_cast<bool>(file);
  };
  Elf64_Ehdr header;
  if (!read(0, &header, 1) || std::memcmp(header.e_ident, ELFMAG, SELFMAG) != 0) return {};
  std::vector<Elf64_Shdr> sections(header.e_shnum);
  if (!read(header.e_shoff, sections.data(), sections.size())) return {};
  for (const Elf64_Shdr& section : sections) {
    if (section.sh_type != SHT_SYMTAB || section.sh_link >= sections.size()) continue;
    std::vector<Elf64_Sym> symbols(section.sh_size / sizeof(Elf64_Sym));
    std::vector<char> names(sections[section.sh_link].sh_size + 1);
    if (!read(section.sh_offset, symbols.data(), symbols.size()) ||
        !read(sections[section.sh_link].sh_offset, names.data(), names.size() - 1))
      return {};
    for (const Elf64_Sym& symbol : symbols) {
      if (ELF64_ST_TYPE(symbol.st_info) == STT_FUNC && symbol.st_value + map->l_addr == address &&
          symbol.st_name < names.size())
        return names.data() + symbol.st_name;
    }
  }
  return {};
}

}  // namespace

std::string symbol_name(const void* function) {
  const auto address = reinterpret_cast<std::uintptr_t>(function);
  std::string name = mangled_name(address);
  if (name.empty()) return fmt::format("{:#x}", address);
  int status = 0;
  if (char* readable = abi::__cxa_demangle(name.c_str(), nullptr, nullptr, &status)) {
    name = readable;
    std::free(readable);
  }
  for (const std::string_view noise : {"(anonymous namespace)::", "tarn::cuda::", "tarn::", "void "}) {
    for (std::size_t at; (at = name.find(noise)) != std::string::npos;) name.erase(at, noise.size());
  }
  if (const std::size_t parameters = name.rfind('('); parameters != std::string::npos && name.back() == ')')
    name.erase(parameters);
  return name;
}

}  // namespace simt
