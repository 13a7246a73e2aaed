#ifndef PARTIALPOOL_BLOCK_CHOLESKY_H
#define PARTIALPOOL_BLOCK_CHOLESKY_H

#include <Eigen/Dense>
#include <algorithm>
#include <cmath>
#include <memory>
#include <vector>

#include "cross_products.h"
#include "dense_remainder.h"
#include "kernel_remainder.h"
#include "nested_remainder.h"
#include "sparse_remainder.h"

namespace partialpool {

enum class Storage { automatic, nested, sparse, dense };

// Where the remainder is kept (ALGORITHMS 1.3), decided from the pattern alone.
inline std::unique_ptr<Remainder> make_remainder(const CrossProducts& a, const Coupling& coupling,
                                                 Storage wanted) {
  if (KernelRemainder::applies(a)) return std::make_unique<KernelRemainder>(a, coupling);
  const double q = static_cast<double>(coupling.q);
  const bool nested = NestedRemainder::applies(a, coupling);
  if (nested && (wanted == Storage::nested || wanted == Storage::automatic))
    return std::make_unique<NestedRemainder>(a, coupling);
  const bool sparse_possible = q >= 64 && coupling.scatter_size() <= std::min(5e7, 0.5 * q * q);
  if (wanted == Storage::sparse || (wanted == Storage::automatic && sparse_possible)) {
    auto sparse = std::make_unique<SparseRemainder>(a, coupling);
    if (wanted == Storage::sparse || sparse->factor_size() < 0.2 * 0.5 * q * q) {
      sparse->prepare();
      return sparse;
    }
  }
  return std::make_unique<DenseRemainder>(a, coupling);
}

// Cholesky factor of the penalised cross-products
//   [ Lambda'Z'WZ Lambda + I   .   .  ]
//   [ X'WZ Lambda            X'WX  .  ]
//   [ y'WZ Lambda            y'WX y'Wy ]
// level by level for the leading term, then the remainder, then the border [X y].
class BlockCholesky {
 public:
  BlockCholesky(const CrossProducts& a, Storage storage = Storage::automatic)
      : a_(a), coupling_(a), m_(a.m()) {
    if (a.n_terms() > 1) remainder_ = make_remainder(a, coupling_, storage);
    if (a.n_terms() == 0) return;
    const Term& lead = a.terms()[0];
    lead_factor_.resize(lead.p, lead.size());
    e_.resize(coupling_.rows.size() * lead.p);
  }

  // False: not positive definite (or not finite) at this Lambda.
  bool factorise(const std::vector<Eigen::MatrixXd>& lambda) {
    lambda_ = lambda;
    log_det_ = 0.0;
    m_ = a_.m();
    s_mm_ = a_.xy();
    if (a_.n_terms() > 0) {
      f_.resize(m_, a_.terms()[0].size());
      if (remainder_) {
        remainder_->assemble(a_, lambda_);
        scaled_border();
      }
      const int p = a_.terms()[0].p;
      const bool ok = p == 1   ? eliminate<1>()
                      : p == 2 ? eliminate<2>()
                      : p == 3 ? eliminate<3>()
                      : p == 4 ? eliminate<4>()
                               : eliminate<0>();
      if (!ok) return false;
      if (remainder_) {
        remainder_->subtract(e_.data());
        if (!remainder_->factorise()) return false;
        log_det_ += remainder_->log_det();
        remainder_->unload(border_);
        remainder_->solve_lower(border_);
        s_mm_.noalias() -= border_.transpose() * border_;
      }
    }
    return factor_border() && std::isfinite(log_det_);
  }

  const CrossProducts& cross_products() const { return a_; }
  const Coupling& coupling() const { return coupling_; }
  const std::vector<Eigen::MatrixXd>& lambda() const { return lambda_; }
  Remainder* remainder() const { return remainder_.get(); }
  const char* storage() const {
    return remainder_ ? remainder_->storage() : a_.n_terms() == 1 ? "one factor" : "none";
  }
  double log_det() const { return log_det_; }  // log|M|
  double log_det_x() const {                   // log|X'V^-1 X|
    return 2.0 * l_mm_.diagonal().head(a_.p_x()).array().log().sum();
  }
  double r2() const { return l_mm_(m_ - 1, m_ - 1) * l_mm_(m_ - 1, m_ - 1); }
  // Cholesky factor of the Schur complement of [X y].
  const Eigen::MatrixXd& border_factor() const { return l_mm_; }
  // L_RR^-1 S_Rm, a row for each independent effect, m columns.
  const Eigen::MatrixXd& border() const { return border_; }
  Eigen::Map<const Eigen::MatrixXd> lead_factor(Eigen::Index j) const {
    const int p = a_.terms()[0].p;
    return Eigen::Map<const Eigen::MatrixXd>(lead_factor_.data() + j * p * p, p, p);
  }
  const double* e_data() const { return e_.data(); }
  // E_j, count(j) x p_1.
  Eigen::Map<const Eigen::MatrixXd> e(Eigen::Index j) const {
    return Eigen::Map<const Eigen::MatrixXd>(e_.data() + coupling_.start[j] * coupling_.p1,
                                             coupling_.count(j), coupling_.p1);
  }
  // F_j, m x p_1.
  Eigen::Map<const Eigen::MatrixXd> f(Eigen::Index j) const {
    const int p = a_.terms()[0].p;
    return Eigen::Map<const Eigen::MatrixXd>(f_.data() + j * p * m_, m_, p);
  }

 private:
  // border_ = (Y_R Lambda_R)'
  void scaled_border() {
    border_.resize(coupling_.q, m_);
    for (int t = 1; t < a_.n_terms(); ++t) {
      const int p = a_.terms()[t].p;
      const Eigen::MatrixXd& y = a_.border(t);
      if (p == 1) {
        border_.middleRows(coupling_.offset[t], y.cols()) = lambda_[t](0, 0) * y.transpose();
        continue;
      }
      for (Eigen::Index level = 0; level < a_.terms()[t].levels; ++level)
        border_.middleRows(coupling_.offset[t] + level * p, p).noalias() =
            lambda_[t].transpose() * y.middleCols(level * p, p).transpose();
    }
  }

  // D_j = L_j L_j', E_j, F_j, and their part of the Schur complement.
  template <int P>
  bool eliminate() {
    using Block = Eigen::Matrix<double, P == 0 ? Eigen::Dynamic : P, P == 0 ? Eigen::Dynamic : P>;
    const Term& lead = a_.terms()[0];
    const int p = lead.p;
    const Block l1 = lambda_[0];
    Block d(p, p), map(p, p);
    for (Eigen::Index j = 0; j < lead.levels; ++j) {
      d.noalias() = l1.transpose() * a_.diagonal(0, j) * l1;
      d.diagonal().array() += 1.0;
      double log_d = 0.0;
      for (int k = 0; k < p; ++k) {
        double pivot = d(k, k);
        for (int c = 0; c < k; ++c) pivot -= d(k, c) * d(k, c);
        if (!(pivot > 0.0)) return false;
        pivot = std::sqrt(pivot);
        log_d += std::log(pivot);
        d(k, k) = pivot;
        for (int i = k + 1; i < p; ++i) {
          double sum = d(i, k);
          for (int c = 0; c < k; ++c) sum -= d(i, c) * d(k, c);
          d(i, k) = sum / pivot;
        }
      }
      log_det_ += 2.0 * log_d;
      Eigen::Map<Eigen::MatrixXd>(lead_factor_.data() + j * p * p, p, p) =
          d.template triangularView<Eigen::Lower>();
      // map = Lambda_1 L_j^-T, so that E_j = Lambda_R' B_j map, F_j = Y_1 map
      map = l1;
      for (int k = 0; k < p; ++k) {
        for (int c = 0; c < k; ++c) map.col(k) -= map.col(c) * d(k, c);
        map.col(k) /= d(k, k);
      }
      Eigen::Map<Eigen::Matrix<double, Eigen::Dynamic, P == 0 ? Eigen::Dynamic : P>> f(
          f_.data() + j * p * m_, m_, p);
      f.noalias() = a_.border(0).middleCols(j * p, p) * map;
      for (int c = 0; c < p; ++c)
        for (int k = 0; k < m_; ++k) {
          const double fk = f(k, c);
          for (int i = k; i < m_; ++i) s_mm_(i, k) -= f(i, c) * fk;
        }
      if (!remainder_) continue;
      const std::size_t count = coupling_.count(j);
      if (count == 0) continue;
      double* e = e_.data() + coupling_.start[j] * p;
      couple<P>(j, map, e, count);
      const int* rows = coupling_.row(j);
      for (int k = 0; k < m_; ++k) {
        double* column = border_.data() + k * coupling_.q;
        for (int c = 0; c < p; ++c) {
          const double fk = f(k, c);
          const double* ec = e + c * count;
          for (std::size_t i = 0; i < count; ++i) column[rows[i]] -= ec[i] * fk;
        }
      }
    }
    return true;
  }

  template <int P, class Map>
  void couple(Eigen::Index j, const Map& map, double* e, std::size_t count) {
    const int p = a_.terms()[0].p;
    std::size_t at = 0;
    for (int t = 1; t < a_.n_terms(); ++t) {
      const PairTable& cells = a_.pair(0, t);
      const int pt = a_.terms()[t].p;
      const std::size_t begin = cells.begin(static_cast<int>(j)),
                        end = cells.end(static_cast<int>(j));
      if (pt == 1) {
        const double l = lambda_[t](0, 0);
        const double* b = cells.values(begin);
        for (std::size_t cell = begin; cell < end; ++cell, ++at, b += p)
          for (int c = 0; c < p; ++c) {
            double sum = 0.0;
            for (int r = 0; r < p; ++r) sum += b[r] * map(r, c);
            e[c * count + at] = l * sum;
          }
        continue;
      }
      for (std::size_t cell = begin; cell < end; ++cell, at += pt) {
        const Eigen::Map<const Eigen::MatrixXd> b(cells.values(cell), pt, p);
        work_.noalias() = lambda_[t].transpose() * b;
        for (int c = 0; c < p; ++c)
          for (int i = 0; i < pt; ++i) {
            double sum = 0.0;
            for (int r = 0; r < p; ++r) sum += work_(i, r) * map(r, c);
            e[c * count + at + i] = sum;
          }
      }
    }
  }

  bool factor_border() {
    l_mm_ = s_mm_.triangularView<Eigen::Lower>();
    for (int k = 0; k < m_; ++k) {
      const double pivot = l_mm_(k, k) - l_mm_.row(k).head(k).squaredNorm();
      if (!(pivot > 0.0) || !std::isfinite(pivot)) return false;
      l_mm_(k, k) = std::sqrt(pivot);
      const int below = m_ - k - 1;
      l_mm_.col(k).tail(below) -=
          l_mm_.block(k + 1, 0, below, k) * l_mm_.row(k).head(k).transpose();
      l_mm_.col(k).tail(below) /= l_mm_(k, k);
    }
    return true;
  }

  const CrossProducts& a_;
  Coupling coupling_;
  int m_;
  std::unique_ptr<Remainder> remainder_;
  std::vector<Eigen::MatrixXd> lambda_;
  Eigen::MatrixXd lead_factor_, f_, border_, s_mm_, l_mm_, work_;
  std::vector<double> e_;
  double log_det_ = 0.0;
};

}  // namespace partialpool

#endif
