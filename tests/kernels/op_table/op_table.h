// The op table: for each primitive the rows (shapes, attributes, contents), what is expected of each, and how far a
// result may be from the truth. One declaration serves every backend: see op_case.h for how a row is written.
#pragma once
#include <array>
#include <cstring>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "bench/bound.h"
#include "bench/kernel_case.h"
#include "contract/backend.h"
#include "tests/kernels/op_table/fill.h"

namespace graft::test {

using bench::Bound, bench::kMaxViews;

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
  int aliased_output = -1, aliases = -1;  // this output lies where that view lies

  template <typename Args>
  const Args& as() const {
    return *reinterpret_cast<const Args*>(args.bytes);
  }
  TensorView& view(int i) { return views_of(args.bytes)[i]; }
  const TensorView& view(int i) const { return views_of(static_cast<const void*>(args.bytes))[i]; }
};

struct OpEntry {
  Primitive primitive = {};
  std::vector<OpRow> rows;
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
