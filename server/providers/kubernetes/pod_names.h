// How a pod says which instance it is. Pure.
#pragma once

#include <string>
#include <string_view>

namespace shadow {

// Labels.
inline constexpr char kProviderLabel[] = "shadow.dev/provider";  // ProviderTag; pods are listed by.
inline constexpr char kStoreLabel[] = "shadow.dev/store";
inline constexpr char kPoolLabel[] = "shadow.dev/pool";
inline constexpr char kShadowLabel[] = "shadow.dev/shadow";  // Not of a base instance.
inline constexpr char kInstanceLabel[] = "shadow.dev/instance";
// kRunning or kSuspended; written by the provider alone.
inline constexpr char kStateLabel[] = "shadow.dev/state";
inline constexpr char kStateRunning[] = "running";
inline constexpr char kStateSuspended[] = "suspended";
inline constexpr char kManagedByLabel[] = "app.kubernetes.io/managed-by";
inline constexpr char kManagedBy[] = "shadowd";
inline constexpr char kOwnLabels[] = "shadow.dev/";  // What all of ours begin with.
// Annotations.
inline constexpr char kEpochAnnotation[] = "shadow.dev/epoch";
inline constexpr char kDnaAnnotation[] = "shadow.dev/dna";  // "dnas/web@0123456789ab"
inline constexpr char kContainerAnnotation[] = "shadow.dev/container";
inline constexpr char kPortAnnotation[] = "shadow.dev/port";

inline constexpr char kPortName[] = "shadow";  // Of the container's port: a Service's targetPort.

// Of one provider of one store: 12 hex digits.
std::string ProviderTag(std::string_view store_id, std::string_view provider_key);

// "shadow-0123456789ab-i12"; the same for ever, so that no instance has two pods.
std::string PodName(std::string_view provider_tag, std::string_view id);

// `text`, if it can be the value of a label; otherwise its hash.
std::string LabelValue(std::string_view text);

}  // namespace shadow
