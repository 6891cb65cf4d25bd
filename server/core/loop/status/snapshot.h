// What readers see: immutable, shared, replaced as a whole.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "server/core/loop/status/pool_figures.h"
#include "server/core/loop/status/shared_map.h"
#include "shadow/v1/dna.pb.h"
#include "shadow/v1/pool.pb.h"
#include "shadow/v1/shadow_pool.pb.h"

namespace shadow {

struct PoolSnapshot {
  v1::Pool pool;
  std::map<std::string, v1::ShadowPool> shadows;  // By full name.
  std::map<std::string, v1::Instance> instances;  // By full name.
  std::shared_ptr<const PoolFigures> figures;     // They go on changing; nullptr in tests alone.
};

using DnaMap = std::map<std::string, v1::Dna>;  // By "dnas/x" (the newest) and "dnas/x@revision".

// Parts are shared between snapshots: only what changed is copied, and no part is ever written
// again.
struct Snapshot {
  std::shared_ptr<const DnaMap> dnas;
  SharedMap<std::shared_ptr<const PoolSnapshot>> pools;  // By full name.
  std::string store_id;
  int64_t revision = 0;
  bool recovered = false;
  std::vector<v1::Condition> conditions;  // The daemon's own.
};

}  // namespace shadow
