#ifndef PARTIALPOOL_DESCENT_H
#define PARTIALPOOL_DESCENT_H

#include <Eigen/Dense>
#include <Eigen/Eigenvalues>
#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <string>

namespace partialpool {

// Where a smooth function of several variables was followed downhill to.
struct Descent {
  Eigen::VectorXd x;
  double value = std::numeric_limits<double>::infinity(), decrement = 0.0;
  int iterations = 0;
  std::string status = "not finite";
};

// BFGS with a line search by the exact gradient, until the decrement is below the tolerance.
// `value(x, gradient)` may be infinite; `curvature_inverse` a first guess of the inverse second
// derivative.
template <class Value>
Descent bfgs(const Value& value, const Eigen::VectorXd& start, double curvature_inverse,
             double tolerance, int max_iterations, const std::function<void()>& monitor) {
  using Matrix = Eigen::MatrixXd;
  using Vector = Eigen::VectorXd;
  Descent out;
  out.x = start;
  Vector g, g_new;
  out.value = value(out.x, &g);
  if (!std::isfinite(out.value)) return out;
  const Eigen::Index m = start.size();
  Matrix inverse = curvature_inverse * Matrix::Identity(m, m);
  bool scaled = false;
  for (; out.iterations < max_iterations; ++out.iterations) {
    if (monitor) monitor();
    Vector step = -inverse * g;
    double slope = g.dot(step);
    if (!(slope < 0.0)) {
      inverse = curvature_inverse * Matrix::Identity(m, m);
      step = -inverse * g;
      slope = g.dot(step);
    }
    out.decrement = -slope;
    if (out.decrement < tolerance && scaled) {
      out.status = "converged";
      return out;
    }
    const double longest = step.cwiseAbs().maxCoeff();
    double length = longest > 1.0 ? 1.0 / longest : 1.0, f_new = 0.0;
    double low = 0.0, high = std::numeric_limits<double>::infinity();
    Vector x_new;
    bool moved = false;
    for (int attempt = 0; attempt < 30; ++attempt) {
      x_new = out.x + length * step;
      f_new = value(x_new, &g_new);
      if (!std::isfinite(f_new) || f_new > out.value + 1e-4 * length * slope) {
        high = length;
      } else if (g_new.dot(step) < 0.9 * slope) {
        low = length;
        moved = true;
      } else {
        moved = true;
        break;
      }
      length = std::isfinite(high) ? 0.5 * (low + high) : 2.0 * length;
    }
    if (!moved || !std::isfinite(f_new) || f_new > out.value) {
      out.status = "no descent";
      return out;
    }
    const Vector dx = x_new - out.x, dg = g_new - g;
    const double curvature = dx.dot(dg);
    if (curvature > 1e-12 * dx.norm() * dg.norm()) {
      if (!scaled) inverse = Matrix::Identity(m, m) * (curvature / dg.squaredNorm());
      scaled = true;
      const Vector hy = inverse * dg;
      const double rho = 1.0 / curvature;
      inverse += rho * (1.0 + rho * dg.dot(hy)) * dx * dx.transpose() -
                 rho * (hy * dx.transpose() + dx * hy.transpose());
    }
    out.x = x_new;
    out.value = f_new;
    g = g_new;
  }
  out.status = "iteration limit";
  return out;
}

// Newton's method from a point near the minimum. Directions without curvature (a
// factor that is zero, or a covariance on its way to being singular) are followed by the
// gradient.
template <class Value, class Hessian>
Descent polish(const Value& value, const Hessian& hessian, Descent out, double tolerance,
               const std::function<void()>& monitor) {
  using Matrix = Eigen::MatrixXd;
  using Vector = Eigen::VectorXd;
  Vector g;
  out.value = value(out.x, &g);
  for (int i = 0; i < 10; ++i) {
    if (monitor) monitor();
    const Matrix h = hessian(out.x);
    if (h.size() == 0) break;
    const Eigen::SelfAdjointEigenSolver<Matrix> eigen(h);
    const Vector along = eigen.eigenvectors().transpose() * g;
    const double floor = 1e-7 * std::max(1.0, eigen.eigenvalues().cwiseAbs().maxCoeff());
    Vector step = Vector::Zero(g.size());
    out.decrement = 0.0;
    for (Eigen::Index k = 0; k < g.size(); ++k) {
      const double curvature = std::max(std::fabs(eigen.eigenvalues()[k]), floor);
      step -= along[k] / curvature * eigen.eigenvectors().col(k);
      out.decrement += along[k] * along[k] / curvature;
    }
    ++out.iterations;
    const bool enough = out.decrement < tolerance;
    bool moved = false;
    for (double length = 1.0; length > 1e-3 && !moved; length *= 0.5) {
      Vector g_new;
      const Vector x_new = out.x + length * step;
      const double f_new = value(x_new, &g_new);
      // Below the rounding of the criterion the gradient decides.
      const double noise = 1e-13 * std::fabs(out.value);
      if (f_new < out.value - noise || (f_new <= out.value + noise && g_new.norm() < g.norm())) {
        out.x = x_new;
        out.value = f_new;
        g = g_new;
        moved = true;
      }
    }
    if (enough || !moved) break;
  }
  if (out.decrement < std::max(tolerance, 1e-12 * std::fabs(out.value))) out.status = "converged";
  return out;
}

}  // namespace partialpool

#endif
