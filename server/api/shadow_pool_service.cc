#include "server/api/services.h"

namespace shadow {
namespace {

using PoolPtr = std::shared_ptr<const PoolSnapshot>;

absl::StatusOr<PoolPtr> FindPool(const Snapshot& snapshot, const std::string& name,
                                 std::string_view field) {
  const auto id = ParsePoolName(name, field);
  if (!id.ok()) return id.status();
  const auto found = snapshot.pools.find(name);
  if (found != snapshot.pools.end()) return found->second;
  return PoolNotFound(name);
}

absl::StatusOr<v1::ShadowPool> FindShadow(const Snapshot& snapshot, const std::string& name,
                                          std::string_view field) {
  const auto parsed = ParseShadowName(name, field);
  if (!parsed.ok()) return parsed.status();
  const auto pool = snapshot.pools.find(PoolName(parsed->pool));
  if (pool != snapshot.pools.end()) {
    const auto shadow = pool->second->shadows.find(name);
    if (shadow != pool->second->shadows.end()) return shadow->second;
  }
  return ReasonError(absl::StatusCode::kNotFound, "SHADOW_POOL_NOT_FOUND",
                     absl::StrCat(name, " does not exist"));
}

constexpr char kAllPools[] = "pools/-";

}  // namespace

ShadowPoolServiceImpl::Reactor* ShadowPoolServiceImpl::CreateShadowPool(
    Context* context, const v1::CreateShadowPoolRequest* request, v1::ShadowPool* response) {
  return Ask(context, api_, "CreateShadowPool", *request, response);
}

ShadowPoolServiceImpl::Reactor* ShadowPoolServiceImpl::GetShadowPool(
    Context* context, const v1::GetShadowPoolRequest* request, v1::ShadowPool* response) {
  return Reply(context, api_, "GetShadowPool", [&] {
    const auto found = FindShadow(*api_.control.snapshot(), request->name(), "name");
    if (found.ok()) *response = *found;
    return found.status();
  });
}

ShadowPoolServiceImpl::Reactor* ShadowPoolServiceImpl::ListShadowPools(
    Context* context, const v1::ListShadowPoolsRequest* request,
    v1::ListShadowPoolsResponse* response) {
  return Reply(context, api_, "ListShadowPools", [&]() -> absl::Status {
    const auto snapshot = api_.control.snapshot();
    std::map<std::string, const v1::ShadowPool*> shadows;
    const auto add = [&shadows](const PoolSnapshot& pool) {
      for (const auto& [name, shadow] : pool.shadows) shadows[name] = &shadow;
    };
    if (request->parent() == kAllPools) {
      for (const auto& [name, pool] : snapshot->pools) add(*pool);
    } else {
      const auto pool = FindPool(*snapshot, request->parent(), "parent");
      if (!pool.ok()) return pool.status();
      add(**pool);
    }
    const std::string scope = absl::StrCat("ListShadowPools ", request->parent());
    const auto next = ListPage(
        shadows, {scope, request->page_size(), request->page_token()},
        [](const auto&, const auto&) { return true; },
        [&](const v1::ShadowPool* shadow) {
          *response->add_shadow_pools() = *shadow;
          return shadow->ByteSizeLong();
        });
    if (next.ok()) response->set_next_page_token(*next);
    return next.status();
  });
}

ShadowPoolServiceImpl::Reactor* ShadowPoolServiceImpl::UpdateShadowPool(
    Context* context, const v1::UpdateShadowPoolRequest* request, v1::ShadowPool* response) {
  return Ask(context, api_, "UpdateShadowPool", *request, response);
}

ShadowPoolServiceImpl::Reactor* ShadowPoolServiceImpl::ActivateShadowPool(
    Context* context, const v1::ActivateShadowPoolRequest* request, v1::ShadowPool* response) {
  return Ask(context, api_, "ActivateShadowPool", *request, response);
}

ShadowPoolServiceImpl::Reactor* ShadowPoolServiceImpl::DeleteShadowPool(
    Context* context, const v1::DeleteShadowPoolRequest* request, v1::ShadowPool* response) {
  return Ask(context, api_, "DeleteShadowPool", *request, response);
}

ShadowPoolServiceImpl::Reactor* ShadowPoolServiceImpl::ListInstances(
    Context* context, const v1::ListInstancesRequest* request,
    v1::ListInstancesResponse* response) {
  return Reply(context, api_, "ListInstances", [&]() -> absl::Status {
    const auto snapshot = api_.control.snapshot();
    std::string pool_name = request->parent();
    const bool of_shadow = pool_name.find("/shadowPools/") != std::string::npos;
    if (of_shadow) {
      const auto shadow = FindShadow(*snapshot, request->parent(), "parent");
      if (!shadow.ok()) return shadow.status();
      pool_name = PoolName(ParseShadowName(pool_name, "parent")->pool);
    }
    const auto pool = FindPool(*snapshot, pool_name, "parent");
    if (!pool.ok()) return pool.status();
    const std::string prefix = request->parent() + "/";
    const std::string scope = absl::StrCat("ListInstances ", request->parent());
    const auto next = ListPage(
        (*pool)->instances, {scope, request->page_size(), request->page_token()},
        [&](const std::string& name, const v1::Instance&) { return name.starts_with(prefix); },
        [&](const v1::Instance& instance) {
          *response->add_instances() = instance;
          return instance.ByteSizeLong();
        });
    if (next.ok()) response->set_next_page_token(*next);
    return next.status();
  });
}

ShadowPoolServiceImpl::Reactor* ShadowPoolServiceImpl::ReleaseHold(
    Context* context, const v1::ReleaseHoldRequest* request, v1::ReleaseHoldResponse* response) {
  return Ask(context, api_, "ReleaseHold", *request, response);
}

}  // namespace shadow
