#include "client/session.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "client/errors.h"
#include "client/formats/items.h"
#include "client/formats/json_path.h"
#include "client/formats/yaml_text.h"
#include "client/names.h"
#include "client/output/json.h"
#include "client/text.h"

namespace shadow {
namespace {

constexpr int kReceiveBytesMax = 64 << 20;   // A page of 1000 decisions or events fits many times.
constexpr int kMetadataBytesMax = 64 << 10;  // Error details; gRPC's own 8 KiB breaks the channel.

grpc::ChannelArguments ChannelArguments(const Endpoint& endpoint) {
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(kReceiveBytesMax);
  arguments.SetInt(GRPC_ARG_MAX_METADATA_SIZE, kMetadataBytesMax);
  arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  if (!endpoint.server_name.empty()) arguments.SetSslTargetNameOverride(endpoint.server_name);
  return arguments;
}

}  // namespace

absl::StatusOr<std::unique_ptr<Session>> Session::Create(Console& console, Arguments arguments,
                                                         Endpoint endpoint) {
  std::unique_ptr<Session> session(new Session(console, std::move(arguments), std::move(endpoint)));
  if (session->arguments_.timeout.empty()) return session;
  const absl::StatusOr<absl::Duration> timeout =
      ParseDurationFlag(session->arguments_.timeout, "--timeout");
  if (!timeout.ok()) return timeout.status();
  if (*timeout <= absl::ZeroDuration()) return BadField("--timeout", "wanted more than 0");
  if (session->arguments_.wait) {
    session->wait_timeout_ = *timeout;
  } else {
    session->call_timeout_ = *timeout;
  }
  return session;
}

Session::Session(Console& console, Arguments arguments, Endpoint endpoint)
    : console_(console), arguments_(std::move(arguments)), endpoint_(std::move(endpoint)) {
  const std::shared_ptr<grpc::Channel> channel = grpc::CreateCustomChannel(
      endpoint_.address, endpoint_.credentials, ChannelArguments(endpoint_));
  dnas_ = v1::DnaService::NewStub(channel);
  pools_ = v1::PoolService::NewStub(channel);
  shadows_ = v1::ShadowPoolService::NewStub(channel);
  instances_ = v1::InstanceService::NewStub(channel);
  usage_ = v1::UsageService::NewStub(channel);
  events_ = v1::EventService::NewStub(channel);
  simulations_ = v1::SimulationService::NewStub(channel);
  backups_ = v1::BackupService::NewStub(channel);
  server_ = v1::ServerService::NewStub(channel);
}

void Session::SetDeadline(grpc::ClientContext& context, absl::Duration timeout) {
  context.set_deadline(gpr_time_from_millis(absl::ToInt64Milliseconds(timeout), GPR_TIMESPAN));
}

absl::Status Session::FromRpc(const grpc::Status& status) const {
  return StatusFromRpc(status, endpoint_.address);
}

absl::StatusOr<std::string> Session::ResolveShadow(std::string_view name) {
  std::string full = FullShadowName(name);
  if (!full.empty()) return full;
  v1::ListShadowPoolsRequest request;
  request.set_parent(PoolOf(name));
  const auto list = CallPages(shadows(), &v1::ShadowPoolService::Stub::ListShadowPools, request,
                              &v1::ListShadowPoolsResponse::mutable_shadow_pools, 0);
  if (!list.ok()) return list.status();
  if (list->shadow_pools_size() == 1) return list->shadow_pools(0).name();
  if (list->shadow_pools().empty()) {
    return absl::NotFoundError(absl::StrCat("name: ", request.parent(), " has no shadow pool"));
  }
  std::string names;
  for (const v1::ShadowPool& shadow : list->shadow_pools()) {
    absl::StrAppend(&names, names.empty() ? "" : ", ", ShortName(shadow.name()));
  }
  return BadField("name", absl::StrCat(request.parent(), " has ", list->shadow_pools_size(),
                                       " shadow pools, name one of them: ", names));
}

void Session::PrintYaml(const google::protobuf::Message& message) {
  for (const google::protobuf::Message* item : ItemsOf(message)) {
    console_.out << (yaml_printed_ ? "---\n" : "") << YamlText(*item);
    yaml_printed_ = true;
  }
}

void Session::Print(const google::protobuf::Message& message, std::string_view text) {
  switch (arguments_.output) {
    case Output::kJson:
      console_.out << JsonText(message) << '\n';
      return;
    case Output::kYaml:
      PrintYaml(message);
      return;
    case Output::kName:
      for (const google::protobuf::Message* item : ItemsOf(message)) {
        const std::string name = PrintableText(NameFieldOf(*item));
        if (!name.empty()) console_.out << name << '\n';
      }
      return;
    case Output::kJsonPath:
      // The template was checked with the other flags.
      console_.out << JsonPathText(message, arguments_.json_path).value_or("");
      return;
    case Output::kTable:
    case Output::kWide:
    case Output::kCsv:
    case Output::kSvg:
      console_.out << text;
      return;
  }
}

void Session::SayCutOff() { console_.err << "only the first " << kItemsMax << " are shown\n"; }

}  // namespace shadow
