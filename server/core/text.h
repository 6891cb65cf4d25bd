// What the core asks of text: its ASCII characters, and the two kinds of string views. Pure.
#pragma once

#include <string_view>

#include "absl/strings/string_view.h"

namespace shadow {

// Whatever the locale; bytes beyond ASCII are none of these. Taking char, as std::all_of over a
// string gives it: Abseil's and the standard library's take unsigned char.
inline bool IsLower(char c) { return c >= 'a' && c <= 'z'; }
inline bool IsDigit(char c) { return c >= '0' && c <= '9'; }
inline bool IsAlpha(char c) { return IsLower(c) || (c >= 'A' && c <= 'Z'); }
inline bool IsAlnum(char c) { return IsAlpha(c) || IsDigit(c); }

// For Abseil's functions: Debian's Abseil has a string_view of its own. Of the same bytes.
inline absl::string_view Absl(std::string_view text) { return {text.data(), text.size()}; }

}  // namespace shadow
