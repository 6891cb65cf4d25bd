// The tables of shadowctl: which columns each resource has.
#pragma once

#include <optional>
#include <span>
#include <string>

#include "client/output/table.h"
#include "shadow/v1/dna.pb.h"
#include "shadow/v1/event.pb.h"
#include "shadow/v1/pool.pb.h"
#include "shadow/v1/shadow_pool.pb.h"
#include "shadow/v1/usage.pb.h"

namespace shadow {

// A pool with what its row shows beside it; empty: unknown.
struct PoolRow {
  v1::Pool pool;
  std::string shadow;         // "3 @ 50%": instances and level; "none".
  std::string demand;         // Mean of the last step, with its unit.
  std::optional<int> failed;  // Instances, of base and shadow pools.
  std::string failure;        // Why the last of them failed.
};

std::span<const Column<v1::Dna>> DnaColumns();
std::span<const Column<PoolRow>> PoolColumns();
std::span<const Column<v1::ShadowPool>> ShadowColumns();
std::span<const Column<v1::Instance>> InstanceColumns();
std::span<const Column<v1::Decision>> DecisionColumns();
std::span<const Column<v1::Event>> EventColumns();

// "PREDICTED_INCREASE, AT_MAXIMUM"
std::string ReasonsText(const v1::Decision& decision);

}  // namespace shadow
