// A log file that never grows beyond its bound. System calls alone: no allocation, no exception.
#pragma once

#include <sys/types.h>

#include <cstddef>

namespace shadow {

// Shortens the file to its last `max_bytes` / 2, from the beginning of a line (if there is one). It
// is moved within the file, so it takes no space, and whoever reads meanwhile may see a line twice.
// `fd` is open for reading and writing, not for appending. Returns the new size; -1: the file
// cannot be read or written. It is empty then.
off_t CutLog(int fd, off_t max_bytes);

// Writes at the end, and cuts before where it would grow beyond `max_bytes`. `size` is at most half
// of that. What the disk has no room for is dropped, as is what cannot be written.
void AppendToLog(int fd, const char* data, size_t size, off_t max_bytes);

}  // namespace shadow
