#include "server/units/protocol/messages.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "server/core/error.h"
#include "server/units/protocol/frame.h"

namespace shadow {
namespace {

constexpr size_t kMessageMaxBytes = 4096;           // Of an error.
constexpr size_t kReplyBytes = kFrameMaxBytes / 4;  // A list goes on in the next reply beyond it.

}  // namespace

v1::UnitsRequest StartRequest(const UnitSpec& unit) {
  v1::UnitsRequest request;
  request.set_store(unit.store_id);
  v1::UnitStart& start = *request.mutable_start();
  start.set_id(unit.id);
  start.set_pool(unit.pool);
  start.set_shadow(unit.shadow);
  start.set_epoch(unit.epoch);
  start.set_revision_name(unit.revision_name);
  *start.mutable_dna() = unit.dna;
  start.set_port(unit.port);
  return request;
}

UnitSpec SpecOf(const v1::UnitsRequest& request) {
  const v1::UnitStart& start = request.start();
  return {.id = start.id(),
          .pool = start.pool(),
          .shadow = start.shadow(),
          .store_id = request.store(),
          .epoch = start.epoch(),
          .revision_name = start.revision_name(),
          .dna = start.dna(),
          .port = start.port(),
          .log_path = ""};
}

v1::UnitView ViewMessage(const UnitView& view) {
  v1::UnitView message;
  message.set_id(view.id);
  message.set_pool(view.pool);
  message.set_shadow(view.shadow);
  message.set_store(view.store_id);
  message.set_epoch(view.epoch);
  message.set_revision_name(view.revision_name);
  message.set_port(view.port);
  message.set_active_state(view.active_state);
  message.set_sub_state(view.sub_state);
  message.set_freezer_state(view.freezer_state);
  message.set_result(view.result);
  message.set_main_pid(view.main_pid);
  message.set_exec_main_code(view.exec_main_code);
  message.set_exec_main_status(view.exec_main_status);
  message.set_control_group(view.control_group);
  for (const std::string& controller : view.missing_controllers) {
    message.add_missing_controllers(controller);
  }
  if (view.reclaimed.has_value()) {
    message.mutable_reclaimed()->set_before_bytes(view.reclaimed->before_bytes);
    message.mutable_reclaimed()->set_after_bytes(view.reclaimed->after_bytes);
    message.mutable_reclaimed()->set_swap(view.reclaimed->swap);
  }
  return message;
}

namespace {

std::optional<ReclaimedMemory> ReclaimedOf(const v1::UnitView& message) {
  if (!message.has_reclaimed()) return std::nullopt;
  return ReclaimedMemory{.before_bytes = message.reclaimed().before_bytes(),
                         .after_bytes = message.reclaimed().after_bytes(),
                         .swap = message.reclaimed().swap()};
}

}  // namespace

UnitView ViewOf(const v1::UnitView& message) {
  return {.id = message.id(),
          .pool = message.pool(),
          .shadow = message.shadow(),
          .store_id = message.store(),
          .epoch = message.epoch(),
          .revision_name = message.revision_name(),
          .port = message.port(),
          .active_state = message.active_state(),
          .sub_state = message.sub_state(),
          .freezer_state = message.freezer_state(),
          .result = message.result(),
          .main_pid = message.main_pid(),
          .exec_main_code = message.exec_main_code(),
          .exec_main_status = message.exec_main_status(),
          .control_group = message.control_group(),
          .missing_controllers = {message.missing_controllers().begin(),
                                  message.missing_controllers().end()},
          .reclaimed = ReclaimedOf(message)};
}

v1::UnitsReply StatusReply(const absl::Status& status) {
  v1::UnitsReply reply;
  if (status.ok()) return reply;
  reply.set_code(static_cast<int>(status.code()));
  reply.set_message(std::string(status.message().substr(0, kMessageMaxBytes)));
  reply.set_field(ErrorField(status));
  reply.set_reason(ErrorReason(status));
  return reply;
}

absl::Status StatusOf(const v1::UnitsReply& reply) {
  if (reply.code() == 0) return absl::OkStatus();
  constexpr int kCodeMax = static_cast<int>(absl::StatusCode::kUnauthenticated);
  if (reply.code() < 0 || reply.code() > kCodeMax) {
    return absl::InternalError(absl::StrCat("shadowd-units answers with the code ", reply.code()));
  }
  const auto code = static_cast<absl::StatusCode>(reply.code());
  // A FieldError has its field in front already, which it puts there itself.
  const std::string prefix = absl::StrCat(reply.field(), ": ");
  if (!reply.field().empty() && reply.message().starts_with(prefix)) {
    return FieldError(reply.field(), reply.message().substr(prefix.size()), code);
  }
  if (!reply.reason().empty()) return ReasonError(code, reply.reason(), reply.message());
  return absl::Status(code, reply.message());
}

std::vector<v1::UnitsReply> ListReplies(const std::vector<UnitView>& views) {
  std::vector<v1::UnitsReply> replies(1);
  size_t bytes = 0;
  for (const UnitView& view : views) {
    v1::UnitView message = ViewMessage(view);
    const size_t more = message.ByteSizeLong();
    if (bytes > 0 && bytes + more > kReplyBytes) {
      replies.back().set_more(true);
      replies.emplace_back();
      bytes = 0;
    }
    bytes += more;
    *replies.back().add_units() = std::move(message);
  }
  return replies;
}

}  // namespace shadow
