#ifndef PARTIALPOOL_REMAINDER_H
#define PARTIALPOOL_REMAINDER_H

#include <Eigen/Dense>
#include <cstddef>
#include <vector>

#include "cross_products.h"

namespace partialpool {

// Which trailing columns (all terms but the leading one, numbered from 0) each leading level meets.
struct Coupling {
  Eigen::Index q = 0;                     // trailing columns
  std::vector<Eigen::Index> offset;       // first column of each term; offset[0] unused
  Eigen::Index q_modes = 0;               // the same of the independent effects, which are fewer
  std::vector<Eigen::Index> mode_offset;  // where a covariance of levels is singular
  std::vector<std::size_t> start;         // CSR over leading levels
  std::vector<int> rows;                  // columns, ascending within a level
  int p1 = 0;

  explicit Coupling(const CrossProducts& a) {
    offset.assign(a.n_terms() + 1, 0);
    mode_offset = offset;
    for (int t = 1; t < a.n_terms(); ++t) {
      offset[t] = q;
      q += a.terms()[t].size();
      mode_offset[t] = q_modes;
      q_modes += static_cast<Eigen::Index>(a.terms()[t].p) * a.terms()[t].modes();
    }
    if (a.n_terms() == 0) return;
    p1 = a.terms()[0].p;
    const int levels = a.terms()[0].levels;
    start.assign(levels + 1, 0);
    for (int j = 0; j < levels; ++j) {
      for (int t = 1; t < a.n_terms(); ++t) {
        const PairTable& cells = a.pair(0, t);
        const int p = a.terms()[t].p;
        for (std::size_t c = cells.begin(j); c < cells.end(j); ++c)
          for (int r = 0; r < p; ++r)
            rows.push_back(
                static_cast<int>(offset[t] + static_cast<Eigen::Index>(cells.second(c)) * p + r));
      }
      start[j + 1] = rows.size();
    }
  }
  int levels() const { return static_cast<int>(start.empty() ? 0 : start.size() - 1); }
  std::size_t count(Eigen::Index j) const { return start[j + 1] - start[j]; }
  const int* row(Eigen::Index j) const { return rows.data() + start[j]; }
  // Entries of all E_j E_j' (lower triangles).
  double scatter_size() const {
    double sum = 0;
    for (int j = 0; j < levels(); ++j) sum += 0.5 * count(j) * (count(j) + 1.0);
    return sum;
  }
};

// S_RR = Lambda_R' A_RR Lambda_R + I - sum_j E_j E_j', its Cholesky factor, and its inverse on the
// pattern of A. E_j is count(j) x p1 by column. Where levels are correlated, S is that of the
// independent effects, I + C'(...)C, and what is asked of its inverse is C S^-1 C'.
class Remainder {
 public:
  virtual ~Remainder() = default;
  virtual const char* storage() const = 0;
  // Bytes that the first evaluation with a gradient will allocate.
  virtual double memory() const { return 0.0; }
  virtual void assemble(const CrossProducts& a, const std::vector<Eigen::MatrixXd>& lambda) = 0;
  // S -= sum_j E_j E_j'; `e` holds all E_j, level j at start[j] * p1.
  virtual void subtract(const double* e) = 0;
  virtual bool factorise() = 0;  // false: not positive definite
  virtual double log_det() const = 0;
  virtual void solve_lower(Eigen::MatrixXd& b) = 0;             // b <- L^-1 b
  virtual void solve_lower_transposed(Eigen::MatrixXd& b) = 0;  // b <- L^-T b
  // From levels to independent effects, b <- C'b, and back, b <- C b.
  virtual void unload(Eigen::MatrixXd&) {}
  virtual void load(Eigen::MatrixXd&) {}
  virtual void invert(const double* e) = 0;
  // n = S^-1[r_j, r_j] E_j
  virtual void multiply(Eigen::Index j, const double* e, double* n) const = 0;
  // S^-1 of one level of term t with itself; of a level of b (rows) with one of a (columns), a < b.
  virtual void diagonal_block(int t, Eigen::Index level, Eigen::MatrixXd& out) const = 0;
  virtual void cell_block(int a, int b, std::size_t cell, Eigen::Index level_a,
                          Eigen::Index level_b, Eigen::MatrixXd& out) const = 0;
};

}  // namespace partialpool

#endif
