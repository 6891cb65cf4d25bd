// An ordered map whose copies share what they have in common.
#pragma once

#include <algorithm>
#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace shadow {

// As std::map<std::string, V> for readers. A copy costs a pointer for every 64 entries or so, a
// change as much and a copy of those around it, so one that 10,000 pools are in is copied and
// changed within microseconds. Iterators last as long as their map is not changed.
template <typename V>
class SharedMap {
 public:
  using Entry = std::pair<std::string, V>;

 private:
  using Chunk = std::vector<Entry>;  // By key; at least one.
  using Chunks = std::vector<std::shared_ptr<const Chunk>>;

 public:
  class Iterator {
   public:
    Iterator(const Chunks& chunks, size_t chunk, size_t at)
        : chunks_(&chunks), chunk_(chunk), at_(at) {}
    const Entry& operator*() const { return (*(*chunks_)[chunk_])[at_]; }
    const Entry* operator->() const { return &**this; }
    Iterator& operator++() {
      if (++at_ < (*chunks_)[chunk_]->size()) return *this;
      ++chunk_;
      at_ = 0;
      return *this;
    }
    bool operator==(const Iterator& other) const {
      return chunk_ == other.chunk_ && at_ == other.at_;
    }

   private:
    const Chunks* chunks_;
    size_t chunk_;
    size_t at_;
  };

  size_t size() const { return size_; }
  Iterator begin() const { return {chunks_, 0, 0}; }
  Iterator end() const { return {chunks_, chunks_.size(), 0}; }

  Iterator find(std::string_view key) const {
    const size_t chunk = ChunkOf(key);
    if (chunk == chunks_.size()) return end();
    const auto found = LowerBound(*chunks_[chunk], key);
    if (found == chunks_[chunk]->end() || found->first != key) return end();
    return At(chunk, found);
  }
  bool contains(std::string_view key) const { return find(key) != end(); }

  // The first whose key comes after `key`.
  Iterator upper_bound(std::string_view key) const {
    const size_t chunk = ChunkOf(key);
    if (chunk == chunks_.size()) return end();
    auto next = LowerBound(*chunks_[chunk], key);
    if (next != chunks_[chunk]->end() && next->first == key) ++next;
    return At(chunk, next);
  }

  // Adds or replaces.
  void Set(const std::string& key, V value) {
    const size_t chunk = ChunkOf(key);
    if (chunk == chunks_.size()) {
      chunks_.push_back(std::make_shared<Chunk>(Chunk{{key, std::move(value)}}));
      ++size_;
      return;
    }
    Chunk copy = *chunks_[chunk];
    const auto place = copy.begin() + (LowerBound(copy, key) - copy.cbegin());
    if (place != copy.end() && place->first == key) {
      place->second = std::move(value);
    } else {
      copy.insert(place, {key, std::move(value)});
      ++size_;
    }
    Replace(chunk, std::move(copy));
  }

  void Erase(std::string_view key) {
    const size_t chunk = ChunkOf(key);
    if (!contains(key)) return;
    Chunk copy = *chunks_[chunk];
    copy.erase(LowerBound(copy, key));
    --size_;
    Replace(chunk, std::move(copy));
  }

 private:
  static constexpr size_t kChunkMax = 96;

  static auto LowerBound(const Chunk& chunk, std::string_view key) {
    return std::lower_bound(chunk.cbegin(), chunk.cend(), key,
                            [](const Entry& entry, std::string_view k) { return entry.first < k; });
  }

  // The one that `key` is in or belongs into; their number if there is none at all.
  size_t ChunkOf(std::string_view key) const {
    const auto after = std::upper_bound(
        chunks_.begin(), chunks_.end(), key,
        [](std::string_view k, const auto& chunk) { return k < chunk->front().first; });
    if (after == chunks_.begin()) return 0;
    return static_cast<size_t>(after - chunks_.begin()) - 1;
  }

  // `entry` of `chunk`; its end is the begin of the next one.
  Iterator At(size_t chunk, typename Chunk::const_iterator entry) const {
    const auto at = static_cast<size_t>(entry - chunks_[chunk]->begin());
    return at < chunks_[chunk]->size() ? Iterator(chunks_, chunk, at)
                                       : Iterator(chunks_, chunk + 1, 0);
  }

  void Replace(size_t chunk, Chunk entries) {
    const auto place = chunks_.begin() + static_cast<std::ptrdiff_t>(chunk);
    if (entries.empty()) {
      chunks_.erase(place);
    } else if (entries.size() <= kChunkMax) {
      *place = std::make_shared<Chunk>(std::move(entries));
    } else {
      const auto middle = entries.begin() + kChunkMax / 2;
      *place = std::make_shared<Chunk>(middle, entries.end());
      entries.erase(middle, entries.end());
      chunks_.insert(place, std::make_shared<Chunk>(std::move(entries)));
    }
  }

  Chunks chunks_;
  size_t size_ = 0;
};

}  // namespace shadow
