// The op table: for each primitive the rows (shapes, attributes, contents), what is expected of each, and how far a
// result may be from the truth. One declaration serves every backend: see op_case.h for how a row is written.
#pragma once
#include <array>
#include <cstring>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "contract/backend.h"
#include "tests/kernels/op_table/fill.h"

namespace graft::test {

inline constexpr int kMaxViews = 11;

// How far a result may be from the reference in f64, with u half a unit in the last place of 1:
//   |y − y64| <= factor · u · (magnitude + |y64|)
// Without a magnitude the error is relative to the result. factor = 0: the same bits once y64 is rounded.
struct Bound {
  // `before` are the f64 arguments of the call, `after` the same with results; the outputs and in-outs of `magnitude`
  // are f64 tensors to fill, zero before. All three point to the arguments struct of the primitive.
  using Magnitude = std::function<void(const Backend& reference, Primitive, const void* before, const void* after,
                                       const void* magnitude)>;
  double factor = 0;
  Magnitude magnitude = nullptr;
};

struct RowView {
  const char* name = "";
  bool optional = false;
  bool loose = false;   // other extents than the row's may be right as well
  bool real = false;    // its type is the one under test
  bool vector = false;  // real, but f32 where that is a 16-bit type: vector_type of contract/check_args.h
  Fill fill;            // inputs and in-outs
};

struct OpRow {
  std::string text;  // "x[2,7,5,3] weight[3,3,3] y[2,7,5,3], bias absent"
  AnyArgs args;      // shapes, types and attributes; no data
  std::array<RowView, kMaxViews> views;
  Status expected = Status::ok;
  Bound bound;
  double flops = 0;                       // of a bench row
  int aliased_output = -1, aliases = -1;  // this output lies where that view lies

  template <typename Args>
  const Args& as() const {
    return *reinterpret_cast<const Args*>(args.bytes);
  }
  TensorView& view(int i) { return views_of(args.bytes)[i]; }
  const TensorView& view(int i) const { return views_of(static_cast<const void*>(args.bytes))[i]; }
  // Every tensor read or written once: what a bench row moves through memory at least.
  int64_t bytes(Primitive) const;
};

struct OpEntry {
  Primitive primitive = {};
  std::vector<OpRow> rows;
  std::vector<OpRow> bench_rows;
  std::vector<std::pair<int, int>> in_place;  // output, and the input it may alias
  bool wide_only = false;                     // f32 and f64: no 16-bit type
  // An output that is defined by the others as they were stored, rounding and all: made from those, in f64.
  int derived = -1;
  void (*derive)(const void* args) = nullptr;
};

// All entries, in the order of GRAFT_PRIMITIVES.
const std::vector<OpEntry>& op_table();
const OpEntry& op_entry(Primitive);

// Rows that follow from the first ordinary one: each required tensor left out, each tensor with a type or an extent
// that does not go with the others, each output laid on a view it may not alias. All expect invalid_argument.
std::vector<OpRow> derived_errors(const OpEntry&);

// The parts of the table, each in a file of its own.
using OpEntries = std::vector<OpEntry>;
void add_convolution_rows(OpEntries&);
void add_normalisation_rows(OpEntries&);
void add_elementwise_rows(OpEntries&);
void add_layout_rows(OpEntries&);
void add_pooling_rows(OpEntries&);
void add_matrix_rows(OpEntries&);
void add_softmax_rows(OpEntries&);
void add_optimiser_rows(OpEntries&);
void add_image_rows(OpEntries&);

}  // namespace graft::test
