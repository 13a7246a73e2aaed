#ifndef PARTIALPOOL_INFORMATION_H
#define PARTIALPOOL_INFORMATION_H

#include <Eigen/Dense>
#include <algorithm>
#include <cmath>
#include <vector>

#include "block_cholesky.h"
#include "small_matrix.h"
#include "solution.h"
#include "terms.h"

namespace partialpool {

// Working variables f = Z_t (I x Delta) w_t, each given by its term and by v_t = Delta w_t
// (p_t x modes); all are handled together, so that the factor is walked through once.
struct WorkingVariables {
  std::vector<int> term;
  std::vector<Eigen::MatrixXd> v;
  int count() const { return static_cast<int>(term.size()); }
  // The same with v by level.
  WorkingVariables by_level(const CrossProducts& a) const {
    WorkingVariables out;
    out.term = term;
    Eigen::MatrixXd buffer;
    for (int h = 0; h < count(); ++h) out.v.push_back(loaded(a.terms()[term[h]], v[h], buffer));
    return out;
  }
};

// F'PF for the working variables (k x k): F'WF less the squared forward solve (ALGORITHMS 4.1).
inline Eigen::MatrixXd working_products(BlockCholesky& factor, const WorkingVariables& given) {
  const CrossProducts& a = factor.cross_products();
  WorkingVariables loaded_variables;
  const bool any_loading = KernelRemainder::applies(a);
  if (any_loading) loaded_variables = given.by_level(a);
  const WorkingVariables& f = any_loading ? loaded_variables : given;
  const Coupling& coupling = factor.coupling();
  const int k = f.count(), px = a.p_x();
  const Term& lead = a.terms()[0];
  const int p1 = lead.p;

  // Z_R'WF, X'WF and, level by level, Z_1'WF.
  Eigen::MatrixXd trailing = Eigen::MatrixXd::Zero(coupling.q, k);
  Eigen::MatrixXd fixed = Eigen::MatrixXd::Zero(px, k);
  Eigen::MatrixXd products = Eigen::MatrixXd::Zero(k, k);
  for (int h = 0; h < k; ++h) {
    const int t = f.term[h];
    fixed.col(h).noalias() =
        a.border(t).topRows(px) * Eigen::Map<const Eigen::VectorXd>(f.v[h].data(), f.v[h].size());
    if (t == 0) continue;
    const int p = a.terms()[t].p;
    for (Eigen::Index level = 0; level < a.terms()[t].levels; ++level)
      trailing.col(h).segment(coupling.offset[t] + level * p, p).noalias() +=
          a.diagonal(t, level) * f.v[h].col(level);
    for (int s = 1; s < a.n_terms(); ++s) {
      if (s == t) continue;
      const int lo = std::min(s, t), hi = std::max(s, t);
      const PairTable& cells = a.pair(lo, hi);
      const int p_lo = a.terms()[lo].p, p_hi = a.terms()[hi].p;
      for (int level = 0; level < a.terms()[lo].levels; ++level)
        for (std::size_t c = cells.begin(level); c < cells.end(level); ++c) {
          const Eigen::Map<const Eigen::MatrixXd> b(cells.values(c), p_hi, p_lo);
          const int other = cells.second(c);
          if (t == lo)
            trailing.col(h)
                .segment(coupling.offset[hi] + static_cast<Eigen::Index>(other) * p_hi, p_hi)
                .noalias() += b * f.v[h].col(level);
          else
            trailing.col(h)
                .segment(coupling.offset[lo] + static_cast<Eigen::Index>(level) * p_lo, p_lo)
                .noalias() += b.transpose() * f.v[h].col(other);
        }
    }
  }

  // Leading levels: Z_1'WF (p1 x k) of the level, its forward solve, and what it hands on.
  Eigen::MatrixXd scattered = Eigen::MatrixXd::Zero(coupling.q, k);  // Z_R'W Z_1 v_1
  Eigen::MatrixXd handed = Eigen::MatrixXd::Zero(coupling.q, k);     // sum E_j a_j
  Eigen::MatrixXd lead_f(p1, k), lead_v = Eigen::MatrixXd::Zero(p1, k), lead_a(p1, k);
  for (Eigen::Index j = 0; j < lead.levels; ++j) {
    lead_f.setZero();
    for (int h = 0; h < k; ++h)
      if (f.term[h] == 0) {
        lead_v.col(h) = f.v[h].col(j);
        lead_f.col(h).noalias() += a.diagonal(0, j) * lead_v.col(h);
      }
    if (factor.remainder()) {
      for (int t = 1; t < a.n_terms(); ++t) {
        const PairTable& cells = a.pair(0, t);
        const int p = a.terms()[t].p;
        for (std::size_t c = cells.begin(static_cast<int>(j)); c < cells.end(static_cast<int>(j));
             ++c) {
          const double* b = cells.values(c);
          const Eigen::Index level = cells.second(c), at = coupling.offset[t] + level * p;
          for (int h = 0; h < k; ++h) {
            if (f.term[h] == t) {
              const double* v = f.v[h].data() + level * p;
              for (int q = 0; q < p1; ++q)
                for (int r = 0; r < p; ++r) lead_f(q, h) += b[q * p + r] * v[r];
            } else if (f.term[h] == 0) {
              for (int q = 0; q < p1; ++q)
                for (int r = 0; r < p; ++r) scattered(at + r, h) += b[q * p + r] * lead_v(q, h);
            }
          }
        }
      }
    }
    products.noalias() += lead_v.transpose() * lead_f;
    lead_a.noalias() = factor.lambda()[0].transpose() * lead_f;
    solve_small(factor.lead_factor(j).data(), p1, lead_a.data(), k);
    products.noalias() -= lead_a.transpose() * lead_a;
    fixed.noalias() -= factor.f(j).topRows(px) * lead_a;
    if (factor.remainder()) {
      const auto e = factor.e(j);
      const int* rows = coupling.row(j);
      for (int h = 0; h < k; ++h)
        for (int q = 0; q < p1; ++q) {
          const double x = lead_a(q, h);
          for (Eigen::Index i = 0; i < e.rows(); ++i) handed(rows[i], h) += e(i, q) * x;
        }
    }
  }

  if (factor.remainder()) {
    trailing += scattered;
    for (int h = 0; h < k; ++h) {
      const int t = f.term[h];
      if (t == 0) continue;
      const Eigen::Map<const Eigen::VectorXd> v(f.v[h].data(), f.v[h].size());
      products.row(h) += v.transpose() * trailing.middleRows(coupling.offset[t], v.size());
    }
    Eigen::MatrixXd rhs(coupling.q, k);
    for (int t = 1; t < a.n_terms(); ++t) {
      const int p = a.terms()[t].p;
      for (Eigen::Index level = 0; level < a.terms()[t].levels; ++level) {
        const Eigen::Index at = coupling.offset[t] + level * p;
        rhs.middleRows(at, p).noalias() =
            factor.lambda()[t].transpose() * trailing.middleRows(at, p);
      }
    }
    rhs -= handed;
    factor.remainder()->unload(rhs);
    factor.remainder()->solve_lower(rhs);
    products.noalias() -= rhs.transpose() * rhs;
    fixed.noalias() -= factor.border().leftCols(px).transpose() * rhs;
  }
  factor.border_factor().topLeftCorner(px, px).triangularView<Eigen::Lower>().solveInPlace(fixed);
  products.noalias() -= fixed.transpose() * fixed;
  return 0.5 * (products + products.transpose());
}

// Working variables of every covariance direction of every term, d = w' (dSigma) w of each, and the
// map from the optimiser's parameters to the directions.
struct CovarianceDirections {
  WorkingVariables f;
  std::vector<double> d;
  Eigen::MatrixXd jacobian;

  CovarianceDirections(const CrossProducts& a, const ModelData& data, const double* x, int n_theta,
                       const std::vector<Eigen::MatrixXd>& w_by_term)
      : jacobian(Eigen::MatrixXd::Zero(0, n_theta)) {
    for (int t = 0; t < a.n_terms(); ++t)
      for_each_block(data, a.terms()[t], [&](const CovarianceBlock& b, int at, int start) {
        const Eigen::MatrixXd w = w_by_term[t].middleRows(start, b.size());
        const std::vector<Eigen::MatrixXd> directions = b.directions(x + at);
        for (const Eigen::MatrixXd& direction : directions) {
          Eigen::MatrixXd v = Eigen::MatrixXd::Zero(a.terms()[t].p, w.cols());
          v.middleRows(start, b.size()).noalias() = direction * w;
          d.push_back(w.cwiseProduct(v.middleRows(start, b.size())).sum());
          f.term.push_back(t);
          f.v.push_back(std::move(v));
        }
        const Eigen::Index rows = jacobian.rows(),
                           more = static_cast<Eigen::Index>(directions.size());
        jacobian.conservativeResize(rows + more, Eigen::NoChange);
        jacobian.bottomRows(more).setZero();
        jacobian.block(rows, at, more, b.n_parameters()) = b.direction_jacobian(x + at);
      });
  }
};

// J' (F'PF / sigma^2 - d d' / (nu sigma^4)) J, over the optimiser's parameters; the second term is
// there only if sigma^2 is profiled.
inline Eigen::MatrixXd average_information(BlockCholesky& factor,
                                           const std::vector<Eigen::MatrixXd>& w,
                                           const ModelData& data, const double* x, int n_theta,
                                           double sigma2, double nu, bool profiled) {
  const CovarianceDirections c(factor.cross_products(), data, x, n_theta, w);
  Eigen::MatrixXd information = working_products(factor, c.f) / sigma2;
  if (profiled) {
    const Eigen::Map<const Eigen::VectorXd> d(c.d.data(), static_cast<Eigen::Index>(c.d.size()));
    information.noalias() -= d * d.transpose() / (nu * sigma2 * sigma2);
  }
  return c.jacobian.transpose() * information * c.jacobian;
}

// D = 1/2 G Lambda^-1, the derivative by Sigma on the range of Lambda.
inline Eigen::MatrixXd variance_derivative(const Eigen::MatrixXd& g,
                                           const Eigen::MatrixXd& lambda) {
  if (lambda.rows() == 1)
    return Eigen::MatrixXd::Constant(
        1, 1, std::fabs(lambda(0, 0)) > 1e-150 ? 0.5 * g(0, 0) / lambda(0, 0) : 0.0);
  const Eigen::JacobiSVD<Eigen::MatrixXd> svd(lambda, Eigen::ComputeFullU | Eigen::ComputeFullV);
  const Eigen::VectorXd w = svd.singularValues();
  const double cut = 1e-11 * std::max(w[0], 1e-300);
  Eigen::VectorXd inverse = Eigen::VectorXd::Zero(w.size());
  Eigen::VectorXd range = Eigen::VectorXd::Zero(w.size());
  for (Eigen::Index i = 0; i < w.size(); ++i)
    if (w[i] > cut) {
      inverse[i] = 1.0 / w[i];
      range[i] = 1.0;
    }
  const Eigen::MatrixXd half =
      0.5 * g * svd.matrixV() * inverse.asDiagonal() * svd.matrixU().transpose();
  if (range.minCoeff() > 0.0) return 0.5 * (half + half.transpose());
  const Eigen::MatrixXd onto = svd.matrixU() * range.asDiagonal() * svd.matrixU().transpose();
  const Eigen::MatrixXd d = half + half.transpose() - onto * half * onto;
  return 0.5 * (d + d.transpose());
}

// Adds the chain term tr(D d2Sigma) of every block (ALGORITHMS 4.1), D the derivative by Sigma.
inline void add_chain_terms(const CrossProducts& a, const std::vector<Eigen::MatrixXd>& lambda,
                            const ModelData& data, const double* x,
                            const std::vector<Eigen::MatrixXd>& g, Eigen::MatrixXd& h) {
  for (int t = 0; t < a.n_terms(); ++t)
    for_each_block(data, a.terms()[t], [&](const CovarianceBlock& b, int at, int start) {
      const int p = b.size(), k = b.n_parameters();
      const Eigen::MatrixXd d =
          variance_derivative(g[t].block(start, start, p, p), lambda[t].block(start, start, p, p));
      b.add_second_order(x + at, d, h.block(at, at, k, k));
    });
}

}  // namespace partialpool

#endif
