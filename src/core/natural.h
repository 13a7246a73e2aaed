#ifndef PARTIALPOOL_NATURAL_H
#define PARTIALPOOL_NATURAL_H

#include <Eigen/Dense>
#include <Eigen/Eigenvalues>
#include <vector>

#include "model_data.h"

namespace partialpool {

// The natural scale of covariance parameters: the entries of Sigma of a user term, lower triangle
// by column, or p variances of a diagonal one.

inline int natural_size(const CovarianceBlock& b) {
  return b.structure() == Structure::diagonal ? b.size() : b.size() * (b.size() + 1) / 2;
}

// Where each user term begins, the first at `row`, and the end.
inline std::vector<int> natural_starts(const std::vector<UserTerm>& terms, int row) {
  std::vector<int> starts(1, row);
  for (const UserTerm& t : terms) starts.push_back(starts.back() + natural_size(t.block));
  return starts;
}

// Writes them into a column, from `row` on.
inline void put_natural(Eigen::MatrixXd& out, int row, int column, const CovarianceBlock& b,
                        const Eigen::MatrixXd& sigma) {
  for (int c = 0; c < b.size(); ++c)
    for (int r = c; r < (b.structure() == Structure::diagonal ? c + 1 : b.size()); ++r)
      out(row++, column) = sigma(r, c);
}

// dSigma by each of the optimiser's parameters of a block, in standardised coordinates.
inline std::vector<Eigen::MatrixXd> sigma_derivatives(const CovarianceBlock& b, const double* x) {
  const std::vector<Eigen::MatrixXd> directions = b.directions(x);
  const Eigen::MatrixXd map = b.direction_jacobian(x);
  std::vector<Eigen::MatrixXd> out(b.n_parameters(), Eigen::MatrixXd::Zero(b.size(), b.size()));
  for (int i = 0; i < b.n_parameters(); ++i)
    for (std::size_t e = 0; e < directions.size(); ++e) out[i] += map(e, i) * directions[e];
  return out;
}

// Inverse of a Hessian on the directions in which it is curved, whatever the scales of its
// parameters; the other directions, one a column, into `flat` if wanted.
inline Eigen::MatrixXd curved_inverse(const Eigen::MatrixXd& h, Eigen::MatrixXd* flat = nullptr) {
  if (flat) flat->resize(h.rows(), 0);
  if (h.size() == 0) return h;
  const Eigen::VectorXd scale = h.diagonal().cwiseAbs().cwiseMax(1e-300).cwiseSqrt().cwiseInverse();
  const Eigen::SelfAdjointEigenSolver<Eigen::MatrixXd> eigen(scale.asDiagonal() * h *
                                                             scale.asDiagonal());
  Eigen::VectorXd inverse = eigen.eigenvalues();
  const double cut = 1e-9 * inverse.cwiseAbs().maxCoeff();
  const Eigen::MatrixXd v = scale.asDiagonal() * eigen.eigenvectors();
  for (Eigen::Index i = 0; i < inverse.size(); ++i) {
    const bool curved = inverse[i] > cut;
    inverse[i] = curved ? 1.0 / inverse[i] : 0.0;
    if (curved || !flat) continue;
    flat->conservativeResize(Eigen::NoChange, flat->cols() + 1);
    flat->rightCols(1) = v.col(i);
  }
  return v * inverse.asDiagonal() * v.transpose();
}

}  // namespace partialpool

#endif
