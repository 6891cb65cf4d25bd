// The content address of a DNA. CanonicalJson itself is declared in spec.h.
#pragma once

#include <string>
#include <string_view>

#include "shadow/v1/dna.pb.h"

namespace shadow {

// The first 12 hex digits of the SHA-256 of CanonicalJson(dna).
std::string RevisionOf(const v1::Dna& dna);

// SHA-256 of `bytes`, 64 lower-case hex digits.
std::string Sha256Hex(std::string_view bytes);

}  // namespace shadow
