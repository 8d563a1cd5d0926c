// Photos and models small enough to make in each test.
#pragma once
#include <array>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "train/model_file.h"

namespace graft::test {

using Colour = std::array<uint8_t, 3>;

// A PNG of one colour with some noise, which `seed` draws.
void write_png(const std::filesystem::path& file, int side, Colour colour, uint32_t seed);

// `folder`/blue, green, red with `count` photos of 32 x 32 each.
void make_squares(const std::filesystem::path& folder, int count, uint32_t seed = 0);

// The tiny network of tests/train with weights drawn from `seed`, on 16 x 16 pixels.
// `edit` changes the rest of it.
void write_tiny_model(const std::filesystem::path& file, const std::vector<std::string>& classes, uint64_t seed = 1,
                      const std::function<void(train::ModelInfo&)>& edit = {});

void write_text(const std::filesystem::path& file, const std::string& text);

}  // namespace graft::test
