// Save and Load of Model. The bytes, little-endian, all of f32 but the losses:
//   the stacks' coefficients, a Dressing each (Dressing::Save), the mixture's weights, the factors
//   of the widths; f64 the losses of each expert and of the mixture: whole, plain and recent
#include <cmath>

#include "forecast/model.h"

namespace shadow {
namespace {

void Put(SavedWriter& writer, const Coefficients& coefficients) {
  for (const float value : coefficients.reshaped()) writer.F32(value);
}

bool Take(SavedReader& reader, Coefficients& coefficients) {
  for (float& value : coefficients.reshaped()) value = reader.F32();
  return reader.ok() && coefficients.allFinite();
}

// A loss is NaN in a bucket without rows.
void Put(SavedWriter& writer, const ExpertLoss& loss) {
  for (const auto* of : {&loss.whole, &loss.plain, &loss.recent}) {
    for (const double value : *of) writer.F64(value);
  }
}

bool Take(SavedReader& reader, ExpertLoss& loss) {
  for (auto* of : {&loss.whole, &loss.plain, &loss.recent}) {
    for (double& value : *of) {
      value = reader.F64();
      if (value < 0 || std::isinf(value)) return false;
    }
  }
  return reader.ok();
}

// Of a table of finite numbers that are not negative.
template <typename Table>
void PutTable(SavedWriter& writer, const Table& table) {
  for (const auto& row : table) {
    for (const float value : row) writer.F32(value);
  }
}

template <typename Table>
bool TakeTable(SavedReader& reader, Table& table) {
  for (auto& row : table) {
    for (float& value : row) {
      value = reader.F32();
      if (!(value >= 0) || std::isinf(value)) return false;
    }
  }
  return reader.ok();
}

}  // namespace

void Model::Save(SavedWriter& writer) const {
  Put(writer, stack_);
  Put(writer, log_stack_);
  for (const Dressing& dressing : dressings_) dressing.Save(writer);
  PutTable(writer, weights_);
  PutTable(writer, widen_);
  for (const ExpertLoss& loss : losses_) Put(writer, loss);
  Put(writer, loss_);
}

bool Model::LoadLearned(SavedReader& reader) {
  if (!Take(reader, stack_) || !Take(reader, log_stack_)) return false;
  for (size_t j = 0; j < kDressed; ++j) {
    auto dressing = Dressing::Load(reader, shape_.day);
    if (!dressing.has_value()) return false;
    dressings_.push_back(*std::move(dressing));
  }
  if (!TakeTable(reader, weights_) || !TakeTable(reader, widen_)) return false;
  for (ExpertLoss& loss : losses_) {
    if (!Take(reader, loss)) return false;
  }
  return Take(reader, loss_);
}

}  // namespace shadow
