// What the machine can do at most, measured now: the lines that kernels are held against.
#pragma once

namespace graft::bench {

// f32 multiply-adds in registers, two operations each, on `threads` threads together, in operations a second, with the
// widest vectors the CPU has.
double peak_flops(int threads);

// Reading two large arrays and writing a third (STREAM's triad), in bytes moved a second; write-allocate not counted.
double peak_bandwidth(int threads);

}  // namespace graft::bench
