// Rows of random masks, the check for finite numbers, and the optimisers. A raised flag must leave everything as it is.
#include <cmath>

#include "contract/philox.h"
#include "tests/kernels/op_table/op_case.h"

namespace graft::test {
namespace {

using namespace op;

// What element 5 draws from stream 0 of the state that `state` holds unless told otherwise.
const double kDrawn = unit_float(philox(0x123456789ABCD000, 40 + 1, 0).word[1]);

// ClipFactorArgs::factor; `factor` is an attribute of others.
struct clip : Tensor<clip> {
  using Tensor<clip>::Tensor;
  static constexpr const char* kName = "factor";
  static constexpr bool kIsVector = false;
  static constexpr DType kType = DType::none;
  static Fill contents() { return uniform(); }
  static auto& in(auto& args) { return args.factor; }
};

auto with_flag(double up) { return flag{1}.filled(values({up})); }
auto at_step(double finished) { return step{1}.filled(values({finished})); }

}  // namespace

void add_optimiser_rows(OpEntries& table) {
  op_case<BernoulliMaskArgs>(table, [](auto& row) { row.required(state({2})); })
      .loose<y>()
      .row(y{2, 3, 5, 7}, probability(0.3))
      .row(y{1}, probability(0.5))
      .row(y{2}, probability(0.9))
      .row(y{3}, probability(0.1), stream(7))
      .row(y{17}, probability(0.2), stream(0x100000001))
      .row(y{64}, probability(0))
      .row(y{33}, probability(0.875), stream(-1))
      .row(y{1031}, probability(0.2))
      .row(y{0}, probability(0.2))
      .row(y{9}, probability(kDrawn))                     // equal to the draw of element 5, which is kept
      .row(y{9}, probability(std::nextafter(kDrawn, 1)))  // just above it, by less than an f32 shows
      .row(y{1031}, state{2}.filled(values({42, 0xFFFFFFF0p0})),
           probability(0.4))  // the counter carries into its high word
      .row(y{7}, state{2}.filled(values({-1, 0})), probability(0.4))
      .row(y{7}, probability(1), invalid("nothing would be left"))
      .row(y{7}, probability(-0.1), invalid("a negative probability"))
      .row(y{7}, probability(kNan), invalid("not a probability"));

  op_case<CheckFiniteArgs>(table, [](auto& row) { row.required(flag({1})); })
      .loose<x>()
      .row(x{2, 3, 5, 7})
      .row(x{1})
      .row(x{0})
      .row(x{0}, with_flag(1))
      .row(x{1031}, with_flag(1))  // never cleared here
      .row(x{1031}.filled(values({3e38, -3e38, 1e-40, 0, -0.0})))
      .row(x{1}.filled(values({kNan})))
      .row(x{17}.filled(with_value_at(0, kInf)))
      .row(x{17}.filled(with_value_at(16, -kInf)))
      .row(x{1031}.filled(with_value_at(1030, kNan)))
      .row(x{1031}.filled(with_value_at(511, kInf)))
      .row(x{1'050'000}.filled(with_value_at(1'049'999, kNan)))  // beyond 1,024 blocks of 1,024
      .row(x{64}.filled(values({kInf, -kInf})))                  // their sum is NaN, their product too
      .row(x{4099}.filled(values({kNan})))                       // many see one
      .row(x{64}.filled(with_value_at(31, kNan)), with_flag(1));

  op_case<SgdArgs>(table,
                   [](auto& row) {
                     row.required(learning_rate({1}));
                     row.required(step({1}));
                     row.optional(flag({1}));
                     row.optional(gradient_factor({1}));
                     row.required(parameter(row.args.gradient.shape));
                     row.optional(velocity(row.args.gradient.shape));
                     row.optional(copy(row.args.gradient.shape));
                   })
      .wide_only()
      .row(gradient{3, 5, 7}, with<velocity>, momentum(0.9), weight_decay(1e-2))
      .row(gradient{1}, with<velocity>, momentum(0.9))
      .row(gradient{16}, with<velocity>, momentum(0.9), nesterov(1))
      .row(gradient{17}, with<velocity>, momentum(0.9), weight_decay(0.1), nesterov(1), with_flag(0))
      .row(gradient{1031}, with<velocity>, momentum(0.5), at_step(0))  // the first: velocity is what it is given
      .row(gradient{33}, velocity{33}.filled(values({kNan})), momentum(0.9), at_step(0), nesterov(1))
      .row(gradient{64}, weight_decay(0.1))  // no momentum, no velocity
      .row(gradient{15}, at_step(0))
      .row(gradient{0}, with<velocity>, momentum(0.9))
      .row(gradient{33}, with<velocity>, momentum(0.9), weight_decay(0.1), with_flag(1))  // nothing moves
      .row(gradient{33}.filled(values({kNan, kInf})), with<velocity>, momentum(0.9), with_flag(1))
      .row(gradient{7}, with<velocity>, momentum(0.9), learning_rate{1}.filled(values({0})))
      .row(gradient{1031}, with<velocity, gradient_factor>, momentum(0.9), weight_decay(0.1))
      .row(gradient{33}, with<velocity, gradient_factor>, momentum(0.9), nesterov(1), at_step(0))
      .row(gradient{5}, gradient_factor{1}.filled(values({0})), weight_decay(0.1))
      .row(gradient{1031}, with<velocity, copy>, momentum(0.9), weight_decay(0.1))
      .row(gradient{33}, copy{33}.as(DType::f16), with<velocity, gradient_factor>, momentum(0.9))
      .row(gradient{1031}, with<velocity, copy>, momentum(0.9), with_flag(1))  // the copy of what does not move
      .row(gradient{7}, copy{7}.as(DType::f16), with_flag(1))
      .row(gradient{0}, with<copy, gradient_factor>)
      .row(gradient{7}, gradient_factor{2}, invalid("two factors"))
      .row(gradient{7}, copy{8}, invalid("a copy of 8, 7 gradients"))
      .row(gradient{7}, copy{7}.as(DType::u8), invalid("a copy in bytes"))
      .row(gradient{7}, momentum(0.9), invalid("momentum without velocity"))
      .row(gradient{7}, with<velocity>, momentum(0.9), parameter{8}, invalid("8 parameters, 7 gradients"))
      .row(gradient{7}, velocity{6}, momentum(0.9), invalid("6 velocities, 7 gradients"))
      .row(gradient{7}, flag{2}, invalid("two flags"));

  op_case<AdamWArgs>(table,
                     [](auto& row) {
                       row.required(learning_rate({1}));
                       row.required(step({1}));
                       row.optional(flag({1}));
                       row.optional(gradient_factor({1}));
                       row.required(parameter(row.args.gradient.shape));
                       row.optional(copy(row.args.gradient.shape));
                       row.required(m(row.args.gradient.shape));
                       row.required(v(row.args.gradient.shape));
                     })
      .wide_only()
      .row(gradient{3, 5, 7})
      .row(gradient{1}, weight_decay(0.01))
      .row(gradient{16}, weight_decay(0.1), at_step(0))
      .row(gradient{17}, m{17}.filled(values({0})), v{17}.filled(values({0})), at_step(0))
      .row(gradient{33}, beta1(0.5), beta2(0.75), eps(1e-3), at_step(10))
      .row(gradient{1031}, weight_decay(0.01), with_flag(0), at_step(99999))
      .row(gradient{64}.filled(uniform(-1e-4, 1e-4)), v{64}.filled(uniform(0, 1e-8)), eps(1e-6))
      .row(gradient{8}.filled(values({0})), m{8}.filled(values({0})), v{8}.filled(values({0})))  // eps alone divides
      .row(gradient{0})
      .row(gradient{33}, weight_decay(0.1), with_flag(1))  // nothing moves
      .row(gradient{33}.filled(values({kNan, kInf})), with_flag(1))
      .row(gradient{1031}, with<gradient_factor, copy>, weight_decay(0.01))
      .row(gradient{33}, copy{33}.as(DType::f16), with<gradient_factor>, at_step(0))
      .row(gradient{1031}, with<copy>, with_flag(1))  // the copy of what does not move
      .row(gradient{0}, with<copy, gradient_factor>)
      .row(gradient{7}, gradient_factor{2}, invalid("two factors"))
      .row(gradient{7}, copy{6}, invalid("a copy of 6, 7 gradients"))
      .row(gradient{7}, copy{7}.as(DType::i64), invalid("a copy in whole numbers"))
      .row(gradient{7}, v{8}, invalid("8 second moments, 7 gradients"))
      .row(gradient{7}, flag{2}, invalid("two flags"));

  op_case<EmaArgs>(table,
                   [](auto& row) {
                     row.optional(flag({1}));
                     row.required(average(row.args.parameter.shape));
                   })
      .wide_only()
      .row(parameter{3, 5, 7})
      .row(parameter{1}, decay(0.5))
      .row(parameter{1031}, decay(0.9999), with_flag(0))
      .row(parameter{17}, decay(0))
      .row(parameter{64}, average{64}.filled(values({kNan, 1})), decay(0.9))
      .row(parameter{0})
      .row(parameter{33}, with_flag(1))  // nothing moves
      .row(parameter{33}.filled(values({kNan})), with_flag(1))
      .row(parameter{7}, decay(1), invalid("an average that never moves"))
      .row(parameter{7}, decay(-0.1), invalid("a negative share"))
      .row(parameter{7}, decay(kNan), invalid("not a share"))
      .row(parameter{7}, average{8}, invalid("8 averages of 7 parameters"))
      .row(parameter{7}, flag{2}, invalid("two flags"));

  op_case<ClipFactorArgs>(table,
                          [](auto& row) {
                            row.optional(flag({1}));
                            row.required(norm({1}));
                            row.required(clip({1}));
                          })
      .wide_only()
      .loose<gradient>()
      .row(gradient{3, 5, 7}, max_norm(1))
      .row(gradient{1}, max_norm(0.01))
      .row(gradient{17}, max_norm(100))                                  // nothing to clip
      .row(gradient{64}.filled(values({0.5})), max_norm(4), with<flag>)  // exactly as long as allowed
      .row(gradient{1031}, max_norm(0.5), with<flag>)
      .row(gradient{9001}, max_norm(1e-3), with<flag>)
      .row(gradient{0}, max_norm(1))
      .row(gradient{33}.filled(values({0})), max_norm(1))
      .row(gradient{33}.filled(values({1e-30, -1e-25})), max_norm(1e-30))        // squares that vanish in f32 …
      .row(gradient{33}.filled(values({1e30, -2e25})), max_norm(1), with<flag>)  // … and that overflow
      .row(gradient{17}.filled(with_value_at(16, kInf)), max_norm(1), with<flag>)
      .row(gradient{9001}.filled(with_value_at(9000, kNan)), max_norm(1), with<flag>)
      .row(gradient{9001}.filled(with_value_at(4097, -kInf)), max_norm(1))
      .row(gradient{64}, max_norm(1), with_flag(1))  // never cleared here
      .row(gradient{1'100'000}, max_norm(1))         // 269 blocks: more sums than the kernel that adds them has threads
      .row(gradient{7}, max_norm(0), invalid("nothing would be left"))
      .row(gradient{7}, max_norm(kNan), invalid("not a norm"))
      .row(gradient{7}, norm{2}, max_norm(1), invalid("two norms"))
      .row(gradient{7}, clip{2}, max_norm(1), invalid("two factors"))
      .row(gradient{7}, flag{2}, max_norm(1), invalid("two flags"));

  op_case<FinishStepArgs>(table,
                          [](auto& row) {
                            row.optional(flag({1}));
                            row.required(step({1}));
                            row.optional(random_state({2}));
                          })
      .row(advance(12))
      .row(with<random_state>, advance(12))
      .row(with<random_state>, with_flag(0), advance(0x100000000))
      .row(with<random_state>, with_flag(1), advance(12))  // nothing moves
      .row(with_flag(1))
      .row(random_state{2}.filled(values({-1, 0xFFFFFFFFp0})), advance(1))
      .row(at_step(0), advance(0))
      .row(random_state{3}, advance(1), invalid("a state of three numbers"))
      .row(flag{2}, invalid("two flags"));
}

}  // namespace graft::test
