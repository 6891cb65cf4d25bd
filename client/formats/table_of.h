// Tables as the console wants them.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "client/output/table.h"
#include "client/session.h"

namespace shadow {

// On a terminal cut to its width, less `margin`. Whole where it is piped, because programs read
// that, and with -o wide.
template <typename Message>
std::string TableOf(Session& session, std::span<const Column<Message>> columns,
                    const std::vector<Message>& messages, int margin = 0) {
  const Console& console = session.console();
  TableFit fit;
  if (console.out_is_terminal) fit.columns_max = static_cast<std::size_t>(console.columns - margin);
  fit.utf8 = console.utf8;
  fit.wide = session.arguments().output == Output::kWide;
  if (fit.wide) fit.columns_max = 0;
  return RenderMessages(columns, messages, console.now(), console.colour, fit);
}

}  // namespace shadow
