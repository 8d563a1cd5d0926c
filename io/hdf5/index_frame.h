// The frame around the helper's answer, shared by the two sides.
#pragma once
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace graft::io {

inline constexpr std::string_view kIndexMagic = "GRAFTIX1";  // the digit is the version
inline constexpr size_t kIndexHeaderBytes = 8 + 4 + 8 + 8;
inline constexpr size_t kMaxReasonBytes = 1000;

enum class IndexFrame : uint32_t { index = 0, refusal = 1 };

}  // namespace graft::io
