#ifndef PARTIALPOOL_CROSS_PRODUCTS_H
#define PARTIALPOOL_CROSS_PRODUCTS_H

#include <Eigen/Dense>
#include <algorithm>
#include <numeric>
#include <vector>

#include "model_data.h"
#include "pair_table.h"

namespace partialpool {

// A block of rows in standardised coordinates, already times sqrt(weight).
struct RowBlock {
  Eigen::Index first = 0, rows = 0;
  Eigen::MatrixXd xy;              // rows x m, [X~ y~]
  std::vector<Eigen::MatrixXd> z;  // per user term
};

// A = [Z X y]' W [Z X y] by blocks (ALGORITHMS 1.3). Z is never built; rows arrive in blocks, in
// any order, and are added up, so that the same object can be fed by a data frame or a stream.
class CrossProducts {
 public:
  // Terms are one per grouping factor, largest first; terms[0] is the leading one. The border holds
  // the columns of X and, with_response, that of y.
  CrossProducts(const std::vector<Term>& terms, int columns_xy, bool with_response = true)
      : terms_(terms),
        m_(columns_xy),
        n_terms_(static_cast<int>(terms.size())),
        response_(with_response ? 1 : 0) {
    xy_ = Eigen::MatrixXd::Zero(m_, m_);
    for (const Term& t : terms_) {
      diagonal_.push_back(Eigen::MatrixXd::Zero(t.p, t.size()));
      border_.push_back(Eigen::MatrixXd::Zero(m_, t.size()));
    }
    for (int a = 0; a < n_terms_; ++a)
      for (int b = a + 1; b < n_terms_; ++b)
        pairs_.emplace_back(terms_[a].levels, terms_[a].p * terms_[b].p);
  }

  void add(const RowBlock& block, const std::vector<GroupingFactor>& factors) {
    xy_.selfadjointView<Eigen::Lower>().rankUpdate(block.xy.topRows(block.rows).transpose());
    if (n_terms_ == 0) return;
    const int first = terms_[0].levels == 0 ? 1 : 0;  // a leading term without levels
    gather_rows(block);
    std::vector<int> level(n_terms_);
    for (Eigen::Index i = 0; i < block.rows; ++i) {
      const double* xy = row_xy_.data() + i * m_;
      for (int t = first; t < n_terms_; ++t) {
        const int p = terms_[t].p;
        level[t] = factors[terms_[t].factor].level(block.first + i);
        const double* z = row_z_[t].data() + i * p;
        double* d = diagonal_[t].data() + static_cast<Eigen::Index>(level[t]) * p * p;
        double* y = border_[t].data() + static_cast<Eigen::Index>(level[t]) * p * m_;
        for (int c = 0; c < p; ++c, y += m_) {
          for (int r = 0; r < p; ++r) d[c * p + r] += z[r] * z[c];
          for (int r = 0; r < m_; ++r) y[r] += xy[r] * z[c];
        }
        for (int a = first; a < t; ++a) {
          const int pa = terms_[a].p;
          const double* za = row_z_[a].data() + i * pa;
          double* cell = pair(a, t).cell(level[a], level[t]);
          // stored p_t x p_a by column: rows belong to the later term
          for (int c = 0; c < pa; ++c)
            for (int r = 0; r < p; ++r) cell[c * p + r] += z[r] * za[c];
        }
      }
    }
  }

  // After the last block: cells into their final order.
  void finish(bool keep_index) {
    xy_.triangularView<Eigen::StrictlyUpper>() = xy_.transpose();
    for (PairTable& table : pairs_) {
      table.sort();
      if (!keep_index) table.release_index();
    }
  }
  // Before rows are added again with other weights (the pattern stays).
  void set_zero() {
    xy_.setZero();
    for (auto& d : diagonal_) d.setZero();
    for (auto& b : border_) b.setZero();
    for (PairTable& table : pairs_) table.set_zero();
  }
  // A new response: only the last row of the blocks with [X y] changes.
  void clear_response() {
    xy_.row(m_ - 1).setZero();
    xy_.col(m_ - 1).setZero();
    for (auto& b : border_) b.row(m_ - 1).setZero();
  }
  void add_response(const RowBlock& block, const std::vector<GroupingFactor>& factors) {
    const auto y = block.xy.col(m_ - 1).head(block.rows);
    const Eigen::VectorXd cross = block.xy.topRows(block.rows).transpose() * y;
    xy_.row(m_ - 1) += cross.transpose();
    xy_.col(m_ - 1).head(m_ - 1) += cross.head(m_ - 1);
    for (int t = 0; t < n_terms_; ++t) {
      const Term& term = terms_[t];
      for (std::size_t k = 0; k < term.members.size(); ++k) {
        const Eigen::MatrixXd& z = block.z[term.members[k]];
        for (Eigen::Index c = 0; c < z.cols(); ++c)
          for (Eigen::Index i = 0; i < block.rows; ++i) {
            const Eigen::Index level = factors[term.factor].level(block.first + i);
            border_[t](m_ - 1, level * term.p + term.starts[k] + c) += z(i, c) * y[i];
          }
      }
    }
  }

  const std::vector<Term>& terms() const { return terms_; }
  int n_terms() const { return n_terms_; }
  int m() const { return m_; }
  int p_x() const { return m_ - response_; }
  const Eigen::MatrixXd& xy() const { return xy_; }
  // A border of another width, zero.
  void set_border(int columns_xy) {
    m_ = columns_xy;
    xy_.setZero(m_, m_);
    for (int t = 0; t < n_terms_; ++t) border_[t].setZero(m_, terms_[t].size());
  }
  // The blocks to write to, for those who add up rows themselves.
  Eigen::MatrixXd& xy_sums() { return xy_; }
  Eigen::MatrixXd& border_sums(int t) { return border_[t]; }
  Eigen::MatrixXd& diagonal_sums(int t) { return diagonal_[t]; }
  PairTable& pair_sums(int a, int b) { return pairs_[pair_index(a, b)]; }

  // Z_t' W Z_t of one level, p x p.
  Eigen::Map<const Eigen::MatrixXd> diagonal(int t, Eigen::Index level) const {
    const int p = terms_[t].p;
    return Eigen::Map<const Eigen::MatrixXd>(diagonal_[t].data() + level * p * p, p, p);
  }
  // [X y]' W Z_t, m x q_t.
  const Eigen::MatrixXd& border(int t) const { return border_[t]; }
  // Cells of Z_b' W Z_a (p_b x p_a, by column), a < b, by level of a.
  const PairTable& pair(int a, int b) const { return pairs_[pair_index(a, b)]; }

 private:
  PairTable& pair(int a, int b) { return pairs_[pair_index(a, b)]; }
  std::size_t pair_index(int a, int b) const {
    return static_cast<std::size_t>(a) * n_terms_ - static_cast<std::size_t>(a) * (a + 1) / 2 + b -
           a - 1;
  }

  // Row-major copies: the inner loops walk along one row.
  void gather_rows(const RowBlock& block) {
    row_xy_ = block.xy.topRows(block.rows).transpose();
    row_z_.resize(n_terms_);
    for (int t = 0; t < n_terms_; ++t) {
      const Term& term = terms_[t];
      row_z_[t].resize(term.p, block.rows);
      for (std::size_t k = 0; k < term.members.size(); ++k) {
        const Eigen::MatrixXd& z = block.z[term.members[k]];
        row_z_[t].middleRows(term.starts[k], z.cols()) = z.topRows(block.rows).transpose();
      }
    }
  }

  std::vector<Term> terms_;
  int m_, n_terms_, response_;
  Eigen::MatrixXd xy_;
  std::vector<Eigen::MatrixXd> diagonal_, border_;
  std::vector<PairTable> pairs_;
  Eigen::MatrixXd row_xy_;
  std::vector<Eigen::MatrixXd> row_z_;
};

}  // namespace partialpool

#endif
