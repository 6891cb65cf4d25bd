// A small file, read to its end.
#pragma once

#include <cstddef>
#include <string>

namespace shadow {

// Replaces `text` by what is left of `fd`, at most `max_bytes`. A read that gives less, or that a
// signal interrupts, is followed by another one. 0, or errno.
int ReadToEnd(int fd, size_t max_bytes, std::string& text);

}  // namespace shadow
