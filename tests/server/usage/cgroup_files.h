// The files of a cgroup, as the kernel shows them, in a temporary directory.
#pragma once

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <string>

#include "tests/storage/temp_directory.h"

namespace shadow {

class CgroupFiles {
 public:
  CgroupFiles() { std::filesystem::create_directory(path()); }

  std::string path() const { return directory_.path() + "/shadow-web.slice"; }

  void Write(const std::string& name, const std::string& text) const {
    std::ofstream(path() + "/" + name) << text;
  }
  void WriteCpu(int64_t usage_usec) const {
    Write("cpu.stat", "usage_usec " + std::to_string(usage_usec) +
                          "\nuser_usec 1\nsystem_usec 2\nnr_periods 0\n");
  }
  void WritePressure(const std::string& name, int64_t total) const {
    Write(name, "some avg10=1.00 avg60=0.50 avg300=0.10 total=" + std::to_string(total) +
                    "\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=9\n");
  }
  void Remove() const { std::filesystem::remove_all(path()); }
  // Another cgroup of this name. The one before is kept elsewhere, so that its inode is not free.
  void Replace() const {
    std::filesystem::rename(path(), directory_.path() + "/old");
    std::filesystem::create_directory(path());
  }

 private:
  const TempDirectory directory_;
};

}  // namespace shadow
