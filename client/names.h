// Resource names as people type them: short ("web") or full ("pools/web"). What is not one of the
// short forms passes as it is, so that the daemon's own validation speaks.
#pragma once

#include <string>
#include <string_view>

namespace shadow {

std::string FullDnaName(std::string_view name);   // web, web@<revision> -> dnas/web...
std::string FullPoolName(std::string_view name);  // web -> pools/web

// web/x -> pools/web/shadowPools/x. Empty for a bare `web`: only the daemon knows its shadow pool.
std::string FullShadowName(std::string_view name);

// web/x/i -> pools/web/shadowPools/x/instances/i. Empty for anything else.
std::string FullInstanceName(std::string_view name);

// Of any name below a pool: pools/web/shadowPools/x -> pools/web, web/x -> pools/web.
std::string PoolOf(std::string_view name);

// For tables, and understood when typed again: dnas/web -> web, pools/web/shadowPools/x -> web/x,
// pools/web/shadowPools/x/instances/i -> web/x/i, pools/web/instances/i -> web/i.
std::string ShortName(std::string_view name);

}  // namespace shadow
