#ifndef PARTIALPOOL_EP_H
#define PARTIALPOOL_EP_H

#include <Eigen/Dense>
#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "leverages.h"
#include "pirls.h"
#include "tilted.h"

namespace partialpool {

// Gaussian sites exp(-tau r^2 / 2 + nu r) of the rows, r = eta - origin.
struct Sites {
  Eigen::VectorXd tau, nu, origin;
  // The same functions of eta about another origin.
  void move(const Eigen::VectorXd& to) {
    nu -= tau.cwiseProduct(to - origin);
    origin = to;
  }
};

// Expectation propagation over the rows of a model with sparse random effects (ALGORITHMS 9.1, 9.2;
// Minka 2001): parallel sweeps, in which every row is given the site that matches its moments.
class ExpectationPropagation {
 public:
  ExpectationPropagation(const MixedRows& rows, const Family& family, BlockCholesky& factor,
                         Pirls& pirls)
      : rows_(rows),
        family_(family),
        factor_(factor),
        pirls_(pirls),
        tilted_(family, rows.n()),
        log_z_rows_(rows.n()),
        alpha_(rows.n()),
        gamma_(rows.n()) {}

  // Sites to start from where none are known: the densities' own curvature at eta = origin.
  Sites start(const Eigen::VectorXd& origin) const {
    Sites sites;
    sites.origin = origin;
    sites.nu.resize(rows_.n());
    sites.tau.resize(rows_.n());
    family_.score(origin.data(), sites.nu.data(), sites.tau.data());
    family_.expected_weights(origin.data(), sites.tau.data());
    for (Eigen::Index i = 0; i < rows_.n(); ++i)
      if (!std::isfinite(sites.nu[i]) || !std::isfinite(sites.tau[i]))
        sites.nu[i] = sites.tau[i] = 0.0;
    return sites;
  }

  // To the fixed point at lambda, from the sites given, about their origin. The factor is left with
  // the weights tau. False, with a reason, if the sweeps do not come to rest.
  bool solve(const std::vector<Eigen::MatrixXd>& lambda, Sites& sites, double tolerance) {
    reason_ = "";
    sweeps_ = 0;
    double damping = 1.0, last = std::numeric_limits<double>::infinity();
    int setbacks = 0;
    Eigen::VectorXd tau_step = Eigen::VectorXd::Zero(rows_.n()), nu_step = tau_step;
    while (true) {
      if (++sweeps_ > max_sweeps) return fail("the sweeps do not converge");
      if (!sites.tau.allFinite() || !sites.nu.allFinite()) return fail("a site is not finite");
      // A factor or a cavity that is not there: the last step was too long.
      if (!pirls_.weigh(lambda, sites.tau) || !moments(sites)) {
        if (sweeps_ == 1) {  // the sites given are of no use here
          sites.tau.setZero();
          sites.nu.setZero();
          continue;
        }
        if (++setbacks > 60) return fail("no sites with a positive definite posterior");
        sites.tau -= tau_step *= 0.5;
        sites.nu -= nu_step *= 0.5;
        damping = std::max(0.5 * damping, 0.05);
        continue;
      }
      residual_ = propose(sites, tau_step, nu_step);
      if (residual_ < tolerance && sweeps_ > 1) break;
      if (residual_ > 0.95 * last && ++setbacks > 3) damping = std::max(0.7 * damping, 0.05);
      last = residual_;
      sites.tau += tau_step *= damping;
      sites.nu += nu_step *= damping;
    }
    return finish(sites);
  }

  double log_z() const { return log_z_; }
  double residual() const { return residual_; }
  int sweeps() const { return sweeps_; }
  const std::string& reason() const { return reason_; }
  // Of the posterior: spherical u, linear predictor less origin, and nu - tau times it.
  const MixedRows::Blocks& u() const { return u_; }
  const Eigen::VectorXd& mean() const { return mean_; }
  const Eigen::VectorXd& variance() const { return variance_; }
  Eigen::VectorXd score(const Sites& sites) const {
    return sites.nu - sites.tau.cwiseProduct(mean_);
  }
  // Expected derivatives of the log densities by the parameters besides eta.
  void expectations(const Sites& sites, Eigen::VectorXd& dispersion,
                    Eigen::VectorXd& zero_inflation, Eigen::VectorXd& shape) {
    const Eigen::VectorXd at = sites.origin + cavity_mean_;
    tilted_.expectations(at.data(), cavity_variance_.data(), dispersion, zero_inflation, shape);
  }

 private:
  static constexpr int max_sweeps = 500;

  bool fail(const char* reason) {
    reason_ = reason;
    return false;
  }

  // Marginal means and variances of the rows, cavities and tilted moments. False: a cavity has no
  // variance, or a row no moments.
  bool moments(const Sites& sites) {
    u_ = Pirls::scaled_back(factor_.lambda(), rows_.z_transposed(sites.nu));
    linear_ = u_;
    solve_system(factor_, u_);
    mean_.setZero(rows_.n());
    rows_.add_z(Pirls::scaled(factor_.lambda(), u_), mean_);
    SelectedInverse inverse(factor_, false);
    variance_ = leverages(rows_, factor_, inverse);
    const Eigen::ArrayXd left = 1.0 - variance_.array() * sites.tau.array();
    if (!(left > 0.0).all() || !(variance_.array() >= 0.0).all()) return false;
    cavity_variance_ = variance_.array() / left;
    cavity_mean_ = (mean_.array() - variance_.array() * sites.nu.array()) / left;
    const Eigen::VectorXd at = sites.origin + cavity_mean_;
    return tilted_.compute(at.data(), cavity_variance_.data(), log_z_rows_.data(), alpha_.data(),
                           gamma_.data());
  }

  // Steps to the sites that match the moments, and by how much the present ones miss them.
  double propose(const Sites& sites, Eigen::VectorXd& tau_step, Eigen::VectorXd& nu_step) const {
    const Eigen::ArrayXd vc = cavity_variance_.array(), mc = cavity_mean_.array();
    const Eigen::ArrayXd tau = sites.tau.array(), nu = sites.nu.array(), alpha = alpha_.array(),
                         gamma = gamma_.array(), v = variance_.array();
    const Eigen::ArrayXd left = 1.0 - gamma * vc, right = 1.0 + tau * vc;
    tau_step = gamma / left - tau;
    nu_step = (alpha + gamma * mc) / left - nu;
    const double by_mean = (v.sqrt() * (alpha - (nu - tau * mc) / right)).abs().maxCoeff();
    const double by_variance = (v * (gamma - tau / right)).abs().maxCoeff();
    return std::max(by_mean, by_variance);
  }

  bool finish(const Sites& sites) {
    const Eigen::ArrayXd vc = cavity_variance_.array(), mc = cavity_mean_.array();
    const Eigen::ArrayXd tau = sites.tau.array(), nu = sites.nu.array(), right = 1.0 + tau * vc;
    const double own = (-0.5 * right.log() +
                        (2.0 * mc * nu + vc * nu.square() - tau * mc.square()) / (2.0 * right))
                           .sum();
    log_z_ = -0.5 * factor_.log_det() + log_z_rows_.sum() - own;
    for (std::size_t t = 0; t < u_.size(); ++t)
      log_z_ += 0.5 * linear_[t].cwiseProduct(u_[t]).sum();
    return std::isfinite(log_z_) || fail("the likelihood is not finite");
  }

  const MixedRows& rows_;
  const Family& family_;
  BlockCholesky& factor_;
  Pirls& pirls_;
  TiltedMoments tilted_;
  MixedRows::Blocks u_, linear_;
  Eigen::VectorXd mean_, variance_, cavity_mean_, cavity_variance_;
  Eigen::VectorXd log_z_rows_, alpha_, gamma_;
  double log_z_ = 0.0, residual_ = 0.0;
  int sweeps_ = 0;
  std::string reason_;
};

}  // namespace partialpool

#endif
