#ifndef PARTIALPOOL_CORE_GMRES_H
#define PARTIALPOOL_CORE_GMRES_H

#include <Eigen/Dense>
#include <algorithm>
#include <cmath>
#include <vector>

namespace partialpool {

// Solves A x = b for all columns of `b` by GMRES, each in its own Krylov space, the products with A
// in step: apply(X) returns A X. Stops where every residual is below `tolerance` times its right
// side, or after `most` products; then the result is the best of its space.
template <class Apply>
Eigen::MatrixXd gmres(const Apply& apply, const Eigen::MatrixXd& b, double tolerance,
                      int most = 120, int restart = 40) {
  using Matrix = Eigen::MatrixXd;
  using Vector = Eigen::VectorXd;
  const Eigen::Index n = b.rows(), columns = b.cols();
  Matrix x = Matrix::Zero(n, columns);
  Matrix residual = b;
  const Vector size = b.colwise().norm();
  int products = 0;
  while (products < most) {
    const Vector norm = residual.colwise().norm();
    std::vector<Eigen::Index> open;
    for (Eigen::Index c = 0; c < columns; ++c)
      if (norm[c] > tolerance * size[c] && std::isfinite(norm[c])) open.push_back(c);
    if (open.empty()) break;
    const Eigen::Index count = static_cast<Eigen::Index>(open.size());
    std::vector<Matrix> basis, hessenberg(count, Matrix::Zero(restart + 1, restart));
    std::vector<Vector> rotated(count, Vector::Zero(restart + 1));
    std::vector<std::vector<Eigen::JacobiRotation<double>>> rotations(count);
    Matrix q(n, count);
    for (Eigen::Index c = 0; c < count; ++c) {
      q.col(c) = residual.col(open[c]) / norm[open[c]];
      rotated[c][0] = norm[open[c]];
    }
    basis.push_back(q);
    int steps = 0;
    bool more = true;
    while (more && steps < restart && products < most) {
      Matrix w = apply(basis[steps]);
      ++products;
      more = false;
      for (Eigen::Index c = 0; c < count; ++c) {
        Matrix& h = hessenberg[c];
        for (int pass = 0; pass < 2; ++pass)
          for (int j = 0; j <= steps; ++j) {
            const double dot = basis[j].col(c).dot(w.col(c));
            h(j, steps) += dot;
            w.col(c) -= dot * basis[j].col(c);
          }
        const double length = w.col(c).norm();
        h(steps + 1, steps) = length;
        if (length > 0.0) w.col(c) /= length;
        for (int j = 0; j < steps; ++j) {
          const double a = h(j, steps), d = h(j + 1, steps);
          h(j, steps) = rotations[c][j].c() * a + rotations[c][j].s() * d;
          h(j + 1, steps) = -rotations[c][j].s() * a + rotations[c][j].c() * d;
        }
        const double a = h(steps, steps), d = h(steps + 1, steps), r = std::hypot(a, d);
        Eigen::JacobiRotation<double> rotation(r > 0.0 ? a / r : 1.0, r > 0.0 ? d / r : 0.0);
        rotations[c].push_back(rotation);
        h(steps, steps) = r;
        h(steps + 1, steps) = 0.0;
        const double g = rotated[c][steps];
        rotated[c][steps] = rotation.c() * g;
        rotated[c][steps + 1] = -rotation.s() * g;
        if (std::fabs(rotated[c][steps + 1]) > tolerance * size[open[c]]) more = true;
      }
      basis.push_back(w);
      ++steps;
    }
    for (Eigen::Index c = 0; c < count; ++c) {
      int used = steps;
      while (used > 0 && !(std::fabs(hessenberg[c](used - 1, used - 1)) > 0.0)) --used;
      if (used == 0) continue;
      const Vector y = hessenberg[c]
                           .topLeftCorner(used, used)
                           .triangularView<Eigen::Upper>()
                           .solve(rotated[c].head(used));
      for (int j = 0; j < used; ++j) x.col(open[c]) += y[j] * basis[j].col(c);
    }
    if (!more || products >= most) break;
    residual = b - apply(x);
    ++products;
  }
  return x;
}

}  // namespace partialpool

#endif
