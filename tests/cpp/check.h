#ifndef PARTIALPOOL_TESTS_CHECK_H
#define PARTIALPOOL_TESTS_CHECK_H

// The smallest possible test harness: checks are counted, failures printed, and
// `return report();` at the end of main() tells the shell.

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <string>

namespace check {

inline int checks = 0;
inline int failures = 0;

inline bool is_true(bool condition, const std::string& what) {
  ++checks;
  if (!condition) {
    ++failures;
    std::printf("FAILED: %s\n", what.c_str());
    std::fflush(stdout);  // an abort later on must not swallow it
  }
  return condition;
}

// |actual - expected| <= tolerance; never true of a NaN.
inline bool is_close(double actual, double expected, double tolerance, const std::string& what) {
  const bool close = std::abs(actual - expected) <= tolerance;
  if (!close) std::printf("  got %.17g, expected %.17g\n", actual, expected);
  return is_true(close, what);
}

// The same, the tolerance being relative to numbers above 1.
inline bool is_near(double actual, double expected, double tolerance, const std::string& what) {
  return is_close(actual, expected, tolerance * std::max(1.0, std::abs(expected)), what);
}

inline int report() {
  std::printf("%d checks, %d failed\n", checks, failures);
  return failures == 0 ? 0 : 1;
}

}  // namespace check

#endif
