// The pods of a cluster in memory, as an API server answers of them, and a node that runs each at
// once: what FakeApiServer serves. The real one is in tests/cluster.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/time/time.h"

namespace shadow {

// Thread-safe.
class FakePods {
 public:
  using Json = nlohmann::json;
  struct Answer {
    int status = 200;
    Json body = Json::object();
    std::string headers = {};  // Each with its CRLF.
  };
  struct Query {
    std::string method;
    std::string path;  // Without what follows "?".
    std::map<std::string, std::string> arguments;
    Json body;
  };

  static Answer Refusal(int status, const std::string& reason, const std::string& message) {
    return {
        .status = status,
        .body = {{"kind", "Status"}, {"code", status}, {"reason", reason}, {"message", message}}};
  }

  // Knobs.
  void SetQuota(int pods) {
    Locked([&] { quota_ = pods; });
  }
  void SetStubborn(bool stubborn) {
    Locked([&] { stubborn_ = stubborn; });
  }  // Until grace 1.
  void SetResizes(bool resizes) {
    Locked([&] { resizes_ = resizes; });
  }
  // A node without CPU for more: a resize is asked for, and waits.
  void SetDefers(bool defers) {
    Locked([&] { defers_ = defers; });
  }
  void SetRuns(bool runs) {
    Locked([&] { runs_ = runs; });
  }  // Otherwise pods wait for a node.
  void SetTemplate(Json pod_template) {
    Locked([&] { template_ = std::move(pod_template); });
  }
  // As an admission webhook: changes each pod that is made.
  void SetAdmission(std::function<void(Json& pod)> admit) {
    Locked([&] { admit_ = std::move(admit); });
  }
  // Watches from before now are told that it is forgotten.
  void Forget() {
    Locked([&] { oldest_ = version_ + 1; });
  }

  // By somebody else. `change` gets the pod of this name.
  void Change(const std::string& name, const std::function<void(Json& pod)>& change) {
    Locked([&] {
      Json& pod = pods_.at(name);
      change(pod);
      Tell("MODIFIED", pod);
    });
  }
  // Gone without a trace, as after a node's end.
  void Erase(const std::string& name) {
    Locked([&] { Remove(name); });
  }
  // By another pod of this name; no watch is told.
  void Replace(const std::string& name) {
    Locked([&] { pods_.at(name)["metadata"]["uid"] = "another"; });
  }
  void SetReady(const std::string& name, bool ready) {
    Change(name, [ready](Json& pod) {
      pod["status"]["conditions"] = {{{"type", "Ready"}, {"status", ready ? "True" : "False"}}};
    });
  }
  // The program of the pod has ended.
  void End(const std::string& name, int exit_status) {
    Change(name, [exit_status](Json& pod) {
      pod["status"]["phase"] = "Failed";
      pod["status"]["containerStatuses"][0]["state"] = {
          {"terminated",
           {{"exitCode", exit_status}, {"reason", "Error"}, {"message", "last words\n"}}}};
    });
  }

  std::vector<Json> Pods() {
    const std::lock_guard lock(mutex_);
    std::vector<Json> all;
    for (const auto& [name, pod] : pods_) all.push_back(pod);
    return all;
  }

  Answer Handle(const Query& query) {
    const std::lock_guard lock(mutex_);
    const size_t pods = query.path.find("/pods");
    if (query.path == "/version") return {.body = {{"gitVersion", "v1.99.0"}}};
    if (query.path == "/api/v1") {
      Json resources = Json::array({{{"name", "pods"}}});
      if (resizes_) resources.push_back({{"name", "pods/resize"}});
      return {.body = {{"resources", resources}}};
    }
    if (query.path.find("/deployments/") != std::string::npos && !template_.is_null()) {
      return {.body = {{"spec", {{"template", template_}}}}};
    }
    if (pods == std::string::npos) return Refusal(404, "NotFound", "there is no such path");
    std::string name = query.path.substr(pods + std::string("/pods").size());
    if (name.empty()) return query.method == "POST" ? Create(query.body) : List(query);
    name.erase(0, 1);
    const bool resize = name.ends_with("/resize");
    if (resize) name.resize(name.size() - std::string("/resize").size());
    const auto found = pods_.find(name);
    if (found == pods_.end() || (resize && !resizes_)) {
      return Refusal(404, "NotFound", "pods \"" + name + "\" not found");
    }
    Json& pod = found->second;
    if (query.method == "GET") return {.body = pod};
    if (query.method == "DELETE") return Delete(name, query.body);
    return resize ? Resize(pod, query.body) : Patch(pod, query.body);
  }

  // The next line of a watch after `version`, which it moves on; empty: there is none within
  // `wait`. False: the watch ends, after `line` if there is one.
  bool Next(int64_t& version, absl::Duration wait, std::string& line) {
    std::unique_lock lock(mutex_);
    line.clear();
    const auto later = [&] { return !events_.empty() && events_.back().first > version; };
    changed_.wait_for(lock, absl::ToChronoNanoseconds(wait), later);
    if (version + 1 < oldest_) {
      line = Json{{"type", "ERROR"}, {"object", Refusal(410, "Expired", "too old").body}}.dump();
      return false;
    }
    for (const auto& [number, event] : events_) {
      if (number <= version) continue;
      version = number;
      line = event.dump();
      break;
    }
    return true;
  }

 private:
  template <typename F>
  void Locked(F change) {
    const std::lock_guard lock(mutex_);
    change();
    changed_.notify_all();
  }

  void Tell(const char* type, Json& pod) {
    pod["metadata"]["resourceVersion"] = std::to_string(++version_);
    events_.emplace_back(version_, Json{{"type", type}, {"object", pod}});
    changed_.notify_all();
  }

  void Remove(const std::string& name) {
    Json pod = pods_.at(name);
    pods_.erase(name);
    Tell("DELETED", pod);
  }

  Answer Create(Json pod) {
    const std::string name = pod["metadata"]["name"];
    if (pods_.contains(name)) return Refusal(409, "AlreadyExists", "it exists");
    if (quota_.has_value() && static_cast<int>(pods_.size()) >= *quota_) {
      return Refusal(403, "Forbidden", "pods \"" + name + "\" is forbidden: exceeded quota: few");
    }
    if (admit_) admit_(pod);
    if (pod.is_null()) {
      return Refusal(403, "Forbidden", "admission webhook \"no.example\" denied the request");
    }
    const int number = ++made_;
    pod["metadata"]["uid"] = "uid-" + std::to_string(number);
    pod["status"]["phase"] = "Pending";
    Json& kept = pods_[name] = std::move(pod);
    Tell("ADDED", kept);
    const Json answer = kept;
    if (runs_) {
      kept["spec"]["nodeName"] = "node";
      kept["status"] = {{"phase", "Running"}, {"podIP", "127.0.1." + std::to_string(number % 250)}};
      kept["status"]["conditions"] = {{{"type", "Ready"}, {"status", "True"}}};
      const std::string image = kept["spec"]["containers"][0]["image"];
      kept["status"]["containerStatuses"] = {
          {{"name", kept["spec"]["containers"][0]["name"]},
           {"imageID", "docker-pullable://" + image},
           {"resources", kept["spec"]["containers"][0].value("resources", Json::object())},
           {"state", {{"running", Json::object()}}}}};
      Tell("MODIFIED", kept);
    }
    return {.status = 201, .body = answer};
  }

  Answer List(const Query& query) {
    std::string selector =
        query.arguments.contains("labelSelector") ? query.arguments.at("labelSelector") : "";
    const size_t equal = selector.find('=');
    const size_t limit =
        query.arguments.contains("limit") ? std::stoul(query.arguments.at("limit")) : 1000;
    const std::string after =
        query.arguments.contains("continue") ? query.arguments.at("continue") : "";
    Json items = Json::array();
    Json metadata = {{"resourceVersion", std::to_string(version_)}};
    for (const auto& [name, pod] : pods_) {
      if (name <= after) continue;
      if (equal != std::string::npos &&
          pod["metadata"]["labels"].value(selector.substr(0, equal), "") !=
              selector.substr(equal + 1)) {
        continue;
      }
      if (items.size() == limit) {
        metadata["continue"] = items.back()["metadata"]["name"];
        break;
      }
      items.push_back(pod);
    }
    return {.body = {{"kind", "PodList"}, {"metadata", metadata}, {"items", items}}};
  }

  Answer Patch(Json& pod, const Json& patch) {
    if (patch["metadata"].contains("uid") && patch["metadata"]["uid"] != pod["metadata"]["uid"]) {
      return Refusal(422, "Invalid", "metadata.uid: Invalid value: field is immutable");
    }
    pod.merge_patch(patch);
    Tell("MODIFIED", pod);
    return {.body = pod};
  }

  Answer Resize(Json& pod, const Json& patch) {
    const Json& wanted = patch["spec"]["containers"][0]["resources"];
    Json& container = pod["spec"]["containers"][0]["resources"];
    Json& had = pod["status"]["containerStatuses"][0]["resources"];
    container.merge_patch(wanted);
    Json& conditions = pod["status"]["conditions"];
    if (defers_) {
      conditions.push_back({{"type", "PodResizePending"},
                            {"status", "True"},
                            {"reason", "Deferred"},
                            {"message", "Node didn't have enough resource: cpu"}});
    } else {
      had.merge_patch(wanted);
    }
    Tell("MODIFIED", pod);
    return {.body = pod};
  }

  Answer Delete(const std::string& name, const Json& options) {
    Json& pod = pods_.at(name);
    if (options.contains("preconditions") &&
        options["preconditions"]["uid"] != pod["metadata"]["uid"]) {
      return Refusal(409, "Conflict", "the UID in the precondition does not match");
    }
    const int grace = options.value("gracePeriodSeconds", 30);
    if (!pod["metadata"].contains("deletionTimestamp")) {
      pod["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z";
      Tell("MODIFIED", pod);
    }
    const Json answer = pod;
    if (!stubborn_ || grace <= 1) Remove(name);
    return {.body = answer};
  }

  std::mutex mutex_;  // Guards what follows.
  std::condition_variable changed_;
  std::map<std::string, Json> pods_;
  std::vector<std::pair<int64_t, Json>> events_;
  int64_t version_ = 100;
  int64_t oldest_ = 0;
  int made_ = 0;
  std::optional<int> quota_;
  bool stubborn_ = false;
  bool resizes_ = true;
  bool defers_ = false;
  bool runs_ = true;
  Json template_;
  std::function<void(Json& pod)> admit_;
};

}  // namespace shadow
