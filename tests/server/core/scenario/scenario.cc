#include "tests/server/core/scenario/scenario.h"

#include <google/protobuf/text_format.h>

#include <stdexcept>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"

namespace shadow {
namespace {

using google::protobuf::TextFormat;

// The `at`-th word, which must be there.
const std::string& Word(const ScenarioCommand& command, size_t at) {
  if (at < command.words.size()) return command.words[at];
  throw std::invalid_argument(
      absl::StrCat(command.words.front(), " needs more than ", at - 1, " words"));
}

double Number(const std::string& word) {
  double number = 0;
  if (!absl::SimpleAtod(word, &number)) throw std::invalid_argument(word + " is not a number");
  return number;
}

int Count(const std::string& word) { return static_cast<int>(Number(word)); }

absl::Duration Span(const std::string& word) {
  absl::Duration span;
  if (!absl::ParseDuration(word, &span)) throw std::invalid_argument(word + " is not a duration");
  return span;
}

// The body over what `message` holds.
void MergeBody(const ScenarioCommand& command, google::protobuf::Message& message) {
  const std::unique_ptr<google::protobuf::Message> given(message.New());
  if (!TextFormat::ParseFromString(command.body, given.get())) {
    throw std::invalid_argument(
        absl::StrCat("the body is not a ", message.GetDescriptor()->name(), " as text"));
  }
  message.MergeFrom(*given);
}

// "Wed 07:40", with seconds where there are some.
std::string TimeText(absl::Time time) {
  const bool whole = absl::ToUnixSeconds(time) % 60 == 0;
  return absl::FormatTime(whole ? "%a %H:%M" : "%a %H:%M:%S", time, absl::UTCTimeZone());
}

std::string ReasonsText(const v1::Decision& decision) {
  return absl::StrJoin(decision.reasons(), ", ", [](std::string* text, int reason) {
    text->append(v1::Decision::Reason_Name(static_cast<v1::Decision::Reason>(reason)));
  });
}

bool WouldChange(const v1::Decision& decision) {
  return decision.target_instances() != decision.inputs().current_instances() ||
         decision.target_active() != decision.inputs().current_active();
}

DemandShape ShapeOf(const ScenarioCommand& command) {
  DemandShape shape;
  const std::string& kind = Word(command, 2);
  size_t at = 3;
  shape.low = Number(Word(command, at++));
  if (kind == "day" || kind == "week") {
    shape.kind = kind == "day" ? DemandShape::Kind::kDay : DemandShape::Kind::kWeek;
    shape.high = Number(Word(command, at++));
  } else if (kind != "flat") {
    throw std::invalid_argument("no shape of demand: " + kind);
  }
  for (; at < command.words.size(); ++at) {
    const std::string& word = command.words[at];
    const size_t equals = word.find('=');
    if (equals == std::string::npos) throw std::invalid_argument("wanted NAME=NUMBER: " + word);
    const std::string name = word.substr(0, equals);
    const double value = Number(word.substr(equals + 1));
    if (name == "noise") {
      shape.noise = value;
    } else if (name == "times") {
      shape.times = value;
    } else if (name == "plus") {
      shape.plus = value;
    } else {
      throw std::invalid_argument("wanted noise, times or plus: " + word);
    }
  }
  return shape;
}

}  // namespace

PlanningWorld& Scenario::world() {
  if (world_ == nullptr) world_ = std::make_unique<PlanningWorld>();
  return *world_;
}

std::string Scenario::Run(const ScenarioCommand& command) {
  using Method = std::string (Scenario::*)(const ScenarioCommand&);
  static const std::map<std::string, Method> kMethods = {
      {"daemon", &Scenario::Daemon},     {"pool", &Scenario::Pool},
      {"demand", &Scenario::Demand},     {"history", &Scenario::History},
      {"run", &Scenario::RunFor},        {"skip", &Scenario::Skip},
      {"state", &Scenario::State},       {"restart", &Scenario::Restart},
      {"policy", &Scenario::Policy},     {"create", &Scenario::ByHand},
      {"resize", &Scenario::ByHand},     {"activate", &Scenario::ByHand},
      {"delete", &Scenario::ByHand},     {"release", &Scenario::ByHand},
      {"balancer", &Scenario::Balancer},
  };
  const auto method = kMethods.find(command.words.front());
  if (method == kMethods.end()) throw std::invalid_argument("no command: " + command.words.front());
  return (this->*method->second)(command);
}

std::string Scenario::Ask(const Request& request) {
  const Answer answer = world().simulation.Call(request);
  return answer.ok() ? "" : absl::StrCat(std::string(answer.status().message()), "\n");
}

std::string Scenario::Daemon(const ScenarioCommand& command) {
  if (world_ != nullptr) throw std::invalid_argument("daemon comes first");
  world_ = std::make_unique<PlanningWorld>(Count(Word(command, 1)));
  return "";
}

std::string Scenario::Pool(const ScenarioCommand& command) {
  v1::CreatePoolRequest request;
  *request.mutable_pool() = PlanningWorld::Pool(Word(command, 1));
  MergeBody(command, *request.mutable_pool());
  return Ask(request);
}

std::string Scenario::Demand(const ScenarioCommand& command) {
  const std::string& pool = Word(command, 1);
  if (Word(command, 2) == "none") {
    world().demand.erase(pool);
  } else {
    world().demand[pool] = ShapeOf(command);
  }
  return "";
}

std::string Scenario::History(const ScenarioCommand& command) {
  const std::string& pool = Word(command, 1);
  if (!world().demand.contains(pool)) throw std::invalid_argument("history needs a demand");
  const int days = Count(Word(command, 2));
  return absl::StrCat(world().ImportHistory(pool, days * absl::Hours(24)), " samples\n");
}

std::string Scenario::RunFor(const ScenarioCommand& command) {
  const bool all = command.words.size() > 2 && command.words[2] == "all";
  world().Run(Span(Word(command, 1)));
  std::string text;
  const auto& decisions = world().decisions();
  for (; printed_ < decisions.size(); ++printed_) {
    const v1::Decision& decision = decisions[printed_];
    if (all || WouldChange(decision)) text += DecisionLine(decision);
  }
  if (text.empty()) text = "nothing\n";
  return text;
}

std::string Scenario::Skip(const ScenarioCommand& command) {
  world().Run(Span(Word(command, 1)));
  printed_ = world().decisions().size();
  return "";
}

std::string Scenario::DecisionLine(const v1::Decision& decision) {
  const std::string pool = world().simulation.world().pools.size() > 1
                               ? absl::StrCat(decision.pool().substr(6), " ")
                               : "";
  const char* kind = decision.kind() == v1::Decision::SIZE ? "size " : "level";
  return absl::StrFormat("%s %s%s demand %.0f: %d of %d -> %d of %d  %s\n",
                         TimeText(FromProto(decision.time())), pool, kind,
                         decision.inputs().usage().demand(), decision.inputs().current_active(),
                         decision.inputs().current_instances(), decision.target_active(),
                         decision.target_instances(), ReasonsText(decision));
}

std::string Scenario::State(const ScenarioCommand& command) {
  std::string text;
  for (const auto& [id, pool] : world().simulation.world().pools) {
    if (command.words.size() == 1 || command.words[1] == id) text += StateLine(id);
  }
  return text;
}

std::string Scenario::StateLine(const std::string& id) {
  const PoolEntry& pool = world().simulation.world().pools.at(id);
  int serving = 0;
  int waiting = 0;
  for (const auto& [member_id, member] : pool.members) {
    serving += member.record.instance().state() == v1::Instance::ACTIVE;
    waiting += member.record.instance().state() == v1::Instance::SUSPENDED;
  }
  const ShadowTargets targets = world().Targets(id);
  return absl::StrFormat("%s %s: %d of %d are to serve; %d serve, %d wait\n",
                         TimeText(world().now()), id, targets.active, targets.instances, serving,
                         waiting);
}

std::string Scenario::Policy(const ScenarioCommand& command) {
  v1::UpdatePoolRequest request;
  const std::string& id = Word(command, 1);
  *request.mutable_pool() = world().simulation.world().pools.at(id).record.pool();
  request.mutable_pool()->clear_etag();
  MergeBody(command, *request.mutable_pool()->mutable_policy());
  request.mutable_update_mask()->add_paths("policy");
  return Ask(request);
}

std::string Scenario::ByHand(const ScenarioCommand& command) {
  const std::string& verb = command.words.front();
  const std::string& id = Word(command, 1);
  const size_t hold_at = verb == "delete" ? 2 : 3;
  const std::string hold = hold_at < command.words.size() ? command.words[hold_at] : "1h";
  const auto hold_duration = ToProto(Span(hold));
  if (verb == "create") {
    v1::CreateShadowPoolRequest request = CreateShadow(Number(Word(command, 2)));
    request.set_pool("pools/" + id);
    *request.mutable_hold_duration() = hold_duration;
    return Ask(request);
  }
  const auto& shadows = world().simulation.world().pools.at(id).shadows;
  if (shadows.size() != 1) throw std::invalid_argument(verb + " needs one shadow");
  const std::string name = shadows.begin()->second.record.shadow().name();
  if (verb == "resize") {
    v1::UpdateShadowPoolRequest request;
    request.mutable_shadow_pool()->set_name(name);
    request.mutable_shadow_pool()->set_target_instances(Count(Word(command, 2)));
    *request.mutable_hold_duration() = hold_duration;
    return Ask(request);
  }
  if (verb == "activate") {
    v1::ActivateShadowPoolRequest request = Activate(name, Count(Word(command, 2)));
    *request.mutable_hold_duration() = hold_duration;
    return Ask(request);
  }
  if (verb == "delete") {
    v1::DeleteShadowPoolRequest request = DeleteShadow(name);
    *request.mutable_hold_duration() = hold_duration;
    return Ask(request);
  }
  v1::ReleaseHoldRequest request;
  request.set_name(name);
  return Ask(request);
}

std::string Scenario::Balancer(const ScenarioCommand& command) {
  world().simulation.balancers["pools/" + Word(command, 1)].SetBackend(
      Number(Word(command, 2)), std::nullopt, Number(Word(command, 3)));
  return "";
}

std::string Scenario::Restart(const ScenarioCommand&) {
  Simulation& simulation = world().simulation;
  simulation.KillAfter(simulation.inputs() + 1, Simulation::UnderWay::kEverySecond);
  return "";
}

}  // namespace shadow
