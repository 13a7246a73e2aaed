#ifndef PARTIALPOOL_SMALL_MATRIX_H
#define PARTIALPOOL_SMALL_MATRIX_H

#include <Eigen/Dense>

namespace partialpool {

// Triangular solves with a small lower factor (p x p, by column) inside loops over many levels,
// where Eigen's general routines cost more than the arithmetic.

// B <- L^-1 B, B is p x columns.
inline void solve_small(const double* l, int p, double* b, Eigen::Index columns) {
  for (Eigen::Index j = 0; j < columns; ++j, b += p)
    for (int k = 0; k < p; ++k) {
      b[k] /= l[k * p + k];
      for (int i = k + 1; i < p; ++i) b[i] -= l[k * p + i] * b[k];
    }
}

// B <- L^-T B, B is p x columns.
inline void solve_small_transposed(const double* l, int p, double* b, Eigen::Index columns) {
  for (Eigen::Index j = 0; j < columns; ++j, b += p)
    for (int k = p - 1; k >= 0; --k) {
      for (int i = k + 1; i < p; ++i) b[k] -= l[k * p + i] * b[i];
      b[k] /= l[k * p + k];
    }
}

// X <- X L^-1, X is rows x p by column.
inline void solve_small_right(const double* l, int p, double* x, Eigen::Index rows) {
  for (int k = p - 1; k >= 0; --k) {
    double* xk = x + k * rows;
    for (int i = k + 1; i < p; ++i) {
      const double f = l[k * p + i];
      const double* xi = x + i * rows;
      for (Eigen::Index r = 0; r < rows; ++r) xk[r] -= f * xi[r];
    }
    const double pivot = 1.0 / l[k * p + k];
    for (Eigen::Index r = 0; r < rows; ++r) xk[r] *= pivot;
  }
}

}  // namespace partialpool

#endif
