#ifndef PARTIALPOOL_TESTS_CHECK_H
#define PARTIALPOOL_TESTS_CHECK_H

// The smallest possible test harness: checks are counted, failures printed, and
// `return report();` at the end of main() tells the shell.

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
  }
  return condition;
}

// |actual - expected| <= tolerance; never true of a NaN.
inline bool is_close(double actual, double expected, double tolerance, const std::string& what) {
  const bool close = std::abs(actual - expected) <= tolerance;
  if (!close) std::printf("  got %.17g, expected %.17g\n", actual, expected);
  return is_true(close, what);
}

inline int report() {
  std::printf("%d checks, %d failed\n", checks, failures);
  return failures == 0 ? 0 : 1;
}

}  // namespace check

#endif
