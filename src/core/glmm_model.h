#ifndef PARTIALPOOL_GLMM_MODEL_H
#define PARTIALPOOL_GLMM_MODEL_H

#include <Eigen/Dense>
#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "family.h"
#include "glm_start.h"
#include "marginal.h"
#include "marginal_search.h"
#include "mixed_rows.h"
#include "separation.h"
#include "standardise.h"
#include "terms.h"
#include "theta_map.h"

namespace partialpool {

// What makes a GLMM besides its rows.
struct GlmmSpec {
  std::string family, link;
  IntegralChoice integral;
  bool fixed_dispersion = false, fixed_shape = false;
  double log_phi = 0.0, shape = 0.0;            // where fixed
  Eigen::VectorXd prior_mean, prior_precision;  // by column of X; empty: none
  Storage storage = Storage::automatic;
};

// The rows as the caller has them.
struct GlmmRows {
  ModelData data;  // X and random terms; no response, weights or offset
  const double *y = nullptr, *weights = nullptr, *trials = nullptr, *offset = nullptr;
  Eigen::MatrixXd x_dispersion = {}, x_zero_inflation = {};  // n x d; no columns: none
};

// A generalised linear mixed model from rows to criterion, and the way back from the standardised
// coordinates of the computation to the user's.
class GlmmModel {
 public:
  GlmmModel(GlmmRows input, GlmmSpec spec)
      : data_(std::move(input.data)), spec_(std::move(spec)), terms_(amalgamate(data_)) {
    sort_levels(data_, terms_);
    standard_ = std::make_unique<Standardisation>(data_);
    if (!standard_->aliased_z().empty()) return;  // the caller drops the columns and starts again
    rows_ = std::make_unique<MixedRows>(data_, terms_, *standard_);
    take_rows(input);
    set_prior();
    find_start();
    if (family_->eta_has_unit()) set_unit();
    a_ = std::make_unique<CrossProducts>(terms_, 0, false);
    rows_->build_pattern(*a_);
    if (terms_.empty()) spec_.integral.nodes = 1;  // nothing to integrate
    marginal_ = std::make_unique<Marginal>(data_, map(), *rows_, *family_, *a_, offset_, parts_,
                                           spec_.integral, spec_.storage);
    marginal_->set_magnitude(magnitude());
  }
  GlmmModel(const GlmmModel&) = delete;
  GlmmModel& operator=(const GlmmModel&) = delete;

  const ModelData& data() const { return data_; }
  const std::vector<Term>& terms() const { return terms_; }
  const Standardisation& standard() const { return *standard_; }
  const Family& family() const { return *family_; }
  const FixedParts& parts() const { return parts_; }
  Marginal& marginal() { return *marginal_; }
  BlockCholesky& factor() { return marginal_->factor(); }
  ThetaMap map() const { return ThetaMap(data_, terms_, *standard_); }
  bool ready() const { return marginal_ != nullptr; }

  // Where the search begins: the model without random effects, and covariances of a usual size.
  // False: no parameters are known at which the response has a density.
  bool start(Eigen::VectorXd& x, double size = 1.0, double part = 0.5) {
    if (!start_.finite) return false;
    Marginal& m = *marginal_;
    x = Eigen::VectorXd::Zero(m.size());
    x.head(m.n_theta()) = map().unit_start(part, size);
    if (m.n_beta() > 0) x.segment(m.n_theta(), m.n_beta()) = start_.beta;
    if (parts_.dispersion.size() > 0)
      x.segment(m.dispersion_at(), parts_.dispersion.size()) =
          parts_.dispersion.constant_start(start_log_phi_);
    if (parts_.zero_inflation.size() > 0)
      x.segment(m.zero_inflation_at(), parts_.zero_inflation.size()) =
          parts_.zero_inflation.constant_start(start_zero_inflation);
    if (parts_.estimate_shape) x[m.shape_at()] = start_shape_;
    m.start_cold(start_.beta);
    return true;
  }
  const Separation& separation() const { return separation_; }

  // The best optimum found; the model is left evaluated there.
  MarginalOptimum search(const Eigen::VectorXd* given, const NewtonControl& control) {
    Eigen::VectorXd x;
    MarginalOptimum best;
    if (!start(x)) {
      best.optimum.status = "not finite";
      return best;
    }
    if (spec_.integral.ep && !given) move_to_laplace(x, control);
    best = MarginalSearch(*marginal_, control).run(given ? *given : x);
    // Large random effects may leave the range of the mean at once: smaller ones.
    for (const double size : {0.1, 0.01}) {
      if (given || std::isfinite(best.optimum.value)) break;
      start(x, size);
      best = MarginalSearch(*marginal_, control).run(x);
    }
    bool correlated = false;
    for (const UserTerm& t : data_.terms) correlated = correlated || t.block.correlated();
    const bool failed = best.optimum.status != "converged";
    // With separation there is no optimum to be found from elsewhere either.
    if (data_.terms.empty() || separation_.found ||
        (!failed && best.optimum.null_sets.empty() && !correlated))
      return best;
    struct Other {
      double size, part;  // of the standard deviations; of the limits of correlations
      bool plain;         // dispersion 1
    };
    for (const Other& o : {Other{0.2, 0.5, false}, Other{1.0, -0.5, false}, Other{1.0, 0.9, false},
                           Other{3.0, 0.5, false}, Other{1.0, 0.5, true}}) {
      if (o.part != 0.5 && !correlated) continue;
      if (o.size > 1.0 && best.optimum.status == "converged") break;
      if (o.plain && parts_.dispersion.size() == 0) break;
      start(x, o.size, o.part);
      if (o.plain) x.segment(marginal_->dispersion_at(), parts_.dispersion.size()).setZero();
      const MarginalOptimum other = MarginalSearch(*marginal_, control).run(x);
      const double gain = best.optimum.value - other.optimum.value;
      const bool finishes =
          best.optimum.status != "converged" && other.optimum.status == "converged";
      if (!std::isfinite(other.optimum.value)) continue;
      if (!std::isfinite(best.optimum.value) || gain > 1e-7 || (finishes && gain > -1e-7))
        best = other;
    }
    marginal_->start_cold(start_.beta);
    marginal_->value(best.optimum.x);
    marginal_->accept();
    return best;
  }

  // par = (theta, beta, dispersion, zero inflation, shape) in the user's coordinates.
  Eigen::VectorXd parameters(const Eigen::VectorXd& par) const {
    const Marginal& m = *marginal_;
    const int k = map().n_theta(), shift = m.n_theta() - k;
    Eigen::VectorXd x(m.size());
    x.head(m.n_theta()) = map().parameters(par.head(k));
    if (m.n_beta() > 0)
      x.segment(m.n_theta(), m.n_beta()) = standard_beta(par.segment(k, m.n_beta()));
    extras([&](const ExtraPredictor& e, int at) {
      x.segment(at, e.size()) = e.from_user(par.segment(at - shift, e.size()));
    });
    if (parts_.estimate_shape) x[m.shape_at()] = par[m.shape_at() - shift];
    return x;
  }

  double value(const Eigen::VectorXd& par) {
    if (!start_.finite) return std::numeric_limits<double>::infinity();
    marginal_->start_cold(start_.beta);
    return criterion(parameters(par));
  }
  Eigen::VectorXd gradient(const Eigen::VectorXd& par) {
    if (!std::isfinite(value(par)))
      return Eigen::VectorXd::Constant(par.size(), std::numeric_limits<double>::quiet_NaN());
    return user_gradient(marginal_->lambda_gradient());
  }
  // From the derivative by each Lambda, at the last evaluation.
  Eigen::VectorXd user_gradient(const std::vector<Eigen::MatrixXd>& g) const {
    const Marginal& m = *marginal_;
    const Eigen::VectorXd by_x = m.gradient(g);
    const int k = map().n_theta(), shift = m.n_theta() - k;
    Eigen::VectorXd out(m.size() - shift);
    out.head(k) = map().theta_gradient(m.x(), g, by_x);
    if (m.n_beta() > 0)
      out.segment(k, m.n_beta()) = standard_->beta_map().transpose().partialPivLu().solve(
          by_x.segment(m.n_theta(), m.n_beta()));
    extras([&](const ExtraPredictor& e, int at) {
      out.segment(at - shift, e.size()) =
          e.to_user().transpose().partialPivLu().solve(by_x.segment(at, e.size()));
    });
    if (parts_.estimate_shape) out[m.shape_at() - shift] = by_x[m.shape_at()];
    return out;
  }

  // Constant that turns the standardised criterion into the user's.
  double criterion_shift() const {
    return spec_.integral.reml ? 2.0 * standard_->log_det_x() : 0.0;
  }
  double criterion(const Eigen::VectorXd& x) { return marginal_->value(x) + criterion_shift(); }
  // Of the prior, at the last evaluation; part of the criterion.
  double penalty() const { return parts_.prior.penalty(marginal_->mode().beta); }

  Eigen::VectorXd beta() const { return standard_->beta_map() * marginal_->mode().beta; }
  Eigen::VectorXd standard_beta(const Eigen::VectorXd& beta) const {
    return standard_->beta_map().partialPivLu().solve(beta);
  }
  Eigen::VectorXd dispersion(const Eigen::VectorXd& x) const {
    return user_extra(parts_.dispersion, x, marginal_->dispersion_at());
  }
  Eigen::VectorXd zero_inflation(const Eigen::VectorXd& x) const {
    return user_extra(parts_.zero_inflation, x, marginal_->zero_inflation_at());
  }
  // Conditional modes b of each user term, p x J, levels in the user's order.
  std::vector<Eigen::MatrixXd> modes() {
    return map().modes_to_user(Pirls::scaled(factor().lambda(), marginal_->mode().u));
  }

 private:
  void take_rows(const GlmmRows& input) {
    const auto sorted = [&](const double* v, Eigen::VectorXd& out) -> const double* {
      if (!v) return nullptr;
      out = rows_->in_order(v);
      return out.data();
    };
    response_.n = data_.n;
    response_.y = sorted(input.y, y_);
    response_.weights = sorted(input.weights, weights_);
    response_.trials = sorted(input.trials, trials_);
    offset_ = input.offset ? rows_->in_order(input.offset) : Eigen::VectorXd::Zero(data_.n).eval();
    family_ = make_family(spec_.family, spec_.link, response_, input.x_zero_inflation.cols() > 0);
    if (!family_) throw std::invalid_argument("unknown family or link");
    if (family_->has_dispersion() && !spec_.fixed_dispersion)
      parts_.dispersion = ExtraPredictor(input.x_dispersion, rows_->order());
    if (input.x_zero_inflation.cols() > 0)
      parts_.zero_inflation = ExtraPredictor(input.x_zero_inflation, rows_->order());
    parts_.estimate_shape = family_->has_shape() && !spec_.fixed_shape;
    parts_.shape = spec_.shape;
    parts_.log_phi = spec_.log_phi;
  }

  // Expectation propagation starts where the Laplace approximation, which takes a fraction of the
  // time, has its optimum.
  void move_to_laplace(Eigen::VectorXd& x, const NewtonControl& control) {
    Marginal laplace(data_, map(), *rows_, *family_, *a_, offset_, parts_, IntegralChoice(),
                     spec_.storage);
    laplace.set_magnitude(magnitude());
    laplace.start_cold(start_.beta);
    const Optimum found = MarginalSearch(laplace, control).run(x).optimum;
    if (found.status != "converged") return;
    // From a variance of zero there is no way up.
    const int covariances = found.null_sets.empty() ? 0 : laplace.n_theta();
    x.tail(x.size() - covariances) = found.x.tail(x.size() - covariances);
    marginal_->start_at(laplace.mode());
  }

  // Size of the terms of the log densities.
  double magnitude() const {
    double sum = 0.0;
    for (Eigen::Index i = 0; i < response_.n; ++i) {
      const double y = std::fabs(y_[i]) * (response_.trials ? trials_[i] : 1.0);
      sum += (response_.weights ? weights_[i] : 1.0) * y * std::log1p(y);
    }
    return sum;
  }

  void set_prior() {
    if (spec_.prior_precision.size() == 0) return;
    const std::vector<int>& kept = standard_->kept();
    const int p = static_cast<int>(kept.size());
    Eigen::VectorXd precision(p), mean(p);
    for (int j = 0; j < p; ++j) {
      precision[j] = spec_.prior_precision[kept[j]];
      mean[j] = spec_.prior_mean[kept[j]];
    }
    const Eigen::MatrixXd map = standard_->beta_map();
    parts_.prior.precision = map.transpose() * precision.asDiagonal() * map;
    parts_.prior.mean = standard_beta(mean);
  }

  void find_start() {
    start_log_phi_ = parts_.log_phi;
    start_shape_ = parts_.estimate_shape ? family_->start_shape() : parts_.shape;
    set_start_parameters();
    if (parts_.dispersion.size() > 0) {
      // Mean and dispersion need each other: a rough value of one for the other, twice.
      for (int round = 0; round < 2; ++round) {
        start_ = glm_start(*rows_, *family_, offset_, parts_.prior, 4);
        if (!start_.finite) return;
        start_log_phi_ = family_->start_dispersion(start_.eta.data());
        set_start_parameters();
      }
    }
    start_ = glm_start(*rows_, *family_, offset_, parts_.prior, 40);
    if (!start_.finite) return;
    if (!parts_.prior.any()) separation_ = find_separation(*rows_, *family_, start_);
    if (parts_.dispersion.size() > 0) {
      start_log_phi_ = family_->start_dispersion(start_.eta.data());
      const double alone = start_log_phi_;
      // Random effects and extra zeros take their part of the spread.
      if (!data_.terms.empty() || family_->has_zero_inflation())
        start_log_phi_ = family_->shared_dispersion(start_log_phi_);
      set_start_parameters();
      if (start_log_phi_ != alone) start_ = glm_start(*rows_, *family_, offset_, parts_.prior, 40);
    }
  }
  void set_start_parameters() {
    const bool inflated = parts_.zero_inflation.size() > 0;
    family_->set_parameters(
        Eigen::VectorXd::Constant(1, start_log_phi_),
        inflated ? Eigen::VectorXd::Constant(1, start_zero_inflation) : Eigen::VectorXd(),
        start_shape_);
  }

  // Puts eta in units of what one row says about it: steps and thresholds mean the same whatever
  // the unit of the response.
  void set_unit() {
    if (!start_.finite) return;
    Eigen::VectorXd w(data_.n);
    family_->expected_weights(start_.eta.data(), w.data());
    const double unit = 1.0 / std::sqrt(w.mean());
    if (!std::isfinite(unit) || !(unit > 0.0)) return;
    standard_->set_unit(unit);
    rows_->set_unit(unit);
    start_.beta /= unit;
    start_.direction /= unit;
    if (separation_.found) separation_.direction /= unit;
    set_prior();
  }

  template <class F>
  void extras(F&& f) const {
    if (parts_.dispersion.size() > 0) f(parts_.dispersion, marginal_->dispersion_at());
    if (parts_.zero_inflation.size() > 0) f(parts_.zero_inflation, marginal_->zero_inflation_at());
  }
  Eigen::VectorXd user_extra(const ExtraPredictor& e, const Eigen::VectorXd& x, int at) const {
    if (e.size() == 0) return Eigen::VectorXd();
    return e.to_user() * x.segment(at, e.size());
  }

  ModelData data_;
  GlmmSpec spec_;
  std::vector<Term> terms_;
  std::unique_ptr<Standardisation> standard_;
  std::unique_ptr<MixedRows> rows_;
  ResponseRows response_;
  Eigen::VectorXd y_, weights_, trials_, offset_;
  std::unique_ptr<Family> family_;
  FixedParts parts_;
  std::unique_ptr<CrossProducts> a_;
  std::unique_ptr<Marginal> marginal_;
  static constexpr double start_zero_inflation = -2.0;
  double start_log_phi_ = 0.0, start_shape_ = 0.0;
  GlmStart start_;
  Separation separation_;
};

}  // namespace partialpool

#endif
