// Codes of grouping variables for R: each value becomes the number 1..J of its level. Every
// function passes over the rows a fixed number of times; only the J levels are sorted.
#include <Rcpp.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <numeric>
#include <string>
#include <vector>

namespace {

// Numbers keys 0, 1, 2, ... in the order in which they first come up (open addressing).
class KeyNumbers {
 public:
  KeyNumbers() : slots_(kFirstSize, kEmpty), mask_(kFirstSize - 1) {}

  int number(std::uint64_t key) {
    std::size_t at = start(key);
    while (slots_[at] != kEmpty) {
      if (keys_[slots_[at]] == key) return slots_[at];
      at = (at + 1) & mask_;
    }
    const int fresh = static_cast<int>(keys_.size());
    slots_[at] = fresh;
    keys_.push_back(key);
    if (keys_.size() * 2 > slots_.size()) grow();
    return fresh;
  }

  const std::vector<std::uint64_t>& keys() const { return keys_; }

 private:
  static constexpr std::size_t kFirstSize = 1024;
  static constexpr int kEmpty = -1;

  std::size_t start(std::uint64_t key) const {
    key ^= key >> 32;
    key *= 0x9E3779B97F4A7C15ull;
    return (key ^ (key >> 29)) & mask_;
  }

  void grow() {
    slots_.assign(slots_.size() * 2, kEmpty);
    mask_ = slots_.size() - 1;
    for (std::size_t k = 0; k < keys_.size(); ++k) {
      std::size_t at = start(keys_[k]);
      while (slots_[at] != kEmpty) at = (at + 1) & mask_;
      slots_[at] = static_cast<int>(k);
    }
  }

  std::vector<int> slots_;
  std::size_t mask_;
  std::vector<std::uint64_t> keys_;
};

// Turns numbers by first appearance (0-based, NA allowed) into ranks 1..J, given the order of the
// J distinct values.
void rank_codes(Rcpp::IntegerVector& codes, const std::vector<int>& order) {
  std::vector<int> rank(order.size());
  for (std::size_t k = 0; k < order.size(); ++k) rank[order[k]] = static_cast<int>(k) + 1;
  for (int& code : codes) {
    if (code != NA_INTEGER) code = rank[code];
  }
}

template <typename Less>
std::vector<int> sorted_order(std::size_t size, Less less) {
  std::vector<int> order(size);
  std::iota(order.begin(), order.end(), 0);
  std::sort(order.begin(), order.end(), less);
  return order;
}

// Codes of values 0..range-1 by a table of all of them; `present` receives those that occur.
template <typename KeyAt>
Rcpp::IntegerVector codes_by_table(R_xlen_t n, std::size_t range, KeyAt key_at,
                                   std::vector<std::int64_t>& present) {
  std::vector<int> level(range, 0);
  for (R_xlen_t i = 0; i < n; ++i) {
    const std::int64_t key = key_at(i);
    if (key >= 0) level[key] = 1;
  }
  int count = 0;
  for (std::size_t key = 0; key < range; ++key) {
    if (level[key]) {
      level[key] = ++count;
      present.push_back(static_cast<std::int64_t>(key));
    }
  }
  Rcpp::IntegerVector codes(Rcpp::no_init(n));
  for (R_xlen_t i = 0; i < n; ++i) {
    const std::int64_t key = key_at(i);
    codes[i] = key >= 0 ? level[key] : NA_INTEGER;
  }
  return codes;
}

// The same for keys too wide for a table.
template <typename KeyAt>
Rcpp::IntegerVector codes_by_hash(R_xlen_t n, KeyAt key_at, std::vector<std::int64_t>& present) {
  KeyNumbers numbers;
  Rcpp::IntegerVector codes(Rcpp::no_init(n));
  for (R_xlen_t i = 0; i < n; ++i) {
    const std::int64_t key = key_at(i);
    codes[i] = key >= 0 ? numbers.number(static_cast<std::uint64_t>(key)) : NA_INTEGER;
  }
  const std::vector<std::uint64_t>& keys = numbers.keys();
  const std::vector<int> order =
      sorted_order(keys.size(), [&](int a, int b) { return keys[a] < keys[b]; });
  rank_codes(codes, order);
  present.reserve(keys.size());
  for (int k : order) present.push_back(static_cast<std::int64_t>(keys[k]));
  return codes;
}

// A key at or above 0 for each row, below 0 where the value is missing.
template <typename KeyAt>
Rcpp::IntegerVector codes_of_keys(R_xlen_t n, std::int64_t range, KeyAt key_at,
                                  std::vector<std::int64_t>& present) {
  const std::int64_t table_limit = std::max<std::int64_t>(4 * static_cast<std::int64_t>(n), 4096);
  return range <= table_limit ? codes_by_table(n, range, key_at, present)
                              : codes_by_hash(n, key_at, present);
}

std::vector<std::string> utf8_strings(const Rcpp::CharacterVector& x) {
  std::vector<std::string> strings;
  strings.reserve(x.size());
  for (R_xlen_t i = 0; i < x.size(); ++i) {
    strings.emplace_back(Rf_translateCharUTF8(STRING_ELT(x, i)));
  }
  return strings;
}

}  // namespace

// Codes of a factor without its unused levels: list(codes, used), `used` the levels that remain.
// [[Rcpp::export(rng = false)]]
Rcpp::List code_factor_levels(Rcpp::IntegerVector x, int n_levels) {
  std::vector<std::int64_t> present;
  const int* value = x.begin();
  Rcpp::IntegerVector codes = codes_by_table(
      x.size(), n_levels,
      [value, n_levels](R_xlen_t i) -> std::int64_t {
        return value[i] >= 1 && value[i] <= n_levels ? value[i] - 1 : -1;
      },
      present);
  Rcpp::IntegerVector used(present.size());
  for (std::size_t k = 0; k < present.size(); ++k) used[k] = static_cast<int>(present[k]) + 1;
  return Rcpp::List::create(Rcpp::_["codes"] = codes, Rcpp::_["used"] = used);
}

// Number of levels of a factor that do not occur.
// [[Rcpp::export(rng = false)]]
int count_unused_levels(Rcpp::IntegerVector x, int n_levels) {
  std::vector<char> seen(n_levels, 0);
  int unused = n_levels;
  for (int value : x) {
    if (value >= 1 && value <= n_levels && !seen[value - 1]) {
      seen[value - 1] = 1;
      if (--unused == 0) break;
    }
  }
  return unused;
}

// Codes of whole numbers: list(codes, values), `values` ascending.
// [[Rcpp::export(rng = false)]]
Rcpp::List code_integers(Rcpp::IntegerVector x) {
  std::int64_t low = INT32_MAX, high = INT32_MIN;
  for (int value : x) {
    if (value == NA_INTEGER) continue;
    low = std::min<std::int64_t>(low, value);
    high = std::max<std::int64_t>(high, value);
  }
  if (low > high) low = high = 0;
  std::vector<std::int64_t> present;
  const int* value = x.begin();
  Rcpp::IntegerVector codes = codes_of_keys(
      x.size(), high - low + 1,
      [value, low](R_xlen_t i) -> std::int64_t {
        return value[i] == NA_INTEGER ? -1 : value[i] - low;
      },
      present);
  Rcpp::IntegerVector values(present.size());
  for (std::size_t k = 0; k < present.size(); ++k) values[k] = static_cast<int>(present[k] + low);
  return Rcpp::List::create(Rcpp::_["codes"] = codes, Rcpp::_["values"] = values);
}

// Codes of real numbers: list(codes, values), `values` ascending. -0 and 0 are one value.
// [[Rcpp::export(rng = false)]]
Rcpp::List code_doubles(Rcpp::NumericVector x) {
  KeyNumbers numbers;
  std::vector<double> found;
  Rcpp::IntegerVector codes(Rcpp::no_init(x.size()));
  for (R_xlen_t i = 0; i < x.size(); ++i) {
    const double value = x[i] == 0.0 ? 0.0 : x[i];
    if (std::isnan(value)) {
      codes[i] = NA_INTEGER;
      continue;
    }
    std::uint64_t key;
    std::memcpy(&key, &value, sizeof key);
    codes[i] = numbers.number(key);
    if (static_cast<std::size_t>(codes[i]) == found.size()) found.push_back(value);
  }
  const std::vector<int> order =
      sorted_order(found.size(), [&](int a, int b) { return found[a] < found[b]; });
  rank_codes(codes, order);
  Rcpp::NumericVector values(found.size());
  for (std::size_t k = 0; k < order.size(); ++k) values[k] = found[order[k]];
  return Rcpp::List::create(Rcpp::_["codes"] = codes, Rcpp::_["values"] = values);
}

// Codes of strings in order of first appearance: list(codes, values). R keeps one copy of a string
// in one encoding, so that its address is its key; the caller merges other encodings and sorts.
// [[Rcpp::export(rng = false)]]
Rcpp::List code_strings(Rcpp::CharacterVector x) {
  KeyNumbers numbers;
  std::vector<R_xlen_t> first;
  Rcpp::IntegerVector codes(Rcpp::no_init(x.size()));
  SEXP last = R_NilValue;
  int last_code = NA_INTEGER;
  for (R_xlen_t i = 0; i < x.size(); ++i) {
    const SEXP value = STRING_ELT(x, i);
    if (value != last) {
      last = value;
      last_code =
          value == NA_STRING
              ? NA_INTEGER
              : numbers.number(static_cast<std::uint64_t>(reinterpret_cast<std::uintptr_t>(value)));
      if (last_code != NA_INTEGER && static_cast<std::size_t>(last_code) == first.size()) {
        first.push_back(i);
      }
    }
    codes[i] = last_code == NA_INTEGER ? NA_INTEGER : last_code + 1;
  }
  Rcpp::CharacterVector values(first.size());
  for (std::size_t k = 0; k < first.size(); ++k) {
    SET_STRING_ELT(values, k, STRING_ELT(x, first[k]));
  }
  return Rcpp::List::create(Rcpp::_["codes"] = codes, Rcpp::_["values"] = values);
}

// Codes of the pairs of levels that occur, the first factor varying slowest:
// list(codes, first, second), the latter two the codes that make up each new level.
// [[Rcpp::export(rng = false)]]
Rcpp::List code_pairs(Rcpp::IntegerVector first, Rcpp::IntegerVector second, int n_first,
                      int n_second) {
  std::vector<std::int64_t> present;
  const int* a = first.begin();
  const int* b = second.begin();
  const std::int64_t width = n_second;
  Rcpp::IntegerVector codes = codes_of_keys(
      first.size(), static_cast<std::int64_t>(n_first) * width,
      [a, b, width](R_xlen_t i) -> std::int64_t {
        if (a[i] == NA_INTEGER || b[i] == NA_INTEGER) return -1;
        return (a[i] - 1) * width + (b[i] - 1);
      },
      present);
  Rcpp::IntegerVector from_first(present.size()), from_second(present.size());
  for (std::size_t k = 0; k < present.size(); ++k) {
    from_first[k] = static_cast<int>(present[k] / width) + 1;
    from_second[k] = static_cast<int>(present[k] % width) + 1;
  }
  return Rcpp::List::create(Rcpp::_["codes"] = codes, Rcpp::_["first"] = from_first,
                            Rcpp::_["second"] = from_second);
}

// Names "first:second" of pairs of levels. paste() takes most of the time of a large interaction.
// [[Rcpp::export(rng = false)]]
Rcpp::CharacterVector join_levels(Rcpp::CharacterVector first, Rcpp::CharacterVector second,
                                  Rcpp::IntegerVector from_first, Rcpp::IntegerVector from_second) {
  const std::vector<std::string> left = utf8_strings(first);
  const std::vector<std::string> right = utf8_strings(second);
  Rcpp::CharacterVector joined(from_first.size());
  std::string name;
  for (R_xlen_t k = 0; k < joined.size(); ++k) {
    name = left[from_first[k] - 1];
    name += ':';
    name += right[from_second[k] - 1];
    SET_STRING_ELT(joined, k, Rf_mkCharLenCE(name.data(), static_cast<int>(name.size()), CE_UTF8));
  }
  return joined;
}

// Is the coarse factor constant within every level of the fine one?
// [[Rcpp::export(rng = false)]]
bool is_nested_in(Rcpp::IntegerVector fine, Rcpp::IntegerVector coarse, int n_fine) {
  std::vector<int> parent(n_fine, 0);
  for (R_xlen_t i = 0; i < fine.size(); ++i) {
    if (fine[i] == NA_INTEGER) continue;
    int& known = parent[fine[i] - 1];
    if (known == 0) {
      known = coarse[i];
    } else if (known != coarse[i]) {
      return false;
    }
  }
  return true;
}
