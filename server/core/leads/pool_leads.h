// A pool's lead times: fixed by its policy, learned, or the defaults.
#pragma once

#include "absl/time/time.h"
#include "server/core/loop/world.h"

namespace shadow {

// Takes up what the pool's record has learned: to be called whenever that has changed. Every
// decision asks for the leads, and they take a sort each.
void LearnLeads(PoolEntry& pool);

// Create until suspended and verified.
absl::Duration ProvisioningLead(const PoolEntry& pool);

// Activate until the first traffic: what the instance takes to wake, and then the balancer.
absl::Duration ActivationLead(const PoolEntry& pool);

// The same as ProvisioningLead, or longer: the age of the oldest instance that is being created,
// unless the lead is fixed. An instance does not count once most of those that began with it or
// after it have been made: its delay is its own, and not that of the next one.
absl::Duration ProvisioningLeadNow(const PoolEntry& pool, absl::Time now);

// As users see them.
void ShowLeads(const PoolEntry& pool, v1::Pool& shown);

// Moves what older daemons recorded to where it is kept now.
void MigrateLeads(v1::PoolRecord& record);

}  // namespace shadow
