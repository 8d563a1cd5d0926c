#include "tests/kernels/op_table/register.h"

#include <catch2/catch.hpp>
#include <map>
#include <set>

#include "tests/kernels/op_table/check.h"
#include "tests/support/test_data.h"

namespace graft::test {
namespace {

// The backend, or nothing where this machine lacks what it needs.
std::unique_ptr<Backend, void (*)(Backend*)> open(const BackendUnderTest& entry) {
  auto backend = std::unique_ptr<Backend, void (*)(Backend*)>(new Backend, [](Backend* b) {
    if (b->destroy) b->destroy(b->self);
    delete b;
  });
  const Status status = entry.create(backend.get());
  if (status == Status::ok) return backend;
  if (status != Status::unsupported || entry.needs.empty()) FAIL(entry.name << " cannot be made: " << name_of(status));
  skip(entry.needs, entry.name + (entry.reason ? ": " + entry.reason() : " cannot run on this machine"));
  return {nullptr, [](Backend*) {}};
}

void check_primitive(const BackendUnderTest& entry, Primitive primitive) {
  const auto backend = open(entry);
  if (!backend) return;
  const OpEntry& op = op_entry(primitive);
  int ordinary = 0;
  for (DType dtype : entry.dtypes) {
    std::vector<OpRow> rows = derived_errors(op);
    rows.insert(rows.begin(), op.rows.begin(), op.rows.end());
    for (const OpRow& row : rows) {
      if (!applies(entry, op, row, dtype)) continue;
      const std::string problem = check_row(entry, *backend, reference_backend(), op, row, dtype);
      INFO(name_of(primitive) << " " << name_of(dtype) << " " << row.text);
      CHECK(problem == "");
      ordinary += row.expected == Status::ok;
    }
  }
  CHECK(ordinary > 0);
}

// Backends that give the same bits, beside the first of them; every other one has its tensors one element further in
// memory, so that the kernels for unaligned tensors take part. One backend at a time: what the host-run device is told
// when a backend is made, holds for all.
void check_same_bits(const std::vector<const BackendUnderTest*>& group, Primitive primitive) {
  const OpEntry& op = op_entry(primitive);
  std::vector<Tensors> expected;
  for (size_t i = 0; i < group.size(); ++i) {
    const BackendUnderTest& entry = *group[i];
    const auto backend = open(entry);
    if (!backend) return;
    size_t rows = 0;
    for (DType dtype : entry.dtypes)
      for (const OpRow& row : op.rows) {
        if (row.expected != Status::ok || !applies(entry, op, row, dtype)) continue;
        INFO(entry.name << ": " << name_of(primitive) << " " << name_of(dtype) << " " << row.text);
        const WatchedResult result =
            run_watched(*backend, entry.watch, primitive, typed_args(primitive, row, dtype),
                        contents(primitive, row, dtype, dtype), row, {.elements_off = static_cast<int>(i % 2)});
        CHECK(result.status == Status::ok);
        CHECK(result.problem == "");
        if (i == 0) {
          expected.push_back(result.tensors);
        } else {
          const bool same = result.tensors == expected.at(rows++);
          CHECK(same);
        }
      }
    if (i > 0) CHECK(rows == expected.size());
  }
}

// Each primitive once: the list of those that said which kernel ran is the list of primitives.
void check_kernel_list(const BackendUnderTest& entry) {
  const auto backend = open(entry);
  if (!backend) return;
  std::set<std::string> ran, all;
  for (const OpEntry& op : op_table()) {
    all.insert(name_of(op.primitive));
    for (const OpRow& row : op.rows) {
      if (row.expected != Status::ok) continue;
      const DType dtype = entry.dtypes.front();
      const WatchedResult result =
          run_watched(*backend, entry.watch, op.primitive, typed_args(op.primitive, row, dtype),
                      contents(op.primitive, row, dtype, dtype), row, {});
      if (result.status == Status::ok && !result.kernel.empty()) ran.insert(name_of(op.primitive));
      break;
    }
  }
  CHECK(ran == all);
  CHECK(all.size() == static_cast<size_t>(kPrimitiveCount));
}

struct FunctionTest : Catch::ITestInvoker {
  explicit FunctionTest(std::function<void()> f) : function(std::move(f)) {}
  void invoke() const override { function(); }
  std::function<void()> function;
};

void add_test(const std::string& name, const char* tags, std::function<void()> function) {
  Catch::AutoReg(new FunctionTest(std::move(function)), CATCH_INTERNAL_LINEINFO, Catch::StringRef(),
                 Catch::NameAndTags{name, tags});
}

}  // namespace

void register_op_table(const std::vector<BackendUnderTest>& backends, const char* tags) {
  std::map<std::string, std::vector<const BackendUnderTest*>> groups;
  const auto for_each_primitive = [&](const std::string& name, const std::function<void(Primitive)>& check) {
    for (const PrimitiveInfo& info : kPrimitives) {
      const auto primitive = static_cast<Primitive>(&info - kPrimitives);
      add_test(name + ": " + info.name, tags, [check, primitive] { check(primitive); });
    }
  };
  for (const BackendUnderTest& entry : backends) {
    if (!entry.same_bits.empty()) groups[entry.same_bits].push_back(&entry);
    if (entry.bits_only) continue;
    for_each_primitive(entry.name, [&entry](Primitive primitive) { check_primitive(entry, primitive); });
    add_test(entry.name + ": every primitive names its kernel", tags, [&entry] { check_kernel_list(entry); });
  }
  for (const auto& [word, group] : groups) {
    if (group.size() < 2) continue;
    for_each_primitive(word + ", same bits",
                       [members = group](Primitive primitive) { check_same_bits(members, primitive); });
  }
}

}  // namespace graft::test
