#ifndef PARTIALPOOL_PAIR_TABLE_H
#define PARTIALPOOL_PAIR_TABLE_H

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <numeric>
#include <vector>

namespace partialpool {

// Cells of Z_a' W Z_b: one block of values for each pair (level of a, level of b) that occurs.
// Filled in any order; sort() then lays the cells out by rows (CSR over the levels of a).
class PairTable {
 public:
  PairTable(int first_levels, int values_per_cell)
      : first_levels_(first_levels), per_cell_(values_per_cell) {
    resize_index(1024);
  }

  // Values of the cell, created with zeros if it is new.
  double* cell(int first, int second) {
    const std::uint64_t key = make_key(first, second);
    std::size_t at = hash(key);
    while (index_[at].slot >= 0) {
      if (index_[at].key == key)
        return &values_[static_cast<std::size_t>(index_[at].slot) * per_cell_];
      at = (at + 1) & mask_;
    }
    const std::int64_t slot = static_cast<std::int64_t>(keys_.size());
    index_[at] = {key, slot};
    keys_.push_back(key);
    values_.resize(values_.size() + per_cell_, 0.0);
    if (keys_.size() * 2 > index_.size()) resize_index(index_.size() * 2);
    return &values_[static_cast<std::size_t>(slot) * per_cell_];
  }

  // Position of a cell that occurs, in the order of sort(); needs the index.
  std::size_t position(int first, int second) {
    return static_cast<std::size_t>(cell(first, second) - values_.data()) / per_cell_;
  }

  void sort() {
    std::vector<std::size_t> order(keys_.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::sort(order.begin(), order.end(),
              [&](std::size_t a, std::size_t b) { return keys_[a] < keys_[b]; });
    std::vector<double> values(values_.size());
    std::vector<std::uint64_t> keys(keys_.size());
    row_start_.assign(first_levels_ + 1, 0);
    second_.resize(keys_.size());
    for (std::size_t i = 0; i < order.size(); ++i) {
      keys[i] = keys_[order[i]];
      second_[i] = static_cast<int>(keys[i] & 0xffffffffu);
      ++row_start_[(keys[i] >> 32) + 1];
      std::copy_n(&values_[order[i] * per_cell_], per_cell_, &values[i * per_cell_]);
    }
    std::partial_sum(row_start_.begin(), row_start_.end(), row_start_.begin());
    keys_.swap(keys);
    values_.swap(values);
    resize_index(index_.size());
  }

  // Give the look-up index back; the cells stay.
  void release_index() {
    std::vector<Entry>().swap(index_);
    std::vector<std::uint64_t>().swap(keys_);
  }
  void set_zero() { std::fill(values_.begin(), values_.end(), 0.0); }

  std::size_t cells() const { return second_.size(); }
  std::size_t begin(int first) const { return row_start_[first]; }
  std::size_t end(int first) const { return row_start_[first + 1]; }
  int second(std::size_t cell) const { return second_[cell]; }
  const double* values(std::size_t cell) const { return values_.data() + cell * per_cell_; }
  double* values(std::size_t cell) { return values_.data() + cell * per_cell_; }

 private:
  struct Entry {
    std::uint64_t key = 0;
    std::int64_t slot = -1;
  };
  static std::uint64_t make_key(int a, int b) {
    return (static_cast<std::uint64_t>(a) << 32) | static_cast<std::uint32_t>(b);
  }
  std::size_t hash(std::uint64_t key) const {
    const std::uint64_t mixed = key * 0x9E3779B97F4A7C15ull;
    return static_cast<std::size_t>(mixed ^ (mixed >> 32)) & mask_;
  }
  void resize_index(std::size_t capacity) {
    index_.assign(capacity, Entry());
    mask_ = capacity - 1;
    for (std::size_t i = 0; i < keys_.size(); ++i) {
      std::size_t at = hash(keys_[i]);
      while (index_[at].slot >= 0) at = (at + 1) & mask_;
      index_[at] = {keys_[i], static_cast<std::int64_t>(i)};
    }
  }

  int first_levels_;
  std::size_t per_cell_;
  std::size_t mask_ = 0;
  std::vector<Entry> index_;
  std::vector<std::uint64_t> keys_;
  std::vector<double> values_;
  std::vector<std::size_t> row_start_;
  std::vector<int> second_;
};

}  // namespace partialpool

#endif
