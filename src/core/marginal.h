#ifndef PARTIALPOOL_MARGINAL_H
#define PARTIALPOOL_MARGINAL_H

#include <Eigen/Dense>
#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "ep.h"
#include "extra_predictor.h"
#include "information.h"
#include "leverages.h"
#include "moving_directions.h"
#include "pirls.h"
#include "quadrature.h"
#include "selected_inverse.h"
#include "terms.h"
#include "theta_map.h"

namespace partialpool {

// How the random effects are integrated out.
struct IntegralChoice {
  int nodes = 1;            // per dimension; 1: Laplace
  bool inner_beta = false;  // beta is the mode too, and no parameter: REML, or lme4's nAGQ = 0
  bool reml = false;        // beta is integrated out as well
  bool ep = false;          // expectation propagation in place of Laplace or quadrature
};

// Parameters besides those of the covariances.
struct FixedParts {
  ExtraPredictor dispersion, zero_inflation;
  bool estimate_shape = false;
  double shape = 0.0, log_phi = 0.0;  // where they are not estimated
  BetaPrior prior;
};

// Minus twice the marginal log-likelihood of a GLMM, with its gradient, as a function of the
// optimiser's parameters x = (covariances, beta, dispersion, zero inflation, shape) in standardised
// coordinates (ALGORITHMS 8). Value first; then gradient and Hessian model at the same x.
class Marginal {
 public:
  Marginal(const ModelData& data, const ThetaMap& map, const MixedRows& rows, Family& family,
           CrossProducts& a, const Eigen::VectorXd& offset, const FixedParts& parts,
           IntegralChoice choice, Storage storage)
      : data_(data),
        map_(map),
        rows_(rows),
        family_(family),
        a_(a),
        offset_(offset),
        parts_(parts),
        choice_(choice),
        factor_(a, storage),
        pirls_(rows, family, a, factor_, offset, choice.inner_beta, parts.prior),
        n_theta_(n_parameters(data)),
        n_beta_(choice.inner_beta ? 0 : rows.p_x()) {
    a_.set_border(choice_.inner_beta ? rows.p_x() : 0);
    if (choice_.nodes > 1) {
      quadrature_ = std::make_unique<Quadrature>(rows, family, factor_, choice_.nodes);
      triangular_ = triangular_directions();
    }
    if (choice_.ep) ep_ = std::make_unique<ExpectationPropagation>(rows, family, factor_, pirls_);
    for (const Term& term : a.terms())
      warm_.u.push_back(Eigen::MatrixXd::Zero(term.p, term.modes()));
    warm_.beta = Eigen::VectorXd::Zero(rows.p_x());
  }

  int size() const { return shape_at() + (parts_.estimate_shape ? 1 : 0); }
  int n_theta() const { return n_theta_; }
  int n_beta() const { return n_beta_; }
  int dispersion_at() const { return n_theta_ + n_beta_; }
  int zero_inflation_at() const { return dispersion_at() + parts_.dispersion.size(); }
  int shape_at() const { return zero_inflation_at() + parts_.zero_inflation.size(); }

  // +infinity where no mode was found.
  double value(const Eigen::VectorXd& x) {
    ++evaluations_;
    x_ = x;
    failure_ = "";
    if (!x.allFinite()) return std::numeric_limits<double>::infinity();
    set_family(x);
    if (!choice_.inner_beta && a_.m() > 0) a_.set_border(0);
    if (ep_) return ep_value(x);
    mode_.u = warm_.u;
    mode_.beta = warm_.beta;
    const bool found = pirls_.solve(lambdas(data_, a_.terms(), x), beta_part(x), mode_);
    pirls_iterations_ += mode_.iterations;
    if (!found) {
      failure_ = pirls_.reason();
      ++failures_;
      return std::numeric_limits<double>::infinity();
    }
    double f = parts_.prior.penalty(mode_.beta);
    if (quadrature_) {
      f -= 2.0 * quadrature_->value(mode_);
    } else {
      f += -2.0 * mode_.log_density + mode_.penalty() + factor_.log_det();
      if (choice_.reml) f += factor_.log_det_x() - rows_.p_x() * std::log(2.0 * M_PI);
    }
    return std::isfinite(f) ? f : std::numeric_limits<double>::infinity();
  }

  // The modes of the last value are where the next one starts.
  void accept() {
    if (ep_) {
      warm_sites_ = sites_;
      return;
    }
    warm_.u = mode_.u;
    warm_.beta = mode_.beta;
    const double d = pirls_.penalised(mode_);
    pirls_.cold_start_above(d + 20.0 + 0.05 * std::fabs(d));
  }

  // Derivative by the entries of each Lambda_t (full); the rest waits for gradient().
  std::vector<Eigen::MatrixXd> lambda_gradient() {
    ++gradients_;
    if (ep_) return ep_gradient();
    const std::vector<Eigen::MatrixXd>& lambda = factor_.lambda();
    family_.derivatives(mode_.eta.data(), derivatives_);
    const MixedRows::Blocks w = rows_.z_transposed(mode_.s);
    IntegralParts parts;
    if (quadrature_)
      quadrature_->parts(mode_, parts);
    else
      laplace_parts(w, parts);

    // The way of the modes: c by W, a = (their system)^-1 (direct part + by W), and
    // q = Z Lambda a + X a.
    const Eigen::VectorXd c = parts.h.cwiseProduct(derivatives_.w_eta);
    const MixedRows::Blocks zc = rows_.z_transposed(c);
    MixedRows::Blocks a = Pirls::scaled_back(lambda, zc);
    for (std::size_t t = 0; t < parts.u.size(); ++t) a[t] += parts.u[t];
    Eigen::VectorXd a_x = choice_.inner_beta ? rows_.x_transposed(c) : Eigen::VectorXd();
    solve_system(factor_, a, choice_.inner_beta ? &a_x : nullptr);
    Eigen::VectorXd q = Eigen::VectorXd::Zero(rows_.n());
    rows_.add_z(Pirls::scaled(lambda, a), q);
    if (choice_.inner_beta) rows_.add_x(a_x, q);
    const Eigen::VectorXd through_mode = c - derivatives_.w.cwiseProduct(q);
    const MixedRows::Blocks z_through = rows_.z_transposed(through_mode);

    std::vector<Eigen::MatrixXd> g;
    for (int t = 0; t < a_.n_terms(); ++t)
      g.push_back(-2.0 * (parts.lambda[t] + z_through[t] * mode_.u[t].transpose() +
                          w[t] * a[t].transpose()));

    rest_.resize(size() - n_theta_);
    if (n_beta_ > 0) {
      rest_.head(n_beta_) = -2.0 * rows_.x_transposed(parts.s + through_mode);
      if (parts_.prior.any()) rest_.head(n_beta_) += 2.0 * parts_.prior.slope(mode_.beta);
    }
    const auto by_extra = [&](const Eigen::VectorXd& l, const RowDerivatives::Extra& k) {
      return Eigen::VectorXd(-2.0 * (l + parts.h.cwiseProduct(k.w) + q.cwiseProduct(k.s)));
    };
    if (parts_.dispersion.size() > 0)
      rest_.segment(dispersion_at() - n_theta_, parts_.dispersion.size()) =
          parts_.dispersion.gradient(by_extra(parts.dispersion, derivatives_.dispersion));
    if (parts_.zero_inflation.size() > 0)
      rest_.segment(zero_inflation_at() - n_theta_, parts_.zero_inflation.size()) =
          parts_.zero_inflation.gradient(
              by_extra(parts.zero_inflation, derivatives_.zero_inflation));
    if (parts_.estimate_shape)
      rest_[shape_at() - n_theta_] = by_extra(parts.shape, derivatives_.shape).sum();
    return g;
  }

  Eigen::VectorXd gradient(const std::vector<Eigen::MatrixXd>& g) const {
    Eigen::VectorXd out(size());
    for (int t = 0; t < a_.n_terms(); ++t) put_gradient(data_, a_.terms()[t], x_, g[t], out);
    out.tail(rest_.size()) = rest_;
    if (triangular_.size() > 0) return triangular_ * (triangular_.transpose() * out);
    return out;
  }

  // A product rule is not invariant to rotations of Lambda as the integral is: it is taken at the
  // lower triangular factor of the user's coordinates, and the search keeps to those.
  Eigen::VectorXd canonical(const Eigen::VectorXd& x) const {
    if (triangular_.size() == 0) return x;
    Eigen::VectorXd out = x;
    out.head(n_theta_) = map_.parameters(map_.theta(x.head(n_theta_)));
    return out;
  }
  // Orthonormal directions in which the search can move at x.
  Eigen::MatrixXd directions(const Eigen::VectorXd& x) const {
    return triangular_.size() > 0 ? triangular_ : moving_directions(data_, a_.terms(), x);
  }

  // Model of the Hessian (ALGORITHMS 8.6): average information of the linear model at the mode, and
  // the information of beta; the parameters of the density by differences of the gradient `at_x`.
  Eigen::MatrixXd hessian(const std::vector<Eigen::MatrixXd>& g) {
    const Eigen::VectorXd at_x = gradient(g), x = x_;
    const int k = n_theta_ + n_beta_;
    Eigen::MatrixXd h = Eigen::MatrixXd::Zero(size(), size());
    widen_border();
    if (n_theta_ > 0) {
      h.topLeftCorner(n_theta_, n_theta_) = average_information(
          factor_, rows_.z_transposed(mode_.s), data_, x_.data(), n_theta_, 1.0, 1.0, false);
      add_chain_terms(a_, factor_.lambda(), data_, x_.data(), g, h);
    }
    if (n_beta_ > 0)
      h.block(n_theta_, n_theta_, n_beta_, n_beta_) =
          2.0 * factor_.border_factor() * factor_.border_factor().transpose();
    for (int i = k; i < size(); ++i) {
      Eigen::VectorXd shifted = x;
      shifted[i] += 1e-4;
      if (!std::isfinite(value(shifted))) {
        h(i, i) = static_cast<double>(rows_.n());
        continue;
      }
      h.row(i) = (gradient(lambda_gradient()) - at_x).transpose() / 1e-4;
      h.col(i).head(k) = h.row(i).head(k).transpose();
    }
    if (size() > k) value(x);
    if (triangular_.size() > 0)
      h = (triangular_ * (triangular_.transpose() * h * triangular_) * triangular_.transpose())
              .eval();
    return 0.5 * (h + h.transpose());
  }

  // Factor with X in the border, for questions that need beta's part of the system.
  void widen_border() {
    if (a_.m() == rows_.p_x()) return;
    a_.set_border(rows_.p_x());
    pirls_.weigh(std::vector<Eigen::MatrixXd>(factor_.lambda()), mode_.w);
  }

  const ModelData& data() const { return data_; }
  const CrossProducts& cross_products() const { return a_; }
  BlockCholesky& factor() { return factor_; }
  const Mode& mode() const { return mode_; }
  const Eigen::VectorXd& x() const { return x_; }
  bool reml() const { return choice_.reml; }
  double nu() const { return static_cast<double>(rows_.n()); }
  // Why the last value was not finite.
  const std::string& failure() const { return failure_; }
  // What rounding leaves uncertain of a value: the log densities are sums of terms of size y log y
  // that cancel.
  double floor() const { return 1e-15 * magnitude_; }
  double noise(double value) const { return 1e-11 * (std::fabs(value) + 1.0) + floor(); }
  // For differences of the gradient, central or one-sided; the sweeps leave more noise in it.
  double difference_step(bool central) const {
    return ep_ ? (central ? 1e-3 : 1e-4) : (central ? 3e-5 : 1e-5);
  }
  void set_magnitude(double value) { magnitude_ = value; }
  // How many values were not finite since reset_counts() because no mode was found.
  int failures() const { return failures_; }
  int evaluations() const { return evaluations_; }
  int gradients() const { return gradients_; }
  int pirls_iterations() const { return pirls_iterations_; }
  void reset_counts() { evaluations_ = gradients_ = pirls_iterations_ = failures_ = 0; }
  void start_cold(const Eigen::VectorXd& beta) {
    warm_sites_ = Sites();
    for (Eigen::MatrixXd& u : warm_.u) u.setZero();
    warm_.beta = beta;
    pirls_.cold_start_above(std::numeric_limits<double>::infinity());
  }
  // Sites with the curvature of the densities at the modes of another approximation.
  void start_at(const Mode& mode) {
    warm_sites_.origin = offset_;
    rows_.add_x(mode.beta, warm_sites_.origin);
    warm_sites_.tau = mode.w.cwiseMax(0.0);
    warm_sites_.nu = mode.s + warm_sites_.tau.cwiseProduct(mode.eta - warm_sites_.origin);
  }

 private:
  // Expectation propagation. What stands in `mode_`: the posterior mean, the sites' score and
  // weights there.
  double ep_value(const Eigen::VectorXd& x) {
    mode_.beta = beta_part(x);
    Eigen::VectorXd origin = offset_;
    rows_.add_x(mode_.beta, origin);
    sites_ = warm_sites_.tau.size() > 0 ? warm_sites_ : ep_->start(origin);
    sites_.move(origin);
    const bool found = ep_->solve(lambdas(data_, a_.terms(), x), sites_, ep_tolerance_);
    pirls_iterations_ += ep_->sweeps();
    if (!found) {
      failure_ = ep_->reason();
      ++failures_;
      return std::numeric_limits<double>::infinity();
    }
    mode_.u = ep_->u();
    mode_.eta = origin + ep_->mean();
    mode_.s = ep_->score(sites_);
    mode_.w = sites_.tau;
    return parts_.prior.penalty(mode_.beta) - 2.0 * ep_->log_z();
  }

  std::vector<Eigen::MatrixXd> ep_gradient() {
    SelectedInverse inverse(factor_, false);
    std::vector<Eigen::MatrixXd> g = inverse_products(factor_, inverse);
    const MixedRows::Blocks w = rows_.z_transposed(mode_.s);
    for (int t = 0; t < a_.n_terms(); ++t)
      g[t] = (2.0 * (g[t] - w[t] * mode_.u[t].transpose())).eval();
    rest_.resize(size() - n_theta_);
    if (n_beta_ > 0) {
      rest_.head(n_beta_) = -2.0 * rows_.x_transposed(mode_.s);
      if (parts_.prior.any()) rest_.head(n_beta_) += 2.0 * parts_.prior.slope(mode_.beta);
    }
    if (size() == n_theta_ + n_beta_) return g;
    Eigen::VectorXd dispersion, zero_inflation, shape;
    ep_->expectations(sites_, dispersion, zero_inflation, shape);
    if (parts_.dispersion.size() > 0)
      rest_.segment(dispersion_at() - n_theta_, parts_.dispersion.size()) =
          -2.0 * parts_.dispersion.gradient(dispersion);
    if (parts_.zero_inflation.size() > 0)
      rest_.segment(zero_inflation_at() - n_theta_, parts_.zero_inflation.size()) =
          -2.0 * parts_.zero_inflation.gradient(zero_inflation);
    if (parts_.estimate_shape) rest_[shape_at() - n_theta_] = -2.0 * shape.sum();
    return g;
  }

  Eigen::VectorXd beta_part(const Eigen::VectorXd& x) const { return x.segment(n_theta_, n_beta_); }

  void set_family(const Eigen::VectorXd& x) {
    const auto values = [&](const ExtraPredictor& e, int at) {
      return e.size() > 0 ? e.values(x.segment(at, e.size())) : Eigen::VectorXd();
    };
    Eigen::VectorXd log_phi = values(parts_.dispersion, dispersion_at());
    if (log_phi.size() == 0) log_phi = Eigen::VectorXd::Constant(1, parts_.log_phi);
    family_.set_parameters(log_phi, values(parts_.zero_inflation, zero_inflation_at()),
                           parts_.estimate_shape ? x[shape_at()] : parts_.shape);
  }

  // Basis of the x that stand for lower triangular factors; empty if all do.
  Eigen::MatrixXd triangular_directions() const {
    Eigen::MatrixXd basis = Eigen::MatrixXd::Identity(size(), size());
    std::vector<int> kept;
    bool all = true;
    for (int i = n_theta_; i < size(); ++i) kept.push_back(i);
    for (const Term& term : a_.terms()) {
      std::size_t member = 0;
      for_each_block(data_, term, [&](const CovarianceBlock& b, int at, int) {
        const int p = b.size(), user = term.members[member++];
        const bool full = b.structure() == Structure::unstructured && p > 1;
        for (int i = 0; i < b.n_parameters(); ++i)
          if (!full || i % p >= i / p) kept.push_back(at + i);
        if (!full) return;
        all = false;
        // Lambda~ = C'Lambda, column by column.
        for (int c = 0; c < p; ++c)
          basis.block(at + c * p, at + c * p, p, p) = map_.z_factor(user).transpose();
      });
    }
    if (all) return Eigen::MatrixXd();
    std::sort(kept.begin(), kept.end());
    Eigen::MatrixXd columns(size(), kept.size());
    for (std::size_t i = 0; i < kept.size(); ++i) columns.col(i) = basis.col(kept[i]);
    const Eigen::HouseholderQR<Eigen::MatrixXd> qr(columns);
    return qr.householderQ() * Eigen::MatrixXd::Identity(size(), kept.size());
  }

  void laplace_parts(const MixedRows::Blocks& w, IntegralParts& out) {
    SelectedInverse inverse(factor_, choice_.reml);
    const std::vector<Eigen::MatrixXd> traces = inverse_products(factor_, inverse);
    out.h = -0.5 * leverages(rows_, factor_, inverse);
    out.s = mode_.s;
    for (int t = 0; t < a_.n_terms(); ++t)
      out.lambda.push_back(w[t] * mode_.u[t].transpose() - traces[t]);
    out.dispersion = derivatives_.dispersion.l;
    out.zero_inflation = derivatives_.zero_inflation.l;
    out.shape = derivatives_.shape.l;
  }

  const ModelData& data_;
  ThetaMap map_;
  const MixedRows& rows_;
  Family& family_;
  CrossProducts& a_;
  const Eigen::VectorXd& offset_;
  const FixedParts& parts_;
  IntegralChoice choice_;
  BlockCholesky factor_;
  Pirls pirls_;
  std::unique_ptr<Quadrature> quadrature_;
  std::unique_ptr<ExpectationPropagation> ep_;
  Sites warm_sites_, sites_;
  double ep_tolerance_ = 1e-9;
  int n_theta_, n_beta_;
  Eigen::MatrixXd triangular_;  // see canonical()
  Eigen::VectorXd x_, rest_;
  Mode warm_, mode_;  // of warm_ only u and beta
  RowDerivatives derivatives_;
  std::string failure_;
  double magnitude_ = 0.0;
  int evaluations_ = 0, gradients_ = 0, pirls_iterations_ = 0, failures_ = 0;
};

}  // namespace partialpool

#endif
