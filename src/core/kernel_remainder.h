#ifndef PARTIALPOOL_KERNEL_REMAINDER_H
#define PARTIALPOOL_KERNEL_REMAINDER_H

#include <Eigen/Dense>
#include <algorithm>
#include <vector>

#include "dense_remainder.h"

namespace partialpool {

// S where the levels of some trailing terms are correlated, Cov = K x Sigma with K = C C'. With R =
// Lambda_R' A_RR Lambda_R - sum_j E_j E_j' by level as ever, S = I + C'RC over the independent
// effects (C is I for the other terms), and the levels see T = C S^-1 C' = H'H with H = L^-1 C'.
class KernelRemainder : public DenseRemainder {
 public:
  static bool applies(const CrossProducts& a) {
    for (const Term& term : a.terms())
      if (term.loading) return true;
    return false;
  }

  KernelRemainder(const CrossProducts& a, const Coupling& coupling)
      : DenseRemainder(a, coupling), q_modes_(coupling.q_modes) {
    double pattern = 2.0 * static_cast<double>(coupling.rows.size() * coupling.p1);
    for (int t = 1; t < a.n_terms(); ++t) {
      const Term& term = a.terms()[t];
      Part part;
      part.at = coupling.offset[t];
      part.size = term.size();
      part.mode_at = coupling.mode_offset[t];
      part.mode_size = static_cast<Eigen::Index>(term.p) * term.modes();
      if (term.loading) part.root = root_of(term);
      parts_.push_back(std::move(part));
      pattern += static_cast<double>(term.size()) * term.p;
      for (int s = 1; s < t; ++s)
        pattern += static_cast<double>(a.pair(s, t).cells()) * term.p * a.terms()[s].p;
    }
    // Entries of T one by one, or all at once as a matrix product, which runs about eight times as
    // fast.
    all_at_once_ = 8.0 * pattern > 0.5 * static_cast<double>(q_) * static_cast<double>(q_);
  }

  const char* storage() const override { return "kernel"; }
  double memory() const override {
    const double q = static_cast<double>(q_), r = static_cast<double>(q_modes_);
    return 8.0 * ((all_at_once_ ? 2.0 : 1.0) * q * q + 3.0 * q * r + r * r);
  }

  void assemble(const CrossProducts& a, const std::vector<Eigen::MatrixXd>& lambda) override {
    add_up(a, lambda);
  }

  bool factorise() override {
    s_.setZero(q_modes_, q_modes_);
    for (std::size_t t = 0; t < parts_.size(); ++t)
      for (std::size_t s = 0; s <= t; ++s) transform(parts_[t], parts_[s], s == t);
    s_.diagonal().array() += 1.0;
    return dense::cholesky_lower(s_, workspace_);
  }
  double log_det() const override { return 2.0 * s_.diagonal().array().log().sum(); }
  void solve_lower(Eigen::MatrixXd& b) override { dense::solve_lower(s_, b, workspace_); }
  void solve_lower_transposed(Eigen::MatrixXd& b) override {
    dense::solve_lower_transposed(s_, b, workspace_);
  }

  void unload(Eigen::MatrixXd& b) override {
    Eigen::MatrixXd out = Eigen::MatrixXd::Zero(q_modes_, b.cols());
    for (const Part& part : parts_) {
      if (part.root.size() == 0)
        out.middleRows(part.mode_at, part.mode_size) = b.middleRows(part.at, part.size);
      else if (part.mode_size > 0)
        out.middleRows(part.mode_at, part.mode_size).noalias() =
            part.root * b.middleRows(part.at, part.size);
    }
    b.swap(out);
  }
  void load(Eigen::MatrixXd& b) override {
    Eigen::MatrixXd out = Eigen::MatrixXd::Zero(q_, b.cols());
    for (const Part& part : parts_) {
      if (part.root.size() == 0)
        out.middleRows(part.at, part.size) = b.middleRows(part.mode_at, part.mode_size);
      else
        out.middleRows(part.at, part.size).noalias() =
            part.root.transpose() * b.middleRows(part.mode_at, part.mode_size);
    }
    b.swap(out);
  }

  void invert(const double* e) override {
    h_.setZero(q_modes_, q_);
    for (const Part& part : parts_) {
      auto block = h_.block(part.mode_at, part.at, part.mode_size, part.size);
      if (part.root.size() == 0)
        block.setIdentity();
      else
        block = part.root;
    }
    dense::solve_lower(s_, h_, workspace_);
    if (!all_at_once_) return;
    t_.setZero(q_, q_);
    for (Eigen::Index c = 0; c < q_; c += width) {
      const Eigen::Index count = std::min(width, q_ - c);
      dense::gemm_add(t_.block(c, c, q_ - c, count), 1.0, h_.rightCols(q_ - c), true,
                      h_.middleCols(c, count), false, workspace_);
    }
    t_.triangularView<Eigen::StrictlyUpper>() = t_.transpose();
    multiply_all(e);
  }

  void multiply(Eigen::Index j, const double* e, double* n) const override {
    if (all_at_once_) return DenseRemainder::multiply(j, e, n);
    const int* rows = coupling_.row(j);
    const std::size_t count = coupling_.count(j);
    Eigen::VectorXd sum(q_modes_);
    for (int c = 0; c < coupling_.p1; ++c, e += count, n += count) {
      sum.setZero();
      for (std::size_t i = 0; i < count; ++i) sum += e[i] * h_.col(rows[i]);
      for (std::size_t i = 0; i < count; ++i) n[i] = sum.dot(h_.col(rows[i]));
    }
  }
  void diagonal_block(int t, Eigen::Index level, Eigen::MatrixXd& out) const override {
    if (all_at_once_) return DenseRemainder::diagonal_block(t, level, out);
    const auto h = h_.middleCols(coupling_.offset[t] + level * p_[t], p_[t]);
    out.noalias() = h.transpose() * h;
  }
  void cell_block(int a, int b, std::size_t cell, Eigen::Index level_a, Eigen::Index level_b,
                  Eigen::MatrixXd& out) const override {
    if (all_at_once_) return DenseRemainder::cell_block(a, b, cell, level_a, level_b, out);
    out.noalias() = h_.middleCols(coupling_.offset[b] + level_b * p_[b], p_[b]).transpose() *
                    h_.middleCols(coupling_.offset[a] + level_a * p_[a], p_[a]);
  }

 private:
  static constexpr Eigen::Index width = 128;  // of the column blocks of a triangle

  // Columns of one term: by level, and by independent effect.
  struct Part {
    Eigen::Index at = 0, size = 0, mode_at = 0, mode_size = 0;
    Eigen::MatrixXd root;  // (C x I)', mode_size x size; empty for I
  };

  static Eigen::MatrixXd root_of(const Term& term) {
    const auto c = term.loading.matrix();
    if (term.p == 1) return c.transpose();
    Eigen::MatrixXd root = Eigen::MatrixXd::Zero(term.p * c.cols(), term.p * c.rows());
    for (Eigen::Index j = 0; j < c.rows(); ++j)
      for (Eigen::Index k = 0; k < c.cols(); ++k)
        root.block(k * term.p, j * term.p, term.p, term.p).diagonal().setConstant(c(j, k));
    return root;
  }

  // The block of S for rows of term t and columns of term s, which comes before it or is the same.
  void transform(const Part& t, const Part& s, bool same) {
    auto out = s_.block(t.mode_at, s.mode_at, t.mode_size, s.mode_size);
    auto block = l_.block(t.at, s.at, t.size, s.size);
    if (t.root.size() == 0) {  // and so is s
      out = block;
      return;
    }
    if (t.mode_size == 0 || s.mode_size == 0) return;
    if (same) block.triangularView<Eigen::StrictlyUpper>() = block.transpose().eval();
    // Without a leading term, or with one that knows of few pairs of levels, most of it is zero.
    const double filled = static_cast<double>((block.array() != 0.0).count());
    half_.setZero(t.mode_size, s.size);
    if (filled * 8.0 < static_cast<double>(t.size) * static_cast<double>(s.size)) {
      for (Eigen::Index c = 0; c < s.size; ++c)
        for (Eigen::Index i = 0; i < t.size; ++i)
          if (block(i, c) != 0.0) half_.col(c) += block(i, c) * t.root.col(i);
    } else {
      dense::gemm_add(half_, 1.0, t.root, false, block, false, workspace_);
    }
    if (s.root.size() == 0) {
      out = half_;
      return;
    }
    for (Eigen::Index c = 0; c < s.mode_size; c += width) {
      const Eigen::Index count = std::min(width, s.mode_size - c), from = same ? c : 0;
      dense::gemm_add(out.block(from, c, t.mode_size - from, count), 1.0,
                      half_.bottomRows(t.mode_size - from), false, s.root.middleRows(c, count),
                      true, workspace_);
    }
  }

  Eigen::Index q_modes_;
  std::vector<Part> parts_;
  bool all_at_once_ = false;
  Eigen::MatrixXd s_, h_, half_;
};

}  // namespace partialpool

#endif
