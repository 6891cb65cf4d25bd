// What must hold between the data of a pool after each tick. It ends the daemon where it does not
// (check/check.h). Control thread only.
#pragma once

#include <string>

#include "server/core/loop/world.h"

namespace shadow {

void CheckPool(const World& world, const PoolEntry& pool);

// Checks the pool after `last`, the short name of the one that was checked before, and sets it. So
// all are checked in turn, at the cost of one.
void CheckNextPool(const World& world, std::string& last);

}  // namespace shadow
