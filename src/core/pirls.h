#ifndef PARTIALPOOL_PIRLS_H
#define PARTIALPOOL_PIRLS_H

#include <Eigen/Dense>
#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "block_cholesky.h"
#include "family.h"
#include "mixed_rows.h"
#include "solution.h"

namespace partialpool {

// Gaussian prior of the fixed effects in standardised coordinates; precision 0 x 0: none.
struct BetaPrior {
  Eigen::MatrixXd precision;
  Eigen::VectorXd mean;
  bool any() const { return precision.size() > 0; }
  double penalty(const Eigen::VectorXd& beta) const {
    return any() ? (beta - mean).dot(precision * (beta - mean)) : 0.0;
  }
  Eigen::VectorXd slope(const Eigen::VectorXd& beta) const {  // of half the penalty
    return precision * (beta - mean);
  }
};

// The conditional modes and what the rows say there.
struct Mode {
  MixedRows::Blocks u;        // spherical, p_t x J_t
  Eigen::VectorXd beta;       // the mode too, if it is found inside
  Eigen::VectorXd eta, s, w;  // linear predictor, score, observed weight
  double log_density = 0.0;   // sum over the rows
  int iterations = 0;
  double penalty() const {
    double sum = 0.0;
    for (const Eigen::MatrixXd& ut : u) sum += ut.squaredNorm();
    return sum;
  }
};

// Penalised iteratively reweighted least squares (ALGORITHMS 8.2): Newton's method for the maximum
// over u, or (u, beta), of the penalised log density, with halved steps.
class Pirls {
 public:
  // `inner_beta`: beta is found here, else it is given.
  Pirls(const MixedRows& rows, const Family& family, CrossProducts& a, BlockCholesky& factor,
        const Eigen::VectorXd& offset, bool inner_beta, const BetaPrior& prior)
      : rows_(rows),
        family_(family),
        a_(a),
        factor_(factor),
        offset_(offset),
        inner_beta_(inner_beta),
        prior_(prior) {}

  // From the modes in `mode` to those at lambda and beta. The factor is left at the mode, with the
  // observed weights. False, with a reason, where there is no mode to be found.
  bool solve(const std::vector<Eigen::MatrixXd>& lambda, const Eigen::VectorXd& beta, Mode& mode) {
    reason_ = "";
    mode.iterations = 0;
    if (!inner_beta_) mode.beta = beta;
    const Eigen::Index n = rows_.n();
    mode.s.resize(n);
    mode.w.resize(n);
    linear_predictor(lambda, mode);
    double d = deviance(mode);
    if (!std::isfinite(d) || d > cold_start_above_) restart(lambda, mode, d);
    if (!std::isfinite(d)) return fail("no starting value with a finite density");
    while (true) {
      if (++mode.iterations > max_iterations) return fail("iteration limit");
      if (!factorise(lambda, mode)) return fail("weights are not finite");
      MixedRows::Blocks step = gradient_u(lambda, mode);
      Eigen::VectorXd step_beta = inner_beta_ ? gradient_beta(mode) : Eigen::VectorXd();
      const MixedRows::Blocks r = step;
      const Eigen::VectorXd r_beta = step_beta;
      solve_system(factor_, step, inner_beta_ ? &step_beta : nullptr);
      double decrement = inner_beta_ ? r_beta.dot(step_beta) : 0.0;
      for (std::size_t t = 0; t < r.size(); ++t) decrement += r[t].cwiseProduct(step[t]).sum();
      if (!std::isfinite(decrement)) return fail("the step is not finite");
      const bool last = decrement < tolerance;
      if (!take(lambda, step, step_beta, mode, d) && !last) return fail("no descent");
      if (last) break;
    }
    if (!weigh(lambda, mode.w) || !curved()) return fail("the conditional mode is not a maximum");
    return true;
  }

  const std::string& reason() const { return reason_; }
  // Modes at which the penalised deviance is above this are given up for u = 0.
  void cold_start_above(double d) { cold_start_above_ = d; }
  // Minus twice the penalised log density.
  double penalised(const Mode& mode) const {
    double d = -2.0 * mode.log_density + mode.penalty();
    if (inner_beta_) d += prior_.penalty(mode.beta);
    return d;
  }
  double deviance(Mode& mode) const {
    mode.log_density = family_.score(mode.eta.data(), mode.s.data(), mode.w.data());
    return penalised(mode);
  }
  void linear_predictor(const std::vector<Eigen::MatrixXd>& lambda, Mode& mode) const {
    mode.eta = offset_;
    rows_.add_x(mode.beta, mode.eta);
    rows_.add_z(scaled(lambda, mode.u), mode.eta);
  }
  static MixedRows::Blocks scaled(const std::vector<Eigen::MatrixXd>& lambda,
                                  const MixedRows::Blocks& u) {
    MixedRows::Blocks b;
    for (std::size_t t = 0; t < u.size(); ++t) {
      if (u[t].rows() == 1)
        b.push_back(lambda[t](0, 0) * u[t]);
      else
        b.push_back(lambda[t] * u[t]);
    }
    return b;
  }
  // Lambda'v by term.
  static MixedRows::Blocks scaled_back(const std::vector<Eigen::MatrixXd>& lambda,
                                       const MixedRows::Blocks& v) {
    MixedRows::Blocks b;
    for (std::size_t t = 0; t < v.size(); ++t) {
      if (v[t].rows() == 1)
        b.push_back(lambda[t](0, 0) * v[t]);
      else
        b.push_back(lambda[t].transpose() * v[t]);
    }
    return b;
  }
  // A and its factor for given weights.
  bool weigh(const std::vector<Eigen::MatrixXd>& lambda, const Eigen::VectorXd& w) {
    rows_.weigh(w.data(), a_);
    if (prior_.any() && a_.m() > 0) a_.xy_sums() += prior_.precision;
    return factor_.factorise(lambda);
  }

 private:
  static constexpr int max_iterations = 200;
  static constexpr double tolerance = 1e-8;  // of the decrement before the last step

  // Where a density is not log-concave modes vanish in folds at which the curvature does too, and
  // with it the Laplace approximation. (Without negative weights no pivot is below 1.)
  bool curved() const {
    if (a_.n_terms() == 0) return true;
    for (Eigen::Index j = 0; j < a_.terms()[0].levels; ++j)
      for (int k = 0; k < a_.terms()[0].p; ++k)
        if (!(factor_.lead_factor(j)(k, k) > 0.03)) return false;
    return true;
  }

  bool fail(const char* reason) {
    reason_ = reason;
    return false;
  }

  void restart(const std::vector<Eigen::MatrixXd>& lambda, Mode& mode, double& d) {
    Mode zero = mode;
    for (Eigen::MatrixXd& ut : zero.u) ut.setZero();
    linear_predictor(lambda, zero);
    const double d_zero = deviance(zero);
    if (std::isfinite(d) && !(d_zero < d)) return;
    mode = std::move(zero);
    d = d_zero;
  }

  // Observed weights where they give a positive definite matrix, else expected ones.
  bool factorise(const std::vector<Eigen::MatrixXd>& lambda, const Mode& mode) {
    if (mode.w.allFinite() && weigh(lambda, mode.w)) return true;
    expected_.resize(rows_.n());
    family_.expected_weights(mode.eta.data(), expected_.data());
    return expected_.allFinite() && weigh(lambda, expected_);
  }

  MixedRows::Blocks gradient_u(const std::vector<Eigen::MatrixXd>& lambda, const Mode& mode) const {
    MixedRows::Blocks r = scaled_back(lambda, rows_.z_transposed(mode.s));
    for (std::size_t t = 0; t < r.size(); ++t) r[t] -= mode.u[t];
    return r;
  }
  Eigen::VectorXd gradient_beta(const Mode& mode) const {
    Eigen::VectorXd r = rows_.x_transposed(mode.s);
    if (prior_.any()) r -= prior_.slope(mode.beta);
    return r;
  }

  bool take(const std::vector<Eigen::MatrixXd>& lambda, const MixedRows::Blocks& step,
            const Eigen::VectorXd& step_beta, Mode& mode, double& d) {
    direction_.setZero(rows_.n());
    if (inner_beta_) rows_.add_x(step_beta, direction_);
    rows_.add_z(scaled(lambda, step), direction_);
    trial_.s.resize(rows_.n());
    trial_.w.resize(rows_.n());
    trial_.u.resize(step.size());
    trial_.beta = mode.beta;
    trial_.iterations = mode.iterations;
    double alpha = 1.0;
    for (int halving = 0; halving < 30; ++halving, alpha *= 0.5) {
      trial_.eta = mode.eta + alpha * direction_;
      for (std::size_t t = 0; t < step.size(); ++t) trial_.u[t] = mode.u[t] + alpha * step[t];
      if (inner_beta_) trial_.beta = mode.beta + alpha * step_beta;
      const double d_trial = deviance(trial_);
      if (d_trial <= d + 1e-13 * (1.0 + std::fabs(d))) {
        std::swap(mode, trial_);
        d = d_trial;
        return true;
      }
    }
    return false;
  }

  const MixedRows& rows_;
  const Family& family_;
  CrossProducts& a_;
  BlockCholesky& factor_;
  const Eigen::VectorXd& offset_;
  bool inner_beta_;
  const BetaPrior& prior_;
  Mode trial_;
  Eigen::VectorXd direction_, expected_;
  double cold_start_above_ = std::numeric_limits<double>::infinity();
  std::string reason_;
};

}  // namespace partialpool

#endif
