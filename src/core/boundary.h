#ifndef PARTIALPOOL_BOUNDARY_H
#define PARTIALPOOL_BOUNDARY_H

#include <Eigen/Dense>
#include <algorithm>
#include <cmath>
#include <vector>

#include "profiled.h"

namespace partialpool {

// The directions of one user term in which the fitted variance is zero.
struct NullSet {
  int user_term = 0;
  Eigen::MatrixXd directions;   // p x k, orthonormal, standardised coordinates
  double min_eigenvalue = 0.0;  // of the derivative by the variance there: >= 0 at an optimum
};

struct Certificate {
  bool optimal = true;
  bool evaluated = false;  // something was at a boundary: f no longer stands at the x given
  Eigen::VectorXd x;       // optimal: null directions set exactly to zero; else: re-opened
  std::vector<NullSet> null_sets;
};

namespace boundary {
constexpr double threshold = 1e-5, lift = 1e-3, reopen = 0.03;

// Parameters of one block with its null directions replaced by `value`; the directions found.
inline Eigen::MatrixXd replace_null(const CovarianceBlock& b, double* x, double value) {
  const int p = b.size();
  if (b.structure() == Structure::unstructured) {
    Eigen::Map<Eigen::MatrixXd> l(x, p, p);
    const Eigen::JacobiSVD<Eigen::MatrixXd> svd(l, Eigen::ComputeFullU | Eigen::ComputeFullV);
    Eigen::VectorXd w = svd.singularValues();
    int kept = 0;
    while (kept < p && w[kept] > threshold) ++kept;
    if (kept == p) return Eigen::MatrixXd(p, 0);
    w.tail(p - kept).setConstant(value);
    l = svd.matrixU() * w.asDiagonal() * svd.matrixV().transpose();
    return svd.matrixU().rightCols(p - kept);
  }
  if (b.homogeneous()) {
    if (std::fabs(x[0]) > threshold) return Eigen::MatrixXd(p, 0);
    x[0] = value;
    return Eigen::MatrixXd::Identity(p, p);
  }
  std::vector<int> null;
  for (int i = 0; i < p; ++i)
    if (b.scales(x)[i] <= threshold) null.push_back(i);
  for (const int i : null) x[i] = b.correlated() ? std::sqrt(value) : value;
  Eigen::MatrixXd u = Eigen::MatrixXd::Zero(p, null.size());
  for (std::size_t k = 0; k < null.size(); ++k) u(null[k], k) = 1.0;
  return u;
}

// Moves a correlation parameter at a limit by `distance` (an angle) away from it: true if it is at
// one.
inline bool leave_limit(const CovarianceBlock& b, double* x, double distance) {
  if (!b.correlated()) return false;
  double& angle = x[b.n_parameters() - 1];
  if (std::fabs(std::cos(angle)) > 1e-4) return false;
  angle = std::sin(angle) > 0.0 ? 0.5 * M_PI - distance : -0.5 * M_PI + distance;
  return true;
}

// Smallest derivative of the criterion by a variance opened in the null directions, and scale;
// for a homogeneous correlated block also the angle at which it is reached.
inline double smallest_derivative(const CovarianceBlock& b, const double* x,
                                  const Eigen::MatrixXd& g, const Eigen::MatrixXd& lambda,
                                  const Eigen::MatrixXd& u, double& scale, double& angle) {
  if (b.homogeneous() && b.correlated()) {
    // At a variance of zero the correlation is free: the worst one decides.
    const Eigen::MatrixXd d = variance_derivative(g, lambda);
    double smallest = 1e300;
    for (int step = -20; step <= 20; ++step) {
      const double trial[] = {1.0, 0.5 * M_PI * step / 20.0};
      const Eigen::MatrixXd c = b.lambda(trial);
      const double derivative = d.cwiseProduct(c * c.transpose()).sum();
      scale = std::max(scale, std::fabs(derivative));
      if (derivative < smallest) {
        smallest = derivative;
        angle = trial[1];
      }
    }
    return smallest;
  }
  if (b.homogeneous()) {
    scale = std::max(scale, std::fabs(g.trace() / (2.0 * x[0])));
    return g.trace() / (2.0 * x[0]);
  }
  if (b.structure() != Structure::unstructured) {
    // by the variance x^2 (diagonal) or the standard deviation x^2 (correlated)
    Eigen::VectorXd gx(b.n_parameters());
    b.gradient(x, g, gx.data());
    double smallest = 1e300;
    for (Eigen::Index k = 0; k < u.cols(); ++k) {
      Eigen::Index i;
      u.col(k).maxCoeff(&i);
      const double d = gx[i] / (2.0 * x[i]);
      smallest = std::min(smallest, d);
      scale = std::max(scale, std::fabs(d));
    }
    return smallest;
  }
  const Eigen::MatrixXd d = variance_derivative(g, lambda);
  const Eigen::SelfAdjointEigenSolver<Eigen::MatrixXd> eigen(u.transpose() * d * u,
                                                             Eigen::EigenvaluesOnly);
  scale = std::max(scale, eigen.eigenvalues().cwiseAbs().maxCoeff());
  return eigen.eigenvalues()[0];
}
}  // namespace boundary

// Karush-Kuhn-Tucker conditions of Sigma >= 0 for every term (ALGORITHMS 6.3): a direction whose
// variance is zero must have a non-negative derivative on the variance scale. The derivative by
// Lambda vanishes there whatever the truth, so the null directions are lifted a little first.
template <class Objective>
Certificate certify(Objective& f, const Eigen::VectorXd& x) {
  Certificate out;
  out.x = x;
  const ModelData& data = f.data();
  const std::vector<Term>& terms = f.cross_products().terms();
  Eigen::VectorXd lifted = x, zero = x, opened = x;
  std::vector<int> limits;  // first parameter of blocks whose correlation is at a limit
  for (const Term& term : terms) {
    std::size_t member = 0;
    for_each_block(data, term, [&](const CovarianceBlock& b, int at, int) {
      NullSet set;
      set.user_term = term.members[member++];
      if (boundary::leave_limit(b, lifted.data() + at, boundary::reopen)) {
        boundary::leave_limit(b, zero.data() + at, 0.0);
        limits.push_back(at);
      }
      set.directions = boundary::replace_null(b, lifted.data() + at, boundary::lift);
      if (set.directions.cols() == 0) return;
      boundary::replace_null(b, zero.data() + at, 0.0);
      out.null_sets.push_back(std::move(set));
    });
  }
  if (out.null_sets.empty() && limits.empty()) return out;

  out.evaluated = true;
  if (!std::isfinite(f.value(lifted))) {
    out.optimal = false;
    return out;
  }
  const std::vector<Eigen::MatrixXd> g = f.lambda_gradient();
  const Eigen::VectorXd by_x = f.gradient(g);
  std::size_t k = 0;
  for (std::size_t t = 0; t < terms.size(); ++t) {
    std::size_t member = 0;
    for_each_block(data, terms[t], [&](const CovarianceBlock& b, int at, int start) {
      const int user_term = terms[t].members[member++];
      if (std::find(limits.begin(), limits.end(), at) != limits.end()) {
        // Towards the limit the criterion must not rise.
        const int r = at + b.n_parameters() - 1;
        const double outwards =
            by_x[r] / b.rho_slope(lifted.data() + at) * (std::sin(lifted[r]) > 0.0 ? 1.0 : -1.0);
        if (outwards > 1e-8 * f.nu()) {
          out.optimal = false;
          boundary::leave_limit(b, opened.data() + at, 0.5);
        }
      }
      if (k == out.null_sets.size() || out.null_sets[k].user_term != user_term) return;
      NullSet& set = out.null_sets[k++];
      const int p = b.size();
      double scale = 0.0;
      double angle = 0.0;
      set.min_eigenvalue = boundary::smallest_derivative(
          b, lifted.data() + at, g[t].block(start, start, p, p),
          f.factor().lambda()[t].block(start, start, p, p), set.directions, scale, angle);
      // Below this a re-opened variance could gain less than rounding shows.
      const double tolerance = 1e-6 * scale + 1e-8 * f.nu();
      if (set.min_eigenvalue < -tolerance) {
        out.optimal = false;
        boundary::replace_null(b, opened.data() + at, boundary::reopen);
        if (b.homogeneous() && b.correlated()) opened[at + 1] = angle;
      }
    });
  }
  out.x = out.optimal ? zero : opened;
  return out;
}

}  // namespace partialpool

#endif
