#include "server/providers/kubernetes/pod_cache.h"

#include <algorithm>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "server/core/text.h"
#include "server/providers/kubernetes/pod_names.h"

namespace shadow {
namespace {

constexpr int kPageItems = 250;
constexpr int kWatchSeconds = 300;  // Then the server ends it, and it goes on.
constexpr absl::Duration kWatchPatience = absl::Seconds(kWatchSeconds + 30);
constexpr absl::Duration kListTimeout = absl::Seconds(5);
constexpr absl::Duration kPingTimeout = absl::Milliseconds(1500);
constexpr absl::Duration kLasting = absl::Seconds(1);  // A watch that did had begun well.
constexpr absl::Duration kRetryMin = absl::Milliseconds(100);
constexpr absl::Duration kRetryMax = absl::Seconds(5);
constexpr int kDoublingsMax = 6;

// Of a query: all but letters, digits and "-._~" as %XX.
std::string Escaped(std::string_view text) {
  constexpr char kDigits[] = "0123456789ABCDEF";
  std::string escaped;
  for (const char c : text) {
    if (IsAlnum(c) || c == '-' || c == '.' || c == '_' || c == '~') {
      escaped += c;
      continue;
    }
    const auto byte = static_cast<unsigned char>(c);
    escaped += {'%', kDigits[byte >> 4U], kDigits[byte & 15U]};
  }
  return escaped;
}

absl::Status TooManyPods() {
  return absl::UnavailableError(
      absl::StrCat("there are more than ", PodCache::kPodsMax, " pods, which is the limit"));
}

int64_t VersionOf(const Json& object) {
  int64_t version = 0;
  return absl::SimpleAtoi(TextBelow(object, {"metadata", "resourceVersion"}), &version) ? version
                                                                                        : 0;
}

}  // namespace

PodCache::PodCache(ApiClient& client, std::string tag, Clock& clock)
    : client_(client),
      tag_(std::move(tag)),
      clock_(clock),
      heard_(clock.Now().mono),
      failing_(clock.Now().mono),
      thread_([this](const std::stop_token& stop) { Run(stop); }) {}

PodCache::~PodCache() {
  thread_.request_stop();
  const std::lock_guard lock(mutex_);
  changed_.notify_all();
}

std::string PodCache::Path(const std::string& query) const {
  return absl::StrCat("/api/v1/namespaces/", client_.place().space,
                      "/pods?labelSelector=", Escaped(absl::StrCat(kProviderLabel, "=", tag_)),
                      query);
}

void PodCache::Listen(std::function<void(std::string_view id)> hear) {
  const std::lock_guard lock(hear_mutex_);
  hear_ = std::move(hear);
}

void PodCache::Tell(const std::string& id) {
  const std::lock_guard lock(hear_mutex_);
  if (hear_) hear_(id);
}

void PodCache::Run(const std::stop_token& stop) {
  bool list = true;
  int failures = 0;
  while (!stop.stop_requested()) {
    const absl::Duration begun = clock_.Now().mono;
    const absl::Status status = list ? ListAll(stop) : Watch(stop);
    if (stop.stop_requested()) return;
    const bool forgotten = absl::IsOutOfRange(status);
    const bool lasted = !list && clock_.Now().mono - begun >= kLasting;
    if (lasted) failures = 0;
    if (status.ok() || (lasted && !forgotten)) {  // A watch that breaks goes on where it was.
      list = false;
      continue;
    }
    // A list says that the server is there; of a watch, only its first event would.
    list = true;
    if (forgotten && failures++ == 0) continue;
    Fail(status);
    const absl::Duration pause =
        std::min(kRetryMin * (1 << std::min(failures++, kDoublingsMax)), kRetryMax);
    const absl::Duration until = clock_.Now().mono + pause;
    std::unique_lock lock(mutex_);
    while (!stop.stop_requested() && clock_.Now().mono < until) {
      clock_.WaitUntil(lock, changed_, until);
    }
  }
}

absl::Status PodCache::ListAll(const std::stop_token& stop) {
  Pods fresh;
  std::string next;
  int64_t version = 0;
  do {
    const auto page =
        client_.Call({.path = Path(absl::StrCat("&limit=", kPageItems,
                                                next.empty() ? "" : "&continue=", Escaped(next))),
                      .timeout = kListTimeout});
    if (!page.ok()) return page.status();
    Heard();
    const Json* const items = Below(*page, {"items"});
    version = VersionOf(*page);
    if (items == nullptr || !items->is_array() || version == 0) {
      return absl::UnavailableError("the API server answers no list of pods");
    }
    for (const Json& item : *items) {
      auto pod = ReadOwn(item);
      if (!pod.ok()) continue;
      const std::string id = pod->id;
      fresh[id] = std::make_shared<const PodView>(*std::move(pod));
    }
    next = TextBelow(*page, {"metadata", "continue"});
    if (fresh.size() > kPodsMax) return TooManyPods();
  } while (!next.empty() && !stop.stop_requested());
  std::vector<std::string> changed;
  {
    const std::lock_guard lock(mutex_);
    for (const auto& [id, pod] : pods_) {
      const auto found = fresh.find(id);
      if (found == fresh.end() || found->second->version < pod->version) {
        if (pod->version > version) fresh[id] = pod;  // An answer is newer than the list.
      }
      if (found == fresh.end()) changed.push_back(id);
    }
    for (const auto& [id, pod] : fresh) changed.push_back(id);
    pods_ = std::move(fresh);
    version_ = version;
    synced_ = true;
    failure_ = absl::OkStatus();
    changed_.notify_all();
  }
  for (const std::string& id : changed) Tell(id);
  return absl::OkStatus();
}

absl::Status PodCache::Watch(const std::stop_token& stop) {
  int64_t from = 0;
  {
    const std::lock_guard lock(mutex_);
    from = version_;
  }
  absl::Status told;
  const absl::Status ended = client_.Stream(
      Path(absl::StrCat("&watch=1&allowWatchBookmarks=true&timeoutSeconds=", kWatchSeconds,
                        "&resourceVersion=", from)),
      kWatchPatience, [&](std::string_view line) { return OnEvent(line, told); }, stop);
  if (!told.ok()) return told;
  // It ran its time: nothing has failed.
  return absl::IsDeadlineExceeded(ended) ? absl::OkStatus() : ended;
}

bool PodCache::OnEvent(std::string_view line, absl::Status& error) {
  Heard();
  if (line.empty()) return true;
  const Json event = Json::parse(line, nullptr, /*allow_exceptions=*/false);
  const std::string type = TextBelow(event, {"type"});
  const Json* const object = Below(event, {"object"});
  if (object == nullptr) {
    error = absl::UnavailableError("the API server's watch is none");
    return false;
  }
  if (type == "ERROR") {
    constexpr int kGone = 410;
    const Json* const code = Below(*object, {"code"});
    const bool gone = code != nullptr && code->is_number_integer() && *code == kGone;
    error = gone ? absl::OutOfRangeError("the watch was too old")
                 : absl::UnavailableError("the API server has ended the watch");
    return false;
  }
  if (type == "BOOKMARK") {
    const std::lock_guard lock(mutex_);
    version_ = std::max(version_, VersionOf(*object));
    return true;
  }
  error = Put(*object, type == "DELETED");
  return error.ok();
}

absl::StatusOr<PodView> PodCache::ReadOwn(const Json& object) const {
  auto pod = ReadPod(object);
  if (pod.ok() && pod->name != PodName(tag_, pod->id)) {
    return absl::InvalidArgumentError("it is somebody's copy, or its labels are not ours");
  }
  return pod;
}

absl::Status PodCache::Put(const Json& object, bool deleted) {
  auto pod = ReadOwn(object);
  std::string id;
  {
    const std::lock_guard lock(mutex_);
    version_ = std::max(version_, VersionOf(object));
    if (pod.ok()) {
      id = pod->id;
      const auto known = pods_.find(id);
      const bool stale = known != pods_.end() && known->second->version > pod->version;
      if (deleted) {
        // Another pod of that name is not gone with it.
        if (known != pods_.end() && known->second->uid == pod->uid) pods_.erase(known);
      } else if (known == pods_.end() && pods_.size() >= kPodsMax) {
        return TooManyPods();  // Otherwise it would be absent to a look, and made again.
      } else if (!stale) {
        pods_[id] = std::make_shared<const PodView>(*std::move(pod));
      }
    } else {
      // It may have been ours until somebody took its labels away.
      const std::string uid = TextBelow(object, {"metadata", "uid"});
      const auto lost = std::find_if(pods_.begin(), pods_.end(),
                                     [&](const auto& one) { return one.second->uid == uid; });
      if (lost == pods_.end()) return absl::OkStatus();
      id = lost->first;
      pods_.erase(lost);
    }
    changed_.notify_all();
  }
  Tell(id);
  return absl::OkStatus();
}

void PodCache::Note(const Json& object) {
  auto pod = ReadOwn(object);
  if (!pod.ok() || pod->labels[kProviderLabel] != tag_) return;
  const std::lock_guard lock(mutex_);
  // What the watch has told already may have gone since.
  if (pod->version <= version_) return;
  const auto known = pods_.find(pod->id);
  if (known != pods_.end() && known->second->version >= pod->version) return;
  pods_[pod->id] = std::make_shared<const PodView>(*pod);
  changed_.notify_all();
}

void PodCache::Heard() {
  const std::lock_guard lock(mutex_);
  heard_ = clock_.Now().mono;
  if (synced_) failure_ = absl::OkStatus();
}

void PodCache::Fail(const absl::Status& status) {
  const std::lock_guard lock(mutex_);
  if (failure_.ok()) failing_ = clock_.Now().mono;
  failure_ = status;
}

absl::Status PodCache::CheckFresh() {
  {
    std::unique_lock lock(mutex_);
    const absl::Duration until = clock_.Now().mono + kSyncWait;
    while (!synced_ && clock_.Now().mono < until) clock_.WaitUntil(lock, changed_, until);
    const absl::Duration now = clock_.Now().mono;
    if (!synced_) {
      return absl::UnavailableError(
          absl::StrCat("the cluster's pods are not listed yet: ",
                       failure_.ok() ? absl::string_view("the API server has not answered")
                                     : failure_.message()));
    }
    if (!failure_.ok() && now - failing_ > kOutageMax) {
      return absl::UnavailableError(
          absl::StrCat("the cluster's pods are not watched: ", failure_.message()));
    }
    if (now - heard_ <= kSilenceMax) return absl::OkStatus();
  }
  const auto answer = client_.Call({.path = Path("&limit=1"), .timeout = kPingTimeout});
  const std::lock_guard lock(mutex_);
  if (answer.ok()) heard_ = clock_.Now().mono;
  return answer.status();
}

absl::StatusOr<PodCache::Pods> PodCache::All() {
  if (absl::Status status = CheckFresh(); !status.ok()) return status;
  const std::lock_guard lock(mutex_);
  return pods_;
}

absl::StatusOr<std::shared_ptr<const PodView>> PodCache::Find(const std::string& id) {
  if (absl::Status status = CheckFresh(); !status.ok()) return status;
  const std::lock_guard lock(mutex_);
  const auto found = pods_.find(id);
  return found == pods_.end() ? nullptr : found->second;
}

bool PodCache::Await(const std::string& id, absl::Duration mono,
                     const std::function<bool(const PodView*)>& done) {
  std::unique_lock lock(mutex_);
  while (true) {
    const auto found = pods_.find(id);
    if (done(found == pods_.end() ? nullptr : found->second.get())) return true;
    if (clock_.Now().mono >= mono) return false;
    clock_.WaitUntil(lock, changed_, mono);
  }
}

}  // namespace shadow
