// The kinds of provider, balancer and usage source that a pool may name.
#pragma once

#include <vector>

namespace shadow {

// Every spec that names one kind of `Spec`, and nothing in it.
template <typename Spec>
std::vector<Spec> AllKinds() {
  std::vector<Spec> all;
  const auto* const kinds = Spec::descriptor()->oneof_decl(0);
  for (int i = 0; i < kinds->field_count(); ++i) {
    Spec& spec = all.emplace_back();
    spec.GetReflection()->MutableMessage(&spec, kinds->field(i));
  }
  return all;
}

}  // namespace shadow
