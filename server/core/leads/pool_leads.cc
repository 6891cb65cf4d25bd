#include "server/core/leads/pool_leads.h"

#include <algorithm>

#include "server/core/leads/learned_lead.h"
#include "server/core/loop/instances.h"
#include "server/core/time_proto.h"

namespace shadow {
namespace {

using I = v1::Instance;

bool Creating(const I& instance) {
  return instance.state() == I::CREATING || instance.state() == I::VERIFYING;
}

bool Made(const I& instance) {
  return !Creating(instance) && instance.state() != I::FAILED && instance.state() != I::DELETING;
}

// So far; no longer than it may take, in case the clock was set forward.
absl::Duration AgeOf(const Member& member, absl::Time now) {
  absl::Duration longest = member.dna->start_timeout;
  if (member.record.instance().state() == I::VERIFYING) longest += kVerifyTimeout;
  return std::min(now - FromProto(member.record.instance().create_time()), longest);
}

bool Overtaken(const PoolEntry& pool, const Member& late) {
  int made = 0;
  int waiting = 0;
  for (const auto& [id, member] : pool.members) {
    const I& instance = member.record.instance();
    if (FromProto(instance.create_time()) < FromProto(late.record.instance().create_time())) {
      continue;
    }
    made += Made(instance);
    waiting += Creating(instance);
  }
  return made > waiting;
}

absl::Duration BalancerLead(const PoolEntry& pool) {
  return pool.spec->has_balancer ? pool.learned_leads.balancing : absl::ZeroDuration();
}

}  // namespace

void LearnLeads(PoolEntry& pool) {
  const v1::PoolRecord& record = pool.record;
  pool.learned_leads = {.provisioning = LeadFrom(record.provisioning(), kDefaultProvisioningLead),
                        .waking = LeadFrom(record.waking(), kDefaultActivationLead),
                        .balancing = LeadFrom(record.balancing(), absl::ZeroDuration())};
}

absl::Duration ProvisioningLead(const PoolEntry& pool) {
  return pool.spec->provisioning_lead.value_or(pool.learned_leads.provisioning);
}

absl::Duration ActivationLead(const PoolEntry& pool) {
  if (pool.spec->activation_lead.has_value()) return *pool.spec->activation_lead;
  return pool.learned_leads.waking + BalancerLead(pool);
}

absl::Duration ProvisioningLeadNow(const PoolEntry& pool, absl::Time now) {
  absl::Duration lead = ProvisioningLead(pool);
  if (pool.spec->provisioning_lead.has_value()) return lead;
  for (const auto& [id, member] : pool.members) {
    if (!Creating(member.record.instance())) continue;
    const absl::Duration age = AgeOf(member, now);
    if (age > lead && !Overtaken(pool, member)) lead = age;
  }
  return lead;
}

void ShowLeads(const PoolEntry& pool, v1::Pool& shown) {
  *shown.mutable_provisioning_lead() = ToProto(ProvisioningLead(pool));
  *shown.mutable_activation_lead() = ToProto(ActivationLead(pool));
  shown.clear_activation_balancer_lead();
  if (pool.spec->activation_lead.has_value() || !pool.spec->has_balancer) return;
  *shown.mutable_activation_balancer_lead() = ToProto(BalancerLead(pool));
}

void MigrateLeads(v1::PoolRecord& record) {
  if (!record.has_provisioning() && !record.provisioning_leads().empty()) {
    *record.mutable_provisioning() = LearnedFrom(record.provisioning_leads());
  }
  // It was measured as one with the balancer's part; newer bursts displace it.
  if (!record.has_waking() && !record.activation_leads().empty()) {
    *record.mutable_waking() = LearnedFrom(record.activation_leads());
  }
  record.clear_provisioning_leads();
  record.clear_activation_leads();
}

}  // namespace shadow
