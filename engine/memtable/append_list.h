// A list that one thread appends to while others read what it has published.
#pragma once

#include <array>
#include <atomic>
#include <bit>
#include <cstddef>
#include <memory>
#include <type_traits>

namespace tidemark {

// Elements never move: chunk k holds kFirst << k of them.
template <class T>
class AppendList {
  static_assert(std::is_trivially_copyable_v<T>);

 public:
  // Writer. Publishes the element, and with it everything that the writer did before.
  void append(const T& value) {
    const size_t index = size_.load(std::memory_order_relaxed);
    at(index) = value;
    size_.store(index + 1, std::memory_order_release);
  }
  // Writer, and no reader yet: appends so many elements, to be filled in by operator[]; gives the index of
  // the first.
  size_t grow(size_t count) {
    const size_t begin = size_.load(std::memory_order_relaxed);
    for (size_t i = begin; i < begin + count; ++i) at(i) = T{};
    size_.store(begin + count, std::memory_order_release);
    return begin;
  }

  // Any thread. Elements below it may be read.
  size_t size() const { return size_.load(std::memory_order_acquire); }
  // REQUIRES: index < size().
  const T& operator[](size_t index) const {
    const Place place(index);
    return chunks_[place.chunk][place.offset];
  }
  T& operator[](size_t index) {
    const Place place(index);
    return chunks_[place.chunk][place.offset];
  }
  // Writer. Memory held.
  size_t bytes() const { return bytes_; }

 private:
  static constexpr size_t kFirst = 64;
  static constexpr size_t kChunks = 40;

  struct Place {
    explicit Place(size_t index)
        : chunk(static_cast<size_t>(std::bit_width(index / kFirst + 1)) - 1),
          offset(index + kFirst - (kFirst << chunk)) {}
    size_t chunk;
    size_t offset;
  };

  T& at(size_t index) {
    const Place place(index);
    if (chunks_[place.chunk] == nullptr) {
      const size_t count = kFirst << place.chunk;
      chunks_[place.chunk] = std::make_unique_for_overwrite<T[]>(count);
      bytes_ += count * sizeof(T);
    }
    return chunks_[place.chunk][place.offset];
  }

  std::array<std::unique_ptr<T[]>, kChunks> chunks_;
  std::atomic<size_t> size_ = 0;
  size_t bytes_ = 0;
};

}  // namespace tidemark
