#ifndef PARTIALPOOL_CONDITIONAL_H
#define PARTIALPOOL_CONDITIONAL_H

#include <Eigen/Dense>
#include <vector>

#include "selected_inverse.h"
#include "terms.h"
#include "theta_map.h"

namespace partialpool {

// Covariance of b of each level given the data, over sigma^2: by user term a p^2 x J matrix whose
// columns are p x p blocks. beta_known: lme4's conditional variance; else the uncertainty of beta
// is included (ALGORITHMS 2). The model must have been evaluated at the x wanted.
template <class Model>
std::vector<Eigen::MatrixXd> conditional_covariance(Model& model, bool beta_known) {
  BlockCholesky& factor = model.factor();
  const ThetaMap map = model.map();
  SelectedInverse inverse(factor, !beta_known);
  std::vector<Eigen::MatrixXd> out(model.data().terms.size());
  SelectedInverse::LeadBlocks lead;
  Eigen::MatrixXd block;
  for (std::size_t t = 0; t < model.terms().size(); ++t) {
    const Term& term = model.terms()[t];
    map.for_each_member(t, [&](int user, int, int p) { out[user].resize(p * p, term.levels); });
    for (int level = 0; level < term.levels; ++level) {
      const int internal = map.internal_level(t, level);
      if (t == 0) {
        inverse.lead(internal, lead);
        block = lead.jj;
      } else {
        inverse.diagonal_block(static_cast<int>(t), internal, block);
      }
      block = factor.lambda()[t] * block * factor.lambda()[t].transpose();
      map.for_each_member(t, [&](int user, int start, int p) {
        const Eigen::MatrixXd full = map.sigma_to_user(user, block.block(start, start, p, p));
        out[user].col(level) = Eigen::Map<const Eigen::VectorXd>(full.data(), p * p);
      });
    }
  }
  return out;
}

// A row of new data: x for the fixed effects, and for each user term a level (-1: left out) and z.
struct PredictionRows {
  Eigen::MatrixXd x;               // m x p_x
  std::vector<Eigen::MatrixXd> z;  // by user term, m x p
  std::vector<std::vector<int>> level;
  // Levels beyond those of the fit have effects c'u of the independent effects u: c' by row, for
  // each user term.
  std::vector<Eigen::MatrixXd> loading = {};
};

// Var(x'(beta^ - beta) + z'(b^ - b)) / sigma^2 of each row: the squared norm of a forward solve.
template <class Model>
Eigen::VectorXd prediction_variance(Model& model, const PredictionRows& rows) {
  BlockCholesky& factor = model.factor();
  const ThetaMap map = model.map();
  const CrossProducts& a = factor.cross_products();
  const Coupling& coupling = factor.coupling();
  const int px = a.p_x();
  const Eigen::Index m = rows.x.rows(), batch = 256;
  const Eigen::MatrixXd beta_map = model.standard().beta_map();
  Eigen::VectorXd out = Eigen::VectorXd::Zero(m);
  for (Eigen::Index first = 0; first < m; first += batch) {
    const Eigen::Index count = std::min(batch, m - first);
    Eigen::MatrixXd fixed = beta_map.transpose() * rows.x.middleRows(first, count).transpose();
    Eigen::MatrixXd trailing = Eigen::MatrixXd::Zero(coupling.q, count);
    Eigen::MatrixXd direct = Eigen::MatrixXd::Zero(coupling.q_modes, count);
    for (Eigen::Index i = 0; i < count; ++i)
      for (std::size_t t = 0; t < model.terms().size(); ++t) {
        const Term& term = model.terms()[t];
        Eigen::VectorXd z = Eigen::VectorXd::Zero(term.p);
        int internal = -1, beyond = -1, by = 0;
        map.for_each_member(t, [&](int user, int start, int p) {
          const int level = rows.level[user][first + i];
          if (level < 0) return;
          if (level < term.levels) {
            internal = map.internal_level(t, level);
          } else {
            beyond = level - term.levels;
            by = user;
          }
          const Eigen::MatrixXd& c = model.standard().z_factor(user);
          z.segment(start, p) =
              c.triangularView<Eigen::Lower>().solve(rows.z[user].row(first + i).transpose());
        });
        if (internal < 0 && beyond < 0) continue;
        const Eigen::VectorXd rhs = factor.lambda()[t].transpose() * z;
        if (beyond >= 0) {
          for (Eigen::Index k = 0; k < term.modes(); ++k)
            direct.col(i).segment(coupling.mode_offset[t] + k * term.p, term.p) +=
                rows.loading[by](beyond, k) * rhs;
          continue;
        }
        if (t > 0) {
          trailing.col(i).segment(coupling.offset[t] + static_cast<Eigen::Index>(internal) * term.p,
                                  term.p) += rhs;
          continue;
        }
        const Eigen::VectorXd v =
            factor.lead_factor(internal).triangularView<Eigen::Lower>().solve(rhs);
        out[first + i] += v.squaredNorm();
        fixed.col(i) -= factor.f(internal).topRows(px) * v;
        if (!factor.remainder()) continue;
        const Eigen::VectorXd ev = factor.e(internal) * v;
        for (Eigen::Index r = 0; r < ev.size(); ++r)
          trailing(coupling.row(internal)[r], i) -= ev[r];
      }
    if (factor.remainder()) {
      factor.remainder()->unload(trailing);
      trailing += direct;
      factor.remainder()->solve_lower(trailing);
      fixed -= factor.border().leftCols(px).transpose() * trailing;
      out.segment(first, count) += trailing.colwise().squaredNorm().transpose();
    }
    factor.border_factor().topLeftCorner(px, px).triangularView<Eigen::Lower>().solveInPlace(fixed);
    out.segment(first, count) += fixed.colwise().squaredNorm().transpose();
  }
  return out;
}

}  // namespace partialpool

#endif
