#ifndef PARTIALPOOL_NESTED_REMAINDER_H
#define PARTIALPOOL_NESTED_REMAINDER_H

#include <Eigen/Dense>
#include <vector>

#include "remainder.h"
#include "small_matrix.h"

namespace partialpool {

// Two factors, the leading one nested in the other: S is block diagonal, one small block a level.
class NestedRemainder : public Remainder {
 public:
  static bool applies(const CrossProducts& a, const Coupling& coupling) {
    if (a.n_terms() != 2) return false;
    for (int j = 0; j < coupling.levels(); ++j)
      if (coupling.count(j) > static_cast<std::size_t>(a.terms()[1].p)) return false;
    return true;
  }

  NestedRemainder(const CrossProducts& a, const Coupling& coupling)
      : coupling_(coupling), p_(a.terms()[1].p), l_(p_, coupling.q), t_(p_, coupling.q) {}

  const char* storage() const override { return "nested"; }

  void assemble(const CrossProducts& a, const std::vector<Eigen::MatrixXd>& lambda) override {
    const Eigen::MatrixXd& l = lambda[1];
    if (p_ == 1) {
      const double scale = l(0, 0) * l(0, 0);
      for (Eigen::Index k = 0; k < coupling_.q; ++k)
        l_(0, k) = scale * a.diagonal(1, k)(0, 0) + 1.0;
      return;
    }
    for (Eigen::Index k = 0; k < levels(); ++k) {
      auto block = l_.middleCols(k * p_, p_);
      block.noalias() = l.transpose() * a.diagonal(1, k) * l;
      block.diagonal().array() += 1.0;
    }
  }

  void subtract(const double* e) override {
    for (Eigen::Index j = 0; j < coupling_.levels(); ++j) {
      if (coupling_.count(j) == 0) continue;
      double* block = l_.data() + static_cast<Eigen::Index>(coupling_.row(j)[0]) * p_;
      for (int c = 0; c < coupling_.p1; ++c, e += p_)
        for (int k = 0; k < p_; ++k)
          for (int i = k; i < p_; ++i) block[k * p_ + i] -= e[i] * e[k];
    }
  }

  bool factorise() override {
    for (Eigen::Index level = 0; level < levels(); ++level) {
      double* b = l_.data() + level * p_ * p_;
      for (int k = 0; k < p_; ++k) {
        double pivot = b[k * p_ + k];
        for (int c = 0; c < k; ++c) pivot -= b[c * p_ + k] * b[c * p_ + k];
        if (!(pivot > 0.0) || !std::isfinite(pivot)) return false;
        pivot = std::sqrt(pivot);
        b[k * p_ + k] = pivot;
        for (int i = k + 1; i < p_; ++i) {
          double sum = b[k * p_ + i];
          for (int c = 0; c < k; ++c) sum -= b[c * p_ + i] * b[c * p_ + k];
          b[k * p_ + i] = sum / pivot;
        }
      }
    }
    return true;
  }

  double log_det() const override {
    double sum = 0.0;
    for (Eigen::Index level = 0; level < levels(); ++level)
      for (int k = 0; k < p_; ++k) sum += std::log(l_(k, level * p_ + k));
    return 2.0 * sum;
  }

  void solve_lower(Eigen::MatrixXd& b) override {
    for (Eigen::Index c = 0; c < b.cols(); ++c)
      for (Eigen::Index k = 0; k < levels(); ++k)
        solve_small(factor(k), p_, b.data() + c * b.rows() + k * p_, 1);
  }
  void solve_lower_transposed(Eigen::MatrixXd& b) override {
    for (Eigen::Index c = 0; c < b.cols(); ++c)
      for (Eigen::Index k = 0; k < levels(); ++k)
        solve_small_transposed(factor(k), p_, b.data() + c * b.rows() + k * p_, 1);
  }

  void invert(const double*) override {
    Eigen::MatrixXd inverse(p_, p_);
    for (Eigen::Index k = 0; k < levels(); ++k) {
      inverse.setIdentity();
      solve_small(factor(k), p_, inverse.data(), p_);
      t_.middleCols(k * p_, p_).noalias() = inverse.transpose() * inverse;
    }
  }

  void multiply(Eigen::Index j, const double* e, double* n) const override {
    if (coupling_.count(j) == 0) return;
    const double* t = t_.data() + static_cast<Eigen::Index>(coupling_.row(j)[0]) * p_;
    for (int c = 0; c < coupling_.p1; ++c, e += p_, n += p_)
      for (int i = 0; i < p_; ++i) {
        double sum = 0.0;
        for (int k = 0; k < p_; ++k) sum += t[k * p_ + i] * e[k];
        n[i] = sum;
      }
  }

  void diagonal_block(int, Eigen::Index level, Eigen::MatrixXd& out) const override {
    out = t_.middleCols(level * p_, p_);
  }
  void cell_block(int, int, std::size_t, Eigen::Index, Eigen::Index,
                  Eigen::MatrixXd&) const override {}  // one trailing term: no pairs

 private:
  Eigen::Index levels() const { return coupling_.q / p_; }
  const double* factor(Eigen::Index k) const { return l_.data() + k * p_ * p_; }

  const Coupling& coupling_;
  int p_;
  Eigen::MatrixXd l_, t_;  // blocks side by side
};

}  // namespace partialpool

#endif
