#include "server/web/feed.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "server/core/loop/demand.h"
#include "server/core/names.h"
#include "server/core/text.h"
#include "server/core/time_proto.h"
#include "server/web/feed_json.h"
#include "server/web/feed_parts.h"
#include "server/web/feed_series.h"

namespace shadow {
namespace {

constexpr absl::Duration kFeedAxis = absl::Hours(24);  // Of the chart, to each side of now.
constexpr int kFeedPieces = 8;                         // That a day's samples are read in.
constexpr int64_t kChartSamplesMax = 100'000;
constexpr int64_t kSparkSamplesMax = 20'000;
constexpr int64_t kChartDecisionsMax = 4000;
constexpr int64_t kFeedReadBytesMax = 4 << 20;
constexpr int kLogDecisions = 20;
constexpr size_t kLogEvents = 40;
constexpr int64_t kLogRevisionsMax = 2000;  // How far back its events are looked for.
constexpr size_t kPoolsOfStep = 100;        // Limits of "state" are multiples of it.
constexpr size_t kPoolsOfStateMax = 1000;
constexpr absl::Duration kSparkTtl = absl::Seconds(30);
constexpr absl::Duration kLogTtl = absl::Seconds(1);

using MadePool = std::shared_ptr<const PoolSnapshot>;

FeedBody BodyOf(std::string text) { return std::make_shared<const std::string>(std::move(text)); }

// Newest samples first where there are more than `samples_max`; a piece that cannot be read is a
// gap.
FeedChart DayBefore(const Feed::Sources& sources, const v1::Pool& pool, int64_t samples_max) {
  const absl::Time now = sources.clock.Now().wall;
  FeedChart chart{.start = now - kFeedAxis,
                  .now = now,
                  .samples = {},
                  .decisions = {},
                  .forecast = v1::Forecast()};
  const absl::Duration length = kFeedAxis / kFeedPieces;
  std::vector<std::vector<v1::Sample>> pieces;
  for (int i = 0; i < kFeedPieces && samples_max > 0; ++i) {
    const absl::Time until = now - i * length;
    auto piece = sources.store.ReadSamples(pool.name(), until - length, until,
                                           FromProto(pool.step()), samples_max);
    if (!piece.ok()) continue;
    samples_max -= static_cast<int64_t>(piece->size());
    pieces.push_back(*std::move(piece));
  }
  for (auto piece = pieces.rbegin(); piece != pieces.rend(); ++piece) {
    chart.samples.insert(chart.samples.end(), piece->begin(), piece->end());
  }
  return chart;
}

// Decisions of the axis, and the one that held at its start.
std::vector<v1::Decision> DecisionsSince(const Feed::Sources& sources, const v1::Pool& pool,
                                         absl::Time start) {
  auto read = sources.store.ReadDecisions(pool.name(), 0, {kChartDecisionsMax, kFeedReadBytesMax});
  if (!read.ok()) return {};
  const auto older = std::find_if(read->begin(), read->end(), [start](const v1::Decision& one) {
    return FromProto(one.time()) <= start;
  });
  if (older != read->end()) read->erase(std::next(older), read->end());
  return *std::move(read);
}

v1::GetForecastRequest ForecastAsked(const v1::Pool& pool) {
  v1::GetForecastRequest request;
  request.set_pool(pool.name());
  std::vector<double> quantiles = {0.05, 0.25, 0.5, 0.75, 0.95};
  const double level = ServiceLevelOf(pool);
  if (level > 0 && std::find(quantiles.begin(), quantiles.end(), level) == quantiles.end()) {
    quantiles.push_back(level);
  }
  std::sort(quantiles.begin(), quantiles.end());
  request.mutable_quantiles()->Add(quantiles.begin(), quantiles.end());
  absl::Duration horizon = kForecastStepsMax * FromProto(pool.step());
  if (!pool.season_lengths().empty()) {
    horizon = std::max(horizon, 2 * FromProto(*pool.season_lengths().rbegin()));
  }
  *request.mutable_horizon() = ToProto(std::min(horizon, kFeedAxis));
  return request;
}

void MakeChart(const Feed::Sources& sources, const MadePool& pool, const FeedDone& done) {
  auto chart = std::make_shared<FeedChart>(DayBefore(sources, pool->pool, kChartSamplesMax));
  chart->decisions = DecisionsSince(sources, pool->pool, chart->start);
  const auto finish = [pool, chart, done] { done(BodyOf(ChartJson(*pool, *chart))); };
  // The answer comes on a thread that others wait for.
  const absl::Status posted = sources.control.Post(
      ForecastAsked(pool->pool), [chart, finish, run = sources.run](const Answer& answer) {
        if (answer.ok()) {
          chart->forecast.value().Swap(static_cast<v1::Forecast*>(answer->get()));
        } else {
          chart->forecast = answer.status();
        }
        run(finish);
      });
  if (posted.ok()) return;
  chart->forecast = posted;
  finish();
}

void MakeLog(const Feed::Sources& sources, const MadePool& pool, const FeedDone& done) {
  const std::string& name = pool->pool.name();
  const auto decisions = sources.store.ReadDecisions(name, 0, {kLogDecisions, kFeedReadBytesMax});
  if (!decisions.ok()) return done(decisions.status());
  const int64_t after =
      std::max<int64_t>(0, sources.control.snapshot()->revision - kLogRevisionsMax);
  auto events = sources.store.ReadEvents(after, name, {kLogRevisionsMax, kFeedReadBytesMax});
  if (absl::IsOutOfRange(events.status())) {  // Retention has come nearer than that.
    events = sources.store.ReadEvents(0, name, {kLogRevisionsMax, kFeedReadBytesMax});
  }
  if (!events.ok()) return done(events.status());
  // A decision is in the other list.
  std::erase_if(*events, [](const v1::Event& event) { return event.kind() == v1::Event::DECIDED; });
  if (events->size() > kLogEvents) {
    events->erase(events->begin(), events->end() - static_cast<std::ptrdiff_t>(kLogEvents));
  }
  std::reverse(events->begin(), events->end());
  done(BodyOf(LogJson(*decisions, *events)));
}

absl::Duration ChartTtl(const v1::Pool& pool) {
  return std::clamp(FromProto(pool.step()) / 2, absl::Seconds(5), absl::Seconds(30));
}

}  // namespace

void Feed::Get(std::string_view target, FeedDone done) {
  std::string_view query;
  if (const size_t at = target.find('?'); at != std::string_view::npos) {
    query = target.substr(at + 1);
    target = target.substr(0, at);
  }
  constexpr std::string_view kPools = "pools/";
  if (target == "state") return GetState(query, std::move(done));
  if (!target.starts_with(kPools)) return done(FeedBody());
  target.remove_prefix(kPools.size());
  const size_t slash = target.find('/');
  const std::string_view id = target.substr(0, slash);
  if (slash == std::string_view::npos) return GetPool(id, "", std::move(done));
  // An empty part would be the pool itself by a second name.
  if (slash + 1 == target.size()) return done(FeedBody());
  GetPool(id, target.substr(slash + 1), std::move(done));
}

void Feed::GetState(std::string_view query, FeedDone done) {
  constexpr std::string_view kLimit = "limit=";
  size_t limit = kPoolsOfStep;
  if (query.starts_with(kLimit)) {
    size_t asked = 0;
    if (absl::SimpleAtoi(Absl(query.substr(kLimit.size())), &asked)) limit = asked;
  }
  limit = std::clamp(limit, kPoolsOfStep, kPoolsOfStateMax) / kPoolsOfStep * kPoolsOfStep;
  const auto snapshot = sources_.control.snapshot();
  const FeedCache::Key key{.name = absl::StrCat("state ", limit),
                           .source = snapshot,
                           .ttl = absl::InfiniteDuration(),
                           .cheap = true};
  cache_->Get(
      key, sources_.clock.Now().mono,
      [&](const FeedDone& made) { made(BodyOf(StateJson(*snapshot, limit))); }, std::move(done));
}

void Feed::GetPool(std::string_view id, std::string_view part, FeedDone done) {
  const auto snapshot = sources_.control.snapshot();
  const auto found = snapshot->pools.find(PoolName(id));
  if (!IsId(id) || found == snapshot->pools.end()) return done(FeedBody());
  const MadePool pool = found->second;
  FeedCache::Key key{.name = absl::StrCat(std::string(part), " ", std::string(id)),
                     .source = {},
                     .ttl = absl::InfiniteDuration()};
  // Reads the disk: not on the thread of the connections.
  const auto later = [&](auto make) {
    cache_->Get(
        key, sources_.clock.Now().mono,
        [&](const FeedDone& made) {
          sources_.run([sources = sources_, pool, make, made] { make(sources, pool, made); });
        },
        std::move(done));
  };
  if (part.empty()) {
    key.source = pool;
    key.cheap = true;
    cache_->Get(
        key, sources_.clock.Now().mono,
        [&](const FeedDone& made) { made(BodyOf(PoolJson(*pool))); }, std::move(done));
  } else if (part == "chart") {
    key.ttl = ChartTtl(pool->pool);
    later(MakeChart);
  } else if (part == "log") {
    key.ttl = kLogTtl;
    later(MakeLog);
  } else if (part == "spark") {
    key.ttl = kSparkTtl;
    later([](const Feed::Sources& sources, const MadePool& of, const FeedDone& made) {
      made(BodyOf(SparkJson(of->pool, DayBefore(sources, of->pool, kSparkSamplesMax))));
    });
  } else {
    done(FeedBody());
  }
}

std::string Feed::Stream::Next() {
  const Sources& sources = feed_.sources_;
  const Instant now = sources.clock.Now();
  const auto snapshot = sources.control.snapshot();
  std::string message;
  if (shown_ == nullptr) {
    message = HelloMessage({.version = sources.version,
                            .store_id = snapshot->store_id,
                            .start_time = sources.start_time},
                           snapshot->revision, now.wall);
  } else if (snapshot != shown_) {
    message = ChangeMessage(*shown_, *snapshot, now.wall);
  } else if (now.mono - spoken_ >= kAliveInterval) {
    message = AliveMessage(now.wall);
  }
  shown_ = snapshot;
  if (!message.empty()) spoken_ = now.mono;
  return message;
}

}  // namespace shadow
