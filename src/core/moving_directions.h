#ifndef PARTIALPOOL_MOVING_DIRECTIONS_H
#define PARTIALPOOL_MOVING_DIRECTIONS_H

#include <Eigen/Dense>
#include <vector>

#include "terms.h"

namespace partialpool {

// Orthonormal basis of the directions of the optimiser's parameters in which a covariance moves, to
// first order at x: no rotations of Lambda, no variance at zero; all other parameters move.
inline Eigen::MatrixXd moving_directions(const ModelData& data, const std::vector<Term>& terms,
                                         const Eigen::VectorXd& x) {
  const int k = n_parameters(data), rest = static_cast<int>(x.size()) - k;
  Eigen::MatrixXd basis = Eigen::MatrixXd::Zero(x.size(), x.size());
  int found = 0;
  for (const Term& term : terms)
    for_each_block(data, term, [&](const CovarianceBlock& b, int at, int) {
      const Eigen::JacobiSVD<Eigen::MatrixXd> svd(b.direction_jacobian(x.data() + at),
                                                  Eigen::ComputeThinU | Eigen::ComputeThinV);
      const Eigen::VectorXd& w = svd.singularValues();
      for (Eigen::Index i = 0; i < w.size() && w[i] > 1e-10 && w[i] > 1e-7 * w[0]; ++i)
        basis.block(at, found++, b.n_parameters(), 1) = svd.matrixV().col(i);
    });
  for (int i = 0; i < rest; ++i) basis(k + i, found++) = 1.0;
  return basis.leftCols(found);
}

}  // namespace partialpool

#endif
