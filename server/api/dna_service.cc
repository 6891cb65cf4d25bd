#include "server/api/services.h"
#include "server/api/supported.h"

namespace shadow {
namespace {

// A page goes on after the last revision of the one before, in the order in which they were added.
absl::Status ListRevisions(const DnaMap& dnas, const v1::ListDnasRequest& request,
                           v1::ListDnasResponse& response) {
  const auto name = ParseDnaName(request.dna(), "dna");
  if (!name.ok()) return name.status();
  if (!name->revision.empty()) return FieldError("dna", "names a revision; wanted dnas/{dna}");
  const auto newest = dnas.find(request.dna());
  if (newest == dnas.end()) {
    return ReasonError(absl::StatusCode::kNotFound, "DNA_NOT_FOUND",
                       absl::StrCat(request.dna(), " does not exist"));
  }
  const std::string scope = absl::StrCat("ListDnas ", request.dna());
  const auto size = PageSize(request.page_size());
  if (!size.ok()) return size.status();
  const auto after = FromToken(scope, request.page_token());
  if (!after.ok()) return after.status();
  const auto& revisions = newest->second.revisions();
  auto next = std::find(revisions.begin(), revisions.end(), *after);
  next = next == revisions.end() ? revisions.begin() : next + 1;
  PageFill fill(*size);
  for (; next != revisions.end(); ++next) {
    const auto found = dnas.find(absl::StrCat(request.dna(), "@", *next));
    if (found == dnas.end()) continue;
    if (fill.full()) {
      response.set_next_page_token(ToToken(scope, response.dnas().rbegin()->revision()));
      break;
    }
    *response.add_dnas() = found->second;
    fill.Add(found->second.ByteSizeLong());
  }
  return absl::OkStatus();
}

}  // namespace

DnaServiceImpl::Reactor* DnaServiceImpl::CreateDna(Context* context,
                                                   const v1::CreateDnaRequest* request,
                                                   v1::Dna* response) {
  return AskSupported(context, api_, "CreateDna", *request, response,
                      [&] { return QuestionOfDna(*api_.control.snapshot(), request->dna()); });
}

DnaServiceImpl::Reactor* DnaServiceImpl::GetDna(Context* context, const v1::GetDnaRequest* request,
                                                v1::Dna* response) {
  return Reply(context, api_, "GetDna", [&] {
    const auto name = ParseDnaName(request->name(), "name");
    if (!name.ok()) return name.status();
    const auto snapshot = api_.control.snapshot();
    const auto found = snapshot->dnas->find(request->name());
    if (found == snapshot->dnas->end()) {
      return ReasonError(absl::StatusCode::kNotFound, "DNA_NOT_FOUND",
                         absl::StrCat(request->name(), " does not exist"));
    }
    *response = found->second;
    return absl::OkStatus();
  });
}

DnaServiceImpl::Reactor* DnaServiceImpl::ListDnas(Context* context,
                                                  const v1::ListDnasRequest* request,
                                                  v1::ListDnasResponse* response) {
  return Reply(context, api_, "ListDnas", [&]() -> absl::Status {
    const auto snapshot = api_.control.snapshot();
    if (!request->dna().empty()) return ListRevisions(*snapshot->dnas, *request, *response);
    const auto next = ListPage(
        *snapshot->dnas, {"ListDnas", request->page_size(), request->page_token()},
        [](const std::string& key, const v1::Dna&) { return key.find('@') == std::string::npos; },
        [&](const v1::Dna& dna) {
          *response->add_dnas() = dna;
          return dna.ByteSizeLong();
        });
    if (next.ok()) response->set_next_page_token(*next);
    return next.status();
  });
}

DnaServiceImpl::Reactor* DnaServiceImpl::UpdateDna(Context* context,
                                                   const v1::UpdateDnaRequest* request,
                                                   v1::Dna* response) {
  return AskSupported(context, api_, "UpdateDna", *request, response, [&] {
    const auto snapshot = api_.control.snapshot();
    const auto current = snapshot->dnas->find(request->dna().name());
    return QuestionOfDna(*snapshot,
                         Merged(current == snapshot->dnas->end() ? nullptr : &current->second,
                                request->dna(), request->update_mask()));
  });
}

DnaServiceImpl::Reactor* DnaServiceImpl::DeleteDna(Context* context,
                                                   const v1::DeleteDnaRequest* request,
                                                   google::protobuf::Empty* response) {
  return Ask(context, api_, "DeleteDna", *request, response);
}

}  // namespace shadow
