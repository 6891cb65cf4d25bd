// The processes of an instance. A look at /proc that is not complete is an error, as in
// process_table.h, and nothing follows from it.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "server/providers/process_record.h"
#include "server/providers/process_table.h"

namespace shadow {

inline constexpr char kInstanceVariable[] = "SHADOWD_INSTANCE";
inline constexpr char kStoreVariable[] = "SHADOWD_STORE";

// The entry of `table` that is exactly this process, or nullptr.
const ProcessStat* FindProcess(const std::vector<ProcessStat>& table, const ProcessId& id);

// The leader, if it is there, be it as a zombie.
absl::StatusOr<std::optional<ProcessStat>> ReadLeader(const ProcessRecord& record);

// The holder, if it is there, be it as a zombie.
absl::StatusOr<std::optional<ProcessStat>> ReadHolder(const ProcessRecord& record);

// The entry of the holder, if it lives. The kernel keeps all that descends from the instance below
// it.
const ProcessStat* LivingHolder(const std::vector<ProcessStat>& table, const ProcessRecord& record);

// Every process of the instance, zombies included, the leader (if it is there) first; not the
// holder. While that lives, they are its descendants. Without one:
// - those of the leader's session, as long as the leader (or its zombie) keeps that number from
//   being used again;
// - those that Suspend has written down as stopped;
// - those that carry the instance's and the store's tag in their environment, in whatever session,
//   and run as the record's user or as ours: whoever else writes that tag is not believed; and
// - the descendants of all these.
// Never this process itself, and none that is older than the leader.
absl::StatusOr<std::vector<ProcessStat>> InstanceProcesses(const std::vector<ProcessStat>& table,
                                                           const ProcessRecord& record,
                                                           const std::string& store_id);

// The oldest session leader of each instance that carries the store's tag, runs as one of `uids`,
// and is the child of a holder of that instance, which runs as ours: by instance id, as the record
// that it should have had. An environment is anybody's to write, also an instance's whose user is
// that of others: without a record, only the holder is proof. Malformed ids there are left out.
absl::StatusOr<std::map<std::string, ProcessRecord>> FindTagged(
    const std::vector<ProcessStat>& table, const std::string& store_id,
    const std::set<uid_t>& uids);

// Whether any of them lives and is not stopped.
absl::StatusOr<bool> AnyRuns(const std::vector<ProcessStat>& processes);

}  // namespace shadow
