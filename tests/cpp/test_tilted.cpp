// Tilted moments of expectation propagation: high-precision numbers, closed forms, brute force,
// and derivatives against differences, for all distributions.

#include <Eigen/Dense>
#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "check.h"
#include "families.h"
#include "tilted.h"
#include "tilted_reference.h"

using namespace partialpool;
using Eigen::Index;
using Eigen::VectorXd;

namespace {

// One row with its family; it must not move, as the family borrows its numbers.
struct OneRow {
  double y, trials, weight;
  std::unique_ptr<Family> family;
  VectorXd log_phi, logit_pi;
  double shape;

  OneRow(const std::string& name, const std::string& link, double y, double trials, double phi,
         double weight = 1.0, bool inflated = false, double shape = 0.0)
      : y(y), trials(trials), weight(weight), shape(shape) {
    ResponseRows rows;
    rows.n = 1;
    rows.y = &this->y;
    rows.trials = &this->trials;
    rows.weights = &this->weight;
    family = family_named(name, link, rows, inflated);
    if (family->has_dispersion()) log_phi = VectorXd::Constant(1, std::log(phi));
    if (inflated) logit_pi = VectorXd::Constant(1, -0.7);
    set();
  }
  OneRow(const OneRow&) = delete;
  void set() { family->set_parameters(log_phi, logit_pi, shape); }
};

struct Answer {
  bool good;
  double log_z, alpha, gamma;
};

Answer front(const OneRow& row, double mean, double variance) {
  TiltedMoments moments(*row.family, 1);
  Answer out;
  out.good = moments.compute(&mean, &variance, &out.log_z, &out.alpha, &out.gamma);
  return out;
}
// The rule for any family, which the front may have had no need of.
Answer general(const OneRow& row, double mean, double variance) {
  TiltedRow rule(*row.family);
  TiltedValues values;
  const bool good = rule.compute(0, mean, variance, values);
  return {good, values.log_z, values.alpha, values.gamma};
}

struct Errors {
  double log_z = 0.0, alpha = 0.0, gamma = 0.0;
  void add(const Answer& a, double log_z_is, double alpha_is, double gamma_is, double variance) {
    const double root = std::sqrt(variance);
    const auto worse = [](double& worst, double actual, double expected, double scale) {
      // at a point, by size
      const double unit = scale == 0.0 ? 1.0 / std::max(1.0, std::fabs(expected)) : scale;
      const double size = std::max(1.0, std::fabs(expected) * unit);
      const double error = std::fabs(actual - expected) * unit / size;
      if (!(error <= worst)) worst = error;
    };
    worse(log_z, a.log_z, log_z_is, 1.0);
    worse(alpha, a.alpha, alpha_is, root);
    worse(gamma, a.gamma, gamma_is, variance);
  }
};

void agrees_with_references() {
  std::map<std::string, Errors> worst;
  for (const TiltedReference& at : tilted_references()) {
    const std::string name = at.family;
    const bool binomial = name == "binomial";
    const OneRow row(name, binomial ? "logit" : "log", binomial ? at.y / at.trials : at.y,
                     at.trials, at.phi);
    const std::string what = name + " y " + std::to_string(at.y) + " of " +
                             std::to_string(at.trials) + " phi " + std::to_string(at.phi) +
                             " mean " + std::to_string(at.mean) + " variance " +
                             std::to_string(at.variance);
    for (const bool by_front : {true, false}) {
      const Answer out =
          by_front ? front(row, at.mean, at.variance) : general(row, at.mean, at.variance);
      Errors errors;
      errors.add(out, at.log_z, at.alpha, at.gamma, at.variance);
      check::is_true(out.good, what);
      check::is_close(errors.log_z, 0.0, 1e-11, what + ": log Z");
      check::is_close(errors.alpha, 0.0, 1e-11, what + ": alpha");
      check::is_close(errors.gamma, 0.0, 1e-10, what + ": gamma");
      worst[name + (by_front ? "" : ", general")].add(out, at.log_z, at.alpha, at.gamma,
                                                      at.variance);
    }
  }
  for (const auto& entry : worst)
    std::printf("%-18s worst error: log Z %.1e, alpha sd %.1e, gamma v %.1e\n", entry.first.c_str(),
                entry.second.log_z, entry.second.alpha, entry.second.gamma);
}

// Bernoulli rows through the fast path against the general one, many of them in one call, whatever
// stands beside them.
void bernoulli_batches() {
  std::vector<double> mean, variance;
  for (double v : {0.0, 1e-9, 1e-3, 0.02, 0.1, 0.3, 0.7, 1.0, 1.9, 2.5, 4.0, 7.0, 12.0, 20.0, 30.0,
                   39.0, 63.0})
    for (double m = -60.0; m <= 60.0; m += std::fabs(m) < 12.0 ? 0.37 : 4.1) {
      mean.push_back(m);
      variance.push_back(v);
    }
  const Index n = static_cast<Index>(mean.size());
  VectorXd y(n), z(n), a(n), g(n);
  for (Index i = 0; i < n; ++i) y[i] = (i * 7) % 3 == 0;
  ResponseRows rows;
  rows.n = n;
  rows.y = y.data();
  const auto family = family_named("binomial", "logit", rows, false);
  family->set_parameters(VectorXd(), VectorXd(), 0.0);
  for (const bool mixed : {false, true}) {
    if (mixed) {  // wide and narrow ones side by side
      for (Index i = 0; i < n; ++i) std::swap(variance[i], variance[(i * 101) % n]);
    }
    TiltedMoments moments(*family, n);
    check::is_true(moments.compute(mean.data(), variance.data(), z.data(), a.data(), g.data()),
                   "Bernoulli rows have moments");
    TiltedRow rule(*family);
    Errors errors;
    for (Index i = 0; i < n; ++i) {
      TiltedValues one;
      check::is_true(rule.compute(i, mean[i], variance[i], one), "a Bernoulli row has moments");
      errors.add({true, z[i], a[i], g[i]}, one.log_z, one.alpha, one.gamma, variance[i]);
    }
    check::is_close(errors.log_z, 0.0, 1e-12, "Bernoulli: log Z of a batch");
    check::is_close(errors.alpha, 0.0, 3e-12, "Bernoulli: alpha of a batch");
    check::is_close(errors.gamma, 0.0, 3e-11, "Bernoulli: gamma of a batch");
    std::printf("Bernoulli batch, worst difference: log Z %.1e, alpha sd %.1e, gamma v %.1e\n",
                errors.log_z, errors.alpha, errors.gamma);
  }
}

double normal_cdf(double x) {
  return 0.5 * std::erfc(-x / std::sqrt(2.0));
}

void closed_forms() {
  for (double m : {-6.0, -0.4, 0.0, 2.5, 9.0})
    for (double v : {0.0, 0.3, 4.0, 50.0}) {
      // the closed forms against the rule for any family
      const OneRow probit("binomial", "probit", 1.0, 1.0, 1.0),
          no("binomial", "probit", 0.0, 1.0, 1.0);
      const OneRow gaussian("gaussian", "identity", 1.3, 1.0, 0.7, 2.5);
      for (const OneRow* row : {&probit, &no, &gaussian}) {
        const Answer a = front(*row, m, v), b = general(*row, m, v);
        check::is_true(a.good && b.good, "closed forms have moments");
        check::is_near(a.log_z, b.log_z, 1e-12, "closed form: log Z");
        check::is_near(a.alpha, b.alpha, 1e-11, "closed form: alpha");
        check::is_near(a.gamma, b.gamma, 1e-10, "closed form: gamma");
      }
      if (v == 0.0) continue;
      // counts with identity link: the density ends at eta = 0
      const double sd = std::sqrt(v), x = (m - v) / sd;
      if (x < -6.0) continue;
      const double log_part = 0.5 * v - m;
      const double density = std::exp(-0.5 * x * x) / std::sqrt(2.0 * 3.14159265358979323846);
      const double none = log_part + std::log(normal_cdf(x));
      const double one = log_part + std::log((m - v) * normal_cdf(x) + sd * density);
      const OneRow zero_row("poisson", "identity", 0.0, 1.0, 1.0);
      const OneRow one_row("poisson", "identity", 1.0, 1.0, 1.0);
      const OneRow exponential("Gamma", "inverse", 1.0, 1.0, 1.0);  // eta exp(-eta y)
      check::is_near(front(zero_row, m, v).log_z, none, 1e-11, "identity link, none");
      check::is_near(front(one_row, m, v).log_z, one, 1e-11, "identity link, one");
      check::is_near(front(exponential, m, v).log_z, one, 1e-11, "inverse link");
    }
  const OneRow far("poisson", "identity", 3.0, 1.0, 1.0);
  check::is_true(!front(far, -3.0, 0.0).good, "no density at a point: no moments");
}

// Sixth-order central difference of log Z by anything.
template <class Function>
double difference(const Function& f, double h) {
  return (45.0 * (f(h) - f(-h)) - 9.0 * (f(2 * h) - f(-2 * h)) + (f(3 * h) - f(-3 * h))) /
         (60.0 * h);
}

// log Z by very many nodes, between the mean of the cavity and that of the tilted density and well
// beyond both.
double brute_force(const OneRow& row, double mean, double variance, double alpha) {
  const int n = 60001;
  const double sd = std::sqrt(variance), shift = alpha * sd;
  const double from = std::min(0.0, shift) - 14.0, to = std::max(0.0, shift) + 14.0;
  const double h = (to - from) / (n - 1);
  VectorXd eta(n), l(n);
  for (int k = 0; k < n; ++k) eta[k] = mean + sd * (from + h * k);
  row.family->row_values(0, eta.data(), n, l.data());
  for (int k = 0; k < n; ++k) l[k] -= 0.5 * (from + h * k) * (from + h * k);
  const double top = l.maxCoeff();
  return top + std::log((l.array() - top).exp().sum() * h) - special::log_sqrt_2pi;
}

struct Case {
  const char *family, *link;
  double y, trials, phi, shape;
  bool inflated, smooth;
};

const std::vector<Case>& cases() {
  static const std::vector<Case> out{{"binomial", "cloglog", 0.3, 10.0, 1.0, 0.0, false, true},
                                     {"binomial", "cauchit", 1.0, 1.0, 1.0, 0.0, false, true},
                                     {"binomial", "probit", 0.25, 4.0, 1.0, 0.0, false, true},
                                     {"binomial", "logit", 0.0, 1.0, 1.0, 0.0, true, true},
                                     {"binomial", "log", 0.5, 4.0, 1.0, 0.0, false, false},
                                     {"binomial", "identity", 0.5, 4.0, 1.0, 0.0, false, false},
                                     {"poisson", "log", 0.0, 1.0, 1.0, 0.0, true, true},
                                     {"poisson", "log", 4.0, 1.0, 1.0, 0.0, true, true},
                                     {"poisson", "sqrt", 0.0, 1.0, 1.0, 0.0, false, true},
                                     {"poisson", "identity", 3.0, 1.0, 1.0, 0.0, false, false},
                                     {"truncated_poisson", "log", 3.0, 1.0, 1.0, 0.0, false, true},
                                     {"truncated_poisson", "log", 0.0, 1.0, 1.0, 0.0, true, true},
                                     {"nbinom1", "log", 3.0, 1.0, 2.0, 0.0, false, true},
                                     {"nbinom1", "log", 0.0, 1.0, 2.0, 0.0, false, true},
                                     {"nbinom2", "log", 6.0, 1.0, 1.5, 0.0, true, true},
                                     {"truncated_nbinom2", "log", 2.0, 1.0, 1.5, 0.0, false, true},
                                     {"Gamma", "log", 2.5, 1.0, 0.3, 0.0, false, true},
                                     {"Gamma", "inverse", 0.8, 1.0, 0.1, 0.0, false, false},
                                     {"Gamma", "identity", 1.5, 1.0, 0.2, 0.0, false, false},
                                     {"inverse.gaussian", "log", 1.4, 1.0, 0.5, 0.0, false, true},
                                     {"gaussian", "log", 1.4, 1.0, 0.3, 0.0, false, true},
                                     {"t", "identity", 6.0, 1.0, 0.04, 1.0, false, true},
                                     {"t", "identity", 0.3, 1.0, 0.5, 1.6, false, true},
                                     {"beta", "logit", 0.35, 1.0, 6.0, 0.0, false, true},
                                     {"betabinomial", "logit", 0.3, 10.0, 3.0, 0.0, false, true},
                                     {"tweedie", "log", 1.7, 1.0, 0.8, 0.2, false, true},
                                     {"tweedie", "log", 0.0, 1.0, 0.8, 0.2, false, true}};
  return out;
}

void all_families() {
  for (const Case& at : cases())
    for (double v : {1e-6, 0.01, 0.4, 3.0, 30.0})
      for (double m : {-4.0, -0.3, 0.6, 5.0}) {
        OneRow row(at.family, at.link, at.y, at.trials, at.phi, 1.3, at.inflated, at.shape);
        const std::string what = std::string(at.family) + " " + at.link + " y " +
                                 std::to_string(at.y) + " mean " + std::to_string(m) +
                                 " variance " + std::to_string(v);
        const Answer out = front(row, m, v);
        const double sd = std::sqrt(v);
        if (!out.good) {  // only where the cavity is far from any density
          check::is_true(!at.smooth && (std::fabs(m) / sd > 20.0), what + ": has moments");
          continue;
        }
        if (at.smooth)
          check::is_near(out.log_z, brute_force(row, m, v, out.alpha), 2e-11, what + ": log Z");
        const double h = 0.02 * std::min(1.0, 1.0 / std::sqrt(1.0 + std::fabs(out.gamma) * v));
        const double size = std::max(1.0, std::fabs(out.log_z));
        const double alpha =
            difference([&](double x) { return front(row, m + x * sd, v).log_z; }, h) / sd;
        const double gamma =
            -difference([&](double x) { return front(row, m + x * sd, v).alpha; }, h) / sd;
        check::is_close(out.alpha * sd, alpha * sd, 1e-11 * size / h + 1e-9 * std::fabs(alpha * sd),
                        what + ": alpha");
        check::is_close(
            out.gamma * v, gamma * v,
            1e-11 * std::max(1.0, std::fabs(alpha * sd)) / h + 1e-8 * std::fabs(gamma * v),
            what + ": gamma");
        // the parameters besides eta
        TiltedMoments moments(*row.family, 1);
        VectorXd dispersion, inflation, shape;
        moments.expectations(&m, &v, dispersion, inflation, shape);
        const double step = 0.01, loose = 1e-10 * size / step;
        if (dispersion.size()) {
          const double old = row.log_phi[0];
          const double by = difference(
              [&](double x) {
                row.log_phi[0] = old + x;
                row.set();
                return front(row, m, v).log_z;
              },
              step);
          row.log_phi[0] = old;
          row.set();
          check::is_close(dispersion[0], by, loose + 1e-8 * std::fabs(by), what + ": by log phi");
        }
        if (inflation.size()) {
          const double old = row.logit_pi[0];
          const double by = difference(
              [&](double x) {
                row.logit_pi[0] = old + x;
                row.set();
                return front(row, m, v).log_z;
              },
              step);
          row.logit_pi[0] = old;
          row.set();
          check::is_close(inflation[0], by, loose + 1e-8 * std::fabs(by), what + ": by logit pi");
        }
        if (shape.size()) {
          const double old = row.shape;
          const double by = difference(
              [&](double x) {
                row.shape = old + x;
                row.set();
                return front(row, m, v).log_z;
              },
              step);
          row.shape = old;
          row.set();
          check::is_close(shape[0], by, loose + 1e-8 * std::fabs(by), what + ": by shape");
        }
      }
}

// At a variance of zero the moments are the derivatives at the mean, and small ones lead there.
void narrow_cavities() {
  for (const Case& at : cases()) {
    OneRow row(at.family, at.link, at.y, at.trials, at.phi, 1.0, at.inflated, at.shape);
    for (double m : {-0.8, 0.4}) {
      double l = 0.0, s = 0.0, w = 0.0;
      row.family->row_scores(0, &m, 1, &l, &s, &w);
      const Answer out = front(row, m, 0.0);
      check::is_true(out.good == std::isfinite(l), "a point has moments where it has a density");
      if (!out.good) continue;
      check::is_near(out.log_z, l, 1e-14, "at a point: log Z");
      check::is_near(out.alpha, s, 1e-13, "at a point: alpha");
      check::is_near(out.gamma, w, 1e-12, "at a point: gamma");
      const Answer close = front(row, m, 1e-12);
      check::is_near(close.log_z, l, 1e-9, "near a point: log Z");
      check::is_near(close.alpha, s, 1e-9, "near a point: alpha");
      check::is_near(close.gamma, w, 1e-9, "near a point: gamma");
    }
  }
}

// The ways to evaluate one row agree with those for all.
void rows_agree_with_sums() {
  for (const Case& at : cases()) {
    OneRow row(at.family, at.link, at.y, at.trials, at.phi, 0.7, at.inflated, at.shape);
    for (double eta : {-40.0, -3.0, -0.4, 0.0, 0.3, 2.0, 30.0}) {
      double l = 0.0, value = 0.0, s = 0.0, w = 0.0, all_l = 0.0, all_s = 0.0, all_w = 0.0;
      row.family->row_values(0, &eta, 1, &value);
      row.family->row_scores(0, &eta, 1, &l, &s, &w);
      row.family->value(&eta, &all_l);
      check::is_true(!std::isnan(value) && !std::isnan(l), "a row's log density is a number");
      if (!std::isfinite(all_l)) {
        check::is_true(value == all_l && l == all_l, "no density in either way");
        continue;
      }
      check::is_near(value, all_l, 1e-13, "log density of a row");
      check::is_near(l, all_l, 1e-12, "log density of a row with its score");
      row.family->score(&eta, &all_s, &all_w);
      check::is_near(s, all_s, 1e-12, "score of a row");
      check::is_near(w, all_w, 1e-12, "W of a row");
    }
  }
}

void bad_rows() {
  VectorXd y = VectorXd::Ones(3), z(3), a(3), g(3);
  ResponseRows rows;
  rows.n = 3;
  rows.y = y.data();
  const auto family = family_named("poisson", "log", rows, false);
  family->set_parameters(VectorXd(), VectorXd(), 0.0);
  TiltedMoments moments(*family, 3);
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const double mean[] = {0.0, 1.0, 2.0};
  const double negative[] = {1.0, 1.0, -1e-3}, missing[] = {1.0, nan, 1.0};
  const double endless[] = {std::numeric_limits<double>::infinity(), 1.0, 1.0};
  check::is_true(!moments.compute(mean, negative, z.data(), a.data(), g.data()),
                 "negative variance");
  check::is_true(moments.row() == 2, "row of a negative variance");
  check::is_true(!moments.compute(mean, missing, z.data(), a.data(), g.data()), "NaN variance");
  check::is_true(moments.row() == 1, "row of a NaN variance");
  check::is_true(!moments.compute(mean, endless, z.data(), a.data(), g.data()),
                 "infinite variance");
  check::is_true(moments.row() == 0, "row of an infinite variance");
  // a row without weight says nothing
  const OneRow silent("poisson", "log", 3.0, 1.0, 1.0, 0.0);
  const Answer out = front(silent, 0.4, 2.0);
  check::is_true(out.good, "no weight: moments");
  check::is_close(out.log_z, 0.0, 1e-12, "no weight: log Z");
  check::is_close(out.alpha, 0.0, 1e-12, "no weight: alpha");
  check::is_close(out.gamma, 0.0, 1e-12, "no weight: gamma");
}

}  // namespace

int main() {
  agrees_with_references();
  bernoulli_batches();
  closed_forms();
  all_families();
  narrow_cavities();
  rows_agree_with_sums();
  bad_rows();
  return check::report();
}
