// The fits of Engine: which are due is FitSchedule's; these make them.
#include <utility>

#include "forecast/engine.h"

namespace shadow {
namespace {

class EngineFit final : public FitWork {
 public:
  EngineFit(const Shape& shape, const History& history, int64_t end, std::weak_ptr<const bool> of)
      : end_(end), series_(std::move(of)), shape_(shape), history_(history) {}

  void Run() override { model_ = Model::Fit(shape_, history_, end_); }

  bool IsOf(const std::shared_ptr<const bool>& series) const { return series_.lock() == series; }
  int64_t end() const { return end_; }
  std::unique_ptr<Model> TakeModel() { return std::move(model_); }

 private:
  const int64_t end_;
  const std::weak_ptr<const bool> series_;
  const Shape shape_;
  const History history_;
  std::unique_ptr<Model> model_;
};

}  // namespace

bool Engine::EnoughForFit() const {
  return static_cast<double>(history_.size()) > kFitDaysMin * shape_.day &&
         2 * history_.present() >= shape_.day;
}

void Engine::CloseCells() {
  const std::optional<int64_t> counting = schedule_.counting();
  const std::optional<int64_t> due = schedule_.due();
  of_all_.reset();
  schedule_.Close(history_.next(), EnoughForFit(), past_);
  if (schedule_.counting() == counting) return;
  counting_ = schedule_.counting() == due ? std::move(due_) : MadeFit();
  due_ = {};
}

Engine::MadeFit* Engine::FitToBegin() const {
  if (schedule_.counting().has_value() && !counting_.made && !counting_.begun) return &counting_;
  if (schedule_.due().has_value() && !due_.made && !due_.begun) return &due_;
  return nullptr;
}

bool Engine::FitDue() const { return FitToBegin() != nullptr; }

std::unique_ptr<FitWork> Engine::BeginFit() {
  MadeFit* fit = FitToBegin();
  if (fit == nullptr) return nullptr;
  fit->begun = true;
  const int64_t end = fit == &counting_ ? *schedule_.counting() : *schedule_.due();
  return std::make_unique<EngineFit>(shape_, history_, end, series_);
}

void Engine::FinishFit(std::unique_ptr<FitWork> work) {
  auto* fit = dynamic_cast<EngineFit*>(work.get());
  if (fit == nullptr || !fit->IsOf(series_)) return;
  const auto take = [&](const std::optional<int64_t>& end, MadeFit& made) {
    if (end != fit->end() || made.made) return;
    made.made = true;
    made.model = fit->TakeModel();
  };
  take(schedule_.counting(), counting_);
  take(schedule_.due(), due_);
}

bool Engine::AwaitsFit(absl::Time step) const {
  if (!started_ || step <= LastStep()) return schedule_.counting().has_value() && !counting_.made;
  const int64_t cell = CellOf(absl::ToUnixSeconds(step) / shape_.step_seconds);
  const bool closes = tail_.has_value() ? tail_->Closes(cell) : cell >= history_.next();
  if (closes && schedule_.due().has_value()) return !due_.made;
  return schedule_.counting().has_value() && !counting_.made;
}

Model* Engine::FittedToAll() const {
  if (of_all_ == nullptr && EnoughForFit()) {
    of_all_ = Model::Fit(shape_, history_, history_.next());
  }
  return of_all_.get();
}

Model* Engine::Fitted() const {
  if (schedule_.past() && !past_) return FittedToAll();
  if (!schedule_.counting().has_value()) return nullptr;
  if (!counting_.made) {
    counting_.made = true;
    counting_.model = Model::Fit(shape_, history_, *schedule_.counting());
  }
  Model* model = counting_.model.get();
  if (model != nullptr) model->Follow(history_, history_.next());
  return model;
}

}  // namespace shadow
