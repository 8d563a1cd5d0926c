// LibTorch beside graft: the peer that `graft bench kernels --peers` starts.
//
//   graft_libtorch libtorch|onednn cpu|cuda:N THREADS
//
// libtorch: the op as a program that uses LibTorch calls it, on channels-last tensors, without autograd's recording.
// onednn: oneDNN's best, as LibTorch carries it: tensors and weights already in oneDNN's own blocked order, so that a
// call is the primitive and nothing else. For convolutions and linear layers, forward, on the CPU.
#include <ATen/Parallel.h>
#include <torch/cuda.h>
#include <torch/version.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

#include "bench/cache_sweep.h"
#include "bench/libtorch/onednn_ops.h"
#include "bench/libtorch/tensors.h"
#include "bench/libtorch/torch_ops.h"

namespace graft::bench {

namespace {

class Torch final : public PeerLibrary {
 public:
  using Make = TorchOp (*)(const PeerCase&, at::Device);
  Torch(at::Device device, int threads, Make make) : device_(device), threads_(threads), make_(make) {}

  bool enter(PeerCase& c) override {
    op_ = {};  // the case before has gone, and what pointed into it
    op_ = make_(c, device_);
    return op_.run != nullptr;
  }
  void call() override { op_.run(); }
  void wait() override {
    if (device_.is_cuda()) torch::cuda::synchronize(device_.index());
  }
  void results(PeerCase& c) override {
    const std::vector<at::Tensor> made = op_.in_graft_order(op_.run());
    const Roles roles = info_of(c.primitive).roles;
    for (size_t i = 0; i < made.size(); ++i) {
      const size_t at = static_cast<size_t>(roles.inputs) + i;
      const TensorView& view = views_of(static_cast<const void*>(c.args.bytes))[at];
      if (!made[i].defined() || !view.present()) continue;
      const at::Tensor t = made[i].cpu().to(type_of(view.dtype)).contiguous();
      TORCH_CHECK(t.numel() == view.numel(), "it made ", t.numel(), " numbers, not ", view.numel());
      // A place of its own: an in-out of the call may share the case's memory.
      c.memory[at].resize(static_cast<size_t>(view.bytes()));
      std::memcpy(c.memory[at].data(), t.data_ptr(), c.memory[at].size());
      c.made |= uint64_t{1} << at;
    }
  }
  void sweep() override {
    if (device_.is_cuda()) {
      if (!on_gpu_.defined()) on_gpu_ = at::empty({128 << 20}, at::TensorOptions().device(device_));
      on_gpu_.fill_(1);
    } else {
      if (!on_host_) on_host_ = std::make_unique<CacheSweep>(threads_);
      on_host_->sweep();
    }
  }

 private:
  at::Device device_;
  int threads_;
  Make make_;
  TorchOp op_;
  at::Tensor on_gpu_;
  std::unique_ptr<CacheSweep> on_host_;
};

std::string onednn_version() {
  const std::string all = at::get_mkldnn_version();
  const size_t at = all.find(" v");
  return at == all.npos ? all : all.substr(at + 2, all.find(' ', at + 1) - at - 2);
}

int run(const std::string& library, const std::string& device_name, int threads) {
  at::set_num_threads(threads);
  const c10::InferenceMode no_recording;
  const at::Device device(device_name);
  const bool onednn = library == "onednn";
  Torch torch(device, threads, onednn ? onednn_op : torch_op);
  const std::string carried = std::string("LibTorch ") + TORCH_VERSION;
  return serve(torch, library,
               onednn ? "oneDNN " + onednn_version() + " out of " + carried + ", weights and images in its own order"
                      : carried + ", " + std::to_string(threads) + " thread(s) on " + device_name);
}

}  // namespace

}  // namespace graft::bench

int main(int argc, char** argv) try {
  const std::string library = argc == 4 ? argv[1] : "";
  if (library != "libtorch" && library != "onednn") {
    std::fprintf(stderr, "usage: graft_libtorch libtorch|onednn cpu|cuda:N THREADS (graft bench kernels starts it)\n");
    return 2;
  }
  return graft::bench::run(library, argv[2], std::max(1, std::atoi(argv[3])));
} catch (const std::exception& e) {
  std::fprintf(stderr, "graft_libtorch: %s\n", e.what());
  return 1;
}
