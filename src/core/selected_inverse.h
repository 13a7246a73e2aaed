#ifndef PARTIALPOOL_SELECTED_INVERSE_H
#define PARTIALPOOL_SELECTED_INVERSE_H

#include <Eigen/Dense>
#include <vector>

#include "block_cholesky.h"

namespace partialpool {

// The inverse S^- of the factored matrix over (u, beta) [with_beta] or over u alone, on the pattern
// of the cross-products, visited block by block (ALGORITHMS 3). Nothing is stored for the leading
// term: its blocks are formed level by level from those of the remainder.
class SelectedInverse {
 public:
  SelectedInverse(BlockCholesky& factor, bool with_beta)
      : factor_(factor), a_(factor.cross_products()), px_(with_beta ? a_.p_x() : 0) {
    const Eigen::MatrixXd lx_inverse =
        factor.border_factor().topLeftCorner(px_, px_).triangularView<Eigen::Lower>().solve(
            Eigen::MatrixXd::Identity(px_, px_));
    t_xx_.noalias() = lx_inverse.transpose() * lx_inverse;
    if (!factor.remainder()) return;
    // H = L_RR^-T L_XR' L_XX^-T
    h_ = factor.border().leftCols(px_) * lx_inverse.transpose();
    if (px_ > 0) factor.remainder()->solve_lower_transposed(h_);
    factor.remainder()->invert(h_, factor.e_data());
    t_rx_.noalias() = -h_ * lx_inverse;
  }

  int columns_x() const { return px_; }
  const Eigen::MatrixXd& t_xx() const { return t_xx_; }
  const Eigen::MatrixXd& t_rx() const { return t_rx_; }

  // Blocks of one leading level: S^-_rj (count x p), S^-_Xj (p_x x p), S^-_jj (p x p).
  struct LeadBlocks {
    Eigen::MatrixXd rj, xj, jj;
  };
  void lead(Eigen::Index j, LeadBlocks& out) {
    const int p = a_.terms()[0].p;
    const auto fx = factor_.f(j).topRows(px_);
    const bool coupled = factor_.remainder() != nullptr;
    const Eigen::Index count = coupled ? static_cast<Eigen::Index>(factor_.coupling().count(j)) : 0;
    out.rj.resize(count, p);
    out.xj.noalias() = t_xx_ * fx;
    if (coupled) {
      const auto e = factor_.e(j);
      factor_.remainder()->multiply(j, e.data(), out.rj.data());
      if (px_ > 0) {
        const int* rows = factor_.coupling().row(j);
        t_rows_.resize(count, px_);
        for (int k = 0; k < px_; ++k)
          for (Eigen::Index i = 0; i < count; ++i) t_rows_(i, k) = t_rx_(rows[i], k);
        out.rj.noalias() += t_rows_ * fx;
        out.xj.noalias() += t_rows_.transpose() * e;
      }
      inner_.noalias() = e.transpose() * out.rj;
    } else {
      inner_.setZero(p, p);
    }
    inner_.noalias() += fx.transpose() * out.xj;
    inner_.diagonal().array() += 1.0;
    const auto l = factor_.lead_factor(j).triangularView<Eigen::Lower>();
    // N L^-1 and L^-T (I + E'N) L^-1
    l.template solveInPlace<Eigen::OnTheRight>(out.rj);
    l.template solveInPlace<Eigen::OnTheRight>(out.xj);
    out.rj *= -1.0;
    out.xj *= -1.0;
    l.template solveInPlace<Eigen::OnTheRight>(inner_);
    l.transpose().solveInPlace(inner_);
    out.jj = inner_;
  }

  void diagonal_block(int t, Eigen::Index level, Eigen::MatrixXd& out) const {
    factor_.remainder()->diagonal_block(t, level, out);
  }
  void cell_block(int a, int b, std::size_t cell, Eigen::Index la, Eigen::Index lb,
                  Eigen::MatrixXd& out) const {
    factor_.remainder()->cell_block(a, b, cell, la, lb, out);
  }

 private:
  BlockCholesky& factor_;
  const CrossProducts& a_;
  int px_;
  Eigen::MatrixXd t_xx_, t_rx_, h_, t_rows_, inner_;
};

// Sum over levels of [A Lambda S^-]_tt for every term: the trace part of the gradient.
inline std::vector<Eigen::MatrixXd> inverse_products(BlockCholesky& factor, SelectedInverse& inverse) {
  const CrossProducts& a = factor.cross_products();
  const std::vector<Eigen::MatrixXd>& lambda = factor.lambda();
  std::vector<Eigen::MatrixXd> g;
  for (int t = 0; t < a.n_terms(); ++t) g.push_back(Eigen::MatrixXd::Zero(a.terms()[t].p, a.terms()[t].p));
  if (a.n_terms() == 0) return g;
  const int px = inverse.columns_x();
  const Term& lead = a.terms()[0];
  const int p1 = lead.p;

  SelectedInverse::LeadBlocks s;
  Eigen::MatrixXd scaled, product;
  for (Eigen::Index j = 0; j < lead.levels; ++j) {
    inverse.lead(j, s);
    g[0].noalias() += a.diagonal(0, j) * (lambda[0] * s.jj);
    if (px > 0)
      g[0].noalias() += a.border(0).block(0, j * p1, px, p1).transpose() * s.xj;
    Eigen::Index at = 0;
    for (int t = 1; t < a.n_terms(); ++t) {
      const PairTable& cells = a.pair(0, t);
      const int pt = a.terms()[t].p;
      const std::size_t begin = cells.begin(static_cast<int>(j)), end = cells.end(static_cast<int>(j));
      if (pt == 1 && p1 == 1) {
        double lead_sum = 0.0, trail_sum = 0.0;
        const double* b = cells.values(begin);
        for (std::size_t c = begin; c < end; ++c, ++at, ++b) lead_sum += *b * s.rj(at, 0);
        trail_sum = lead_sum * lambda[0](0, 0);
        g[0](0, 0) += lambda[t](0, 0) * lead_sum;
        g[t](0, 0) += trail_sum;
        continue;
      }
      for (std::size_t c = begin; c < end; ++c, at += pt) {
        const Eigen::Map<const Eigen::MatrixXd> b(cells.values(c), pt, p1);
        scaled.noalias() = lambda[t] * s.rj.middleRows(at, pt);
        g[0].noalias() += b.transpose() * scaled;
        product.noalias() = lambda[0] * s.rj.middleRows(at, pt).transpose();
        g[t].noalias() += b * product;
      }
    }
  }

  Eigen::MatrixXd block;
  for (int t = 1; t < a.n_terms(); ++t) {
    const int p = a.terms()[t].p;
    const Eigen::Index offset = factor.coupling().offset[t];
    for (Eigen::Index level = 0; level < a.terms()[t].levels; ++level) {
      inverse.diagonal_block(t, level, block);
      if (p == 1) {
        g[t](0, 0) += a.diagonal(t, level)(0, 0) * lambda[t](0, 0) * block(0, 0);
      } else {
        product.noalias() = lambda[t] * block;
        g[t].noalias() += a.diagonal(t, level) * product;
      }
      if (px > 0)
        g[t].noalias() += a.border(t).block(0, level * p, px, p).transpose() *
                          inverse.t_rx().middleRows(offset + level * p, p).transpose();
    }
    for (int s1 = 1; s1 < t; ++s1) {
      const PairTable& cells = a.pair(s1, t);
      const int ps = a.terms()[s1].p;
      for (int level = 0; level < a.terms()[s1].levels; ++level)
        for (std::size_t c = cells.begin(level); c < cells.end(level); ++c) {
          const Eigen::Map<const Eigen::MatrixXd> cell(cells.values(c), p, ps);
          inverse.cell_block(s1, t, c, level, cells.second(c), block);  // p x ps
          scaled.noalias() = lambda[t] * block;
          g[s1].noalias() += cell.transpose() * scaled;
          product.noalias() = lambda[s1] * block.transpose();
          g[t].noalias() += cell * product;
        }
    }
  }
  return g;
}

}  // namespace partialpool

#endif
