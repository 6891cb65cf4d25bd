#include "server/units/bus.h"

#include <sys/mount.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <string_view>
#include <variant>

#include "absl/strings/str_cat.h"

namespace shadow {
namespace {

int AppendStrings(sd_bus_message* message, const std::vector<std::string>& strings) {
  int result = sd_bus_message_open_container(message, 'a', "s");
  for (const std::string& text : strings) {
    if (result >= 0) result = sd_bus_message_append(message, "s", text.c_str());
  }
  return result < 0 ? result : sd_bus_message_close_container(message);
}

// Appends a value as a variant.
struct VariantAppender {
  sd_bus_message* message;

  // `append` writes what is in the variant.
  template <typename Append>
  int In(const char* signature, const Append& append) const {
    int result = sd_bus_message_open_container(message, 'v', signature);
    if (result >= 0) result = append();
    return result < 0 ? result : sd_bus_message_close_container(message);
  }

  // Each of `values` as one struct in an array.
  template <typename Values, typename Append>
  int Array(const char* signature, const char* element, const Values& values,
            const Append& append) const {
    return In(signature, [&] {
      int result = sd_bus_message_open_container(message, 'a', element);
      for (const auto& value : values) {
        if (result >= 0) result = append(value);
      }
      return result < 0 ? result : sd_bus_message_close_container(message);
    });
  }

  int operator()(bool value) const {
    return sd_bus_message_append(message, "v", "b", value ? 1 : 0);
  }
  int operator()(int32_t value) const { return sd_bus_message_append(message, "v", "i", value); }
  int operator()(uint64_t value) const { return sd_bus_message_append(message, "v", "t", value); }
  int operator()(const std::string& value) const {
    return sd_bus_message_append(message, "v", "s", value.c_str());
  }
  int operator()(const std::vector<std::string>& value) const {
    return In("as", [&] { return AppendStrings(message, value); });
  }
  int operator()(const std::vector<UnitBind>& value) const {
    return Array("a(ssbt)", "(ssbt)", value, [this](const UnitBind& bind) {
      return sd_bus_message_append(message, "(ssbt)", bind.source.c_str(), bind.target.c_str(), 0,
                                   uint64_t{MS_REC});
    });
  }
  int operator()(const std::vector<UnitCredential>& value) const {
    return Array("a(ss)", "(ss)", value, [this](const UnitCredential& credential) {
      return sd_bus_message_append(message, "(ss)", credential.name.c_str(),
                                   credential.path.c_str());
    });
  }
  int operator()(const UnitAllowed& value) const {
    return In("(bas)", [&] {
      int result = sd_bus_message_open_container(message, 'r', "bas");
      if (result >= 0) result = sd_bus_message_append(message, "b", 1);
      if (result >= 0) result = AppendStrings(message, value.names);
      return result < 0 ? result : sd_bus_message_close_container(message);
    });
  }
  int operator()(const UnitCommand& value) const {
    return Array("a(sasas)", "(sasas)", std::vector<UnitCommand>{value},
                 [this](const UnitCommand& command) {
                   int result = sd_bus_message_open_container(message, 'r', "sasas");
                   if (result >= 0) {
                     result = sd_bus_message_append(message, "s", command.argv.front().c_str());
                   }
                   if (result >= 0) result = AppendStrings(message, command.argv);
                   if (result >= 0) result = AppendStrings(message, {"no-env-expand"});
                   return result < 0 ? result : sd_bus_message_close_container(message);
                 });
  }
  int operator()(const UnitEnvironmentFile& value) const {
    return sd_bus_message_append(message, "v", "a(sb)", 1, value.path.c_str(), 0);
  }
  int operator()(const std::vector<UnitBytes>& value) const {
    return Array("aay", "ay", value, [this](const UnitBytes& one) {
      return sd_bus_message_append_array(message, 'y', one.bytes.data(), one.bytes.size());
    });
  }
  int operator()(const UnitBytes& value) const {
    return In("ay", [&] {
      return sd_bus_message_append_array(message, 'y', value.bytes.data(), value.bytes.size());
    });
  }
};

absl::StatusCode CodeOf(std::string_view name) {
  constexpr std::string_view kOfSystemd = "org.freedesktop.systemd1.";
  constexpr std::string_view kOfBus = "org.freedesktop.DBus.Error.";
  if (name.starts_with(kOfSystemd)) {
    name.remove_prefix(kOfSystemd.size());
    if (name == "NoSuchUnit" || name == "UnitInactive" || name == "NoSuchProcess") {
      return absl::StatusCode::kNotFound;
    }
    if (name == "UnitExists") return absl::StatusCode::kAlreadyExists;
    return absl::StatusCode::kUnavailable;  // A conflicting job, or it shuts down.
  }
  if (!name.starts_with(kOfBus)) return absl::StatusCode::kUnknown;
  name.remove_prefix(kOfBus.size());
  if (name == "AccessDenied" || name == "AuthFailed" ||
      name == "InteractiveAuthorizationRequired") {
    return absl::StatusCode::kPermissionDenied;
  }
  if (name == "InvalidArgs" || name == "NotSupported" || name == "PropertyReadOnly" ||
      name == "UnknownProperty") {
    return absl::StatusCode::kFailedPrecondition;
  }
  if (name == "UnknownObject" || name == "UnixProcessIdUnknown") return absl::StatusCode::kNotFound;
  return absl::StatusCode::kUnavailable;  // NoReply, Timeout, Disconnected, ServiceUnknown, ...
}

}  // namespace

absl::StatusOr<Bus> OpenBus(UnitWay way) {
  sd_bus* bus = nullptr;
  const int result = way == UnitWay::kUser ? sd_bus_open_user(&bus) : sd_bus_open_system(&bus);
  if (result >= 0) {
    sd_bus_set_method_call_timeout(
        bus, static_cast<uint64_t>(absl::ToInt64Microseconds(kBusQuestionTimeout)));
    return Bus(bus);
  }
  return absl::UnavailableError(
      absl::StrCat("the bus of the ", way == UnitWay::kUser ? "user's" : "system's",
                   " service manager cannot be reached: ", strerrordesc_np(-result)));
}

std::string UnitPath(const std::string& unit) {
  char* path = nullptr;
  if (sd_bus_path_encode("/org/freedesktop/systemd1/unit", unit.c_str(), &path) < 0) return "/";
  const std::unique_ptr<char, decltype(&free)> owner(path, free);
  return path;
}

absl::Status BusStatus(const sd_bus_error& error, int result, const std::string& what) {
  if (sd_bus_error_is_set(&error) == 0) return BusStatus(result, what);
  const absl::StatusCode code = CodeOf(error.name);
  const std::string text = absl::StrCat(what, ": ", error.message == nullptr ? "" : error.message);
  if (code != absl::StatusCode::kUnknown) return {code, text};
  // "System.Error.EBUSY" and its like.
  return {absl::ErrnoToStatus(sd_bus_error_get_errno(&error), "").code(), text};
}

absl::Status BusStatus(int result, const std::string& what) {
  if (result >= 0) return absl::OkStatus();
  return absl::UnavailableError(absl::StrCat(what, ": ", strerrordesc_np(-result)));
}

absl::StatusOr<BusMessage> ManagerCall(sd_bus* bus, const char* method) {
  sd_bus_message* call = nullptr;
  const int result =
      sd_bus_message_new_method_call(bus, &call, kSystemd, kSystemdPath, kSystemdManager, method);
  if (result < 0) return BusStatus(result, method);
  return BusMessage(call);
}

absl::StatusOr<BusMessage> Ask(sd_bus* bus, sd_bus_message* call, absl::Duration timeout,
                               const std::string& what) {
  sd_bus_error error{};
  sd_bus_message* reply = nullptr;
  const auto usec = static_cast<uint64_t>(std::max<int64_t>(1, absl::ToInt64Microseconds(timeout)));
  const int result = sd_bus_call(bus, call, usec, &error, &reply);
  const absl::Status status = result < 0 ? BusStatus(error, result, what) : absl::OkStatus();
  sd_bus_error_free(&error);
  if (!status.ok()) return status;
  return BusMessage(reply);
}

int AppendProperties(sd_bus_message* message, const std::vector<UnitProperty>& properties) {
  int result = sd_bus_message_open_container(message, 'a', "(sv)");
  for (const UnitProperty& property : properties) {
    if (result >= 0) result = sd_bus_message_open_container(message, 'r', "sv");
    if (result >= 0) result = sd_bus_message_append(message, "s", property.name.c_str());
    if (result >= 0) result = std::visit(VariantAppender{message}, property.value);
    if (result >= 0) result = sd_bus_message_close_container(message);
  }
  return result < 0 ? result : sd_bus_message_close_container(message);
}

}  // namespace shadow
