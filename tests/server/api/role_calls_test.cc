// Every method of the API, called in each role, over TLS.
#include <signal.h>

#include "server/api/access/method_roles.h"
#include "tests/fakes/http2_client.h"
#include "tests/fakes/tls/tls_files.h"
#include "tests/server/api/api_world.h"

namespace shadow {
namespace {

constexpr Role kRolesOfCalls[] = {Role::kNone, Role::kViewer, Role::kReporter, Role::kOperator,
                                  Role::kAdmin};

std::string ClientOf(Role role) { return std::string(RoleName(role)); }

Grants OneOfEachRole() {
  Grants grants;
  for (const Role role : kRolesOfCalls) {
    if (role != Role::kNone) grants.certificates["CN=" + ClientOf(role)] = role;
  }
  return grants;
}

class TlsApiWorld {
 public:
  TlsApiWorld() {
    signal(SIGPIPE, SIG_IGN);
    for (const Role role : kRolesOfCalls) {
      files.Write(ClientOf(role), files.Client({.common_name = ClientOf(role)}));
    }
    world = std::make_unique<ApiWorld>([](FakeProvider&) {},
                                       ApiServer::Options{.socket_path = "",
                                                          .grants = OneOfEachRole(),
                                                          .tcp_address = "127.0.0.1:0",
                                                          .tls = files.files()});
    world->Run();
  }

  std::shared_ptr<grpc::Channel> Connect(Role role) const {
    return grpc::CreateChannel(
        absl::StrCat("dns:127.0.0.1:", world->server().tcp_port()),
        grpc::SslCredentials({.pem_root_certs = ReadPem(files.server_ca()),
                              .pem_private_key = ReadPem(files.Path(ClientOf(role) + ".key")),
                              .pem_cert_chain = ReadPem(files.Path(ClientOf(role) + ".pem"))}));
  }

  const TestTlsFiles files;
  std::unique_ptr<ApiWorld> world;
};

// Sends one message and takes all answers, whatever kind of method it is.
grpc::Status CallAny(const std::shared_ptr<grpc::Channel>& channel, const std::string& method,
                     const std::string& request) {
  grpc::ClientContext context;
  context.set_wait_for_ready(true);
  context.set_deadline(std::chrono::system_clock::now() + absl::ToChronoSeconds(kPatience));
  grpc::GenericStub stub(channel);
  grpc::CompletionQueue queue;
  const auto wait = [&queue] {
    void* tag = nullptr;
    bool ok = false;
    return queue.Next(&tag, &ok) && ok;
  };
  const auto call = stub.PrepareCall(&context, method, &queue);
  call->StartCall(nullptr);
  wait();
  const grpc::Slice slice(request);
  call->WriteLast(grpc::ByteBuffer(&slice, 1), {}, nullptr);
  wait();
  grpc::ByteBuffer answer;
  do {
    call->Read(&answer, nullptr);
  } while (wait());
  grpc::Status status;
  call->Finish(&status, nullptr);
  wait();
  queue.Shutdown();
  return status;
}

// One that every method refuses, or answers at once.
std::string HarmlessRequest(const google::protobuf::MethodDescriptor& method) {
  v1::WatchRequest never;
  never.set_since_revision(-1);
  return method.name() == "Watch" ? never.SerializeAsString() : "";
}

}  // namespace

TEST_CASE("each method is refused below its role, by name, and carried out from it on") {
  const TlsApiWorld tls;
  for (const Role role : kRolesOfCalls) {
    const auto channel = tls.Connect(role);
    for (const MethodRole& row : MethodRoles()) {
      const google::protobuf::MethodDescriptor* method = nullptr;
      for (const char* service : {"Dna", "Pool", "ShadowPool", "Instance", "Usage", "Event",
                                  "Simulation", "Backup", "Server"}) {
        const auto* found = google::protobuf::DescriptorPool::generated_pool()->FindMethodByName(
            absl::StrCat("shadow.v1.", service, "Service.", std::string(row.method)));
        if (found != nullptr) method = found;
      }
      REQUIRE(method != nullptr);
      INFO(row.method << " as " << RoleName(role));
      const grpc::Status status =
          CallAny(channel, absl::StrCat("/", method->service()->full_name(), "/", method->name()),
                  HarmlessRequest(*method));
      INFO(status.error_message());
      CHECK(status.error_code() != grpc::StatusCode::UNAVAILABLE);
      CHECK(status.error_code() != grpc::StatusCode::DEADLINE_EXCEEDED);
      const bool refused = status.error_code() == grpc::StatusCode::PERMISSION_DENIED;
      CHECK(refused == (role < row.role));
      if (!refused) continue;
      CHECK(status.error_message().starts_with(absl::StrCat(
          std::string(row.method), " needs the role ", std::string(RoleName(row.role)))));
    }
  }
}

TEST_CASE("after a reload a caller over TCP has its new role, or no connection") {
  TlsApiWorld tls;
  const auto ask = [&](const std::shared_ptr<grpc::Channel>& channel, const char* method) {
    return CallAny(channel, method, "").error_code();
  };
  constexpr char kRelease[] = "/shadow.v1.ShadowPoolService/ReleaseHold";
  constexpr char kStatus[] = "/shadow.v1.ServerService/GetServerStatus";
  const auto operators = tls.Connect(Role::kOperator);
  const auto viewer = tls.Connect(Role::kViewer);
  CHECK(ask(operators, kRelease) == grpc::StatusCode::INVALID_ARGUMENT);
  CHECK(ask(viewer, kStatus) == grpc::StatusCode::OK);

  Grants fewer = OneOfEachRole();
  fewer.certificates["CN=operator"] = Role::kViewer;
  fewer.certificates.erase("CN=viewer");
  TlsFiles bad = tls.files.files();
  bad.key = tls.files.Path("viewer.key");
  CHECK(absl::IsFailedPrecondition(tls.world->server().Reload(fewer, bad)));
  CHECK(ask(operators, kRelease) == grpc::StatusCode::INVALID_ARGUMENT);
  CHECK(ask(viewer, kStatus) == grpc::StatusCode::OK);

  REQUIRE(tls.world->server().Reload(fewer, tls.files.files()).ok());
  CHECK(ask(operators, kRelease) == grpc::StatusCode::PERMISSION_DENIED);
  CHECK(ask(operators, kStatus) == grpc::StatusCode::OK);
  // It may not have noticed yet that its connection is closed.
  CHECK(PollUntil(kPatience,
                  [&] { return ask(viewer, kStatus) == grpc::StatusCode::PERMISSION_DENIED; }));
}

TEST_CASE("an instance has no connection to the Unix socket unless a grant names its user") {
  ApiWorld refused([](FakeProvider&) {},
                   {.socket_path = "", .is_instance = [](int) { return true; }});
  refused.Run();
  const TestSocket socket = http2::Connect(refused.socket_path(), geteuid());
  REQUIRE(socket);
  CHECK(PollUntil(kPatience, [&] { return http2::Closed(socket); }));

  Grants grants;
  grants.uids[geteuid()] = Role::kAdmin;
  ApiWorld viewer([](FakeProvider&) {},
                  {.socket_path = "", .grants = grants, .is_instance = [](int) { return true; }});
  viewer.Run();
  CHECK(viewer.Call("/shadow.v1.ServerService/GetServerStatus", "").status.ok());
  const grpc::Status release = viewer.Call("/shadow.v1.ShadowPoolService/ReleaseHold", "").status;
  CHECK(release.error_code() == grpc::StatusCode::PERMISSION_DENIED);
  CHECK(release.error_message().find(", as an instance, has viewer") != std::string::npos);
}

}  // namespace shadow
