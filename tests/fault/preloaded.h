// A shadowd with a library of ours in front of the C library, and the memory that steers it.
#pragma once

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <string>
#include <system_error>

#include "absl/strings/substitute.h"

namespace shadow {

// `T` is all zero at first, and of atomics alone. Outlives the daemons that are started in its
// bin_dir().
template <typename T>
class Preloaded {
 public:
  // `library` maps the file that the environment names by `variable`.
  Preloaded(const std::string& library, const std::string& variable) {
    std::string name = (std::filesystem::temp_directory_path() / "shadow-preload-XXXXXX").string();
    REQUIRE(mkdtemp(name.data()) != nullptr);
    directory_ = name;
    const std::string path = directory_ + "/shared";
    const int fd = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    REQUIRE(fd >= 0);
    REQUIRE(ftruncate(fd, sizeof(T)) == 0);
    void* const memory = mmap(nullptr, sizeof(T), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    REQUIRE(memory != MAP_FAILED);
    shared_ = static_cast<T*>(memory);
    std::ofstream script(bin_dir() + "/shadowd");
    script << absl::Substitute("#!/bin/sh\nexec env LD_PRELOAD=$0 $1=$2 $3/shadowd \"$$@\"\n",
                               library, variable, path, SHADOW_BIN_DIR);
    script.close();
    chmod((bin_dir() + "/shadowd").c_str(), 0755);
  }
  ~Preloaded() {
    munmap(shared_, sizeof(T));
    std::error_code ignored;
    std::filesystem::remove_all(directory_, ignored);
  }
  Preloaded(const Preloaded&) = delete;
  Preloaded& operator=(const Preloaded&) = delete;

  const std::string& bin_dir() const { return directory_; }
  T& shared() { return *shared_; }
  const T& shared() const { return *shared_; }

 private:
  std::string directory_;
  T* shared_ = nullptr;
};

}  // namespace shadow
