#include "client/formats/items.h"

namespace shadow {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;

const FieldDescriptor* ListFieldOf(const Message& message) {
  const auto* type = message.GetDescriptor();
  if (type->FindFieldByName("next_page_token") == nullptr) return nullptr;
  for (int i = 0; i < type->field_count(); ++i) {
    const FieldDescriptor* field = type->field(i);
    if (field->is_repeated() && field->cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE) return field;
  }
  return nullptr;
}

std::vector<const Message*> ItemsOf(const Message& message) {
  const FieldDescriptor* list = ListFieldOf(message);
  if (list == nullptr) return {&message};
  std::vector<const Message*> items;
  const auto* reflection = message.GetReflection();
  const int size = reflection->FieldSize(message, list);
  items.reserve(static_cast<size_t>(size));
  for (int i = 0; i < size; ++i) {
    items.push_back(&reflection->GetRepeatedMessage(message, list, i));
  }
  return items;
}

std::string NameFieldOf(const Message& message) {
  const FieldDescriptor* name = message.GetDescriptor()->FindFieldByName("name");
  const bool is_text = name != nullptr && !name->is_repeated() &&
                       name->cpp_type() == FieldDescriptor::CPPTYPE_STRING;
  return is_text ? message.GetReflection()->GetString(message, name) : "";
}

}  // namespace shadow
