// The secrets of a DNA: the files are read when an instance starts.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "shadow/v1/dna.pb.h"

namespace shadow {

// The contents of the secret files, without a trailing newline, in the order of the DNA.
// kFailedPrecondition: a FieldError for a file that cannot be read (without its content).
absl::StatusOr<std::vector<std::string>> ReadSecrets(const v1::Security& security);

// The same as an instance got them that was started at `start_time`; unset if that is not known,
// because a file has changed since or cannot be read.
std::optional<std::vector<std::string>> SecretsGivenAt(const v1::Security& security,
                                                       absl::Time start_time);

// Writes the secrets to `path`, mode 0600, as an EnvironmentFile of systemd.exec(5).
// kFailedPrecondition: as ReadSecrets; also for what systemd takes into no environment: other than
// UTF-8, or control characters but tab and newline.
absl::Status WriteSecretEnvironment(const v1::Security& security, const std::string& path);

// The text of such a file.
std::string SecretEnvironment(const v1::Security& security,
                              const std::vector<std::string>& contents);

}  // namespace shadow
