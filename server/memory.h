// How the process treats memory that it has freed.
#pragma once

#include <malloc.h>

namespace shadow {

// More than one fit of a forecast needs, all at once; it is the largest that is needed again and
// again.
inline constexpr int kKeptFreeBytes = 8 << 20;

// Called at the start of `main`. By default glibc gives blocks of 128 KB and more back to the
// kernel as soon as they are free, so that each fit has its pages made and zeroed anew; on a
// virtual machine that took three quarters of its time. Each arena, of which threads share at most
// eight a core, keeps up to kKeptFreeBytes instead.
inline void KeepFreedMemory() {
  mallopt(M_TRIM_THRESHOLD, kKeptFreeBytes);
  mallopt(M_MMAP_THRESHOLD, kKeptFreeBytes / 2);
}

}  // namespace shadow
