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
  Eigen::MatrixXd directions;  // p x k, orthonormal, standardised coordinates
  double min_eigenvalue = 0.0; // of the derivative by the variance there: >= 0 at an optimum
};

struct Certificate {
  bool optimal = true;
  Eigen::VectorXd x;  // optimal: null directions set exactly to zero; else: re-opened
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
  if (b.correlated()) return Eigen::MatrixXd(p, 0);  // log scale: zero is never reached
  std::vector<int> null;
  for (int i = 0; i < p; ++i)
    if (std::fabs(x[i]) <= threshold) {
      null.push_back(i);
      x[i] = value;
    }
  Eigen::MatrixXd u = Eigen::MatrixXd::Zero(p, null.size());
  for (std::size_t k = 0; k < null.size(); ++k) u(null[k], k) = 1.0;
  return u;
}

// Smallest derivative of the criterion by a variance opened in the null directions, and scale.
inline double smallest_derivative(const CovarianceBlock& b, const double* x, const Eigen::MatrixXd& g,
                                  const Eigen::MatrixXd& lambda, const Eigen::MatrixXd& u, double& scale) {
  if (b.homogeneous()) {
    Eigen::VectorXd gx(b.n_parameters());
    b.gradient(x, g, gx.data());
    const double d = gx[0] / (2.0 * x[0]);
    scale = std::max(scale, std::fabs(d));
    return d;
  }
  const Eigen::MatrixXd d = Profiled::variance_derivative(g, lambda);
  if (b.structure() == Structure::diagonal) {
    double smallest = 1e300;
    for (Eigen::Index k = 0; k < u.cols(); ++k) {
      Eigen::Index i;
      u.col(k).maxCoeff(&i);
      smallest = std::min(smallest, d(i, i));
      scale = std::max(scale, std::fabs(d(i, i)));
    }
    return smallest;
  }
  const Eigen::SelfAdjointEigenSolver<Eigen::MatrixXd> eigen(u.transpose() * d * u,
                                                             Eigen::EigenvaluesOnly);
  scale = std::max(scale, eigen.eigenvalues().cwiseAbs().maxCoeff());
  return eigen.eigenvalues()[0];
}
}  // namespace boundary

// A correlation parameter that ran into its limit, where the tanh map is flat, although the
// criterion falls on the way back: put it half way. True if there was one. f stands at x.
inline bool release_correlations(Profiled& f, Eigen::VectorXd& x) {
  bool any = false;
  for (const UserTerm& t : f.data().terms) any = any || t.block.correlated();
  if (!any) return false;
  bool released = false;
  const Eigen::VectorXd gradient = f.gradient(f.lambda_gradient());
  for (const Term& term : f.cross_products().terms())
    for_each_block(f.data(), term, [&](const CovarianceBlock& b, int at, int) {
      if (!b.correlated()) return;
      const int r = at + b.n_parameters() - 1;
      if (std::fabs(std::tanh(x[r])) < 1.0 - 1e-5) return;
      const double by_rho = gradient[r] / std::max(b.rho_slope(x.data() + at), 1e-300);
      if (by_rho * x[r] > 1e-8 * f.nu()) {
        x[r] = x[r] > 0.0 ? 0.5 : -0.5;
        released = true;
      }
    });
  return released;
}

// Karush-Kuhn-Tucker conditions of Sigma >= 0 for every term (ALGORITHMS 6.3): a direction whose
// variance is zero must have a non-negative derivative on the variance scale. The derivative by
// Lambda vanishes there whatever the truth, so the null directions are lifted a little first.
inline Certificate certify(Profiled& f, const Eigen::VectorXd& x) {
  Certificate out;
  out.x = x;
  const ModelData& data = f.data();
  const std::vector<Term>& terms = f.cross_products().terms();
  Eigen::VectorXd lifted = x, zero = x, opened = x;
  for (const Term& term : terms) {
    std::size_t member = 0;
    for_each_block(data, term, [&](const CovarianceBlock& b, int at, int) {
      NullSet set;
      set.user_term = term.members[member++];
      set.directions = boundary::replace_null(b, lifted.data() + at, boundary::lift);
      if (set.directions.cols() == 0) return;
      boundary::replace_null(b, zero.data() + at, 0.0);
      out.null_sets.push_back(std::move(set));
    });
  }
  out.optimal = !release_correlations(f, opened);
  if (out.null_sets.empty()) {
    if (!out.optimal) out.x = opened;
    return out;
  }

  if (!std::isfinite(f.value(lifted))) {
    out.optimal = false;
    return out;
  }
  const std::vector<Eigen::MatrixXd> g = f.lambda_gradient();
  std::size_t k = 0;
  for (std::size_t t = 0; t < terms.size(); ++t) {
    std::size_t member = 0;
    for_each_block(data, terms[t], [&](const CovarianceBlock& b, int at, int start) {
      const int user_term = terms[t].members[member++];
      if (k == out.null_sets.size() || out.null_sets[k].user_term != user_term) return;
      NullSet& set = out.null_sets[k++];
      const int p = b.size();
      double scale = 0.0;
      set.min_eigenvalue = boundary::smallest_derivative(
          b, lifted.data() + at, g[t].block(start, start, p, p),
          f.factor().lambda()[t].block(start, start, p, p), set.directions, scale);
      // Below this a re-opened variance could gain less than rounding shows.
      const double tolerance = 1e-6 * scale + 1e-8 * f.nu();
      if (set.min_eigenvalue < -tolerance) {
        out.optimal = false;
        boundary::replace_null(b, opened.data() + at, boundary::reopen);
      }
    });
  }
  out.x = out.optimal ? zero : opened;
  return out;
}

}  // namespace partialpool

#endif
