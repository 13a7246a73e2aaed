#ifndef PARTIALPOOL_SOLUTION_H
#define PARTIALPOOL_SOLUTION_H

#include <Eigen/Dense>
#include <vector>

#include "block_cholesky.h"
#include "small_matrix.h"

namespace partialpool {

// Solution of the penalised least squares problem at one Lambda, standardised coordinates:
// beta, the spherical modes u (p_t x modes by term), and w = Z'W(y - X beta - Z Lambda u) = Z'Py,
// in which Z is Z C for a term with a loading.
struct Solution {
  Eigen::VectorXd beta;
  std::vector<Eigen::MatrixXd> u, w;
  double r2 = 0.0;
};

// z += A_tt v and couplings: Z'WZ v for a vector given by term (p_t x modes blocks).
inline std::vector<Eigen::MatrixXd> multiply_zz(const CrossProducts& a,
                                                const std::vector<Eigen::MatrixXd>& given) {
  std::vector<Eigen::MatrixXd> out, buffer(given.size());
  std::vector<const Eigen::MatrixXd*> v;
  for (int t = 0; t < a.n_terms(); ++t) v.push_back(&loaded(a.terms()[t], given[t], buffer[t]));
  for (int t = 0; t < a.n_terms(); ++t) {
    const int p = a.terms()[t].p;
    const Eigen::MatrixXd& vt = *v[t];
    Eigen::MatrixXd o(p, a.terms()[t].levels);
    if (p == 1) {
      for (Eigen::Index j = 0; j < o.cols(); ++j) o(0, j) = a.diagonal(t, j)(0, 0) * vt(0, j);
    } else {
      for (Eigen::Index j = 0; j < o.cols(); ++j) o.col(j).noalias() = a.diagonal(t, j) * vt.col(j);
    }
    out.push_back(std::move(o));
  }
  for (int s = 0; s < a.n_terms(); ++s)
    for (int t = s + 1; t < a.n_terms(); ++t) {
      const PairTable& cells = a.pair(s, t);
      const int ps = a.terms()[s].p, pt = a.terms()[t].p;
      const Eigen::MatrixXd &vs = *v[s], &vt = *v[t];
      for (int j = 0; j < a.terms()[s].levels; ++j)
        for (std::size_t c = cells.begin(j); c < cells.end(j); ++c) {
          const double* b = cells.values(c);
          const int k = cells.second(c);
          for (int q = 0; q < ps; ++q)
            for (int r = 0; r < pt; ++r) {
              out[t](r, k) += b[q * pt + r] * vs(q, j);
              out[s](q, j) += b[q * pt + r] * vt(r, k);
            }
        }
    }
  for (int t = 0; t < a.n_terms(); ++t)
    if (a.terms()[t].loading) out[t] = unloaded(a.terms()[t], std::move(out[t]));
  return out;
}

inline Solution solve(BlockCholesky& factor) {
  const CrossProducts& a = factor.cross_products();
  const int p = a.p_x(), m = a.m();
  Solution s;
  s.r2 = factor.r2();
  // L_S' v = e_last; then (u_R, beta) = -v / v_last (ALGORITHMS 2).
  const Eigen::MatrixXd& l = factor.border_factor();
  s.beta = l.topLeftCorner(p, p).triangularView<Eigen::Lower>().transpose().solve(
      l.row(p).head(p).transpose());
  Eigen::VectorXd contrast(m);
  contrast << -s.beta, 1.0;  // y - X beta, as a combination of [X y]
  if (a.n_terms() == 0) return s;

  Eigen::MatrixXd modes_r, u_r;  // of the trailing terms: independent effects, by level
  if (factor.remainder()) {
    modes_r = factor.border() * contrast;
    factor.remainder()->solve_lower_transposed(modes_r);
    u_r = modes_r;
    factor.remainder()->load(u_r);
  }
  const Term& lead = a.terms()[0];
  Eigen::MatrixXd u1(lead.p, lead.levels);
  Eigen::VectorXd rhs(lead.p);
  const Coupling& coupling = factor.coupling();
  for (Eigen::Index j = 0; j < lead.levels; ++j) {
    rhs.noalias() = factor.f(j).transpose() * contrast;
    if (factor.remainder()) {
      const auto e = factor.e(j);
      const int* rows = coupling.row(j);
      for (int c = 0; c < lead.p; ++c)
        for (Eigen::Index i = 0; i < e.rows(); ++i) rhs[c] -= e(i, c) * u_r(rows[i], 0);
    }
    solve_small_transposed(factor.lead_factor(j).data(), lead.p, rhs.data(), 1);
    u1.col(j) = rhs;
  }
  s.u.push_back(std::move(u1));
  for (int t = 1; t < a.n_terms(); ++t)
    s.u.push_back(Eigen::Map<const Eigen::MatrixXd>(modes_r.data() + coupling.mode_offset[t],
                                                    a.terms()[t].p, a.terms()[t].modes()));
  std::vector<Eigen::MatrixXd> b;
  for (int t = 0; t < a.n_terms(); ++t) b.push_back(factor.lambda()[t] * s.u[t]);
  const std::vector<Eigen::MatrixXd> zzb = multiply_zz(a, b);
  for (int t = 0; t < a.n_terms(); ++t) {
    const Eigen::RowVectorXd cross = contrast.transpose() * a.border(t);
    s.w.push_back(unloaded(a.terms()[t], Eigen::Map<const Eigen::MatrixXd>(
                                             cross.data(), a.terms()[t].p, a.terms()[t].levels)) -
                  zzb[t]);
  }
  return s;
}

// Solves the factored system in place: over u alone, or with `x` over (u, beta).
inline void solve_system(BlockCholesky& factor, std::vector<Eigen::MatrixXd>& u,
                         Eigen::VectorXd* x = nullptr) {
  const CrossProducts& a = factor.cross_products();
  const Coupling& coupling = factor.coupling();
  const int px = a.p_x();
  const auto l_x = factor.border_factor().topLeftCorner(px, px).triangularView<Eigen::Lower>();
  if (a.n_terms() == 0) {
    if (x) {
      l_x.solveInPlace(*x);
      l_x.transpose().solveInPlace(*x);
    }
    return;
  }
  const int levels = a.terms()[0].levels, p1 = a.terms()[0].p;
  Eigen::MatrixXd u_r(coupling.q_modes, 1), from_lead;
  for (int t = 1; t < a.n_terms(); ++t)
    u_r.col(0).segment(coupling.mode_offset[t], u[t].size()) =
        Eigen::Map<const Eigen::VectorXd>(u[t].data(), u[t].size());
  if (factor.remainder()) from_lead.setZero(coupling.q, 1);
  for (Eigen::Index j = 0; j < levels; ++j) {
    auto v = u[0].col(j);
    solve_small(factor.lead_factor(j).data(), p1, v.data(), 1);
    if (x) x->noalias() -= factor.f(j).topRows(px) * v;
    if (!factor.remainder()) continue;
    const auto e = factor.e(j);
    const int* rows = coupling.row(j);
    for (int k = 0; k < p1; ++k)
      for (Eigen::Index i = 0; i < e.rows(); ++i) from_lead(rows[i], 0) += e(i, k) * v[k];
  }
  if (factor.remainder()) {
    factor.remainder()->unload(from_lead);
    u_r -= from_lead;
    factor.remainder()->solve_lower(u_r);
  }
  if (x) {
    if (factor.remainder()) x->noalias() -= factor.border().leftCols(px).transpose() * u_r;
    l_x.solveInPlace(*x);
    l_x.transpose().solveInPlace(*x);
    if (factor.remainder()) u_r.noalias() -= factor.border().leftCols(px) * *x;
  }
  Eigen::MatrixXd by_level;
  if (factor.remainder()) {
    factor.remainder()->solve_lower_transposed(u_r);
    by_level = u_r;
    factor.remainder()->load(by_level);
  }
  for (Eigen::Index j = 0; j < levels; ++j) {
    auto v = u[0].col(j);
    if (x) v.noalias() -= factor.f(j).topRows(px).transpose() * *x;
    if (factor.remainder()) {
      const auto e = factor.e(j);
      const int* rows = coupling.row(j);
      for (int k = 0; k < p1; ++k)
        for (Eigen::Index i = 0; i < e.rows(); ++i) v[k] -= e(i, k) * by_level(rows[i], 0);
    }
    solve_small_transposed(factor.lead_factor(j).data(), p1, v.data(), 1);
  }
  for (int t = 1; t < a.n_terms(); ++t)
    u[t] = Eigen::Map<const Eigen::MatrixXd>(u_r.data() + coupling.mode_offset[t], u[t].rows(),
                                             u[t].cols());
}

// Z_t'V^-1 X c by term (p_t x modes) = Z'WXc - Z'WZ Lambda M^-1 Lambda'Z'WXc.
inline std::vector<Eigen::MatrixXd> apply_zv(BlockCholesky& factor, const Eigen::VectorXd& c) {
  const CrossProducts& a = factor.cross_products();
  std::vector<Eigen::MatrixXd> rhs, b;
  for (int t = 0; t < a.n_terms(); ++t) {
    const Eigen::RowVectorXd cross = c.transpose() * a.border(t).topRows(a.p_x());
    rhs.push_back(unloaded(a.terms()[t], Eigen::Map<const Eigen::MatrixXd>(
                                             cross.data(), a.terms()[t].p, a.terms()[t].levels)));
    b.push_back(factor.lambda()[t].transpose() * rhs[t]);
  }
  solve_system(factor, b);
  for (int t = 0; t < a.n_terms(); ++t) b[t] = (factor.lambda()[t] * b[t]).eval();
  const std::vector<Eigen::MatrixXd> zzb = multiply_zz(a, b);
  for (int t = 0; t < a.n_terms(); ++t) rhs[t] -= zzb[t];
  return rhs;
}

}  // namespace partialpool

#endif
