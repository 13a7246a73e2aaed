#ifndef PARTIALPOOL_CORE_KERNEL_START_H
#define PARTIALPOOL_CORE_KERNEL_START_H

#include <Eigen/Dense>
#include <algorithm>
#include <cmath>

#include "kernel_search.h"

namespace partialpool {

// Fills in what is not given (NaN) of a start: beta from a regression of the linear predictors that
// the responses suggest, scale, log phi and shape to match. Returns the size of a linear predictor
// that counts as one: one itself, unless it has the unit of the response.
inline double complete_start(KernelEp& ep, const KernelPosterior& posterior,
                             const Eigen::MatrixXd& x, const Eigen::VectorXd& offset,
                             KernelParameters& at) {
  const Eigen::Index n = x.rows();
  Eigen::VectorXd eta(n);
  Eigen::VectorXd weight = Eigen::VectorXd::Ones(n);
  Family* family = ep.family();
  if (family) {
    family->start_eta(eta.data());
  } else {
    const KernelEp::Sites& sites = ep.sites();
    for (Eigen::Index i = 0; i < n; ++i) {
      weight[i] = sites.tau[i] > 0.0 ? 1.0 : 0.0;
      eta[i] = sites.tau[i] > 0.0 ? sites.nu[i] / sites.tau[i] : offset[i];
    }
  }
  const Eigen::VectorXd response = eta - offset;
  Eigen::VectorXd fitted = Eigen::VectorXd::Zero(n), beta = Eigen::VectorXd::Zero(x.cols());
  if (x.cols()) {
    const Eigen::MatrixXd weighted = weight.asDiagonal() * x;
    beta = (weighted.transpose() * x).ldlt().solve(weighted.transpose() * response);
    if (!beta.allFinite()) beta.setZero();
    fitted = x * beta;
  }
  double unit = 1.0;
  if (!family || family->eta_has_unit()) {
    const double spread = weight.cwiseProduct((response - fitted).cwiseAbs2()).sum();
    const double rows = std::max(1.0, weight.sum());
    const double whole = weight.cwiseProduct(response.cwiseAbs2()).sum() / rows;
    unit = std::sqrt(spread / rows);
    if (!(unit > 1e-8 * std::sqrt(whole))) unit = std::sqrt(whole);
    if (!(unit > 0.0) || !std::isfinite(unit)) unit = 1.0;
  }
  if (!at.beta.allFinite()) at.beta = beta;
  // Both variances alike, for a kernel of mean diagonal 1.
  const double size = posterior.unit();
  if (!std::isfinite(at.delta)) at.delta = size / (1.0 + size);
  if (!std::isfinite(at.scale)) at.scale = unit * unit / (size * (1.0 - at.delta) + at.delta);
  if (!family) {
    at.log_phi = at.shape = 0.0;
    return unit;
  }
  if (!std::isfinite(at.shape)) at.shape = family->has_shape() ? family->start_shape() : 0.0;
  if (!std::isfinite(at.log_phi)) {
    at.log_phi = 0.0;
    if (family->has_dispersion()) {
      const Eigen::VectorXd at_fit = fitted + offset;
      at.log_phi = family->shared_dispersion(family->start_dispersion(at_fit.data()));
    }
  }
  return unit;
}

}  // namespace partialpool

#endif
