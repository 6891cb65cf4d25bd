// What every call of the fake daemon does: note itself, take its scripted error, find, cut pages.
#pragma once

#include <grpcpp/grpcpp.h>

#include <cstdlib>
#include <map>
#include <string>

#include "absl/strings/str_cat.h"
#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"
#include "tests/client/fake_daemon.h"

namespace shadow {

// The status with its details.
inline grpc::Status ToStatus(const ScriptedError& error) {
  google::rpc::Status details;
  if (!error.field.empty()) {
    google::rpc::BadRequest bad_request;
    bad_request.add_field_violations()->set_field(error.field);
    details.add_details()->PackFrom(bad_request);
  }
  if (!error.reason.empty()) {
    google::rpc::ErrorInfo info;
    info.set_reason(error.reason);
    details.add_details()->PackFrom(info);
  }
  const std::string text = details.details_size() > 0 ? details.SerializeAsString() : "";
  return {static_cast<grpc::StatusCode>(error.code), error.message, text};
}

inline grpc::Status Missing(const std::string& name) {
  return {grpc::StatusCode::NOT_FOUND, "name: " + name + " is not there"};
}

// Notes the call; an error that is scripted for it.
inline grpc::Status Begin(DaemonState& state, const std::string& call) {
  state.calls.push_back(call);
  if (state.errors.empty()) return grpc::Status::OK;
  const grpc::Status status = ToStatus(state.errors.front());
  state.errors.pop_front();
  return status;
}

template <typename Request>
grpc::Status BeginMutation(DaemonState& state, const std::string& call, const Request& request) {
  return Begin(state, absl::StrCat(call, request.request_id().empty() ? "" : " ",
                                   request.request_id(), request.validate_only() ? " dry" : ""));
}

template <typename Resource>
grpc::Status Find(const std::map<std::string, Resource>& all, const std::string& name,
                  Resource* found) {
  const auto it = all.find(name);
  if (it == all.end()) return Missing(name);
  *found = it->second;
  return grpc::Status::OK;
}

// The page of `all` that starts at the number in `token`; calls `add` for each.
template <typename Range, typename Add>
std::string Page(const Range& all, const std::string& token, int page_size, const Add& add) {
  const int begin = token.empty() ? 0 : std::atoi(token.c_str());
  int i = 0;
  for (const auto& one : all) {
    if (i >= begin && i < begin + page_size) add(one);
    ++i;
  }
  return i > begin + page_size ? std::to_string(begin + page_size) : "";
}

}  // namespace shadow
