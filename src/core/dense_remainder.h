#ifndef PARTIALPOOL_DENSE_REMAINDER_H
#define PARTIALPOOL_DENSE_REMAINDER_H

#include <Eigen/Dense>
#include <algorithm>
#include <vector>

#include "dense_kernels.h"
#include "remainder.h"

namespace partialpool {

// S as a dense lower triangle. Levels that meet many columns are collected into panels, so that
// their part of the scatter and of the gather runs at the speed of a matrix product.
class DenseRemainder : public Remainder {
 public:
  DenseRemainder(const CrossProducts& a, const Coupling& coupling)
      : coupling_(coupling), q_(coupling.q) {
    for (int t = 0; t < a.n_terms(); ++t) p_.push_back(a.terms()[t].p);
    is_heavy_.assign(coupling.levels(), 0);
    if (q_ <= 256) return;
    for (int j = 0; j < coupling.levels(); ++j)
      if (coupling.count(j) > 0.15 * q_) {
        is_heavy_[j] = 1;
        heavy_.push_back(j);
      }
    if (!heavy_.empty())
      panel_ = Eigen::MatrixXd::Zero(
          q_, std::max<Eigen::Index>(1, panel_columns / coupling.p1) * coupling.p1);
  }

  const char* storage() const override { return "dense"; }
  double memory() const override {
    return 16.0 * static_cast<double>(q_) * static_cast<double>(q_);
  }

  void assemble(const CrossProducts& a, const std::vector<Eigen::MatrixXd>& lambda) override {
    add_up(a, lambda);
    l_.diagonal().array() += 1.0;
  }

  void subtract(const double* e) override {
    for_each_panel(e, [&](std::size_t, std::size_t, Eigen::Index columns) {
      dense::syrk_subtract_lower(l_, panel_.leftCols(columns), workspace_);
    });
    for_each_part([&](Eigen::Index j, std::size_t k0, std::size_t k1) {
      const double* ej = e + coupling_.start[j] * coupling_.p1;
      if (coupling_.p1 == 1)
        scatter<1>(j, ej, k0, k1);
      else if (coupling_.p1 == 2)
        scatter<2>(j, ej, k0, k1);
      else
        scatter<0>(j, ej, k0, k1);
    });
  }

  bool factorise() override { return dense::cholesky_lower(l_, workspace_); }
  double log_det() const override { return 2.0 * l_.diagonal().array().log().sum(); }
  void solve_lower(Eigen::MatrixXd& b) override { dense::solve_lower(l_, b, workspace_); }
  void solve_lower_transposed(Eigen::MatrixXd& b) override {
    dense::solve_lower_transposed(l_, b, workspace_);
  }

  void invert(const double* e) override {
    t_ = l_;
    dense::inverse_from_cholesky(t_, workspace_);
    multiply_all(e);
  }

  void multiply(Eigen::Index j, const double*, double* n) const override {
    std::copy_n(product_.data() + coupling_.start[j] * coupling_.p1,
                coupling_.count(j) * coupling_.p1, n);
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

 protected:
  // Lambda_R' A_RR Lambda_R, lower triangle.
  void add_up(const CrossProducts& a, const std::vector<Eigen::MatrixXd>& lambda) {
    l_.setZero(q_, q_);  // allocated here: the caller has had time to say how much it takes
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
  }

  // T[r_j, r_j] E_j of all levels.
  void multiply_all(const double* e) {
    const int p1 = coupling_.p1;
    product_.assign(coupling_.rows.size() * p1, 0.0);
    Eigen::MatrixXd product;
    for_each_panel(e, [&](std::size_t first, std::size_t last, Eigen::Index columns) {
      product = Eigen::MatrixXd::Zero(q_, columns);
      dense::gemm_add(product, 1.0, t_, false, panel_.leftCols(columns), false, workspace_);
      for (std::size_t k = first; k < last; ++k) {
        const int j = heavy_[k];
        double* n = product_.data() + coupling_.start[j] * p1;
        for (int c = 0; c < p1; ++c)
          for (std::size_t i = 0; i < coupling_.count(j); ++i)
            *n++ = product(coupling_.row(j)[i], (k - first) * p1 + c);
      }
    });
    for_each_part([&](Eigen::Index j, std::size_t k0, std::size_t k1) {
      const double* ej = e + coupling_.start[j] * p1;
      double* n = product_.data() + coupling_.start[j] * p1;
      if (p1 == 1)
        gather<1>(j, ej, n, k0, k1);
      else
        gather<0>(j, ej, n, k0, k1);
    });
  }

  const Coupling& coupling_;
  Eigen::Index q_;
  std::vector<int> p_;
  Eigen::MatrixXd l_, t_;
  dense::Workspace workspace_;

 private:
  static constexpr Eigen::Index panel_columns = 64, cache_bytes = 1 << 19;

  // Calls f(first, last, columns) with the E_j of heavy_[first..last) as columns of panel_.
  template <class F>
  void for_each_panel(const double* e, F&& f) {
    const int p1 = coupling_.p1;
    const std::size_t batch = heavy_.empty() ? 1 : static_cast<std::size_t>(panel_.cols() / p1);
    for (std::size_t first = 0; first < heavy_.size(); first += batch) {
      const std::size_t last = std::min(first + batch, heavy_.size());
      panel_.setZero();
      for (std::size_t k = first; k < last; ++k) {
        const int j = heavy_[k];
        const double* ej = e + coupling_.start[j] * p1;
        for (int c = 0; c < p1; ++c)
          for (std::size_t i = 0; i < coupling_.count(j); ++i)
            panel_(coupling_.row(j)[i], (k - first) * p1 + c) = *ej++;
      }
      f(first, last, static_cast<Eigen::Index>((last - first) * p1));
    }
  }

  // Calls f(j, k0, k1) for the levels that are not heavy, k0..k1 their rows within one group of
  // columns of S after the other: a group stays in the cache while all levels pass over it.
  template <class F>
  void for_each_part(F&& f) {
    const Eigen::Index width =
        std::max<Eigen::Index>(8, cache_bytes / (8 * std::max<Eigen::Index>(q_, 1)));
    next_.assign(coupling_.levels(), 0);
    for (Eigen::Index c1 = width; c1 < q_ + width; c1 += width)
      for (Eigen::Index j = 0; j < coupling_.levels(); ++j) {
        const std::size_t m = coupling_.count(j), k0 = next_[j];
        if (k0 == m || is_heavy_[j]) continue;
        const int* rows = coupling_.row(j);
        std::size_t k1 = k0;
        while (k1 < m && rows[k1] < c1) ++k1;
        if (k1 > k0) f(j, k0, k1);
        next_[j] = k1;
      }
  }

  // S -= the part of E_j E_j' in columns rows[k0..k1).
  template <int P1>
  void scatter(Eigen::Index j, const double* e, std::size_t k0, std::size_t k1) {
    const std::size_t m = coupling_.count(j);
    const int* rows = coupling_.row(j);
    const int p = P1 > 0 ? P1 : coupling_.p1;
    std::size_t k = k0;
    if (P1 == 1) {
      // Two columns at a time: indices and values are read once for both.
      for (; k + 1 < k1; k += 2) {
        double* first = l_.data() + static_cast<Eigen::Index>(rows[k]) * q_;
        double* second = l_.data() + static_cast<Eigen::Index>(rows[k + 1]) * q_;
        const double ek = e[k], fk = e[k + 1];
        first[rows[k]] -= ek * ek;
        for (std::size_t i = k + 1; i < m; ++i) {
          first[rows[i]] -= e[i] * ek;
          second[rows[i]] -= e[i] * fk;
        }
      }
    }
    for (; k < k1; ++k) {
      double* column = l_.data() + static_cast<Eigen::Index>(rows[k]) * q_;
      for (std::size_t i = k; i < m; ++i) {
        double sum = 0.0;
        for (int c = 0; c < p; ++c) sum += e[c * m + i] * e[c * m + k];
        column[rows[i]] -= sum;
      }
    }
  }

  // n += the part of T[r_j, r_j] E_j that the columns rows[k0..k1) of the lower triangle bring:
  // each entry serves both of its places.
  template <int P1>
  void gather(Eigen::Index j, const double* e, double* n, std::size_t k0, std::size_t k1) const {
    const std::size_t m = coupling_.count(j);
    const int* rows = coupling_.row(j);
    const int p = P1 > 0 ? P1 : coupling_.p1;
    std::size_t k = k0;
    if (P1 == 1) {
      for (; k + 1 < k1; k += 2) {
        const double* first = t_.data() + static_cast<Eigen::Index>(rows[k]) * q_;
        const double* second = t_.data() + static_cast<Eigen::Index>(rows[k + 1]) * q_;
        const double ek = e[k], fk = e[k + 1], off = first[rows[k + 1]];
        double own_first = first[rows[k]] * ek + off * fk;
        double own_second = off * ek + second[rows[k + 1]] * fk;
        for (std::size_t i = k + 2; i < m; ++i) {
          const double t = first[rows[i]], s = second[rows[i]];
          n[i] += t * ek + s * fk;
          own_first += t * e[i];
          own_second += s * e[i];
        }
        n[k] += own_first;
        n[k + 1] += own_second;
      }
    }
    for (; k < k1; ++k) {
      const double* column = t_.data() + static_cast<Eigen::Index>(rows[k]) * q_;
      for (int c = 0; c < p; ++c) {
        const double* ec = e + c * m;
        double* nc = n + c * m;
        const double ek = ec[k];
        double own = column[rows[k]] * ek;
        for (std::size_t i = k + 1; i < m; ++i) {
          const double t = column[rows[i]];
          nc[i] += t * ek;
          own += t * ec[i];
        }
        nc[k] += own;
      }
    }
  }

  Eigen::MatrixXd panel_;
  std::vector<int> heavy_;
  std::vector<char> is_heavy_;   // 1 for the levels in heavy_
  std::vector<double> product_;  // T[r_j, r_j] E_j of all levels
  std::vector<std::size_t> next_;
};

}  // namespace partialpool

#endif
