// History that nobody decides by: it costs few fits, and what is asked after it knows all of it.
#include <catch2/catch.hpp>
#include <memory>

#include "forecast/engine.h"
#include "tests/forecast/series.h"

namespace shadow::testing {
namespace {

const std::vector<double> kPastQuantiles = {0.1, 0.5, 0.99};
constexpr int64_t kImported = 6 * kDay + 100;

// The level doubles an hour before the history ends, so fits tell how much of it they knew.
double Doubled(int64_t i) { return Daily(i) * (i >= kImported - 12 ? 2 : 1); }

std::unique_ptr<Engine> Imported(int64_t steps) {
  auto engine = std::make_unique<Engine>(kOptions);
  engine->SetPast(true);
  for (int64_t i = 0; i < steps; ++i) REQUIRE(engine->Update(StepTime(i), Doubled(i)).ok());
  engine->SetPast(false);
  return engine;
}

TEST_CASE("what is asked after a past goes by a fit of all of it") {
  const auto imported = Imported(kImported);
  // The first fit of a series that begins as late as a fit allows is of all of its history too.
  auto fresh = MakeForecaster(kOptions);
  for (int64_t i = 0; i < kImported; ++i) REQUIRE(fresh->Update(StepTime(i), Doubled(i)).ok());
  CHECK(*imported->Forecast(50, kPastQuantiles) != *fresh->Forecast(50, kPastQuantiles));
  // One more past cell, and it knows that too.
  const auto longer = Imported(kImported + 1);
  REQUIRE(imported->Forecast(50, kPastQuantiles).ok());
  imported->SetPast(true);
  REQUIRE(imported->Update(StepTime(kImported), Doubled(kImported)).ok());
  imported->SetPast(false);
  CHECK(*imported->Forecast(50, kPastQuantiles) == *longer->Forecast(50, kPastQuantiles));
}

TEST_CASE("what is read in a past goes by fits of one a season, and asking changes none of it") {
  const auto asked = Imported(0);
  const auto quiet = Imported(0);
  int64_t fits = 0;
  for (int64_t i = 0; i < kImported; ++i) {
    for (const auto& engine : {asked.get(), quiet.get()}) {
      engine->SetPast(true);
      REQUIRE(engine->Update(StepTime(i), Doubled(i)).ok());
    }
    fits += quiet->FitDue() ? 1 : 0;
    CHECK(*asked->Forecast(3, kPastQuantiles) == *quiet->Forecast(3, kPastQuantiles));
    while (quiet->Fit()) continue;
    asked->SetPast(false);
    if (i % 500 == 400) REQUIRE(asked->Forecast(3, kPastQuantiles).ok());
  }
  CHECK(fits <= kImported / kDay + 1);
  asked->SetPast(false);
  quiet->SetPast(false);
  CHECK(asked->Save() == quiet->Save());
}

TEST_CASE(
    "the end of a past takes no fit within a call, and one of all that is known a cell later") {
  const auto imported = Imported(kImported);
  while (imported->Fit()) continue;
  REQUIRE(imported->Update(StepTime(kImported), Doubled(kImported)).ok());
  // By the past's latest fit, which is there.
  CHECK_FALSE(imported->AwaitsFit(imported->LastStep()));
  CHECK(imported->FitDue());
  // It is made of the doubled level too, and counts from the next cell on.
  const auto now = *imported->Forecast(50, kPastQuantiles);
  CHECK(imported->AwaitsFit(StepTime(kImported + 1)));
  while (imported->Fit()) continue;
  CHECK(*imported->Forecast(50, kPastQuantiles) == now);
  CHECK_FALSE(imported->AwaitsFit(StepTime(kImported + 1)));
}

TEST_CASE("a past that ended long before the first live step is known all the same") {
  for (const int64_t gap : {kDay - 1, kDay + 1, 3 * kDay}) {
    INFO(gap << " cells");
    const auto imported = Imported(kImported);
    REQUIRE(imported->Update(StepTime(kImported + gap), Daily(kImported + gap)).ok());
    CHECK(imported->Trust().trust == ForecastTrust::kTrusted);
    const auto rows = imported->Forecast(kDay, {0.5});
    REQUIRE(rows.ok());
    for (int64_t i = 0; i < kDay; i += 36) {
      CHECK((*rows)[static_cast<size_t>(i)][0] ==
            Approx(Daily(kImported + gap + 1 + i)).epsilon(0.3));
    }
  }
}

TEST_CASE("the end of a past is the same after a restart") {
  const auto first = Imported(kImported);
  const auto second = std::make_unique<Engine>(kOptions);
  REQUIRE(second->Restore(first->Save()).ok());
  CHECK(*second->Forecast(50, kPastQuantiles) == *first->Forecast(50, kPastQuantiles));
  for (int64_t i = kImported; i < kImported + 30; ++i) {
    for (const auto& engine : {first.get(), second.get()}) {
      REQUIRE(engine->Update(StepTime(i), Doubled(i)).ok());
    }
    CHECK(*second->Forecast(50, kPastQuantiles) == *first->Forecast(50, kPastQuantiles));
    REQUIRE(second->Restore(std::string(second->Save())).ok());
  }
  CHECK(second->Save() == first->Save());
}

}  // namespace
}  // namespace shadow::testing
