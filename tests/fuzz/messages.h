// Messages as targets read them.
#pragma once

#include <google/protobuf/io/tokenizer.h>
#include <google/protobuf/message.h>
#include <google/protobuf/text_format.h>

#include <string>
#include <string_view>

namespace shadow {

// Nobody reads what is wrong with the text.
class SilentCollector final : public google::protobuf::io::ErrorCollector {
 public:
  void AddError(int, int, const std::string&) override {}
};

// As text, so that people can read seeds, or as it is on the wire. False: neither.
inline bool ParseMessage(std::string_view bytes, google::protobuf::Message& message) {
  const std::string text(bytes);
  SilentCollector silent;
  google::protobuf::TextFormat::Parser parser;
  parser.RecordErrorsTo(&silent);
  parser.SetRecursionLimit(50);
  if (parser.ParseFromString(text, &message)) return true;
  return message.ParseFromString(text);
}

}  // namespace shadow
