// Rows of batch normalisation. Data far from zero (mean 1000, spread 1) tell a two-pass variance from E[x²] − E[x]².
#include "tests/kernels/op_table/op_case.h"

namespace graft::test {

using namespace op;

void add_normalisation_rows(OpEntries& table) {
  op_case<BatchNormTrainingArgs>(table,
                                 [](auto& row) {
                                   const Shape channels = {row.args.x.shape.channels()};
                                   row.required(weight(channels));
                                   row.required(bias(channels));
                                   row.optional(residual(row.args.x.shape));
                                   row.required(y(row.args.x.shape));
                                   row.required(mean(channels));
                                   row.required(var(channels));
                                   row.optional(mask(mask_shape(row.args.x.shape)));
                                 })
      .row(x{2, 3, 5, 7})
      .row(x{1, 1, 2, 1})
      .row(x{1, 1, 1, 3})  // one value a channel: variance 0, y = bias
      .row(x{0, 4, 4, 3})  // no rows: mean and var are NaN
      .row(x{3, 7, 5, 8})
      .row(x{2, 11, 3, 15})
      .row(x{1, 8, 8, 16}, eps(1e-3))
      .row(x{5, 3, 3, 17})
      .row(x{2, 9, 9, 33}, eps(0.25))
      .row(x{4, 6, 6, 64})
      .row(x{2, 9, 13, 161})  // long enough for sums in several parts
      .row(x{37, 10})
      .row(x{3, 31, 37, 3})
      .row(x{2, 9, 7, 5}.filled(uniform(999, 1001)))
      .row(x{2, 9, 7, 5}.filled(values({3})))  // all the same: eps alone keeps it finite
      .each_activation(x{2, 5, 3, 19}, weight{19}.filled(uniform(2, 5)), with<residual>)
      .each_activation(x{3, 4, 4, 8}, weight{8}.filled(uniform(2, 5)))
      .row(x{2, 5, 3, 19}, with<residual, mask>, activation(relu))
      .row(x{2, 9, 13, 40}, weight{40}.filled(uniform(2, 5)), with<residual, mask>, activation(relu6))
      .row(x{3, 5, 5, 8}, with<mask>, activation(relu))
      .row(x{3, 5, 3, 12}, with<mask>, activation(relu))  // vectors, but a byte of the mask for each element
      .row(x{2, 5, 3, 19}, with<mask>, activation(silu), invalid("silu lets everything pass"))
      .row(x{2, 5, 3, 8}, mask{30, 8}, activation(relu), invalid("a byte for each element where a vector has one"))
      .row(x{2, 3, 5, 7}, weight{8}, invalid("8 weights for 7 channels"))
      .row(x{2, 3, 5, 7}, eps(-1), invalid("a negative eps"))
      .row(x{2, 3, 5, 7}, residual{2, 3, 5, 1}, invalid("a residual unlike x"))
      .row(x{2, 3, 5, 7}, activation(7), invalid("no such activation"));

  op_case<BatchNormInferenceArgs>(table,
                                  [](auto& row) {
                                    const Shape channels = {row.args.x.shape.channels()};
                                    row.required(weight(channels));
                                    row.required(bias(channels));
                                    row.required(mean(channels));
                                    row.required(var(channels));
                                    row.optional(residual(row.args.x.shape));
                                    row.required(y(row.args.x.shape));
                                    row.optional(mask(mask_shape(row.args.x.shape)));
                                  })
      .row(x{2, 3, 5, 7})
      .row(x{1, 1, 1, 1})
      .row(x{3, 7, 5, 8})
      .row(x{1, 3, 3, 15}, eps(1e-3))
      .row(x{1, 4, 4, 16})
      .row(x{2, 3, 3, 17}, eps(0.25))
      .row(x{2, 5, 5, 33})
      .row(x{1, 6, 6, 64})
      .row(x{11, 10})
      .row(x{0, 4, 4, 5})
      .row(x{2, 3, 5, 7}, var{7}.filled(values({0, 1e-12, 1e-5})))
      .row(x{2, 9, 7, 5}.filled(uniform(999, 1001)), mean{5}.filled(uniform(999, 1001)))
      .each_activation(x{2, 5, 3, 19}, weight{19}.filled(uniform(2, 5)), with<residual>)
      .each_activation(x{3, 4, 4, 8}, weight{8}.filled(uniform(2, 5)))
      .row(x{2, 5, 3, 19}, with<residual, mask>, activation(relu))
      .row(x{2, 9, 13, 40}, weight{40}.filled(uniform(2, 5)), with<residual, mask>, activation(relu6))
      .row(x{2, 3, 5, 7}, var{6}, invalid("6 variances for 7 channels"))
      .row(x{2, 3, 5, 7}, residual{1, 3, 5, 7}, invalid("a residual unlike x"))
      .row(x{2, 3, 5, 7}, activation(-3), invalid("no such activation"));

  op_case<BatchNormBackwardArgs>(table,
                                 [](auto& row) {
                                   const Shape channels = {row.args.x.shape.channels()};
                                   row.required(dy(row.args.x.shape));
                                   row.required(weight(channels));
                                   row.optional(bias(channels));
                                   row.required(mean(channels));
                                   row.required(var(channels));
                                   row.optional(mask(mask_shape(row.args.x.shape)));
                                   row.optional(dx(row.args.x.shape));
                                   row.optional(dweight(channels));
                                   row.optional(dbias(channels));
                                   row.optional(dresidual(row.args.x.shape));
                                 })
      .row(x{2, 3, 5, 7}, with<dx, dweight, dbias>)
      .row(x{2, 3, 5, 7}, with<dx, dweight, dbias>, batch_statistics(0))
      .row(x{1, 1, 1, 3}, with<dx, dweight, dbias>)
      .row(x{3, 7, 5, 8}, with<dx>)
      .row(x{3, 7, 5, 8}, with<dx>, batch_statistics(0))
      .row(x{2, 11, 3, 15}, with<dweight>)
      .row(x{2, 11, 3, 15}, with<dbias>, batch_statistics(0))
      .row(x{1, 8, 8, 16}, with<dbias, dresidual>)
      .row(x{5, 3, 3, 17}, with<dx, dweight, dbias, dresidual>, eps(1e-3))
      .row(x{2, 9, 9, 33}, with<dx, dweight, dbias>, eps(0.25))
      .row(x{4, 6, 6, 64}, with<dx, dweight, dbias>)
      .row(x{2, 9, 13, 161}, with<dx, dweight, dbias>)
      .row(x{37, 10}, with<dx, dweight, dbias>)
      .row(x{3, 31, 37, 3}, with<dx, dweight, dbias>)
      .row(x{0, 4, 4, 5}, with<dx, dweight, dbias>)  // sums of nothing
      .each_activation(x{2, 5, 3, 19}, weight{19}.filled(uniform(2, 5)), with<bias, dx, dweight, dbias, dresidual>)
      .each_activation(x{3, 4, 4, 24}, weight{24}.filled(uniform(2, 5)), with<bias, dx, dweight, dbias>,
                       batch_statistics(0))
      .row(x{2, 5, 3, 19}, with<mask, dx, dweight, dbias, dresidual>, activation(relu))
      .row(x{2, 5, 3, 16}, with<mask, dx, dweight, dbias, dresidual>, activation(relu6))
      .row(x{2, 9, 13, 40}, with<mask, dx, dweight, dbias>, activation(relu), batch_statistics(0))
      .row(x{2, 5, 3, 12}, with<mask, dx, dweight, dbias>, activation(relu))  // a byte of the mask for each element
      .row(x{2, 5, 3, 16}, with<bias, mask, dresidual>, activation(relu))     // the mask comes first
      .row(x{2, 3, 5}.filled(values({-1, 1, 2})), dy{2, 3, 5}.filled(values({kInf, 1, -1, kNan, 0.5, 2})),
           mean{5}.filled(values({0})), weight{5}.filled(values({1})), bias{5}.filled(values({0})),
           with<dx, dweight, dbias, dresidual>, activation(relu))  // what is not let pass leaves no NaN
      .row(x{2, 5, 3, 9}, with<bias, dx, dweight, dbias>)          // no activation: bias says nothing
      .row(x{2, 3, 5, 7}, with<dx, dweight, dbias>, activation(relu), invalid("relu, and neither bias nor mask"))
      .row(x{2, 3, 5, 7}, with<mask, dx>, activation(silu), invalid("a mask does not tell silu's slope"))
      .row(x{2, 3, 5, 8}, mask{30, 8}, with<dx>, activation(relu), invalid("a mask of another width"))
      .row(x{2, 3, 5, 7}, with<dx>, dweight{8}, invalid("8 weights for 7 channels"))
      .row(x{2, 3, 5, 7}, dx{2, 3, 7, 5}, invalid("dx unlike x"));

  op_case<UpdateRunningStatsArgs>(table,
                                  [](auto& row) {
                                    row.required(var(row.args.mean.shape));
                                    row.optional(flag({1}));
                                    row.required(running_mean(row.args.mean.shape));
                                    row.required(running_var(row.args.mean.shape));
                                  })
      .wide_only()
      .row(mean{7}, rows(35))
      .row(mean{1}, rows(2))
      .row(mean{16}, rows(1000), momentum(0.01))
      .row(mean{33}, rows(64), with<flag>, momentum(0.3))
      .row(mean{33}, rows(64), flag{1}.filled(values({1})))  // nothing moves
      .row(mean{64}, rows(int64_t{1} << 33), momentum(1))
      .row(mean{5}, rows(3), momentum(0))
      .row(mean{300}, rows(3136), with<flag>)
      .row(mean{0}, rows(35))
      .row(mean{7}, rows(1), invalid("one value has no variance"))
      .row(mean{7}, rows(-5), invalid("a negative number of rows"))
      .row(mean{7}, flag{2}, rows(35), invalid("two flags"));
}

}  // namespace graft::test
