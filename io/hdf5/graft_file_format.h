// Names and numbers of graft's file that its writer and its reader share; docs/file-format.md says what they mean.
#pragma once
#include <cstdint>

namespace graft::io {

inline constexpr uint64_t kFormatVersion = 1;
inline constexpr const char* kFormatVersionAttribute = "graft_format";
inline constexpr const char* kSumAttribute = "xxh3";
inline constexpr const char* kAxesAttribute = "axes";
inline constexpr const char* kParametersGroup = "parameters";
inline constexpr const char* kBuffersGroup = "buffers";

inline constexpr uint64_t kTensorAlignment = 64;
inline constexpr int64_t kChunkBytes = int64_t{256} << 10;  // read, hashed and used while it is in L2

}  // namespace graft::io
