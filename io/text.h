// Names from outside (files, folders) as text that can be printed, stored and put in JSON.
#pragma once
#include <filesystem>
#include <string>
#include <string_view>

namespace graft::io {

// Well-formed UTF-8 (RFC 3629: no overlong forms, no surrogates, at most U+10FFFF) without control characters.
bool is_printable_utf8(std::string_view text);

// `text` itself, or with every byte that spoils it as \xNN.
std::string printable(std::string_view text);
inline std::string printable(const std::filesystem::path& path) { return printable(std::string_view(path.native())); }

}  // namespace graft::io
