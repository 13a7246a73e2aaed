#ifndef PARTIALPOOL_NEWTON_H
#define PARTIALPOOL_NEWTON_H

#include <Eigen/Dense>
#include <Eigen/Eigenvalues>
#include <cmath>
#include <functional>
#include <string>
#include <vector>

#include "boundary.h"
#include "identifiability.h"
#include "profiled.h"

namespace partialpool {

struct NewtonControl {
  double tolerance = 1e-8;  // predicted gain still to be had, in units of the criterion
  int max_iterations = 100;
  // Called once an iteration with (iteration, criterion, predicted gain); may throw to interrupt.
  std::function<void(int, double, double)> monitor;
};

struct Optimum {
  Eigen::VectorXd x;
  double value = 0.0;
  double decrement = 0.0;       // predicted gain at x
  double min_eigenvalue = 0.0;  // of the Hessian model on the identified directions
  int iterations = 0;
  std::string
      status;  // converged | no descent | iteration limit | no variance | exact | not finite
  std::vector<NullSet> null_sets;
  std::vector<int> undetermined;  // user terms with a covariance that the data do not determine
  std::vector<double> trace;
};

// Smallest step that the trust radius allows, in the eigenbasis: z_i = -gamma_i / (|h_i| + mu).
inline Eigen::VectorXd restricted_step(const Eigen::VectorXd& gamma, const Eigen::VectorXd& h,
                                       double radius) {
  const auto step = [&](double mu) {
    Eigen::VectorXd z(gamma.size());
    for (Eigen::Index i = 0; i < z.size(); ++i)
      z[i] = gamma[i] == 0.0 ? 0.0 : -gamma[i] / (std::fabs(h[i]) + mu);
    return z;
  };
  if (step(0.0).norm() <= radius) return step(0.0);
  double lo = 0.0, hi = gamma.norm() / radius;
  for (int i = 0; i < 100 && hi - lo > 1e-6 * hi; ++i) {
    const double mid = 0.5 * (lo + hi);
    (step(mid).norm() > radius ? lo : hi) = mid;
  }
  return step(hi);
}

// What rounding leaves uncertain of the criterion. r^2 is a difference of numbers of size n, so the
// criterion is known the less the smaller the residual variance is beside that of the response.
inline double noise(Profiled& f, double value) {
  return 1e-12 * (std::fabs(value) + f.nu()) + 1e-15 * f.nu() / f.sigma2();
}

// Hessian by central differences of the exact gradient.
inline Eigen::MatrixXd difference_hessian(Profiled& f, const Eigen::VectorXd& x) {
  Eigen::MatrixXd h(x.size(), x.size());
  for (Eigen::Index i = 0; i < x.size(); ++i) {
    const double step = 1e-4 * std::max(1.0, std::fabs(x[i]));
    Eigen::VectorXd shifted = x;
    shifted[i] = x[i] + step;
    f.value(shifted);
    h.col(i) = f.gradient(f.lambda_gradient());
    shifted[i] = x[i] - step;
    f.value(shifted);
    h.col(i) -= f.gradient(f.lambda_gradient());
    h.col(i) /= 2.0 * step;
  }
  f.value(x);
  return 0.5 * (h + h.transpose());
}

// One more step without a gradient: the decrement falls by orders of magnitude for one value.
inline void take_last_step(Profiled& f, Optimum& out, const Eigen::VectorXd& step) {
  const Eigen::VectorXd x = out.x + step;
  const double value = f.value(x);
  if (value <= out.value + noise(f, value)) {
    out.x = x;
    out.value = value;
  } else {
    f.value(out.x);
  }
}

// Certify the boundary at out.x. True: optimal, null directions exactly zero, f evaluated there.
// False: out.x is re-opened in the directions that fail, f evaluated there.
inline bool finish(Profiled& f, Optimum& out) {
  const Certificate certificate = certify(f, out.x);
  out.null_sets = certificate.null_sets;
  if (certificate.evaluated) {
    out.x = certificate.x;
    out.value = f.value(out.x);
  }
  if (!certificate.optimal) return false;
  out.status = "converged";
  return true;
}

// Trust-region Newton on the profiled criterion with the average information as model of the
// Hessian (ALGORITHMS 4.3), and the boundary certificate of 6.3.
inline Optimum newton(Profiled& f, const Eigen::VectorXd& start, const NewtonControl& control) {
  Optimum out;
  out.x = start;
  out.value = f.value(out.x);
  if (!std::isfinite(out.value)) {
    out.status = "not finite";
    return out;
  }
  if (start.size() == 0) {  // no random terms
    out.trace.push_back(out.value);
    out.status = f.sigma2() < 1e-13 ? "no variance" : "converged";
    return out;
  }
  double radius = 1.0;
  int reopened = 0;
  while (true) {
    out.trace.push_back(out.value);
    if (f.sigma2() < 1e-13) {  // the response has variance 1 here: nothing is left for the residual
      out.status = "no variance";
      return out;
    }
    const std::vector<Eigen::MatrixXd> g = f.lambda_gradient();
    const Eigen::VectorXd gradient = f.gradient(g);
    // The average information converges linearly; where that is slow, on ridges of structured
    // covariances, the true Hessian is worth its 2k gradients.
    const bool slow = out.iterations >= 12 && out.x.size() <= 60;
    const Eigen::MatrixXd hessian = slow ? difference_hessian(f, out.x) : f.hessian(g);
    if (!gradient.allFinite() || !hessian.allFinite()) {
      out.status = "not finite";
      return out;
    }
    const Eigen::SelfAdjointEigenSolver<Eigen::MatrixXd> eigen(hessian);
    const Eigen::VectorXd& h = eigen.eigenvalues();
    const Eigen::MatrixXd& q = eigen.eigenvectors();
    Eigen::VectorXd gamma = q.transpose() * gradient;
    const double largest = h.cwiseAbs().maxCoeff();
    out.decrement = 0.0;
    out.min_eigenvalue = largest;
    for (Eigen::Index i = 0; i < h.size(); ++i) {
      if (std::fabs(h[i]) <= 1e-10 * largest) {
        gamma[i] = 0.0;  // a rotation of Lambda: the same Sigma
        continue;
      }
      out.decrement += 0.5 * gamma[i] * gamma[i] / std::fabs(h[i]);
      out.min_eigenvalue = std::min(out.min_eigenvalue, h[i]);
    }
    if (control.monitor) control.monitor(out.iterations, out.value, out.decrement);

    if (out.decrement < control.tolerance) {
      take_last_step(f, out, q * restricted_step(gamma, h, radius));
      out.undetermined = undetermined_terms(f, out.x);
      if (finish(f, out)) return out;
      if (reopened++ == 3) {
        out.status = "no descent";
        return out;
      }
      radius = 1.0;
      continue;
    }
    // A residual variance that is all rounding: the search wanders in the noise of r^2.
    const bool exhausted = f.sigma2() < 1e-12;
    if (out.iterations++ >= control.max_iterations) {
      out.status = exhausted ? "no variance" : "iteration limit";
      return out;
    }

    bool accepted = false;
    for (int attempt = 0; attempt < 20 && !accepted; ++attempt) {
      const Eigen::VectorXd z = restricted_step(gamma, h, radius);
      const double predicted = -gamma.dot(z) - 0.5 * h.dot(z.cwiseAbs2());
      const Eigen::VectorXd x = out.x + q * z;
      const double value = f.value(x);
      const double gain = out.value - value;
      const double ratio = predicted != 0.0 ? gain / predicted : 0.0;
      if (std::isfinite(value) && gain > 0.0 && (ratio > 1e-4 || predicted < 1e-9)) {
        if (ratio > 0.75 && z.norm() > 0.8 * radius) radius *= 2.0;
        if (ratio < 0.25) radius = 0.5 * z.norm();
        out.x = x;
        out.value = value;
        accepted = true;
      } else {
        radius = 0.25 * std::min(radius, z.norm());
      }
    }
    if (!accepted) {
      f.value(out.x);
      // Below the precision of the criterion no step can show its gain: that is an optimum too.
      if (!exhausted && out.decrement <= noise(f, out.value) && finish(f, out)) return out;
      out.status = exhausted ? "no variance" : "no descent";
      return out;
    }
  }
}

}  // namespace partialpool

#endif
