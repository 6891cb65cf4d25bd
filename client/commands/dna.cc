// shadowctl dna ...
#include <array>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "client/command.h"
#include "client/commands/documents.h"
#include "client/formats/digest.h"
#include "client/formats/table_of.h"
#include "client/names.h"
#include "client/output/columns.h"
#include "client/show.h"

namespace shadow {
namespace {

using Stub = v1::DnaService::Stub;

std::string DnaTable(Session& session, const std::vector<v1::Dna>& dnas) {
  return TableOf(session, DnaColumns(), dnas);
}

// Sends each document of the file with `method` and prints "<name> <verb>".
template <typename Request>
absl::Status SendDnas(Session& session,
                      grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&, v1::Dna*),
                      const char* verb) {
  absl::StatusOr<std::vector<Manifest>> manifests = ReadManifests(session, ManifestKind::kDna);
  if (!manifests.ok()) return manifests.status();
  for (std::size_t i = 0; i < manifests->size(); ++i) {
    Request request;
    *request.mutable_dna() = std::get<v1::Dna>((*manifests)[i]);
    PrepareOneOf(session, i, manifests->size(), request);
    const absl::StatusOr<v1::Dna> dna = session.Call(session.dnas(), method, request);
    if (!dna.ok()) return dna.status();
    session.Print(*dna, absl::StrCat(request.dna().name(), " ", verb, ", revision ",
                                     dna->revision(), DryRunNote(session), "\n"));
  }
  return absl::OkStatus();
}

absl::Status Create(Session& session) { return SendDnas(session, &Stub::CreateDna, "created"); }

absl::Status Update(Session& session) { return SendDnas(session, &Stub::UpdateDna, "updated"); }

bool HasDna(const v1::Event& event) { return event.has_dna(); }
const v1::Dna& DnaOf(const v1::Event& event) { return event.dna(); }

absl::Status Get(Session& session) {
  v1::GetDnaRequest request;
  request.set_name(FullDnaName(session.arguments().name));
  return Show(session,
              Shown<v1::Dna, v1::Dna>{
                  .name_prefix = request.name(),
                  .name = request.name(),
                  .in_event = HasDna,
                  .of_event = DnaOf,
                  .fetch = [&] { return session.Call(session.dnas(), &Stub::GetDna, request); },
                  .items = OnlyItem<v1::Dna>,
                  .table = [&](const auto& dnas) { return DnaTable(session, dnas); }});
}

std::vector<v1::Dna> Items(const v1::ListDnasResponse& response) {
  return {response.dnas().begin(), response.dnas().end()};
}

absl::Status List(Session& session) {
  return Show(session, Shown<v1::Dna, v1::ListDnasResponse>{
                           .name_prefix = "",
                           .name = "",
                           .in_event = HasDna,
                           .of_event = DnaOf,
                           .fetch =
                               [&] {
                                 return session.CallPages(session.dnas(), &Stub::ListDnas,
                                                          v1::ListDnasRequest(),
                                                          &v1::ListDnasResponse::mutable_dnas, 0);
                               },
                           .items = Items,
                           .table = [&](const auto& dnas) { return DnaTable(session, dnas); }});
}

absl::Status Delete(Session& session) {
  v1::DeleteDnaRequest request;
  request.set_name(FullDnaName(session.arguments().name));
  session.Prepare(request);
  const auto deleted = session.Call(session.dnas(), &Stub::DeleteDna, request);
  if (!deleted.ok()) return deleted.status();
  session.Print(*deleted, absl::StrCat(request.name(), " deleted", DryRunNote(session), "\n"));
  return absl::OkStatus();
}

absl::Status PrintDigest(Session& session) {
  const absl::StatusOr<std::string> digest = DigestOfPath(session.arguments().name);
  if (!digest.ok()) return digest.status();
  session.console().out << *digest << '\n';
  return absl::OkStatus();
}

constexpr std::array<Command, 6> kCommands = {{
    {"dna", "create", "", "Create the DNAs of a file", "dna create -f web-dna.yaml",
     kTakesFile | kTakesMutation, Create},
    {"dna", "get", "NAME", "Show one DNA, or one revision of it", "dna get web -o json",
     kTakesWatch | kTakesShown, Get},
    {"dna", "list", "", "List the DNAs", "dna list", kTakesWatch | kTakesShown, List},
    {"dna", "update", "", "Add revisions to the DNAs of a file", "dna update -f web-dna.yaml",
     kTakesFile | kTakesMutation, Update},
    {"dna", "delete", "NAME", "Delete a DNA with all its revisions", "dna delete web",
     kTakesMutation, Delete},
    {"dna", "digest", "PATH", "Print what data_sets[].sha256 is of a file or directory",
     "dna digest /srv/web/page.txt", kTakesNothing, PrintDigest},
}};

}  // namespace

std::span<const Command> DnaCommands() { return kCommands; }

}  // namespace shadow
