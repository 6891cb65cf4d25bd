#include "server/api/services.h"
#include "server/api/supported.h"

namespace shadow {

PoolServiceImpl::Reactor* PoolServiceImpl::CreatePool(Context* context,
                                                      const v1::CreatePoolRequest* request,
                                                      v1::Pool* response) {
  return AskSupported(context, api_, "CreatePool", *request, response,
                      [&] { return QuestionOfPool(*api_.control.snapshot(), request->pool()); });
}

PoolServiceImpl::Reactor* PoolServiceImpl::GetPool(Context* context,
                                                   const v1::GetPoolRequest* request,
                                                   v1::Pool* response) {
  return Reply(context, api_, "GetPool", [&] {
    const auto name = ParsePoolName(request->name(), "name");
    if (!name.ok()) return name.status();
    const auto snapshot = api_.control.snapshot();
    const auto found = snapshot->pools.find(request->name());
    if (found == snapshot->pools.end()) return PoolNotFound(request->name());
    *response = found->second->pool;
    return absl::OkStatus();
  });
}

PoolServiceImpl::Reactor* PoolServiceImpl::ListPools(Context* context,
                                                     const v1::ListPoolsRequest* request,
                                                     v1::ListPoolsResponse* response) {
  return Reply(context, api_, "ListPools", [&] {
    const auto snapshot = api_.control.snapshot();
    const auto next = ListPage(
        snapshot->pools, {"ListPools", request->page_size(), request->page_token()},
        [](const auto&, const auto&) { return true; },
        [&](const auto& pool) {
          *response->add_pools() = pool->pool;
          return pool->pool.ByteSizeLong();
        });
    if (next.ok()) response->set_next_page_token(*next);
    return next.status();
  });
}

PoolServiceImpl::Reactor* PoolServiceImpl::UpdatePool(Context* context,
                                                      const v1::UpdatePoolRequest* request,
                                                      v1::Pool* response) {
  return AskSupported(context, api_, "UpdatePool", *request, response, [&] {
    const auto snapshot = api_.control.snapshot();
    const auto current = snapshot->pools.find(request->pool().name());
    return QuestionOfPool(
        *snapshot, Merged(current == snapshot->pools.end() ? nullptr : &current->second->pool,
                          request->pool(), request->update_mask()));
  });
}

PoolServiceImpl::Reactor* PoolServiceImpl::DeletePool(Context* context,
                                                      const v1::DeletePoolRequest* request,
                                                      v1::Pool* response) {
  return Ask(context, api_, "DeletePool", *request, response);
}

}  // namespace shadow
