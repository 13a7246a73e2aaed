#ifndef PARTIALPOOL_MIXED_ROWS_H
#define PARTIALPOOL_MIXED_ROWS_H

#include <Eigen/Dense>
#include <algorithm>
#include <vector>

#include "cross_products.h"
#include "standardise.h"

namespace partialpool {

// The rows of a model in standardised coordinates, kept because their weights change at every
// iteration of a GLMM. They are ordered by leading level: what belongs to one level lies together.
class MixedRows {
 public:
  using Blocks = std::vector<Eigen::MatrixXd>;  // by term, p_t x modes

  MixedRows(const ModelData& data, const std::vector<Term>& terms, const Standardisation& standard)
      : n_(data.n), p_x_(standard.columns()) {
    order_by_lead(data, terms);
    std::vector<Eigen::Index> position(n_);
    for (Eigen::Index k = 0; k < n_; ++k) position[order_[k]] = k;
    x_.resize(p_x_, n_);
    for (const Term& term : terms) {
      TermRows rows;
      rows.p = term.p;
      rows.n_levels = term.levels;
      rows.term = term;
      rows.constant =
          term.members.size() == 1 && !term.loading && data.terms[term.members[0]].intercept_only();
      if (!rows.constant) rows.z.resize(term.p, n_);
      if (term.levels == 0) {  // nothing to lead with
        terms_.push_back(std::move(rows));
        continue;
      }
      rows.level.resize(n_);
      const GroupingFactor& factor = data.factors[term.factor];
      for (Eigen::Index k = 0; k < n_; ++k) rows.level[k] = factor.level(order_[k]);
      terms_.push_back(std::move(rows));
    }
    Eigen::MatrixXd xy;
    Blocks z;
    for (Eigen::Index i0 = 0; i0 < n_; i0 += StreamingQr::block_rows) {
      const Eigen::Index count = std::min(StreamingQr::block_rows, n_ - i0);
      standard.rows(i0, count, xy, z);
      for (Eigen::Index i = 0; i < count; ++i) {
        const Eigen::Index k = position[i0 + i];
        x_.col(k) = xy.row(i).head(p_x_).transpose();
        for (std::size_t t = 0; t < terms.size(); ++t) {
          if (terms_[t].constant) continue;
          for (std::size_t m = 0; m < terms[t].members.size(); ++m) {
            const Eigen::MatrixXd& zm = z[terms[t].members[m]];
            terms_[t].z.col(k).segment(terms[t].starts[m], zm.cols()) = zm.row(i).transpose();
          }
        }
      }
    }
  }

  Eigen::Index n() const { return n_; }
  int p_x() const { return p_x_; }
  int n_terms() const { return static_cast<int>(terms_.size()); }
  const Eigen::MatrixXd& x() const { return x_; }  // p_x x n
  // Multiplies X and z by a number.
  void set_unit(double unit) {
    x_ *= unit;
    for (TermRows& rows : terms_) {
      if (rows.constant) rows.z = Eigen::MatrixXd::Ones(1, n_);
      rows.constant = false;
      rows.z *= unit;
    }
  }
  // Where a row stood in the data.
  const std::vector<Eigen::Index>& order() const { return order_; }
  // First row of each leading level, and the end.
  const std::vector<Eigen::Index>& lead_start() const { return lead_start_; }
  int level(int t, Eigen::Index i) const { return terms_[t].level[i]; }
  // z of a row, p_t numbers.
  const double* z(int t, Eigen::Index i) const {
    static const double one = 1.0;
    return terms_[t].constant ? &one : terms_[t].z.data() + i * terms_[t].p;
  }
  // Cell of the pair a < b in which a row stands.
  std::size_t cell(int a, int b, Eigen::Index i) const { return cells_[pair_index(a, b)][i]; }

  template <class Vector>
  Eigen::VectorXd in_order(const Vector& v) const {
    Eigen::VectorXd out(n_);
    for (Eigen::Index k = 0; k < n_; ++k) out[k] = v[order_[k]];
    return out;
  }

  // The pattern of the cross-products: every pair of levels that occurs.
  void build_pattern(CrossProducts& a) {
    cells_.resize(terms_.size() * (terms_.size() - (terms_.empty() ? 0 : 1)) / 2);
    for (int s = first_term(); s < n_terms(); ++s)
      for (int t = s + 1; t < n_terms(); ++t) {
        PairTable& table = a.pair_sums(s, t);
        for (Eigen::Index i = 0; i < n_; ++i) table.cell(terms_[s].level[i], terms_[t].level[i]);
      }
    a.finish(true);
    for (int s = first_term(); s < n_terms(); ++s)
      for (int t = s + 1; t < n_terms(); ++t) {
        PairTable& table = a.pair_sums(s, t);
        std::vector<std::size_t>& cells = cells_[pair_index(s, t)];
        cells.resize(n_);
        for (Eigen::Index i = 0; i < n_; ++i)
          cells[i] = table.position(terms_[s].level[i], terms_[t].level[i]);
        table.release_index();
      }
  }

  // A <- [Z X]'W[Z X]; weights may be negative. X is left out if A has no border.
  void weigh(const double* w, CrossProducts& a) const {
    a.set_zero();
    for (int t = first_term(); t < n_terms(); ++t) {
      add_diagonal(t, w, a.diagonal_sums(t));
      for (int s = first_term(); s < t; ++s) add_pair(s, t, w, a.pair_sums(s, t));
      if (a.m() > 0) add_border(t, w, a.border_sums(t));
    }
    if (a.m() == 0) return;
    const Eigen::Index block = 512;
    Eigen::MatrixXd xw, &xy = a.xy_sums();
    for (Eigen::Index i0 = 0; i0 < n_; i0 += block) {
      const Eigen::Index count = std::min(block, n_ - i0);
      xw = x_.middleCols(i0, count) * Eigen::Map<const Eigen::VectorXd>(w + i0, count).asDiagonal();
      xy.noalias() += xw * x_.middleCols(i0, count).transpose();
    }
  }

  // Z'v by term; of a term with a loading C'Z'v.
  Blocks z_transposed(const Eigen::VectorXd& v) const {
    Blocks out;
    for (const TermRows& rows : terms_) {
      Eigen::MatrixXd sum = Eigen::MatrixXd::Zero(rows.p, rows.n_levels);
      double* s = sum.data();
      const int* level = rows.level.data();
      if (rows.n_levels == 0) {
        // nothing
      } else if (rows.constant) {
        for (Eigen::Index i = 0; i < n_; ++i) s[level[i]] += v[i];
      } else {
        const double* z = rows.z.data();
        for (Eigen::Index i = 0; i < n_; ++i, z += rows.p) {
          double* at = s + static_cast<Eigen::Index>(level[i]) * rows.p;
          for (int c = 0; c < rows.p; ++c) at[c] += z[c] * v[i];
        }
      }
      out.push_back(unloaded(rows.term, std::move(sum)));
    }
    return out;
  }
  Eigen::VectorXd x_transposed(const Eigen::VectorXd& v) const { return x_ * v; }

  // eta += Z b.
  void add_z(const Blocks& b, Eigen::VectorXd& eta) const {
    Eigen::MatrixXd buffer;
    for (int t = first_term(); t < n_terms(); ++t) {
      const TermRows& rows = terms_[t];
      const int* level = rows.level.data();
      const double* bt = loaded(rows.term, b[t], buffer).data();
      if (rows.constant) {
        for (Eigen::Index i = 0; i < n_; ++i) eta[i] += bt[level[i]];
        continue;
      }
      const double* z = rows.z.data();
      for (Eigen::Index i = 0; i < n_; ++i, z += rows.p) {
        const double* at = bt + static_cast<Eigen::Index>(level[i]) * rows.p;
        double sum = 0.0;
        for (int c = 0; c < rows.p; ++c) sum += z[c] * at[c];
        eta[i] += sum;
      }
    }
  }
  void add_x(const Eigen::VectorXd& beta, Eigen::VectorXd& eta) const {
    if (p_x_ > 0) eta.noalias() += x_.transpose() * beta;
  }

 private:
  struct TermRows {
    int p = 0, n_levels = 0;
    Term term;
    bool constant = false;  // z is 1 in every row
    Eigen::MatrixXd z;      // p x n
    std::vector<int> level;
  };

  int first_term() const { return !terms_.empty() && terms_[0].n_levels == 0 ? 1 : 0; }
  std::size_t pair_index(int a, int b) const {
    return static_cast<std::size_t>(b) * (b - 1) / 2 + a;
  }

  void order_by_lead(const ModelData& data, const std::vector<Term>& terms) {
    order_.resize(n_);
    if (terms.empty() || terms[0].levels == 0) {
      lead_start_.assign(terms.size() > 0 ? 1 : 0, 0);
      for (Eigen::Index i = 0; i < n_; ++i) order_[i] = i;
      return;
    }
    const GroupingFactor& lead = data.factors[terms[0].factor];
    lead_start_.assign(lead.levels + 1, 0);
    for (Eigen::Index i = 0; i < n_; ++i) ++lead_start_[lead.level(i) + 1];
    for (int j = 0; j < lead.levels; ++j) lead_start_[j + 1] += lead_start_[j];
    std::vector<Eigen::Index> at(lead_start_.begin(), lead_start_.end() - 1);
    for (Eigen::Index i = 0; i < n_; ++i) order_[at[lead.level(i)]++] = i;
  }

  void add_diagonal(int t, const double* w, Eigen::MatrixXd& d) const {
    const TermRows& rows = terms_[t];
    const int* level = rows.level.data();
    double* sums = d.data();
    if (rows.constant) {
      for (Eigen::Index i = 0; i < n_; ++i) sums[level[i]] += w[i];
      return;
    }
    const int p = rows.p;
    const double* z = rows.z.data();
    for (Eigen::Index i = 0; i < n_; ++i, z += p) {
      double* at = sums + static_cast<Eigen::Index>(level[i]) * p * p;
      for (int c = 0; c < p; ++c) {
        const double wz = w[i] * z[c];
        for (int r = 0; r < p; ++r) at[c * p + r] += wz * z[r];
      }
    }
  }

  // Cells hold p_t x p_s by column: rows belong to the later term.
  void add_pair(int s, int t, const double* w, PairTable& table) const {
    const std::vector<std::size_t>& cells = cells_[pair_index(s, t)];
    double* values = table.cells() > 0 ? table.values(0) : nullptr;
    if (terms_[s].constant && terms_[t].constant) {
      for (Eigen::Index i = 0; i < n_; ++i) values[cells[i]] += w[i];
      return;
    }
    const int ps = terms_[s].p, pt = terms_[t].p;
    for (Eigen::Index i = 0; i < n_; ++i) {
      double* cell = values + cells[i] * ps * pt;
      const double *zs = z(s, i), *zt = z(t, i);
      for (int c = 0; c < ps; ++c) {
        const double wz = w[i] * zs[c];
        for (int r = 0; r < pt; ++r) cell[c * pt + r] += wz * zt[r];
      }
    }
  }

  void add_border(int t, const double* w, Eigen::MatrixXd& border) const {
    const int p = terms_[t].p;
    const double* x = x_.data();
    for (Eigen::Index i = 0; i < n_; ++i, x += p_x_) {
      double* at = border.data() + static_cast<Eigen::Index>(terms_[t].level[i]) * p * p_x_;
      const double* zi = z(t, i);
      for (int c = 0; c < p; ++c, at += p_x_) {
        const double wz = w[i] * zi[c];
        for (int r = 0; r < p_x_; ++r) at[r] += wz * x[r];
      }
    }
  }

  Eigen::Index n_;
  int p_x_;
  std::vector<Eigen::Index> order_, lead_start_;
  Eigen::MatrixXd x_;
  std::vector<TermRows> terms_;
  std::vector<std::vector<std::size_t>> cells_;
};

}  // namespace partialpool

#endif
