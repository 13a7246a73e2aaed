#ifndef PARTIALPOOL_SELECTED_INVERSE_H
#define PARTIALPOOL_SELECTED_INVERSE_H

#include <Eigen/Dense>
#include <vector>

#include "block_cholesky.h"
#include "small_matrix.h"

namespace partialpool {

// The inverse S^- of the factored matrix over (u, beta) [with_beta] or over u alone, on the pattern
// of the cross-products, visited block by block (ALGORITHMS 3). Nothing is stored for the leading
// term: its blocks are formed level by level from those of the remainder. With H = L_RR^-T L_XR'
// L_XX^-T the blocks over (R, X) are S_RR^-1 + H H', -H L_XX^-1 and L_XX^-T L_XX^-1.
class SelectedInverse {
 public:
  SelectedInverse(BlockCholesky& factor, bool with_beta)
      : factor_(factor), a_(factor.cross_products()), px_(with_beta ? a_.p_x() : 0) {
    lx_inverse_ =
        factor.border_factor().topLeftCorner(px_, px_).triangularView<Eigen::Lower>().solve(
            Eigen::MatrixXd::Identity(px_, px_));
    if (!factor.remainder()) return;
    factor.remainder()->invert(factor.e_data());
    Eigen::MatrixXd h = factor.border().leftCols(px_) * lx_inverse_.transpose();
    if (px_ > 0) factor.remainder()->solve_lower_transposed(h);
    factor.remainder()->load(h);
    h_ = h.transpose();
  }

  int columns_x() const { return px_; }

  Eigen::MatrixXd beta_beta() const { return lx_inverse_.transpose() * lx_inverse_; }

  // Blocks of one leading level: S^-_rj (count x p), S^-_Xj (p_x x p), S^-_jj (p x p).
  struct LeadBlocks {
    Eigen::MatrixXd rj, xj, jj;
  };
  void lead(Eigen::Index j, LeadBlocks& out) {
    const int p = a_.terms()[0].p;
    if (p == 1 && px_ == 0) return lead_scalar(j, out);
    const auto fx = factor_.f(j).topRows(px_);
    const bool coupled = factor_.remainder() != nullptr;
    const Eigen::Index count = coupled ? static_cast<Eigen::Index>(factor_.coupling().count(j)) : 0;
    // K = H_r' E_j - L_XX^-1 F_j, through which beta enters every block.
    k_.noalias() = lx_inverse_ * fx;
    k_ *= -1.0;
    out.rj.resize(count, p);
    if (coupled) {
      const auto e = factor_.e(j);
      const int* rows = factor_.coupling().row(j);
      factor_.remainder()->multiply(j, e.data(), out.rj.data());
      for (int c = 0; c < p && px_ > 0; ++c) {
        for (Eigen::Index i = 0; i < count; ++i) k_.col(c) += e(i, c) * h_.col(rows[i]);
        for (Eigen::Index i = 0; i < count; ++i) out.rj(i, c) += h_.col(rows[i]).dot(k_.col(c));
      }
      out.jj.noalias() = e.transpose() * out.rj;
    } else {
      out.jj.setZero(p, p);
    }
    out.xj.noalias() = lx_inverse_.transpose() * k_;
    out.xj *= -1.0;
    out.jj.noalias() += fx.transpose() * out.xj;
    out.jj.diagonal().array() += 1.0;
    // -N L^-1 and L^-T (I + E'N) L^-1
    const double* l = factor_.lead_factor(j).data();
    solve_small_right(l, p, out.rj.data(), count);
    solve_small_right(l, p, out.xj.data(), px_);
    out.rj *= -1.0;
    out.xj *= -1.0;
    solve_small_right(l, p, out.jj.data(), p);
    solve_small_transposed(l, p, out.jj.data(), p);
  }

  // Blocks among trailing levels, and of a trailing level with beta (p x p_x).
  void diagonal_block(int t, Eigen::Index level, Eigen::MatrixXd& out) const {
    factor_.remainder()->diagonal_block(t, level, out);
    const auto h = level_h(t, level);
    if (px_ > 0) out.noalias() += h.transpose() * h;
  }
  void cell_block(int a, int b, std::size_t cell, Eigen::Index la, Eigen::Index lb,
                  Eigen::MatrixXd& out) const {
    factor_.remainder()->cell_block(a, b, cell, la, lb, out);
    if (px_ > 0) out.noalias() += level_h(b, lb).transpose() * level_h(a, la);
  }
  void beta_block(int t, Eigen::Index level, Eigen::MatrixXd& out) const {
    out.noalias() = level_h(t, level).transpose() * lx_inverse_;
    out *= -1.0;
  }

 private:
  // One random effect a level and no beta, the usual case of a GLMM: Eigen's products would cost
  // more than the arithmetic.
  void lead_scalar(Eigen::Index j, LeadBlocks& out) {
    const double inverse = 1.0 / factor_.lead_factor(j)(0, 0);
    double sum = 1.0;
    Eigen::Index count = 0;
    if (factor_.remainder()) {
      count = static_cast<Eigen::Index>(factor_.coupling().count(j));
      const double* e = factor_.e(j).data();
      out.rj.resize(count, 1);
      factor_.remainder()->multiply(j, e, out.rj.data());
      for (Eigen::Index i = 0; i < count; ++i) {
        sum += e[i] * out.rj(i, 0);
        out.rj(i, 0) *= -inverse;
      }
    }
    out.rj.resize(count, 1);
    out.xj.resize(0, 1);
    out.jj.resize(1, 1);
    out.jj(0, 0) = sum * inverse * inverse;
  }

  Eigen::Block<const Eigen::MatrixXd, Eigen::Dynamic, Eigen::Dynamic, true> level_h(
      int t, Eigen::Index level) const {
    const int p = a_.terms()[t].p;
    return h_.middleCols(factor_.coupling().offset[t] + level * p, p);
  }

  BlockCholesky& factor_;
  const CrossProducts& a_;
  int px_;
  Eigen::MatrixXd lx_inverse_, h_, k_;  // h_ is H', p_x x q_R
};

// Sum over levels of [A Lambda S^-]_tt for every term: the trace part of the gradient.
inline std::vector<Eigen::MatrixXd> inverse_products(BlockCholesky& factor,
                                                     SelectedInverse& inverse) {
  const CrossProducts& a = factor.cross_products();
  const std::vector<Eigen::MatrixXd>& lambda = factor.lambda();
  std::vector<Eigen::MatrixXd> g;
  for (int t = 0; t < a.n_terms(); ++t)
    g.push_back(Eigen::MatrixXd::Zero(a.terms()[t].p, a.terms()[t].p));
  if (a.n_terms() == 0) return g;
  const int px = inverse.columns_x();
  const Term& lead = a.terms()[0];
  const int p1 = lead.p;

  SelectedInverse::LeadBlocks s;
  Eigen::MatrixXd scaled, product;
  for (Eigen::Index j = 0; j < lead.levels; ++j) {
    inverse.lead(j, s);
    if (p1 == 1)
      g[0](0, 0) += a.diagonal(0, j)(0, 0) * lambda[0](0, 0) * s.jj(0, 0);
    else
      g[0].noalias() += a.diagonal(0, j) * (lambda[0] * s.jj);
    if (px > 0) g[0].noalias() += a.border(0).block(0, j * p1, px, p1).transpose() * s.xj;
    Eigen::Index at = 0;
    for (int t = 1; t < a.n_terms(); ++t) {
      const PairTable& cells = a.pair(0, t);
      const int pt = a.terms()[t].p;
      const std::size_t begin = cells.begin(static_cast<int>(j)),
                        end = cells.end(static_cast<int>(j));
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
    for (Eigen::Index level = 0; level < a.terms()[t].levels; ++level) {
      inverse.diagonal_block(t, level, block);
      if (p == 1) {
        g[t](0, 0) += a.diagonal(t, level)(0, 0) * lambda[t](0, 0) * block(0, 0);
      } else {
        product.noalias() = lambda[t] * block;
        g[t].noalias() += a.diagonal(t, level) * product;
      }
      if (px > 0) {
        inverse.beta_block(t, level, block);
        g[t].noalias() += a.border(t).block(0, level * p, px, p).transpose() * block.transpose();
      }
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
