#ifndef PARTIALPOOL_DENSE_REMAINDER_H
#define PARTIALPOOL_DENSE_REMAINDER_H

#include <Eigen/Dense>
#include <vector>

#include "dense_kernels.h"
#include "remainder.h"

namespace partialpool {

// S as a dense lower triangle. Levels that meet many columns are collected into panels, so that
// their part of the scatter and of the gather runs at the speed of a matrix product.
class DenseRemainder : public Remainder {
 public:
  DenseRemainder(const CrossProducts& a, const Coupling& coupling)
      : coupling_(coupling), q_(coupling.q), l_(q_, q_) {
    for (int t = 0; t < a.n_terms(); ++t) p_.push_back(a.terms()[t].p);
    heavy_at_.assign(coupling.levels(), -1);
    if (q_ <= 256) return;
    for (int j = 0; j < coupling.levels(); ++j)
      if (coupling.count(j) > 0.15 * q_) {
        heavy_at_[j] = static_cast<int>(heavy_.size());
        heavy_.push_back(j);
      }
    if (!heavy_.empty()) panel_ = Eigen::MatrixXd::Zero(q_, panel_columns - panel_columns % coupling.p1);
  }

  const char* storage() const override { return "dense"; }

  void assemble(const CrossProducts& a, const std::vector<Eigen::MatrixXd>& lambda) override {
    l_.setZero();
    for (int t = 1; t < a.n_terms(); ++t) {
      const int p = p_[t];
      for (Eigen::Index level = 0; level < a.terms()[t].levels; ++level) {
        const Eigen::Index at = coupling_.offset[t] + level * p;
        l_.block(at, at, p, p).noalias() = lambda[t].transpose() * a.diagonal(t, level) * lambda[t];
      }
      for (int s = 1; s < t; ++s) {
        const PairTable& cells = a.pair(s, t);
        for (int level = 0; level < a.terms()[s].levels; ++level)
          for (std::size_t c = cells.begin(level); c < cells.end(level); ++c) {
            const Eigen::Map<const Eigen::MatrixXd> cell(cells.values(c), p, p_[s]);
            l_.block(coupling_.offset[t] + static_cast<Eigen::Index>(cells.second(c)) * p,
                     coupling_.offset[s] + static_cast<Eigen::Index>(level) * p_[s], p, p_[s])
                .noalias() = lambda[t].transpose() * cell * lambda[s];
          }
      }
    }
    l_.diagonal().array() += 1.0;
    filled_ = 0;
    pending_.clear();
  }

  void subtract(Eigen::Index j, const double* e) override {
    const std::size_t m = coupling_.count(j);
    const int* rows = coupling_.row(j);
    const int p1 = coupling_.p1;
    if (heavy_at_[j] >= 0) {
      for (int c = 0; c < p1; ++c, ++filled_)
        for (std::size_t i = 0; i < m; ++i) panel_(rows[i], filled_) = e[c * m + i];
      pending_.push_back(j);
      if (filled_ + p1 > panel_.cols()) flush();
      return;
    }
    if (p1 == 1) scatter<1>(rows, m, e, 1);
    else if (p1 == 2) scatter<2>(rows, m, e, 2);
    else scatter<0>(rows, m, e, p1);
  }

  bool factorise() override {
    flush();
    return dense::cholesky_lower(l_, workspace_);
  }
  double log_det() const override { return 2.0 * l_.diagonal().array().log().sum(); }
  void solve_lower(Eigen::MatrixXd& b) override { dense::solve_lower(l_, b, workspace_); }
  void solve_lower_transposed(Eigen::MatrixXd& b) override {
    dense::solve_lower_transposed(l_, b, workspace_);
  }

  void invert(const Eigen::MatrixXd& h, const double* e) override {
    t_ = l_;
    dense::inverse_from_cholesky(t_, workspace_);
    if (h.cols() > 0) dense::gemm_add(t_, 1.0, h, false, h, true, workspace_);
    heavy_product_.resize(heavy_.size());
    const int p1 = coupling_.p1;
    const std::size_t batch = heavy_.empty() ? 1 : static_cast<std::size_t>(panel_.cols() / p1);
    Eigen::MatrixXd product;
    for (std::size_t first = 0; first < heavy_.size(); first += batch) {
      const std::size_t last = std::min(first + batch, heavy_.size());
      panel_.setZero();
      for (std::size_t k = first; k < last; ++k) copy_rows(heavy_[k], e, (k - first) * p1);
      product = Eigen::MatrixXd::Zero(q_, (last - first) * p1);
      dense::gemm_add(product, 1.0, t_, false, panel_.leftCols(product.cols()), false, workspace_);
      for (std::size_t k = first; k < last; ++k) {
        const int j = heavy_[k];
        const std::size_t m = coupling_.count(j);
        heavy_product_[k].resize(m, p1);
        for (int c = 0; c < p1; ++c)
          for (std::size_t i = 0; i < m; ++i)
            heavy_product_[k](i, c) = product(coupling_.row(j)[i], (k - first) * p1 + c);
      }
    }
    if (!heavy_.empty()) panel_.setZero();
  }

  void multiply(Eigen::Index j, const double* e, double* n) const override {
    const std::size_t m = coupling_.count(j);
    const int p1 = coupling_.p1;
    if (heavy_at_[j] >= 0) {
      const Eigen::MatrixXd& product = heavy_product_[heavy_at_[j]];
      std::copy_n(product.data(), m * p1, n);
      return;
    }
    if (p1 == 1) gather<1>(coupling_.row(j), m, e, n, 1);
    else if (p1 == 2) gather<2>(coupling_.row(j), m, e, n, 2);
    else gather<0>(coupling_.row(j), m, e, n, p1);
  }

  void diagonal_block(int t, Eigen::Index level, Eigen::MatrixXd& out) const override {
    const Eigen::Index at = coupling_.offset[t] + level * p_[t];
    out = t_.block(at, at, p_[t], p_[t]);
  }
  void cell_block(int a, int b, std::size_t, Eigen::Index level_a, Eigen::Index level_b,
                  Eigen::MatrixXd& out) const override {
    out = t_.block(coupling_.offset[b] + level_b * p_[b], coupling_.offset[a] + level_a * p_[a],
                   p_[b], p_[a]);
  }

 private:
  static constexpr Eigen::Index panel_columns = 64;

  void copy_rows(int j, const double* e, Eigen::Index column) {
    const std::size_t m = coupling_.count(j);
    const double* ej = e + coupling_.start[j] * coupling_.p1;
    for (int c = 0; c < coupling_.p1; ++c)
      for (std::size_t i = 0; i < m; ++i) panel_(coupling_.row(j)[i], column + c) = ej[c * m + i];
  }

  void flush() {
    if (filled_ == 0) return;
    dense::syrk_subtract_lower(l_, panel_.leftCols(filled_), workspace_);
    Eigen::Index column = 0;
    for (const Eigen::Index j : pending_)
      for (int c = 0; c < coupling_.p1; ++c, ++column)
        for (std::size_t i = 0; i < coupling_.count(j); ++i) panel_(coupling_.row(j)[i], column) = 0.0;
    pending_.clear();
    filled_ = 0;
  }

  template <int P1>
  void scatter(const int* rows, std::size_t m, const double* e, int p1) {
    const int p = P1 > 0 ? P1 : p1;
    for (std::size_t k = 0; k < m; ++k) {
      double* column = l_.data() + static_cast<Eigen::Index>(rows[k]) * q_;
      if (P1 == 1) {
        const double ek = e[k];
        for (std::size_t i = k; i < m; ++i) column[rows[i]] -= e[i] * ek;
      } else if (P1 == 2) {
        const double ek = e[k], fk = e[m + k];
        for (std::size_t i = k; i < m; ++i) column[rows[i]] -= e[i] * ek + e[m + i] * fk;
      } else {
        for (std::size_t i = k; i < m; ++i) {
          double sum = 0.0;
          for (int c = 0; c < p; ++c) sum += e[c * m + i] * e[c * m + k];
          column[rows[i]] -= sum;
        }
      }
    }
  }

  // Uses each entry of the lower triangle for both of its places.
  template <int P1>
  void gather(const int* rows, std::size_t m, const double* e, double* n, int p1) const {
    const int p = P1 > 0 ? P1 : p1;
    std::fill_n(n, m * p, 0.0);
    for (std::size_t k = 0; k < m; ++k) {
      const double* column = t_.data() + static_cast<Eigen::Index>(rows[k]) * q_;
      const double diagonal = column[rows[k]];
      for (int c = 0; c < p; ++c) {
        const double ek = e[c * m + k];
        double own = diagonal * ek;
        const double* ec = e + c * m;
        double* nc = n + c * m;
        for (std::size_t i = k + 1; i < m; ++i) {
          const double t = column[rows[i]];
          nc[i] += t * ek;
          own += t * ec[i];
        }
        nc[k] += own;
      }
    }
  }

  const Coupling& coupling_;
  Eigen::Index q_;
  std::vector<int> p_;
  Eigen::MatrixXd l_, t_, panel_;
  std::vector<int> heavy_, heavy_at_;
  std::vector<Eigen::MatrixXd> heavy_product_;
  std::vector<Eigen::Index> pending_;
  Eigen::Index filled_ = 0;
  dense::Workspace workspace_;
};

}  // namespace partialpool

#endif
