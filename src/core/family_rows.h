#ifndef PARTIALPOOL_FAMILY_ROWS_H
#define PARTIALPOOL_FAMILY_ROWS_H

#include <Eigen/Dense>
#include <algorithm>
#include <cmath>
#include <type_traits>
#include <vector>

#include "family.h"
#include "jet.h"
#include "link.h"
#include "special.h"

namespace partialpool {

// The part of a log density without eta, with its derivatives by log phi and by the shape.
struct EtaFree {
  double l = 0.0, dispersion = 0.0, shape = 0.0;
};

// What expected information needs: the mean and the square of dmu/deta, over mu (1 - mu) for a
// probability and over mu^2 for a positive mean.
struct MeanSlope {
  double mu, square;
};

// log(pi + (1 - pi) f(0)) with logit pi = delta; l is log f(0).
template <class T>
inline T zero_inflated(const T& l, const T& delta) {
  const double difference = value_of(l) - value_of(delta);
  if (!(difference > -745.0)) return -apply(special::Softplus(), -delta);
  if (difference < 0.0)
    return apply(special::Softplus(), l - delta) - apply(special::Softplus(), -delta);
  return l + apply(special::Softplus(), delta - l) - apply(special::Softplus(), delta);
}

// D::shared_dispersion() where a distribution has it.
template <class D>
auto shared_dispersion_of(double log_phi, int) -> decltype(D::shared_dispersion(log_phi)) {
  return D::shared_dispersion(log_phi);
}
template <class D>
double shared_dispersion_of(double log_phi, long) {
  return log_phi;
}

// D::log_concave(link) and D::form(row, link, weight, log phi, constant) where a distribution has
// them.
template <class D>
auto log_concave_of(Link link, int) -> decltype(D::log_concave(link)) {
  return D::log_concave(link);
}
template <class D>
bool log_concave_of(Link, long) {
  return false;
}
template <class D, class Row>
auto row_form_of(const Row& row, Link link, double weight, double log_phi, double constant, int)
    -> decltype(D::form(row, link, weight, log_phi, constant)) {
  return D::form(row, link, weight, log_phi, constant);
}
template <class D, class Row>
RowForm row_form_of(const Row&, Link, double, double, double, long) {
  return RowForm();
}

// A Family from a distribution D, which gives for one row:
//   kind, dispersion, shape   the kind of its mean, whether it has phi and a shape
//   hurdle                    its zeros can only come from zero inflation
//   Row(y, trials)            what is kept of the response
//   Parameters<T>             functions of log phi and shape
//   log_density<T>            the part with eta
//   fixed, eta_free           the parts without parameters and without eta
//   key                       small integer on which eta_free depends, or -1
//   information               expected, by eta
//   start_mean, moments, log_phi_from (from the means of the moments)
//   limit                     -1, 1: the density has its supremum at the lower, upper limit of mu
// and, if it likes, shared_dispersion, log_concave, form
template <class D>
class RowFamily : public Family {
 public:
  using Row = typename D::Row;

  RowFamily(const ResponseRows& rows, Link link, bool zero_inflated)
      : n_(rows.n), weights_(rows.weights), link_(link), inflated_(zero_inflated) {
    rows_.reserve(n_);
    zero_.resize(inflated_ ? n_ : 0);
    fixed_.resize(n_);
    for (Eigen::Index i = 0; i < n_; ++i) {
      rows_.emplace_back(rows.y[i], rows.trials ? rows.trials[i] : 1.0);
      if (inflated_) zero_[i] = rows.y[i] == 0.0;
      fixed_[i] = D::fixed(rows_[i]);
    }
    free_.resize(D::dispersion || D::shape ? 0 : n_);
    for (std::size_t i = 0; i < free_.size(); ++i) free_[i].l = fixed_[i];
  }

  bool has_dispersion() const override { return D::dispersion; }
  bool has_shape() const override { return D::shape; }
  bool has_zero_inflation() const override { return inflated_; }

  void set_parameters(const Eigen::VectorXd& log_phi, const Eigen::VectorXd& logit_pi,
                      double shape) override {
    logit_pi_ = logit_pi;
    if (!(D::dispersion || D::shape)) return;
    const bool same = free_.size() == static_cast<std::size_t>(n_) && shape == shape_ &&
                      log_phi.size() == log_phi_.size() && log_phi == log_phi_;
    if (same) return;
    log_phi_ = log_phi;
    shape_ = shape;
    update_eta_free();
    parameters_changed();
  }

  double value(const double* eta, double* l = nullptr) const override {
    double sum = 0.0;
    for_each_row<double>(
        eta, sum, l, [](double x) { return x; }, [](Eigen::Index, double, double) {});
    return sum;
  }

  double score(const double* eta, double* s, double* w) const override {
    using T = Jet<3, 0>;  // four numbers: moved in pairs, which is faster than three
    double sum = 0.0;
    for_each_row<T>(eta, sum, nullptr, T::eta, [&](Eigen::Index i, const T& row, double weight) {
      s[i] = weight * row.f[1];
      w[i] = -2.0 * weight * row.f[2];
    });
    return sum;
  }

  double derivatives(const double* eta, RowDerivatives& out) const override {
    resize(out);
    double sum = 0.0;
    const auto store = [&](Eigen::Index i, const auto& row, double weight) {
      out.s[i] = weight * row.f[1];
      out.w[i] = -2.0 * weight * row.f[2];
      out.w_eta[i] = -6.0 * weight * row.f[3];
      if constexpr (D::dispersion) store_extra<0>(out.dispersion, i, row, weight);
      if constexpr (D::shape) store_extra<D::dispersion>(out.shape, i, row, weight);
      if (inflated_) store_extra<parameters>(out.zero_inflation, i, row, weight);
    };
    if (inflated_)
      for_each_row<Jet<3, parameters + 1>>(eta, sum, nullptr, Jet<3, parameters>::eta, store);
    else
      for_each_row<Jet<3, parameters>>(eta, sum, nullptr, Jet<3, parameters>::eta, store);
    return sum;
  }

  void expected_weights(const double* eta, double* w) const override {
    for (Eigen::Index i = 0; i < n_; ++i) {
      const MeanSlope mean = mean_slope(eta[i]);
      double information = D::information(rows_[i], mean, log_phi(i), shape_);
      if (inflated_) information *= special::Logistic().at<0>(-logit_pi(i))[0];
      // not zero and not NaN, wherever eta has got to
      w[i] = weight(i) * (information > 1e-300 ? std::fmin(information, 1e300) : 1e-300);
    }
  }

  void mean(const double* eta, double* mu) const override {
    for (Eigen::Index i = 0; i < n_; ++i) mu[i] = Mean<double>{link_, D::kind, eta[i]}.mu();
  }

  bool eta_has_unit() const override { return link_has_unit(link_); }
  void start_eta(double* eta) const override {
    // Zeros of a hurdle tell nothing of the mean.
    double sum = 0.0, total = 0.0;
    for (Eigen::Index i = 0; i < n_; ++i)
      if (!only_inflation(i)) {
        sum += weight(i) * D::start_mean(rows_[i]);
        total += weight(i);
      }
    const double typical = total > 0.0 ? sum / total : 0.5;
    for (Eigen::Index i = 0; i < n_; ++i) {
      double mu = only_inflation(i) ? typical : D::start_mean(rows_[i]);
      if (D::kind == MeanKind::real && link_ != Link::identity) mu = away_from_zero(mu, typical);
      eta[i] = link_function(link_, mu);
    }
  }

  double start_dispersion(const double* eta) const override {
    if (!D::dispersion) return 0.0;
    double sum[2] = {0.0, 0.0}, total = 0.0;
    for (Eigen::Index i = 0; i < n_; ++i) {
      if (only_inflation(i) || !link_feasible(link_, D::kind, eta[i])) continue;
      const double mu = Mean<double>{link_, D::kind, eta[i]}.mu();
      double moments[2] = {0.0, 0.0};
      D::moments(rows_[i], mu, moments);
      if (!std::isfinite(moments[0]) || !std::isfinite(moments[1])) continue;
      for (int k = 0; k < 2; ++k) sum[k] += weight(i) * moments[k];
      total += weight(i);
    }
    if (!(total > 0.0)) return 0.0;
    const double out = D::log_phi_from(sum[0] / total, sum[1] / total);
    return std::isfinite(out) ? out : 0.0;
  }

  double shared_dispersion(double log_phi) const override {
    return shared_dispersion_of<D>(log_phi, 0);
  }
  double start_shape() const override { return D::start_shape(); }

  int unbounded_direction(Eigen::Index i) const override {
    if (only_inflation(i) || weight(i) == 0.0) return 0;
    const int limit = D::limit(rows_[i]);
    if (limit < 0 && lower_limit_at_infinity(link_, D::kind)) return -link_direction(link_);
    if (limit > 0 && upper_limit_at_infinity(link_)) return link_direction(link_);
    return 0;
  }

  void row_values(Eigen::Index i, const double* eta, Eigen::Index n, double* l) const override {
    const auto now = parameters_of<double>(i);
    const double weight_i = weight(i);
    for (Eigen::Index k = 0; k < n; ++k) {
      const double value = density<double>(i, eta[k], eta[k], now);
      l[k] = weight_i == 0.0 ? 0.0 : std::isfinite(value) ? weight_i * value : -special::infinity;
    }
  }

  void row_scores(Eigen::Index i, const double* eta, Eigen::Index n, double* l, double* s,
                  double* w) const override {
    using T = Jet<3, 0>;
    const auto now = parameters_of<T>(i);
    const double weight_i = weight(i);
    for (Eigen::Index k = 0; k < n; ++k) {
      const T row = density<T>(i, eta[k], T::eta(eta[k]), now);
      l[k] = weight_i == 0.0 ? 0.0 : weight_i * row.f[0];
      s[k] = weight_i * row.f[1];
      w[k] = -2.0 * weight_i * row.f[2];
      if (weight_i == 0.0 || !std::isfinite(l[k])) {
        if (weight_i != 0.0) l[k] = -special::infinity;
        s[k] = w[k] = 0.0;
      }
    }
  }

  void row_extras(Eigen::Index i, const double* eta, Eigen::Index n, double* dispersion,
                  double* zero_inflation, double* shape) const override {
    using T = Jet<1, parameters>;
    const auto now = parameters_of<T>(i);
    const double weight_i = weight(i);
    const auto store = [&](Eigen::Index k, const auto& row) {
      if constexpr (D::dispersion) dispersion[k] = weight_i * row.d[0][0];
      if constexpr (D::shape) shape[k] = weight_i * row.d[D::dispersion][0];
    };
    for (Eigen::Index k = 0; k < n; ++k) {
      if (inflated_) {
        const auto row = density<Jet<1, parameters + 1>>(i, eta[k], T::eta(eta[k]), now);
        store(k, row);
        zero_inflation[k] = weight_i * row.d[parameters][0];
      } else {
        store(k, density<T>(i, eta[k], T::eta(eta[k]), now));
      }
    }
  }

  bool log_concave() const override { return !inflated_ && log_concave_of<D>(link_, 0); }

  double row_centre(Eigen::Index i) const override {
    double mu = D::start_mean(rows_[i]);
    if (D::kind == MeanKind::real && (link_ == Link::log || link_ == Link::sqrt))
      mu = std::fmax(mu, 1e-3);
    return link_function(link_, mu);
  }

  RowForm row_form(Eigen::Index i) const override {
    if (inflated_) return RowForm();
    return row_form_of<D>(rows_[i], link_, weight(i), log_phi(i), weight(i) * free_[i].l, 0);
  }

 protected:
  static constexpr int parameters = int(D::dispersion) + int(D::shape);

  virtual void parameters_changed() {}

  double weight(Eigen::Index i) const { return weights_ ? weights_[i] : 1.0; }
  double log_phi(Eigen::Index i) const {
    return log_phi_.size() == 0 ? 0.0 : log_phi_.size() == 1 ? log_phi_[0] : log_phi_[i];
  }
  double logit_pi(Eigen::Index i) const { return logit_pi_[logit_pi_.size() == 1 ? 0 : i]; }
  // A zero that says nothing of eta.
  bool only_inflation(Eigen::Index i) const { return D::hurdle && inflated_ && zero_[i]; }

  void resize(RowDerivatives& out) const {
    out.s.resize(n_);
    out.w.resize(n_);
    out.w_eta.resize(n_);
    resize(out.dispersion, D::dispersion);
    resize(out.shape, D::shape);
    resize(out.zero_inflation, inflated_);
  }

  Eigen::Index n_;
  const double* weights_;
  Link link_;
  bool inflated_;
  std::vector<Row> rows_;
  std::vector<char> zero_;  // y == 0; only with zero inflation
  std::vector<double> fixed_;
  std::vector<EtaFree> free_;  // with fixed_ in l
  Eigen::VectorXd log_phi_, logit_pi_;
  double shape_ = 0.0;

 private:
  void resize(RowDerivatives::Extra& extra, bool present) const {
    const Eigen::Index size = present ? n_ : 0;
    extra.l.resize(size);
    extra.s.resize(size);
    extra.w.resize(size);
  }

  template <int K, int N, int P>
  static void store_extra(RowDerivatives::Extra& extra, Eigen::Index i, const Jet<N, P>& row,
                          double weight) {
    if constexpr (K < P) {
      extra.l[i] = weight * row.d[K][0];
      extra.s[i] = weight * row.d[K][1];
      extra.w[i] = -2.0 * weight * row.d[K][2];
    }
  }

  static double away_from_zero(double mu, double typical) {
    const double floor = 0.1 * std::fabs(typical) + 1e-3;
    return mu > floor ? mu : floor;
  }

  MeanSlope mean_slope(double eta) const {
    const Mean<Jet<2, 0>> mean{link_, D::kind, Jet<2, 0>::eta(eta)};
    if (D::kind == MeanKind::real) {
      const Jet<2, 0> mu = mean.mu();
      return {mu.f[0], mu.f[1] * mu.f[1]};
    }
    const double log_slope = mean.log_mu().f[1];
    const double square =
        D::kind == MeanKind::positive ? log_slope * log_slope : -log_slope * mean.log_1m().f[1];
    return {mean.mu().f[0], square};
  }

  void update_eta_free() {
    free_.resize(n_);
    // Few distinct responses under one phi: each is worked out once.
    constexpr int table_size = 4096;
    const bool tabulate = log_phi_.size() <= 1;
    std::vector<EtaFree> table;
    std::vector<char> known;
    for (Eigen::Index i = 0; i < n_; ++i) {
      if (only_inflation(i)) {
        free_[i] = EtaFree();
        continue;
      }
      const double key = tabulate ? D::key(rows_[i]) : -1.0;
      if (key >= 0.0 && key < table_size && key == std::floor(key)) {
        const std::size_t at = static_cast<std::size_t>(key);
        if (at >= table.size()) {
          table.resize(at + 1);
          known.resize(at + 1, 0);
        }
        if (!known[at]) {
          table[at] = D::eta_free(rows_[i], log_phi(i), shape_);
          known[at] = 1;
        }
        free_[i] = table[at];
      } else {
        free_[i] = D::eta_free(rows_[i], log_phi(i), shape_);
      }
      free_[i].l += fixed_[i];
    }
  }

  // log phi, the shape and logit pi as variables of a jet that has room for them.
  template <int K, class T>
  static T parameter(double value) {
    return parameter_of<K>(T(0.0), value);
  }
  template <int K>
  static double parameter_of(double, double value) {
    return value;
  }
  template <int K, int N, int P>
  static Jet<N, P> parameter_of(const Jet<N, P>&, double value) {
    if constexpr (K < P) {
      return Jet<N, P>::parameter(value, K);
    } else {
      return Jet<N, P>(value);
    }
  }

  template <class T>
  typename D::template Parameters<T> parameters_of(Eigen::Index i) const {
    const T phi = D::dispersion ? parameter<0, T>(log_phi(i)) : T(0.0);
    const T shape = D::shape ? parameter<D::dispersion, T>(shape_) : T(0.0);
    return typename D::template Parameters<T>(phi, shape);
  }

  static void add_free(double& l, const EtaFree& free) { l += free.l; }
  template <int N, int P>
  static void add_free(Jet<N, P>& l, const EtaFree& free) {
    l.f[0] += free.l;
    if constexpr (P > 0) {
      if (D::dispersion) l.d[0][0] += free.dispersion;
      if (D::shape) l.d[D::dispersion][0] += free.shape;
    }
  }

  // The log density of a row at eta, of which x is the number or the jet.
  template <class Out, class T>
  inline Out density(Eigen::Index i, double eta, const T& x,
                     const typename D::template Parameters<T>& now) const {
    const bool feasible = link_feasible(link_, D::kind, eta);
    T own(-special::infinity);
    if (feasible && !only_inflation(i)) {
      own = D::log_density(rows_[i], Mean<T>{link_, D::kind, x}, now);
      add_free(own, free_[i]);
    }
    if (!inflated_ || !feasible) return widened<Out>(own);
    const Out all = widened<Out>(own), delta = parameter<parameters, Out>(logit_pi(i));
    if (only_inflation(i)) return -apply(special::Softplus(), -delta);
    if (zero_[i]) return zero_inflated(all, delta);
    return all - apply(special::Softplus(), delta);
  }

  // Calls visit(row, log density, weight); Out has one parameter more than the distribution with
  // zero inflation. The sum, and l unless it is null, hold -infinity where a density is zero.
  template <class Out, class Variable, class Visit>
  void for_each_row(const double* eta, double& sum, double* l, const Variable& variable,
                    const Visit& visit) const {
    using T = decltype(variable(0.0));
    sum = 0.0;
    const bool common = log_phi_.size() <= 1;
    typename D::template Parameters<T> now = parameters_of<T>(0);
    for (Eigen::Index i = 0; i < n_; ++i) {
      const double weight_i = weight(i);
      if (!common) now = parameters_of<T>(i);
      const Out all = density<Out>(i, eta[i], variable(eta[i]), now);
      double value = value_of(all);
      visit(i, all, weight_i);
      if (!std::isfinite(value)) value = -special::infinity;
      const double weighted = weight_i == 0.0 ? 0.0 : weight_i * value;
      if (l) l[i] = weighted;
      sum += weighted;
      if (!l && sum == -special::infinity) return;
    }
  }

  template <class Out>
  static Out widened(const Out& a) {
    return a;
  }
  template <class Out, class T, class = std::enable_if_t<!std::is_same<Out, T>::value>>
  static Out widened(const T& a) {
    return widen(a);
  }
};

}  // namespace partialpool

#endif
