#include "tests/kernels/op_table/call.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <memory>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#endif

namespace graft::test {
namespace {

using bench::put_element;

constexpr std::byte kUnwritten{0xFF};  // as f64, f32, f16 and bf16 a NaN, as i64 -1
constexpr int64_t kGuard = 64, kMaxWorkspace = int64_t{1} << 32;
constexpr int64_t kPage = int64_t{2} << 20;  // of a GPU's memory

void put_bits(Bytes& bytes, int64_t i, uint16_t bits) {
  std::memcpy(bytes.data() + i * static_cast<int64_t>(sizeof bits), &bits, sizeof bits);
}

// One tensor between guards, in memory of the device.
class Guarded {
 public:
  // `offset` bytes after a multiple of kGuard. At the end of a page an offset means: up to the very last byte.
  Guarded(const Backend& backend, Watch watch, const Bytes& content, int64_t offset)
      : backend_(backend), watch_(watch), behind_(watch == Watch::device ? 0 : kGuard), offset_(kGuard + offset) {
    if (watch == Watch::page_end) {
      behind_ = offset > 0 ? 0 : -static_cast<int64_t>(content.size()) & (kGuard - 1);
      offset_ = kGuard;
    }
    image_.assign(static_cast<size_t>(offset_ + behind_) + content.size(), kUnwritten);
    if (!content.empty()) std::memcpy(image_.data() + offset_, content.data(), content.size());
    const auto used = static_cast<int64_t>(image_.size());
    bytes_ = watch == Watch::page_end ? (used + kPage - 1) / kPage * kPage : used + behind_;
    expect(backend_.device.allocate(backend_.self, bytes_, &memory_));
    base_ = static_cast<std::byte*>(memory_);
    if (watch == Watch::page_end)
      base_ += bytes_ - used;
    else
      base_ += (kGuard - static_cast<int64_t>(reinterpret_cast<uintptr_t>(base_) % kGuard)) % kGuard;
    if (watch == Watch::device && base_ != memory_) fail("a device's memory begins off a multiple of {} bytes", kGuard);
    expect(backend_.device.copy(backend_.self, nullptr, base_, image_.data(), static_cast<int64_t>(image_.size()),
                                CopyKind::host_to_device));
    expect(backend_.device.synchronize(backend_.self, nullptr));
    watch_guards(true);
  }
  ~Guarded() {
    watch_guards(false);
    backend_.device.release(backend_.self, memory_, bytes_);
  }
  Guarded(const Guarded&) = delete;

  void* data() const { return base_ + offset_; }

  // What lies there now; says so if a guard was written.
  Bytes read_back(const std::string& name, std::string& problem) {
    watch_guards(false);
    Bytes now(image_.size());
    expect(backend_.device.copy(backend_.self, nullptr, now.data(), base_, static_cast<int64_t>(now.size()),
                                CopyKind::device_to_host));
    expect(backend_.device.synchronize(backend_.self, nullptr));
    const size_t first = static_cast<size_t>(offset_), last = now.size() - static_cast<size_t>(behind_);
    for (size_t i = 0; i < now.size(); ++i)
      if ((i < first || i >= last) && now[i] != kUnwritten) {
        problem += fmt::format("wrote {} {}; ", i < first ? "before" : "behind", name);
        break;
      }
    return Bytes(now.begin() + offset_, now.begin() + static_cast<int64_t>(last));
  }

 private:
  static void expect(Status status) {
    if (status != Status::ok) fail("a device function answers '{}'", name_of(status));
  }
  void watch_guards([[maybe_unused]] bool on) {
#if defined(__SANITIZE_ADDRESS__)
    if (watch_ != Watch::address_sanitizer) return;
    const size_t first = static_cast<size_t>(offset_), last = image_.size() - static_cast<size_t>(behind_);
    if (on) {
      ASAN_POISON_MEMORY_REGION(base_, first);
      ASAN_POISON_MEMORY_REGION(base_ + last, static_cast<size_t>(kGuard));
    } else {
      ASAN_UNPOISON_MEMORY_REGION(base_, image_.size());
    }
#endif
  }

  const Backend& backend_;
  [[maybe_unused]] Watch watch_;
  int64_t behind_, offset_, bytes_ = 0;
  void* memory_ = nullptr;
  std::byte* base_ = nullptr;
  Bytes image_;
};

}  // namespace

AnyArgs typed_args(Primitive primitive, const OpRow& row, DType dtype) {
  AnyArgs args = row.args;
  for (int i = 0; i < info_of(primitive).roles.total(); ++i)
    if (row.views[i].real && views_of(args.bytes)[i].present())
      views_of(args.bytes)[i].dtype = row.views[i].vector ? vector_type(dtype) : dtype;
  return args;
}

Tensors contents(Primitive primitive, const OpRow& row, DType rounded, DType stored) {
  Tensors tensors;
  const Roles roles = info_of(primitive).roles;
  for (int i = 0; i < roles.total(); ++i) {
    TensorView view = row.view(i);
    if (!view.present()) continue;
    const DType precision = row.views[i].vector ? vector_type(rounded) : rounded;
    if (row.views[i].real) view.dtype = row.views[i].vector ? vector_type(stored) : stored;
    tensors[i].assign(static_cast<size_t>(view.bytes()), kUnwritten);
    if (i >= roles.inputs + roles.inouts) continue;
    for (int64_t e = 0; e < view.numel(); ++e) {
      double value = row.views[i].fill(e, unit_hash(static_cast<uint64_t>(i), e));
      if (row.views[i].real)
        put_element(tensors[i], view.dtype, e, rounded_to(precision, value));
      else if (size_of(view.dtype) == 2)
        put_bits(tensors[i], e, static_cast<uint16_t>(value));
      else
        put_element(tensors[i], view.dtype, e, value);
    }
  }
  return tensors;
}

WatchedResult run_watched(const Backend& backend, Watch watch, Primitive primitive, const AnyArgs& row_args,
                          const Tensors& before, const OpRow& row, Placement placement) {
  WatchedResult result;
  const Roles roles = info_of(primitive).roles;
  AnyArgs args = row_args;
  std::array<std::unique_ptr<Guarded>, kMaxViews> memory;
  for (int i = 0; i < roles.total(); ++i) {
    TensorView& view = views_of(args.bytes)[i];
    if (!view.present() || i == placement.aliased_output) continue;
    const int64_t offset = placement.elements_off * static_cast<int64_t>(size_of(view.dtype));
    memory[i] = std::make_unique<Guarded>(backend, watch, before[i], offset);
    view.data = memory[i]->data();
  }
  if (placement.aliases >= 0) views_of(args.bytes)[placement.aliased_output].data = memory[placement.aliases]->data();

  int64_t workspace_bytes = backend.workspace_bytes ? backend.workspace_bytes(backend.self, primitive, args.bytes) : 0;
  if (workspace_bytes < 0 || workspace_bytes > kMaxWorkspace) {
    result.problem += fmt::format("asks for a workspace of {} bytes; ", workspace_bytes);
    return result;
  }
  Guarded workspace(backend, watch, Bytes(static_cast<size_t>(workspace_bytes), kUnwritten), 0);
  CallContext context{.self = backend.self, .workspace = workspace.data(), .workspace_bytes = workspace_bytes};

  const auto call = backend.run[static_cast<int>(primitive)];
  result.status = call ? call(&context, args.bytes) : Status::unsupported;
  if (const Status done = backend.device.synchronize(backend.self, nullptr); result.status == Status::ok)
    result.status = done;
  if (context.kernel) result.kernel = context.kernel;

  workspace.read_back("the workspace", result.problem);
  for (int i = 0; i < roles.total(); ++i) {
    if (!memory[i]) continue;
    result.tensors[i] = memory[i]->read_back(row.views[i].name, result.problem);
    const bool may_change = result.status == Status::ok && (i >= roles.inputs || i == placement.aliases);
    if (!may_change && result.tensors[i] != before[i]) result.problem += fmt::format("changed {}; ", row.views[i].name);
  }
  if (placement.aliases >= 0) result.tensors[placement.aliased_output] = result.tensors[placement.aliases];
  return result;
}

}  // namespace graft::test
