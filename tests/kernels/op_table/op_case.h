// How a row of the op table is written.
//
//   op_case<DepthwiseConv2dArgs>(table, [](auto& row) { row.required(y(…)); row.optional(bias(…)); })
//       .row(x{2, 7, 5, 3}, weight{3, 3, 3}, pad(1), stride(2), with<bias>, activation(relu))
//       .row(x{1, 2, 2, 4}, weight{5, 5, 4}, invalid("kernel 5x5 is larger than the input 2x2"))
//
// A row names the tensors that fix the problem; the function given to op_case adds those that follow from them, unless
// the row has said otherwise (a row may name a wrong y). Optional tensors come `with<…>`. Contents follow the hash of
// fill.h unless the tensor is `.filled(…)`; types are those under test (f32, f64) unless it is `.as(…)` another.
#pragma once
#include <fmt/format.h>

#include <new>
#include <type_traits>

#include "core/error.h"
#include "tests/kernels/op_table/op_table.h"

namespace graft::test::op {

using enum Activation;
using bench::exact, bench::linear, bench::relative;

template <typename Args>
struct Row {
  enum class State : int8_t { unset, wanted, given };

  OpRow out;
  Args args;
  std::array<State, kMaxViews> state = {};

  template <typename Tag>
  int index() {
    return static_cast<int>(&Tag::in(args)-views_of(&args));
  }
  template <typename Tag>
  void required(const Tag& tensor) {
    if (state[index<Tag>()] != State::given) tensor(*this);
  }
  template <typename Tag>
  void optional(const Tag& tensor) {
    out.views[index<Tag>()].optional = true;
    if (state[index<Tag>()] == State::wanted) tensor(*this);
  }
};

// The weight of a batch norm is a vector, that of a convolution is not.
template <typename Tag>
bool is_batch_norms(auto& args) {
  if constexpr (requires {
                  args.var;
                  args.weight;
                })
    return &Tag::in(args) == &args.weight;
  else
    return false;
}

// A tensor argument, named as in the arguments struct.
template <typename Tag>
struct Tensor {
  Shape shape;
  DType dtype = DType::none;  // none: the type under test
  bool vector = false;
  Fill fill;

  Tensor(std::initializer_list<int64_t> extents) : Tensor(Shape(extents)) {}
  explicit Tensor(const Shape& given)
      : shape(given), dtype(Tag::kType), vector(Tag::kIsVector), fill(Tag::contents()) {}

  // f32 beside 16-bit types.
  Tag wide() const {
    Tag copy = static_cast<const Tag&>(*this);
    copy.vector = true;
    return copy;
  }

  Tag as(DType type) const {
    Tag copy = static_cast<const Tag&>(*this);
    copy.dtype = type;
    copy.fill = natural(type);
    return copy;
  }
  Tag filled(Fill with) const {
    Tag copy = static_cast<const Tag&>(*this);
    copy.fill = std::move(with);
    return copy;
  }

  template <typename Args>
  void operator()(Row<Args>& row) const {
    const int i = row.template index<Tag>();
    TensorView& view = Tag::in(row.args);
    view.shape = shape;
    view.dtype = dtype == DType::none ? DType::f32 : dtype;
    row.out.views[i].name = Tag::kName;
    row.out.views[i].real = dtype == DType::none;
    row.out.views[i].vector = vector || is_batch_norms<Tag>(row.args);
    row.out.views[i].fill = fill;
    row.state[i] = Row<Args>::State::given;
  }
};

#define GRAFT_OP_VIEW(NAME, TYPE, IS_VECTOR, CONTENTS) \
  struct NAME : Tensor<NAME> {                         \
    using Tensor<NAME>::Tensor;                        \
    static constexpr const char* kName = #NAME;        \
    static constexpr bool kIsVector = IS_VECTOR;       \
    static constexpr DType kType = DType::TYPE;        \
    static Fill contents() { return CONTENTS; }        \
    static auto& in(auto& args) { return args.NAME; }  \
  };
#define GRAFT_OP_TENSOR(NAME, TYPE, CONTENTS) GRAFT_OP_VIEW(NAME, TYPE, false, CONTENTS)
#define GRAFT_OP_VECTOR(NAME, TYPE, CONTENTS) GRAFT_OP_VIEW(NAME, TYPE, true, CONTENTS)
GRAFT_OP_TENSOR(x, none, uniform())
GRAFT_OP_TENSOR(y, none, uniform())
GRAFT_OP_TENSOR(dx, none, uniform())
GRAFT_OP_TENSOR(dy, none, uniform())
GRAFT_OP_TENSOR(a, none, uniform())
GRAFT_OP_TENSOR(b, none, uniform())
GRAFT_OP_TENSOR(s, none, uniform())
GRAFT_OP_TENSOR(ds, none, uniform())
GRAFT_OP_TENSOR(weight, none, uniform())
GRAFT_OP_VECTOR(bias, none, uniform())
GRAFT_OP_TENSOR(residual, none, uniform())
GRAFT_OP_VECTOR(dweight, none, uniform())
GRAFT_OP_VECTOR(dbias, none, uniform())
GRAFT_OP_TENSOR(dresidual, none, uniform())
GRAFT_OP_VECTOR(mean, none, uniform())
GRAFT_OP_VECTOR(var, none, uniform(0.5, 2))
GRAFT_OP_VECTOR(running_mean, none, uniform())
GRAFT_OP_VECTOR(running_var, none, uniform(0.5, 2))
GRAFT_OP_TENSOR(saved, none, uniform())
GRAFT_OP_TENSOR(mask, u8, labels(256))
GRAFT_OP_VECTOR(squeeze, none, uniform())
GRAFT_OP_TENSOR(weight1, none, uniform())
GRAFT_OP_VECTOR(bias1, none, uniform())
GRAFT_OP_TENSOR(weight2, none, uniform())
GRAFT_OP_VECTOR(bias2, none, uniform())
GRAFT_OP_TENSOR(gate, none, uniform())
GRAFT_OP_TENSOR(index, u8, labels(1))
GRAFT_OP_TENSOR(logits, none, uniform(-8, 8))
GRAFT_OP_TENSOR(targets, i64, labels(1))
GRAFT_OP_VECTOR(class_weights, none, uniform(0.5, 2))
GRAFT_OP_VECTOR(loss, none, uniform())
GRAFT_OP_VECTOR(dloss, none, values({0.75}))
GRAFT_OP_TENSOR(dlogits, none, uniform())
GRAFT_OP_TENSOR(gradient, none, uniform())
GRAFT_OP_TENSOR(parameter, none, uniform())
GRAFT_OP_TENSOR(velocity, none, uniform())
GRAFT_OP_TENSOR(m, none, uniform())
GRAFT_OP_TENSOR(v, none, uniform(0.01, 1))
GRAFT_OP_TENSOR(gradient_factor, none, values({0.375}))
GRAFT_OP_TENSOR(copy, bf16, uniform())
GRAFT_OP_TENSOR(average, none, uniform())
GRAFT_OP_TENSOR(norm, none, uniform())
GRAFT_OP_TENSOR(pixels, u8, labels(256))
GRAFT_OP_TENSOR(boxes, i64, labels(1))
GRAFT_OP_TENSOR(flag, i64, values({0}))
GRAFT_OP_TENSOR(step, i64, values({3}))
GRAFT_OP_TENSOR(learning_rate, f64, values({0.1}))
GRAFT_OP_TENSOR(state, i64, values({0x123456789ABCD000p0, 40}))
GRAFT_OP_TENSOR(random_state, i64, values({0x123456789ABCD000p0, 40}))
#undef GRAFT_OP_VECTOR
#undef GRAFT_OP_TENSOR
#undef GRAFT_OP_VIEW

// with<bias, residual>: present, with the extents that follow.
template <typename... Tags>
inline constexpr auto with = [](auto& row) {
  using State = typename std::remove_reference_t<decltype(row)>::State;
  ((row.state[row.template index<Tags>()] = State::wanted), ...);
};

// The call must be refused; `why` is for the reader.
inline auto invalid(const char* why) {
  return [why](auto& row) {
    row.out.expected = Status::invalid_argument;
    row.out.text = fmt::format("({}) ", why);
  };
}
// Another bound than the entry's.
inline auto within(Bound bound) {
  return [bound](auto& row) { row.out.bound = bound; };
}

// An attribute, named as in the arguments struct.
#define GRAFT_OP_ATTRIBUTE(NAME)                                                    \
  inline auto NAME(auto value_given) {                                              \
    return [=](auto& row) {                                                         \
      row.args.NAME = static_cast<decltype(row.args.NAME)>(value_given);            \
      row.out.text += fmt::format(#NAME " {}, ", static_cast<double>(value_given)); \
    };                                                                              \
  }
GRAFT_OP_ATTRIBUTE(activation)
GRAFT_OP_ATTRIBUTE(gate_activation)
GRAFT_OP_ATTRIBUTE(reduction)
GRAFT_OP_ATTRIBUTE(eps)
GRAFT_OP_ATTRIBUTE(batch_statistics)
GRAFT_OP_ATTRIBUTE(momentum)
GRAFT_OP_ATTRIBUTE(rows)
GRAFT_OP_ATTRIBUTE(factor)
GRAFT_OP_ATTRIBUTE(outer)
GRAFT_OP_ATTRIBUTE(repeat)
GRAFT_OP_ATTRIBUTE(count)
GRAFT_OP_ATTRIBUTE(inner)
GRAFT_OP_ATTRIBUTE(value)
GRAFT_OP_ATTRIBUTE(x_row)
GRAFT_OP_ATTRIBUTE(y_row)
GRAFT_OP_ATTRIBUTE(x_begin)
GRAFT_OP_ATTRIBUTE(y_begin)
GRAFT_OP_ATTRIBUTE(before)
GRAFT_OP_ATTRIBUTE(transpose_a)
GRAFT_OP_ATTRIBUTE(transpose_b)
GRAFT_OP_ATTRIBUTE(label_smoothing)
GRAFT_OP_ATTRIBUTE(probability)
GRAFT_OP_ATTRIBUTE(stream)
GRAFT_OP_ATTRIBUTE(weight_decay)
GRAFT_OP_ATTRIBUTE(nesterov)
GRAFT_OP_ATTRIBUTE(beta1)
GRAFT_OP_ATTRIBUTE(beta2)
GRAFT_OP_ATTRIBUTE(decay)
GRAFT_OP_ATTRIBUTE(max_norm)
GRAFT_OP_ATTRIBUTE(advance)
GRAFT_OP_ATTRIBUTE(filter)
#undef GRAFT_OP_ATTRIBUTE

// Geometry, of a convolution or a pool.
inline auto& geometry(auto& args) {
  if constexpr (requires { args.conv; })
    return args.conv;
  else
    return args.pool;
}
inline auto pad(int32_t top, int32_t bottom, int32_t left, int32_t right) {
  return [=](auto& row) {
    geometry(row.args).pad = {top, bottom, left, right};
    row.out.text += fmt::format("pad {} {} {} {}, ", top, bottom, left, right);
  };
}
inline auto pad(int32_t all) { return pad(all, all, all, all); }
inline auto stride(int32_t h, int32_t w) {
  return [=](auto& row) {
    geometry(row.args).stride = {h, w};
    row.out.text += fmt::format("stride {} {}, ", h, w);
  };
}
inline auto stride(int32_t both) { return stride(both, both); }
inline auto subsample(int32_t every) {
  return [=](auto& row) {
    row.args.stride = every;
    row.out.text += fmt::format("stride {}, ", every);
  };
}
inline auto dilation(int32_t h, int32_t w) {
  return [=](auto& row) {
    row.args.conv.dilation = {h, w};
    row.out.text += fmt::format("dilation {} {}, ", h, w);
  };
}
inline auto dilation(int32_t both) { return dilation(both, both); }
inline auto groups(int32_t number) {
  return [=](auto& row) {
    row.args.conv.groups = number;
    row.out.text += fmt::format("groups {}, ", number);
  };
}
inline auto window(int32_t h, int32_t w) {
  return [=](auto& row) {
    row.args.pool.window = {h, w};
    row.out.text += fmt::format("window {} {}, ", h, w);
  };
}
inline auto window(int32_t both) { return window(both, both); }
inline auto count_include_pad(int32_t yes) {
  return [=](auto& row) {
    row.args.pool.count_include_pad = yes;
    row.out.text += fmt::format("count_include_pad {}, ", yes);
  };
}
inline auto order(std::initializer_list<int32_t> axes) {
  return [axes = std::vector<int32_t>(axes)](auto& row) {
    for (size_t i = 0; i < axes.size(); ++i) row.args.order[i] = axes[i];
    row.out.text += fmt::format("order {}, ", fmt::join(axes, " "));
  };
}

template <typename Args, typename Complete>
class OpCase {
 public:
  OpCase(OpEntries& table, Complete complete) : complete_(complete), entry_(add_entry(table)) {}

  OpCase& wide_only() { return entry_.wide_only = true, *this; }
  // The output may be the same memory as the input: such rows run in place too.
  template <typename Output, typename Input>
  OpCase& in_place() {
    Row<Args> row;
    entry_.in_place.emplace_back(row.template index<Output>(), row.template index<Input>());
    return *this;
  }
  // Tensors whose extents the others do not fix (see derived_errors).
  template <typename... Tags>
  OpCase& loose() {
    Row<Args> row;
    ((loose_[row.template index<Tags>()] = true), ...);
    return *this;
  }
  // This output follows from the others as they were stored.
  template <typename Output>
  OpCase& derived(void (*derive)(const void* args)) {
    Row<Args> row;
    entry_.derived = row.template index<Output>(), entry_.derive = derive;
    return *this;
  }

  template <typename... Elements>
  OpCase& row(const Elements&... elements) {
    entry_.rows.push_back(make_row(elements...));
    return *this;
  }
  template <typename... Elements>
  OpCase& each_activation(const Elements&... elements) {
    for (Activation kind : {none, relu, relu6, silu, sigmoid}) row(elements..., activation(kind));
    return *this;
  }

 private:
  static OpEntry& add_entry(OpEntries& table) {
    table.push_back({.primitive = primitive_of<Args>, .rows = {}, .in_place = {}});
    return table.back();
  }

  template <typename... Elements>
  OpRow make_row(const Elements&... elements) const {
    Row<Args> row;
    row.out.bound = bench::bound_of(primitive_of<Args>);
    (elements(row), ...);
    complete_(row);
    for (int i = 0; i < Args::kRoles.total(); ++i) {
      const TensorView& view = views_of(&row.args)[i];
      row.out.views[i].loose = loose_[i];
      if (view.present())
        row.out.text += fmt::format("{}{}{} ", row.out.views[i].name, view.shape,
                                    row.out.views[i].real ? "" : std::string(":") + name_of(view.dtype));
    }
    new (row.out.args.bytes) Args(row.args);
    return std::move(row.out);
  }

  Complete complete_;
  OpEntry& entry_;  // valid until the next op_case: one statement
  std::array<bool, kMaxViews> loose_ = {};
};

template <typename Args, typename Complete>
OpCase<Args, Complete> op_case(OpEntries& table, Complete complete) {
  return {table, complete};
}

}  // namespace graft::test::op
