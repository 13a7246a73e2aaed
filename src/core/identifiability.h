#ifndef PARTIALPOOL_IDENTIFIABILITY_H
#define PARTIALPOOL_IDENTIFIABILITY_H

#include <Eigen/Dense>
#include <Eigen/Eigenvalues>
#include <algorithm>
#include <cmath>
#include <vector>

#include "profiled.h"

namespace partialpool {

// Structured user terms whose covariance can change without any change of the criterion: parameters
// that the data do not determine. (An unstructured term has flat directions too, the rotations of
// its Lambda, which leave Sigma as it is; that it is determined is seen from its size alone.)
// f stands at x, an optimum.
inline std::vector<int> undetermined_terms(Profiled& f, const Eigen::VectorXd& x) {
  std::vector<int> out;
  bool structured = false;
  for (const UserTerm& t : f.data().terms)
    structured = structured || t.block.structure() != Structure::unstructured;
  if (!structured) return out;
  const std::vector<Eigen::MatrixXd> g = f.lambda_gradient();
  const Eigen::SelfAdjointEigenSolver<Eigen::MatrixXd> eigen(f.hessian(g));
  // What is left of the gradient enters the curvature through the chain term.
  const double cut = 1e-8 * eigen.eigenvalues().cwiseAbs().maxCoeff() + 10.0 * f.gradient(g).norm();
  Eigen::MatrixXd flat(x.size(), 0);
  for (Eigen::Index i = 0; i < x.size(); ++i)
    if (std::fabs(eigen.eigenvalues()[i]) < cut) {
      flat.conservativeResize(Eigen::NoChange, flat.cols() + 1);
      flat.rightCols(1) = eigen.eigenvectors().col(i);
    }
  if (flat.cols() == 0) return out;
  for (const Term& term : f.cross_products().terms()) {
    std::size_t member = 0;
    for_each_block(f.data(), term, [&](const CovarianceBlock& b, int at, int) {
      const int user_term = term.members[member++];
      if (b.structure() == Structure::unstructured) return;
      const std::vector<Eigen::MatrixXd> directions = b.directions(x.data() + at);
      const Eigen::MatrixXd moves =
          b.direction_jacobian(x.data() + at) * flat.middleRows(at, b.n_parameters());
      double change = 0.0, size = 0.0;
      for (Eigen::Index k = 0; k < moves.cols(); ++k) {
        Eigen::MatrixXd sigma = Eigen::MatrixXd::Zero(b.size(), b.size());
        for (std::size_t d = 0; d < directions.size(); ++d) sigma += moves(d, k) * directions[d];
        change = std::max(change, sigma.norm());
      }
      const Eigen::MatrixXd l = b.lambda(x.data() + at);
      size = (l * l.transpose()).norm();
      if (change > 1e-4 * (size + 1e-8)) out.push_back(user_term);
    });
  }
  return out;
}

}  // namespace partialpool

#endif
