#include "tests/kernels/op_table/op_table.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/error.h"

namespace graft::test {

const std::vector<OpEntry>& op_table() {
  static const std::vector<OpEntry> table = [] {
    OpEntries entries;
    add_convolution_rows(entries);
    add_normalisation_rows(entries);
    add_elementwise_rows(entries);
    add_layout_rows(entries);
    add_pooling_rows(entries);
    add_matrix_rows(entries);
    add_softmax_rows(entries);
    add_optimiser_rows(entries);
    add_image_rows(entries);
    std::sort(entries.begin(), entries.end(),
              [](const OpEntry& a, const OpEntry& b) { return a.primitive < b.primitive; });
    return entries;
  }();
  return table;
}

const OpEntry& op_entry(Primitive primitive) {
  for (const OpEntry& entry : op_table())
    if (entry.primitive == primitive) return entry;
  fail("the op table has no entry for {}: add an op_case to tests/kernels/op_table", name_of(primitive));
}

std::vector<OpRow> derived_errors(const OpEntry& entry) {
  std::vector<OpRow> errors;
  const auto ordinary =
      std::find_if(entry.rows.begin(), entry.rows.end(), [](const OpRow& r) { return r.expected == Status::ok; });
  if (ordinary == entry.rows.end()) return errors;

  const int views = info_of(entry.primitive).roles.total();
  const auto reals =
      std::count_if(ordinary->views.begin(), ordinary->views.end(), [](const auto& v) { return v.real; });
  const auto add = [&](int i, const char* what, auto change) {
    OpRow row = *ordinary;
    row.expected = Status::invalid_argument;
    row.text = fmt::format("{} {}: {}", row.views[i].name, what, row.text);
    change(row);
    errors.push_back(std::move(row));
  };
  for (int i = 0; i < views; ++i) {
    const TensorView& view = ordinary->view(i);
    const RowView& meta = ordinary->views[i];
    if (!view.present()) continue;
    if (!meta.optional) add(i, "left out", [&](OpRow& row) { row.view(i) = TensorView{}; });
    if (!meta.real && !meta.loose)
      add(i, "of the wrong type", [&](OpRow& row) {
        row.view(i).dtype = DType::f32;
        row.views[i].fill = uniform();
      });
    if (meta.real && reals > 1)
      add(i, "of another type than the rest", [&](OpRow& row) {
        row.view(i).dtype = DType::i64;
        row.views[i].real = false;
        row.views[i].fill = labels(2);
      });
    if (meta.loose || view.shape.rank == 0) continue;
    add(i, "with one more channel", [&](OpRow& row) { ++row.view(i).shape[-1]; });
    if (view.shape.rank > 1) add(i, "with one more along its first axis", [&](OpRow& row) { ++row.view(i).shape[0]; });
  }
  const int first_output = info_of(entry.primitive).roles.inputs;
  for (int output = first_output; output < views; ++output)
    for (int other = 0; other < views; ++other) {
      if (other == output || std::count(entry.in_place.begin(), entry.in_place.end(), std::pair(output, other)))
        continue;
      const TensorView &view = ordinary->view(output), &on = ordinary->view(other);
      if (view.bytes() == 0 || view.bytes() > on.bytes()) continue;
      add(output, "laid on another tensor", [&](OpRow& row) {
        row.text = fmt::format("({}) {}", row.views[other].name, row.text);
        row.aliased_output = output;
        row.aliases = other;
      });
    }
  return errors;
}

}  // namespace graft::test
