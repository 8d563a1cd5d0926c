// A piece of a network, ready to run: compiled by a backend, its weights packed from wherever they come, its
// temporaries in one arena.
#pragma once
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "contract/backend.h"
#include "models/rewrite.h"

namespace graft::models {

// Elements [first, first + count) of a tensor of the weights file, row-major in the file's own order of axes (OIHW), as
// f32. May throw; is called from one thread, a tensor's elements in order.
using ReadWeights = std::function<void(const std::string& tensor, int64_t first, int64_t count, float* out)>;

struct CompileReport {
  int64_t packed_bytes = 0;
  int64_t arena_bytes = 0;
  int64_t arena_lower_bound = 0;  // the most that is alive during one call: no plan can do with less
};

class CompiledPiece {
 public:
  // `backend` must outlive this. Weights are read here, once, in chunks the backend chooses.
  CompiledPiece(const Backend& backend, InferencePlan plan, const ReadWeights& read);
  ~CompiledPiece();
  CompiledPiece(CompiledPiece&&) noexcept;
  CompiledPiece& operator=(CompiledPiece&&) noexcept;

  // Dense f32 values in the backend's memory, in the order of the request's inputs and taps. Returns when the work is
  // given to the stream. Any number of threads at once; each execution under way has its own arena, kept for the next.
  void run(std::span<const void* const> inputs, std::span<void* const> outputs, StreamHandle stream = nullptr) const;

  const CompileReport& report() const;
  const InferencePlan& plan() const;
  Shape input_shape(size_t i) const;
  Shape output_shape(size_t i) const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace graft::models
