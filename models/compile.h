// A piece of a network, ready to run: compiled by a backend, its weights packed from wherever they come, its
// temporaries in one arena.
#pragma once
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/device.h"
#include "core/repeated_work.h"
#include "core/tensor.h"
#include "models/rewrite.h"

namespace graft::models {

class Network;

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
  // Weights are read here, once, in chunks the backend chooses; what they come from is not needed afterwards.
  CompiledPiece(std::shared_ptr<Device> device, InferencePlan plan, const ReadWeights& read);
  // The weights of a live network, which must outlive this. A parameter that changes in place makes what was packed
  // invalid: the next run packs anew. (Not while another thread changes one.)
  CompiledPiece(const Network& network, InferencePlan plan);
  // The same weights as `sibling`, for another batch or size of image. Shares what was packed for it, if the backend
  // reads both in the same order; otherwise reads and packs its own.
  CompiledPiece(const CompiledPiece& sibling, InferencePlan plan, const ReadWeights& read);
  ~CompiledPiece();
  CompiledPiece(CompiledPiece&&) noexcept;
  CompiledPiece& operator=(CompiledPiece&&) noexcept;

  // Dense f32 values in the device's memory, in the order of the request's inputs and taps. Returns when the work is
  // given to the device. Any number of threads at once; each execution takes an arena from the device's allocator.
  void run(std::span<const void* const> inputs, std::span<void* const> outputs) const;

  const CompileReport& report() const;
  const InferencePlan& plan() const;
  Shape input_shape(size_t i) const;
  Shape output_shape(size_t i) const;
  bool shares_weights_with(const CompiledPiece& other) const;

 private:
  friend class BoundPiece;
  struct Weights;
  struct State;

  std::shared_ptr<Storage> packed() const;  // the weights as they are now
  void queue(std::span<const void* const> inputs, std::span<void* const> outputs, const Storage& packed,
             const Storage& arena, StreamHandle stream) const;

  std::unique_ptr<State> state_;
};

// A piece that runs again and again on the same tensors, so that a device may replay it: see core/repeated_work.h. What
// is captured has an arena of its own, and is captured anew when the weights were packed anew. For one thread.
class BoundPiece {
 public:
  BoundPiece(CompiledPiece piece, const std::vector<Tensor>& inputs, std::vector<Tensor> outputs, std::string name);

  void run();

  const CompiledPiece& piece() const { return piece_; }
  const std::vector<Tensor>& outputs() const { return outputs_; }

 private:
  CompiledPiece piece_;
  std::vector<Tensor> inputs_, outputs_;
  std::vector<const void*> input_addresses_;
  std::vector<void*> output_addresses_;
  std::shared_ptr<Storage> arena_, packed_;  // of what is captured
  RepeatedWork work_;
};

}  // namespace graft::models
