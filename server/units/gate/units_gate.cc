#include "server/units/gate/units_gate.h"

#include <csignal>
#include <utility>

#include "absl/strings/str_cat.h"
#include "server/core/error.h"
#include "server/core/spec/field_checker.h"
#include "server/units/protocol/messages.h"

namespace shadow {
namespace {

constexpr size_t kStoresMax = 8;  // There is one; tests have more.

using Asking = v1::UnitsRequest::CallCase;

// The instance that `request` is about; empty: of none.
std::string IdOf(const v1::UnitsRequest& request) {
  switch (request.call_case()) {
    case Asking::kStart:
      return request.start().id();
    case Asking::kSuspend:
      return request.suspend().id();
    case Asking::kResume:
      return request.resume().id();
    case Asking::kStop:
      return request.stop().id();
    case Asking::kForget:
      return request.forget().id();
    case Asking::kGet:
      return request.get().id();
    case Asking::kSignal:
      return request.signal().id();
    case Asking::kList:
    case Asking::kListen:
    case Asking::CALL_NOT_SET:
      break;
  }
  return "";
}

absl::Status CheckRequest(const v1::UnitsRequest& request) {
  FieldChecker check;
  check.WellFormed(request, "request");
  check.Add(CheckUnitStore(request.store()));
  const Asking call = request.call_case();
  if (call == Asking::CALL_NOT_SET) check.Fail("request", "asks for nothing that is known here");
  if (check.ok() && call != Asking::kList && call != Asking::kListen) {
    check.Add(CheckUnitId(IdOf(request)));
  }
  return check.status();
}

std::vector<v1::UnitsReply> Replies(const absl::Status& status) { return {StatusReply(status)}; }

std::vector<v1::UnitsReply> GetReplies(const absl::StatusOr<std::optional<UnitView>>& view) {
  if (!view.ok()) return Replies(view.status());
  return ListReplies(view->has_value() ? std::vector{**view} : std::vector<UnitView>());
}

std::vector<v1::UnitsReply> AllReplies(const absl::StatusOr<std::vector<UnitView>>& views) {
  return views.ok() ? ListReplies(*views) : Replies(views.status());
}

}  // namespace

absl::StatusOr<UnitsGate::Asked> UnitsGate::Open(const std::string& bytes) {
  Asked asked;
  if (!asked.request.ParseFromString(bytes)) {
    return absl::InvalidArgumentError("shadowd-units: the request is no message");
  }
  if (absl::Status good = CheckRequest(asked.request); !good.ok()) return good;
  auto policy = options_.policy();
  if (!policy.ok()) {
    return absl::UnavailableError(
        absl::StrCat("shadowd-units refuses to serve: ", policy.status().message()));
  }
  asked.policy = *std::move(policy);
  return asked;
}

std::shared_ptr<Units> UnitsGate::UnitsFor(const Asked& asked) {
  const std::lock_guard lock(mutex_);
  const auto key = std::pair(asked.request.store(), asked.policy.slice());
  const auto found = kept_.find(key);
  if (found != kept_.end()) return found->second;
  if (kept_.size() >= kStoresMax) kept_.clear();
  return kept_.emplace(key, options_.make(key.first, key.second)).first->second;
}

absl::Status UnitsGate::Start(const Asked& asked) {
  const UnitSpec unit = SpecOf(asked.request);
  absl::Status status = CheckPolicy(asked.policy, unit, options_.daemon);
  if (!status.ok()) return status;
  status = BeginOneMore(asked);
  if (!status.ok()) return status;
  // Last, so that least can change in between.
  status = options_.check_paths(unit.dna);
  if (status.ok()) status = asked.units->Start(unit);
  Began();
  return status;
}

absl::Status UnitsGate::BeginOneMore(const Asked& asked) {
  const auto known = asked.units->Get(asked.request.start().id());
  if (!known.ok()) return known.status();
  const std::lock_guard lock(mutex_);
  const auto there = options_.count();
  if (!there.ok()) return there.status();
  if (!known->has_value() && *there + starting_ >= asked.policy.units_max()) {
    return absl::ResourceExhaustedError(absl::StrCat(
        "there are ", *there + starting_, " units; `units_max` of the policy of shadowd-units is ",
        asked.policy.units_max()));
  }
  ++starting_;
  return absl::OkStatus();
}

void UnitsGate::Began() {
  const std::lock_guard lock(mutex_);
  --starting_;
}

absl::Status UnitsGate::Resume(const Asked& asked) {
  // Of the DNA, the limits alone count here.
  const v1::Dna& dna = asked.request.resume().dna();
  const absl::Status status = CheckPolicyLimits(asked.policy, dna);
  return status.ok() ? asked.units->Resume(IdOf(asked.request), dna) : status;
}

absl::Status UnitsGate::Run(const Asked& asked) {
  const v1::UnitsRequest& request = asked.request;
  switch (request.call_case()) {
    case Asking::kStart:
      return Start(asked);
    case Asking::kSuspend:
      return asked.units->Suspend(IdOf(request));
    case Asking::kResume:
      return Resume(asked);
    case Asking::kSignal:
      if (request.signal().signal() < 1 || request.signal().signal() >= SIGRTMIN) {
        return FieldError("signal", absl::StrCat(request.signal().signal(), " is no signal"));
      }
      return asked.units->Signal(IdOf(request), request.signal().signal());
    case Asking::kStop:
      return asked.units->Stop(IdOf(request), request.stop().force());
    case Asking::kForget:
      return asked.units->Forget(IdOf(request));
    case Asking::kListen:
      return absl::OkStatus();
    case Asking::kGet:
    case Asking::kList:
    case Asking::CALL_NOT_SET:
      break;
  }
  return absl::InternalError("shadowd-units: a request that is answered elsewhere");
}

std::vector<v1::UnitsReply> UnitsGate::Answer(const std::string& bytes) {
  auto asked = Open(bytes);
  if (!asked.ok()) return Replies(asked.status());
  asked->units = UnitsFor(*asked);
  const Asking call = asked->request.call_case();
  if (call == Asking::kGet) return GetReplies(asked->units->Get(IdOf(asked->request)));
  if (call == Asking::kList) return AllReplies(asked->units->List());
  return Replies(Run(*asked));
}

std::unique_ptr<Units> UnitsGate::Listen(
    const std::string& bytes, const std::function<void(std::string_view id)>& on_change) {
  auto asked = Open(bytes);
  if (!asked.ok() || !asked->request.has_listen()) return nullptr;
  auto units = options_.make(asked->request.store(), asked->policy.slice());
  units->Listen(on_change);
  return units;
}

}  // namespace shadow
