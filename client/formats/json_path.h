// -o jsonpath=TEMPLATE, as kubectl has it: the part of it that scripts use.
#pragma once

#include <google/protobuf/message.h>

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace shadow {

// `text_template` with each {PATH} replaced by its values in the JSON of `message`, one space
// between them; a list or an object as JSON, a field that is not there as nothing. PATH is made of
// .field, ['field'], [INDEX] (negative: from the end), [*] and .*; {"text"} is the text, with \n
// and \t; {range PATH}...{end} repeats for each value, and paths in it begin there. A PATH without
// braces around it is taken too. Lists (`pool list`) are at .items[*] as well as at .pools[*].
// kInvalidArgument: it is not such a template.
absl::StatusOr<std::string> JsonPathText(const google::protobuf::Message& message,
                                         const std::string& text_template);

// OK, or why `text_template` is none.
absl::Status CheckJsonPath(const std::string& text_template);

}  // namespace shadow
