#ifndef PARTIALPOOL_MIVQUE_H
#define PARTIALPOOL_MIVQUE_H

#include <Eigen/Dense>
#include <algorithm>
#include <cmath>
#include <vector>

#include "cross_products.h"
#include "terms.h"

namespace partialpool {

// MIVQUE(0): variance components by one linear system, from the cross-products alone (ALGORITHMS
// 5). One component for each (term, z column); returns their ratios to the residual variance. The
// levels of every term are taken as independent.
inline std::vector<Eigen::VectorXd> mivque0(const CrossProducts& a, Eigen::Index n) {
  const int px = a.p_x(), terms = a.n_terms();
  std::vector<int> first(terms + 1, 0);
  for (int t = 0; t < terms; ++t) first[t + 1] = first[t] + a.terms()[t].p;
  const int c = first[terms];

  // X_i = L^-1 X'WZ_i and Z_i'N y with N = W - WX(X'WX)^-1X'W.
  const Eigen::LLT<Eigen::MatrixXd> llt(a.xy().topLeftCorner(px, px));
  const Eigen::VectorXd xy = llt.matrixL().solve(a.xy().col(px).head(px));
  std::vector<Eigen::MatrixXd> x(terms);
  std::vector<Eigen::MatrixXd> gram(c);  // X_i X_i'
  Eigen::VectorXd trace(c), ny2(c);
  Eigen::MatrixXd squares = Eigen::MatrixXd::Zero(c, c);  // ||Z_i'N Z_j||_F^2
  for (int t = 0; t < terms; ++t) {
    x[t] = a.border(t).topRows(px);
    if (x[t].size() > 0) llt.matrixL().solveInPlace(x[t]);  // a term may be without levels
    const int p = a.terms()[t].p, levels = a.terms()[t].levels;
    for (int i = 0; i < p; ++i) {
      Eigen::MatrixXd xi(px, levels);
      double zz = 0.0, zny = 0.0;
      for (int j = 0; j < levels; ++j) {
        const Eigen::Index at = static_cast<Eigen::Index>(j) * p + i;
        xi.col(j) = x[t].col(at);
        zz += a.diagonal(t, j)(i, i);
        const double v = a.border(t)(px, at) - xi.col(j).dot(xy);
        zny += v * v;
      }
      gram[first[t] + i] = xi * xi.transpose();
      trace[first[t] + i] = zz - xi.squaredNorm();
      ny2[first[t] + i] = zny;
    }
  }
  const auto cell = [](double value, double cross) { return value * value - 2.0 * value * cross; };
  for (int t = 0; t < terms; ++t) {
    const int p = a.terms()[t].p;
    for (int j = 0; j < a.terms()[t].levels; ++j) {
      const auto xj = x[t].middleCols(static_cast<Eigen::Index>(j) * p, p);
      for (int i = 0; i < p; ++i)
        for (int k = 0; k <= i; ++k)
          squares(first[t] + i, first[t] + k) +=
              cell(a.diagonal(t, j)(i, k), xj.col(i).dot(xj.col(k)));
    }
    for (int s = 0; s < t; ++s) {
      const PairTable& cells = a.pair(s, t);
      const int ps = a.terms()[s].p;
      for (int level = 0; level < a.terms()[s].levels; ++level)
        for (std::size_t q = cells.begin(level); q < cells.end(level); ++q) {
          const Eigen::Map<const Eigen::MatrixXd> b(cells.values(q), p, ps);
          for (int k = 0; k < ps; ++k)
            for (int i = 0; i < p; ++i)
              squares(first[t] + i, first[s] + k) +=
                  cell(b(i, k), x[t].col(static_cast<Eigen::Index>(cells.second(q)) * p + i)
                                    .dot(x[s].col(static_cast<Eigen::Index>(level) * ps + k)));
        }
    }
  }
  Eigen::MatrixXd system(c + 1, c + 1);
  Eigen::VectorXd rhs(c + 1);
  for (int i = 0; i < c; ++i)
    for (int k = 0; k <= i; ++k)
      system(i, k) = system(k, i) = squares(i, k) + gram[i].cwiseProduct(gram[k]).sum();
  const double residual = a.xy()(px, px) - xy.squaredNorm();
  system.row(c).head(c) = trace.transpose();
  system.col(c).head(c) = trace;
  system(c, c) = static_cast<double>(n - px);
  rhs << ny2, residual;
  // Unit diagonal first: components differ by orders of magnitude in size.
  const Eigen::VectorXd scale = system.diagonal().cwiseMax(1e-300).cwiseSqrt().cwiseInverse();
  const Eigen::MatrixXd scaled = scale.asDiagonal() * system * scale.asDiagonal();
  Eigen::VectorXd v = scaled.completeOrthogonalDecomposition().solve(scale.cwiseProduct(rhs));
  v = v.cwiseProduct(scale);

  double ve = v[c];
  const double total = residual / std::max<double>(1.0, static_cast<double>(n - px));
  if (!(ve > 0.0) || !std::isfinite(ve)) ve = 0.5 * total;
  std::vector<Eigen::VectorXd> out;
  for (int t = 0; t < terms; ++t) {
    Eigen::VectorXd ratio = v.segment(first[t], a.terms()[t].p) / ve;
    if (a.terms()[t].loading) {
      // Its z is in units of the mean variance of the rows, which the loading brings back to 1.
      Eigen::VectorXd sums = Eigen::VectorXd::Zero(ratio.size());
      for (int j = 0; j < a.terms()[t].levels; ++j) sums += a.diagonal(t, j).diagonal();
      ratio = ratio.cwiseProduct(sums / static_cast<double>(n)).eval();
    }
    for (Eigen::Index i = 0; i < ratio.size(); ++i)
      ratio[i] = std::isfinite(ratio[i]) ? std::min(std::max(ratio[i], 1e-3), 1e4) : 1.0;
    out.push_back(ratio);
  }
  return out;
}

inline Eigen::VectorXd mivque_start(const ModelData& data, const CrossProducts& a) {
  Eigen::VectorXd x(n_parameters(data));
  const std::vector<Eigen::VectorXd> ratio = mivque0(a, data.n);
  for (int t = 0; t < a.n_terms(); ++t)
    for_each_block(data, a.terms()[t], [&](const CovarianceBlock& b, int at, int start) {
      const Eigen::VectorXd s = ratio[t].segment(start, b.size()).cwiseSqrt();
      x.segment(at, b.n_parameters()) = b.parameters(s, 0.0);
    });
  return x;
}

}  // namespace partialpool

#endif
