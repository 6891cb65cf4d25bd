// Secrets on their way into the environment of a unit.
#include "server/units/secret_files.h"

#include <sys/stat.h>

#include <catch2/catch.hpp>
#include <string>

#include "server/core/error.h"
#include "tests/server/providers/provider_world.h"

namespace shadow {
namespace {

v1::Security SecurityOf(const std::string& path) {
  v1::Security security;
  v1::Secret& secret = *security.add_secrets();
  secret.set_environment_variable("TOKEN");
  secret.set_source_file(path);
  return security;
}

TEST_CASE("a secret is quoted as systemd reads an environment file") {
  const v1::Security security = SecurityOf("/etc/token");
  CHECK(SecretEnvironment(security, {"plain"}) == "TOKEN=\"plain\"\n");
  CHECK(SecretEnvironment(security, {"a\"b\\c$d`e\nf"}) == "TOKEN=\"a\\\"b\\\\c\\$d\\`e\nf\"\n");
  CHECK(SecretEnvironment(security, {""}) == "TOKEN=\"\"\n");
}

TEST_CASE("the environment file of a unit's secrets is ours alone, and made anew") {
  const TemporaryDirectory directory;
  WriteFile(directory / "token", "s3cret\n");
  WriteFile(directory / "i7.env", "older");
  REQUIRE(WriteSecretEnvironment(SecurityOf(directory / "token"), directory / "i7.env").ok());
  CHECK(ReadText(directory / "i7.env") == "TOKEN=\"s3cret\"\n");
  struct stat info {};
  REQUIRE(stat((directory / "i7.env").c_str(), &info) == 0);
  CHECK((info.st_mode & 0777) == 0600);
}

TEST_CASE("a secret that no environment of systemd takes is refused by its field, unseen") {
  const TemporaryDirectory directory;
  for (const std::string& secret : {std::string("bell\a"), std::string("latin \xE9")}) {
    WriteFile(directory / "token", secret);
    const absl::Status refused =
        WriteSecretEnvironment(SecurityOf(directory / "token"), directory / "i7.env");
    CHECK(absl::IsFailedPrecondition(refused));
    CHECK(ErrorField(refused) == "dna.security.secrets[TOKEN].source_file");
    CHECK_THAT(std::string(refused.message()),
               !Catch::Contains("bell") && !Catch::Contains("latin"));
  }
  CHECK(absl::IsFailedPrecondition(
      WriteSecretEnvironment(SecurityOf(directory / "none"), directory / "i7.env")));
}

}  // namespace
}  // namespace shadow
