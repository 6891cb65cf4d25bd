#include "server/log/request_log.h"

#include <string>
#include <string_view>
#include <utility>

#include "absl/strings/str_cat.h"
#include "server/core/error.h"
#include "server/core/loop/mutations/request_ids.h"
#include "server/core/names.h"
#include "server/log/log.h"

namespace shadow {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;

std::string Text(const Message& message, const FieldDescriptor* field) {
  if (field == nullptr || field->type() != FieldDescriptor::TYPE_STRING) return "";
  return message.GetReflection()->GetString(message, field);
}

bool IsSet(const Message& message, const char* name) {
  const FieldDescriptor* field = message.GetDescriptor()->FindFieldByName(name);
  return field != nullptr && message.GetReflection()->GetBool(message, field);
}

// The name of the resource that `request` is about: its own field, or that of what it holds.
std::string NameIn(const Message& request) {
  for (const char* name : {"name", "pool", "dna", "shadow_pool"}) {
    const FieldDescriptor* field = request.GetDescriptor()->FindFieldByName(name);
    if (field == nullptr) continue;
    if (field->type() != FieldDescriptor::TYPE_MESSAGE) return Text(request, field);
    return NameIn(request.GetReflection()->GetMessage(request, field));
  }
  return "";
}

LogFields FieldsOfRequest(const Message& request) {
  LogFields fields;
  const std::string name = NameIn(request);
  if (ParsePoolName(name, "name").ok() || ParseShadowName(name, "name").ok() ||
      ParseDnaName(name, "name").ok()) {
    fields = FieldsOf(name);
  }
  std::string id = Text(request, request.GetDescriptor()->FindFieldByName("request_id"));
  if (CheckRequestId(id).ok()) fields.request_id = std::move(id);
  return fields;
}

// "UpdatePool" of an UpdatePoolRequest.
std::string MethodOf(const Message& request) {
  constexpr std::string_view kEnd = "Request";
  std::string type = request.GetDescriptor()->name();
  if (type.ends_with(kEnd)) type.resize(type.size() - kEnd.size());
  return type;
}

// Not its message, which may quote what was sent, nor the key of a map within its field.
std::string Outcome(const absl::Status& status) {
  std::string text = absl::StatusCodeToString(status.code());
  std::string why = ErrorField(status);
  why = why.empty() ? ErrorReason(status) : why.substr(0, why.find('['));
  if (!why.empty()) absl::StrAppend(&text, " (", why, ")");
  return text;
}

}  // namespace

void RequestLog::Write(const Requester& requester, const Message& request,
                       const absl::Status& status) {
  std::string method = MethodOf(request);
  const bool quiet = method.starts_with("ReportUsage") || IsSet(request, "validate_only") ||
                     (absl::IsPermissionDenied(status) && !MayTellOf(requester));
  const LogLevel level = quiet ? LogLevel::kDebug : LogLevel::kInfo;
  if (!Logs(level)) return;
  LogFields fields = FieldsOfRequest(request);
  fields.uid = requester.uid;
  fields.certificate = requester.certificate;
  fields.kind = MessageKind::kRequest;
  Log(level, fields, absl::StrCat(method, ": ", Outcome(status)));
}

bool RequestLog::MayTellOf(const Requester& refused) {
  const absl::Duration now = clock_.Now().mono;
  const std::lock_guard lock(mutex_);
  if (told_at_.size() >= kRefusedMax) told_at_.clear();
  const auto [told, first] = told_at_.emplace(std::pair(refused.uid, refused.certificate), now);
  if (!first && now - told->second < kRefusedInterval) return false;
  told->second = now;
  return true;
}

}  // namespace shadow
