#ifndef PARTIALPOOL_LEVERAGES_H
#define PARTIALPOOL_LEVERAGES_H

#include <Eigen/Dense>
#include <vector>

#include "mixed_rows.h"
#include "selected_inverse.h"

namespace partialpool {

// h_i = y_i' S^- y_i with y_i = (Lambda'z_i, x_i): the variance of the linear predictor of each row
// given the factor, with beta if the inverse has it (ALGORITHMS 8.3).
inline Eigen::VectorXd leverages(const MixedRows& rows, BlockCholesky& factor,
                                 SelectedInverse& inverse) {
  const CrossProducts& a = factor.cross_products();
  const std::vector<Eigen::MatrixXd>& lambda = factor.lambda();
  const int terms = rows.n_terms(), px = inverse.columns_x();
  Eigen::VectorXd h = Eigen::VectorXd::Zero(rows.n()), product;
  if (px > 0) {
    const Eigen::MatrixXd xx = inverse.beta_beta();
    for (Eigen::Index i = 0; i < rows.n(); ++i) {
      product.noalias() = xx * rows.x().col(i);
      h[i] = rows.x().col(i).dot(product);
    }
  }
  if (terms == 0) return h;

  // Blocks of trailing levels and cells in the coordinates of z.
  Eigen::MatrixXd block;
  for (int t = 1; t < terms; ++t) {
    const int p = a.terms()[t].p, levels = a.terms()[t].levels;
    Eigen::MatrixXd diagonal(p * p, levels), beta(px * p, levels);
    for (int l = 0; l < levels; ++l) {
      inverse.diagonal_block(t, l, block);
      Eigen::Map<Eigen::MatrixXd>(diagonal.col(l).data(), p, p) =
          lambda[t] * block * lambda[t].transpose();
      if (px == 0) continue;
      inverse.beta_block(t, l, block);
      Eigen::Map<Eigen::MatrixXd>(beta.col(l).data(), p, px) = 2.0 * lambda[t] * block;
    }
    for (Eigen::Index i = 0; i < rows.n(); ++i) {
      const int l = rows.level(t, i);
      const double* d = diagonal.data() + static_cast<Eigen::Index>(l) * p * p;
      const double* z = rows.z(t, i);
      if (p == 1) {
        h[i] += z[0] * z[0] * d[0];
      } else {
        for (int c = 0; c < p; ++c)
          for (int r = 0; r < p; ++r) h[i] += z[r] * z[c] * d[c * p + r];
      }
      if (px == 0) continue;
      product.noalias() =
          Eigen::Map<const Eigen::MatrixXd>(beta.col(l).data(), p, px) * rows.x().col(i);
      h[i] += Eigen::Map<const Eigen::VectorXd>(z, p).dot(product);
    }
    for (int s = 1; s < t; ++s) {
      const PairTable& cells = a.pair(s, t);
      const int ps = a.terms()[s].p;
      Eigen::MatrixXd values(p * ps, cells.cells());
      for (int level = 0; level < a.terms()[s].levels; ++level)
        for (std::size_t c = cells.begin(level); c < cells.end(level); ++c) {
          inverse.cell_block(s, t, c, level, cells.second(c), block);
          Eigen::Map<Eigen::MatrixXd>(values.col(c).data(), p, ps) =
              2.0 * lambda[t] * block * lambda[s].transpose();
        }
      for (Eigen::Index i = 0; i < rows.n(); ++i) {
        const double* v = values.data() + rows.cell(s, t, i) * p * ps;
        const double *zs = rows.z(s, i), *zt = rows.z(t, i);
        for (int c = 0; c < ps; ++c)
          for (int r = 0; r < p; ++r) h[i] += zt[r] * zs[c] * v[c * p + r];
      }
    }
  }

  // Leading levels, each with its rows.
  const int p1 = a.terms()[0].p;
  SelectedInverse::LeadBlocks lead;
  Eigen::MatrixXd jj, xj;
  std::vector<Eigen::MatrixXd> cross(terms);
  for (Eigen::Index j = 0; j < a.terms()[0].levels; ++j) {
    const Eigen::Index begin = rows.lead_start()[j], end = rows.lead_start()[j + 1];
    if (begin == end) continue;
    inverse.lead(j, lead);
    if (p1 == 1)
      jj = lambda[0](0, 0) * lambda[0](0, 0) * lead.jj;
    else
      jj.noalias() = lambda[0] * lead.jj * lambda[0].transpose();
    if (px > 0) xj.noalias() = 2.0 * lead.xj * lambda[0].transpose();
    Eigen::Index at = 0;
    for (int t = 1; t < terms; ++t) {
      const PairTable& cells = a.pair(0, t);
      const int p = a.terms()[t].p;
      const Eigen::Index count = static_cast<Eigen::Index>(cells.end(static_cast<int>(j)) -
                                                           cells.begin(static_cast<int>(j)));
      cross[t].resize(p * p1, count);
      if (p == 1 && p1 == 1) {
        const double scale = 2.0 * lambda[t](0, 0) * lambda[0](0, 0);
        for (Eigen::Index c = 0; c < count; ++c) cross[t](0, c) = scale * lead.rj(at + c, 0);
      } else {
        for (Eigen::Index c = 0; c < count; ++c)
          Eigen::Map<Eigen::MatrixXd>(cross[t].col(c).data(), p, p1) =
              2.0 * lambda[t] * lead.rj.middleRows(at + c * p, p) * lambda[0].transpose();
      }
      at += count * p;
    }
    for (Eigen::Index i = begin; i < end; ++i) {
      const double* z1 = rows.z(0, i);
      double sum = 0.0;
      for (int c = 0; c < p1; ++c)
        for (int r = 0; r < p1; ++r) sum += z1[r] * z1[c] * jj(r, c);
      if (px > 0) {
        product.noalias() = xj * Eigen::Map<const Eigen::VectorXd>(z1, p1);
        sum += rows.x().col(i).dot(product);
      }
      for (int t = 1; t < terms; ++t) {
        const std::size_t cell = rows.cell(0, t, i) - a.pair(0, t).begin(static_cast<int>(j));
        const int p = a.terms()[t].p;
        const double* v = cross[t].data() + cell * p * p1;
        const double* zt = rows.z(t, i);
        for (int c = 0; c < p1; ++c)
          for (int r = 0; r < p; ++r) sum += zt[r] * z1[c] * v[c * p + r];
      }
      h[i] += sum;
    }
  }
  return h;
}

}  // namespace partialpool

#endif
