// What the machine can do at most, measured now: the lines that kernels are held against.
#pragma once
#include <memory>

#include "bench/roofline.h"
#include "core/device.h"

namespace graft::bench {

// Of the processor that `device` computes on, with the threads it computes with. On a GPU multiply-adds are those of
// the backend's own product of two 4096 x 4096 matrices of `dtype`, and bandwidth that of its copy within the device.
Limits measure_limits(const std::shared_ptr<Device>& device, int threads, DType dtype);

// f32 multiply-adds in registers, two operations each, on `threads` threads together, in operations a second, with the
// widest vectors the CPU has.
double peak_flops(int threads);

// Reading two large arrays and writing a third (STREAM's triad), in bytes moved a second; write-allocate not counted.
// The three are larger together than the last-level cache, where an eighth of the machine's memory holds one of them.
double peak_bandwidth(int threads);

}  // namespace graft::bench
