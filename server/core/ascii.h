// Characters of names, whatever the locale. The standard library's predicates and Abseil's take
// unsigned char, which a char is not everywhere.
#pragma once

namespace shadow {

inline bool IsLower(char c) { return c >= 'a' && c <= 'z'; }
inline bool IsDigit(char c) { return c >= '0' && c <= '9'; }
inline bool IsAlpha(char c) { return IsLower(c) || (c >= 'A' && c <= 'Z'); }
inline bool IsAlnum(char c) { return IsAlpha(c) || IsDigit(c); }

}  // namespace shadow
