// The count that each row of the fault matrix ends with: what it tried, and what that cost.
#pragma once

#include <catch2/catch.hpp>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <map>
#include <string>
#include <utility>

namespace shadow {

// Its end prints the row's line, and fails the test where nothing was tried, or where anything was
// lost, leaked or failed. One thread, within one test case.
class Tally {
 public:
  // Tally("kill -9", "kills"): "fault row kill -9: tried 50 kills, lost 0, leaked 0, failed 0".
  Tally(std::string row, std::string attempts)
      : row_(std::move(row)), attempts_(std::move(attempts)) {}
  Tally(const Tally&) = delete;
  Tally& operator=(const Tally&) = delete;
  ~Tally() {
    const std::string line = Line();
    std::printf("%s\n", line.c_str());
    std::fflush(stdout);
    if (std::uncaught_exceptions() > exceptions_) return;  // The test has failed.
    INFO(line);
    CHECK(tried_ > 0);
    CHECK(lost_ == 0);
    CHECK(leaked_ == 0);
    CHECK(failed_ == 0);
  }

  void Try(int64_t times = 1) { tried_ += times; }
  // What was acknowledged or served, and is not there any more: changes, samples, instances.
  void Lose(int64_t things) { lost_ += things; }
  // What nobody owns any more, and is still there: processes, members, descriptors, memory.
  void Leak(int64_t things) { leaked_ += things; }
  // What somebody else asked for meanwhile, and did not get: requests, calls.
  void Fail(int64_t requests) { failed_ += requests; }
  // A further count of the line; more of the same adds up.
  void Note(int64_t count, const std::string& what) { notes_[what] += count; }

  int64_t tried() const { return tried_; }
  bool clean() const { return lost_ == 0 && leaked_ == 0 && failed_ == 0; }

 private:
  std::string Line() const {
    std::string notes;
    for (const auto& [what, count] : notes_) {
      notes += (notes.empty() ? " (" : ", ") + std::to_string(count) + " " + what;
    }
    return "fault row " + row_ + ": tried " + std::to_string(tried_) + " " + attempts_ + ", lost " +
           std::to_string(lost_) + ", leaked " + std::to_string(leaked_) + ", failed " +
           std::to_string(failed_) + notes + (notes.empty() ? "" : ")");
  }

  const std::string row_;
  const std::string attempts_;
  const int exceptions_ = std::uncaught_exceptions();
  int64_t tried_ = 0;
  int64_t lost_ = 0;
  int64_t leaked_ = 0;
  int64_t failed_ = 0;
  std::map<std::string, int64_t> notes_;
};

}  // namespace shadow
