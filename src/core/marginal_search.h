#ifndef PARTIALPOOL_MARGINAL_SEARCH_H
#define PARTIALPOOL_MARGINAL_SEARCH_H

#include <Eigen/Dense>
#include <Eigen/Eigenvalues>
#include <algorithm>
#include <cmath>
#include <vector>

#include "boundary.h"
#include "marginal.h"
#include "moving_directions.h"
#include "newton.h"

namespace partialpool {

// A quadratic model of the criterion in the eigenbasis of its Hessian on the directions that move a
// covariance (rotations of Lambda change nothing).
struct QuadraticModel {
  Eigen::VectorXd h, gamma;
  Eigen::MatrixXd q;
  double decrement = 0.0, min_eigenvalue = 0.0;

  QuadraticModel(const Eigen::MatrixXd& hessian, const Eigen::VectorXd& gradient,
                 const Eigen::MatrixXd& basis)
      : q(basis) {
    if (basis.cols() == 0) return;  // a step that ended at zero: nothing moves, to first order
    const Eigen::SelfAdjointEigenSolver<Eigen::MatrixXd> eigen(basis.transpose() * hessian * basis);
    h = eigen.eigenvalues();
    q = basis * eigen.eigenvectors();
    gamma = q.transpose() * gradient;
    min_eigenvalue = h.size() > 0 ? h[0] : 0.0;
    for (Eigen::Index i = 0; i < h.size(); ++i) {
      if (h[i] == 0.0)
        gamma[i] = 0.0;
      else
        decrement += 0.5 * gamma[i] * gamma[i] / std::fabs(h[i]);
    }
  }
  Eigen::VectorXd step(double radius) const { return q * restricted_step(gamma, h, radius); }
  // Gain that the model predicts for a step.
  double predicted(const Eigen::VectorXd& step) const {
    const Eigen::VectorXd z = q.transpose() * step;
    return -gamma.dot(z) - 0.5 * h.dot(z.cwiseAbs2());
  }
};

// Is a standard deviation small enough to be zero?
inline bool near_boundary(const Marginal& f, const Eigen::VectorXd& x) {
  bool near = false;
  for (const Term& term : f.cross_products().terms())
    for_each_block(f.data(), term, [&](const CovarianceBlock& b, int at, int) {
      const Eigen::MatrixXd lambda = b.lambda(x.data() + at);
      near = near || Eigen::JacobiSVD<Eigen::MatrixXd>(lambda).singularValues().minCoeff() < 1e-2;
    });
  return near;
}

struct MarginalOptimum {
  Optimum optimum;
  Eigen::MatrixXd hessian;    // at the optimum, by differences of the gradient
  Eigen::MatrixXd beta_by_x;  // p_x x parameters: how beta follows them where it is a mode
};

// BFGS, or the symmetric rank-one update where the curvature along the step is not positive.
inline void update_hessian(Eigen::MatrixXd& h, const Eigen::VectorXd& s, const Eigen::VectorXd& y) {
  const Eigen::VectorXd hs = h * s;
  const double sy = s.dot(y), shs = s.dot(hs);
  if (sy > 1e-8 * s.norm() * y.norm() && shs > 0.0) {
    h += y * y.transpose() / sy - hs * hs.transpose() / shs;
    return;
  }
  const Eigen::VectorXd r = y - hs;
  const double rs = r.dot(s);
  if (std::fabs(rs) > 1e-8 * r.norm() * s.norm()) h += r * r.transpose() / rs;
}

// Differences of the exact gradient `g` at x, where the mode has `beta`: central ones where that is
// cheap; else one-sided, at half the price and with errors of about 1e-5. With a step this short an
// evaluation takes one PIRLS iteration. Empty where a neighbour has no value.
inline Eigen::MatrixXd difference_hessian(Marginal& f, const Eigen::VectorXd& x,
                                          const Eigen::VectorXd& g, const Eigen::VectorXd& beta,
                                          Eigen::MatrixXd& beta_by_x) {
  const Eigen::MatrixXd basis = f.directions(x);
  const bool central = f.nu() * static_cast<double>(x.size()) < 1e4;
  Eigen::MatrixXd h(x.size(), basis.cols());
  beta_by_x.resize(beta.size(), basis.cols());
  for (Eigen::Index i = 0; i < basis.cols(); ++i) {
    const auto covariances = basis.col(i).head(f.n_theta());
    const double size =
        f.difference_step(central) * std::max(1.0, std::fabs(covariances.dot(x.head(f.n_theta()))));
    Eigen::VectorXd slope = Eigen::VectorXd::Zero(x.size()), beta_slope = 0.0 * beta;
    int sides = 0;
    for (const double step : {size, -size}) {
      if (sides == 1 && !central) break;
      if (!std::isfinite(f.value(x + step * basis.col(i)))) continue;
      slope += (f.gradient(f.lambda_gradient()) - g) / step;
      beta_slope += (f.mode().beta - beta) / step;
      ++sides;
    }
    if (sides == 0) return Eigen::MatrixXd();
    h.col(i) = slope / sides;
    beta_by_x.col(i) = beta_slope / sides;
  }
  beta_by_x = (beta_by_x * basis.transpose()).eval();
  const Eigen::MatrixXd reduced = basis.transpose() * h;
  return basis * (0.5 * (reduced + reduced.transpose())) * basis.transpose();
}

// Trust-region quasi-Newton on the marginal criterion, from the average information, ended by a
// Newton step with the Hessian by differences (ALGORITHMS 8.6). f stands at the optimum.
class MarginalSearch {
 public:
  MarginalSearch(Marginal& f, const NewtonControl& control)
      : f_(f), control_(control), coarse_(control.tolerance), fine_(0.1 * control.tolerance) {}

  MarginalOptimum run(const Eigen::VectorXd& start) {
    out_.x = f_.canonical(start);
    out_.value = f_.value(out_.x);
    if (!std::isfinite(out_.value)) return end("not finite");
    f_.accept();
    if (start.size() == 0) {
      out_.trace.push_back(out_.value);
      return end("converged");
    }
    model_anew();
    while (true) {
      out_.trace.push_back(out_.value);
      if (!gradient_.allFinite() || !hessian_.allFinite()) return end("no descent");
      const QuadraticModel model(hessian_, gradient_, f_.directions(out_.x));
      out_.decrement = model.decrement;
      out_.min_eigenvalue = model.min_eigenvalue;
      if (control_.monitor) control_.monitor(out_.iterations, out_.value, out_.decrement);
      if (model.decrement < coarse_ && !exact_) {
        if (!differentiate()) return end("no descent");
        continue;
      }
      // Below the floor of rounding no step can show its gain.
      if (exact_ && model.decrement < std::max(fine_, f_.floor())) {
        if (leave_saddle(model)) continue;
        if (certified(model)) return end("converged");
        if (reopened_++ == 3) return end("no descent");
        continue;
      }
      if (out_.iterations++ >= control_.max_iterations) return end("iteration limit");
      if (descend(model)) continue;
      // Nothing gained: what is left to gain may be less than rounding shows.
      if (exact_ && model.decrement < coarse_ && certified(model)) return end("converged");
      // Or the model of the curvature is poor: the true one, a few times.
      if (failures_++ == 3 || !differentiate()) return end("no descent");
      radius_ = 1.0;
    }
  }

 private:
  MarginalOptimum end(const char* status) {
    out_.status = status;
    if (out_.status != "converged" && std::isfinite(out_.value)) f_.value(out_.x);
    result_.optimum = out_;
    return result_;
  }

  // Gradient at the present point, which becomes the start of the next search for modes.
  void look() {
    f_.accept();
    g_ = f_.lambda_gradient();
    gradient_ = f_.gradient(g_);
    beta_ = f_.mode().beta;
  }
  void model_anew() {
    look();
    hessian_ = f_.hessian(g_);
    modelled_ = 1;
    radius_ = 1.0;
    exact_ = false;
  }
  // The Hessian by differences. False: some neighbour of the point has no value.
  bool differentiate() {
    hessian_ = difference_hessian(f_, out_.x, gradient_, beta_, result_.beta_by_x);
    exact_ = hessian_.size() > 0;
    if (exact_) result_.hessian = hessian_;
    return exact_;
  }

  // At a stationary point that is no minimum: a step down, if there is one.
  bool leave_saddle(const QuadraticModel& model) {
    if (model.h.size() == 0 || model.h[0] > -1e-5 * model.h.cwiseAbs().maxCoeff()) return false;
    for (const double step : {0.3, -0.3, 0.03, -0.03}) {
      const Eigen::VectorXd x = out_.x + step * model.q.col(0);
      const double value = f_.value(x);
      if (!(value < out_.value - 1e-7 - f_.noise(out_.value))) continue;
      out_.x = x;
      out_.value = value;
      model_anew();
      return true;
    }
    return false;
  }

  // The boundary certificate (ALGORITHMS 6.3); if it fails, the search stands at a re-opened point.
  bool certified(const QuadraticModel& model) {
    // One more step costs one value and takes the decrement to nothing, and a variance that is on
    // its way to zero there.
    bool there = false;  // f stands at out_.x
    if (model.decrement > 1e-14 || near_boundary(f_, out_.x)) {
      const Eigen::VectorXd further = out_.x + model.step(radius_);
      const double value = f_.value(further);
      there = value <= out_.value + f_.noise(out_.value);
      if (there) {
        out_.x = further;
        out_.value = value;
      }
    }
    const Certificate certificate = certify(f_, out_.x);
    out_.null_sets = certificate.null_sets;
    if (certificate.evaluated) out_.x = f_.canonical(certificate.x);
    if (certificate.evaluated || !there) out_.value = f_.value(out_.x);
    if (certificate.optimal)
      f_.accept();
    else
      model_anew();
    return certificate.optimal;
  }

  // A step that lowers the criterion, and the model at the new point.
  bool descend(const QuadraticModel& model) {
    const double noise = f_.noise(out_.value);
    for (int attempt = 0; attempt < 25; ++attempt) {
      const Eigen::VectorXd step = model.step(radius_);
      const double predicted = model.predicted(step), value = f_.value(out_.x + step);
      const double gain = out_.value - value, ratio = predicted > 0.0 ? gain / predicted : 0.0;
      const bool better = gain > 0.0 && ratio > 1e-4;
      if (!std::isfinite(value) || !(better || (predicted < noise && gain > -noise))) {
        radius_ = 0.25 * std::min(radius_, step.norm());
        continue;
      }
      if (ratio > 0.75 && step.norm() > 0.8 * radius_) radius_ *= 2.0;
      if (ratio < 0.25) radius_ = 0.5 * step.norm();
      out_.x += step;
      out_.value = value;
      follow(step);
      return true;
    }
    return false;
  }

  void follow(const Eigen::VectorXd& step) {
    const Eigen::VectorXd before = gradient_;
    look();
    if (exact_) {
      // After a Newton step with the true Hessian it serves the new point too, if that is the end.
      exact_ = QuadraticModel(hessian_, gradient_, f_.directions(out_.x)).decrement < fine_;
      if (!exact_) update_hessian(hessian_, step, gradient_ - before);
    } else if (modelled_ < 2) {
      hessian_ = f_.hessian(g_);
      ++modelled_;
    } else {
      update_hessian(hessian_, step, gradient_ - before);
    }
  }

  Marginal& f_;
  const NewtonControl& control_;
  double coarse_, fine_;  // decrements: for the true Hessian, for the end
  MarginalOptimum result_;
  Optimum out_;
  std::vector<Eigen::MatrixXd> g_;
  Eigen::VectorXd gradient_, beta_;
  Eigen::MatrixXd hessian_;
  double radius_ = 1.0;
  int reopened_ = 0, modelled_ = 0, failures_ = 0;
  bool exact_ = false;  // the Hessian is that of the present point
};

}  // namespace partialpool

#endif
