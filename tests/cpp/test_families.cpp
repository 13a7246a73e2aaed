// Conditional distributions and links: values against R, derivatives against differences, tails and
// limits, fast paths against the general one.

#include <Eigen/Dense>
#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "check.h"
#include "families.h"
#include "family_reference.h"
#include "special_reference.h"

using namespace partialpool;
using Eigen::Index;
using Eigen::VectorXd;

namespace {

constexpr double infinity = std::numeric_limits<double>::infinity();

const std::vector<std::string> families{
    "binomial",          "betabinomial",      "beta",     "poisson",
    "truncated_poisson", "nbinom1",           "nbinom2",  "Gamma",
    "truncated_nbinom1", "truncated_nbinom2", "gaussian", "t",
    "tweedie",           "inverse.gaussian"};
const std::vector<std::string> links{"logit",    "probit", "cloglog", "cauchit", "log",
                                     "identity", "sqrt",   "inverse", "1/mu^2"};

// Responses with everything a family may want of them.
struct Sample {
  VectorXd y, trials, weights, eta, log_phi, logit_pi, reference;
  double shape = 0.0;

  ResponseRows rows() const {
    ResponseRows out;
    out.n = y.size();
    out.y = y.data();
    out.trials = trials.size() ? trials.data() : nullptr;
    out.weights = weights.size() ? weights.data() : nullptr;
    return out;
  }
};

MeanKind kind_of(const std::string& family) {
  if (family == "binomial" || family == "betabinomial" || family == "beta")
    return MeanKind::probability;
  return family == "gaussian" || family == "t" ? MeanKind::real : MeanKind::positive;
}

bool has_hurdle(const std::string& family) {
  return family.rfind("truncated", 0) == 0 || family == "Gamma" || family == "beta" ||
         family == "inverse.gaussian";
}

VectorXd as_vector(const std::vector<double>& x) {
  return Eigen::Map<const VectorXd>(x.data(), static_cast<Index>(x.size()));
}

// The reference rows of one family and shape that a link can give.
Sample reference_sample(const std::string& family, const std::string& link, double shape) {
  std::vector<double> y, trials, eta, log_phi, value;
  const Link by = parse_link(link);
  for (const Reference& row : references()) {
    if (row.family != family || row.shape != shape) continue;
    if (kind_of(family) == MeanKind::real && link != "identity" && row.mu <= 0.0 &&
        link != "inverse")
      continue;
    y.push_back(row.y);
    trials.push_back(row.trials);
    eta.push_back(link_function(by, row.mu));
    log_phi.push_back(std::log(row.phi));
    value.push_back(row.log_density);
  }
  Sample out;
  out.y = as_vector(y);
  out.trials = as_vector(trials);
  out.eta = as_vector(eta);
  out.log_phi = as_vector(log_phi);
  out.reference = as_vector(value);
  out.logit_pi = VectorXd::LinSpaced(out.y.size(), -2.0, 1.5);
  out.weights = VectorXd::LinSpaced(out.y.size(), 0.5, 2.0);
  out.shape = shape;
  return out;
}

std::vector<double> shapes_of(const std::string& family) {
  std::vector<double> out;
  for (const Reference& row : references())
    if (row.family == family && std::find(out.begin(), out.end(), row.shape) == out.end())
      out.push_back(row.shape);
  return out;
}

// A step that stays well inside the values of eta that give a mean.
double step_of(const std::string& name, const std::string& link, double eta) {
  if (kind_of(name) == MeanKind::probability) {
    if (link == "identity") return 0.01 * std::min(eta, 1.0 - eta);
    return link == "log" ? 0.01 * std::min(1.0, -eta) : 0.01;
  }
  return link == "log" ? 0.005 : std::min(0.005, 0.005 * std::fabs(eta));
}

// Sixth-order central difference from f at -3h .. 3h.
double difference(const double* f, double h) {
  return (45.0 * (f[4] - f[2]) - 9.0 * (f[5] - f[1]) + (f[6] - f[0])) / (60.0 * h);
}

void same_derivative(double actual, const double* f, double h, const std::string& what) {
  double size = 1.0;
  for (int k = 0; k < 7; ++k) size = std::max(size, std::fabs(f[k]));
  const double expected = difference(f, h);
  const double tolerance = 3e-7 * std::max(1.0, std::fabs(expected)) + 1e-11 * size / h;
  check::is_close(actual, expected, tolerance, what);
}

void derivatives_are_right(const std::string& name, const std::string& link, bool inflated,
                           Sample sample) {
  const std::string what = name + " " + link + (inflated ? " zero-inflated" : "");
  const Index n = sample.y.size();
  auto family = family_named(name, link, sample.rows(), inflated);
  const auto evaluate = [&](const VectorXd& eta, const VectorXd& log_phi, const VectorXd& logit_pi,
                            double shape, VectorXd& l) {
    family->set_parameters(log_phi, logit_pi, shape);
    RowDerivatives out;
    const double sum = family->derivatives(eta.data(), out);
    l.resize(n);
    check::is_near(family->value(eta.data(), l.data()), sum, 1e-12, what + ": value");
    return out;
  };
  VectorXd l, s(n), w(n);
  const RowDerivatives at = evaluate(sample.eta, sample.log_phi, sample.logit_pi, sample.shape, l);
  const double sum = family->value(sample.eta.data());
  check::is_near(l.sum(), sum, 1e-12, what + ": value by row");
  check::is_near(family->score(sample.eta.data(), s.data(), w.data()), sum, 1e-12,
                 what + ": value of score");
  for (Index i = 0; i < n; ++i) {
    check::is_near(s[i], at.s[i], 1e-12, what + ": s");
    check::is_near(w[i], at.w[i], 1e-12, what + ": W");
  }

  // 0: eta, 1: log phi, 2: logit pi, 3: shape
  for (int which = 0; which < 4; ++which) {
    if (which == 1 && !family->has_dispersion()) continue;
    if (which == 2 && !inflated) continue;
    if (which == 3 && !family->has_shape()) continue;
    VectorXd h(n);
    for (Index i = 0; i < n; ++i) h[i] = which == 0 ? step_of(name, link, sample.eta[i]) : 0.01;
    Eigen::MatrixXd fl(7, n), fs(7, n), fw(7, n);
    for (int k = -3; k <= 3; ++k) {
      Sample moved = sample;
      if (which == 0) moved.eta += k * h;
      if (which == 1) moved.log_phi += k * h;
      if (which == 2) moved.logit_pi += k * h;
      if (which == 3) moved.shape += k * 0.01;
      VectorXd lk;
      const RowDerivatives d = evaluate(moved.eta, moved.log_phi, moved.logit_pi, moved.shape, lk);
      fl.row(k + 3) = lk;
      fs.row(k + 3) = d.s;
      fw.row(k + 3) = d.w;
    }
    for (Index i = 0; i < n; ++i) {
      const std::string row = what + ", y = " + std::to_string(sample.y[i]) +
                              ", eta = " + std::to_string(sample.eta[i]) +
                              ", log phi = " + std::to_string(sample.log_phi[i]) + ", parameter " +
                              std::to_string(which);
      if (which == 0) {
        same_derivative(at.s[i], &fl(0, i), h[i], "s of " + row);
        same_derivative(-at.w[i], &fs(0, i), h[i], "W of " + row);
        same_derivative(at.w_eta[i], &fw(0, i), h[i], "W_eta of " + row);
        continue;
      }
      const RowDerivatives::Extra& extra = which == 1   ? at.dispersion
                                           : which == 2 ? at.zero_inflation
                                                        : at.shape;
      same_derivative(extra.l[i], &fl(0, i), h[i], "l_k of " + row);
      same_derivative(extra.s[i], &fs(0, i), h[i], "s_k of " + row);
      same_derivative(extra.w[i], &fw(0, i), h[i], "W_k of " + row);
    }
  }

  VectorXd expected(n), start(n), mu(n);
  family->set_parameters(sample.log_phi, sample.logit_pi, sample.shape);
  family->expected_weights(sample.eta.data(), expected.data());
  check::is_true(expected.minCoeff() > 0.0 && expected.allFinite(), what + ": expected weights");
  family->start_eta(start.data());
  check::is_true(std::isfinite(family->value(start.data())), what + ": density at the start");
  family->mean(sample.eta.data(), mu.data());
  for (Index i = 0; i < n; ++i)
    check::is_near(link_function(parse_link(link), mu[i]), sample.eta[i], 1e-9, what + ": mean");
  check::is_true(std::isfinite(family->start_dispersion(sample.eta.data())),
                 what + ": start of the dispersion");
}

// Values against R, with and without zero inflation and weights.
void values_are_right(const std::string& name, const std::string& link, const Sample& sample) {
  const std::string what = name + " " + link;
  const Index n = sample.y.size();
  VectorXd l(n);
  auto plain = family_named(name, link, sample.rows(), false);
  plain->set_parameters(sample.log_phi, VectorXd(), sample.shape);
  const double sum = plain->value(sample.eta.data(), l.data());
  check::is_near(sum, sample.weights.dot(sample.reference), 1e-11, what + ": sum");
  for (Index i = 0; i < n; ++i)
    check::is_near(l[i] / sample.weights[i], sample.reference[i], 2e-11,
                   what + ": value of y = " + std::to_string(sample.y[i]) +
                       " phi = " + std::to_string(std::exp(sample.log_phi[i])));
  auto inflated = family_named(name, link, sample.rows(), true);
  inflated->set_parameters(sample.log_phi, sample.logit_pi, sample.shape);
  inflated->value(sample.eta.data(), l.data());
  for (Index i = 0; i < n; ++i) {
    const double pi = 1.0 / (1.0 + std::exp(-sample.logit_pi[i]));
    const double expected = sample.y[i] == 0.0
                                ? std::log(pi + (1.0 - pi) * std::exp(sample.reference[i]))
                                : std::log(1.0 - pi) + sample.reference[i];
    check::is_near(l[i] / sample.weights[i], expected, 2e-11, what + ": zero-inflated value");
  }
}

// A sample with zeros that only zero inflation explains.
Sample with_zeros(Sample sample) {
  for (Index i = 0; i < sample.y.size(); i += 3) sample.y[i] = 0.0;
  return sample;
}

void all_families() {
  for (const std::string& name : families)
    for (const std::string& link : links) {
      if (!link_applies(parse_link(link), kind_of(name))) {
        check::is_true(!family_named(name, link, ResponseRows(), false), name + " has no " + link);
        continue;
      }
      for (const double shape : shapes_of(name)) {
        const Sample sample = reference_sample(name, link, shape);
        values_are_right(name, link, sample);
        derivatives_are_right(name, link, false, sample);
        derivatives_are_right(name, link, true, has_hurdle(name) ? with_zeros(sample) : sample);
      }
    }
  check::is_true(!family_named("quasipoisson", "log", ResponseRows(), false), "unknown family");
  check::is_true(!family_named("poisson", "loglog", ResponseRows(), false), "unknown link");
}

// ---- special functions

template <class Function>
void same_series(const Function& function, const SpecialReference& row, double absolute) {
  const auto jet = function.template at<3>(row.x);
  const auto half = function.template at<2>(row.x);
  const std::string what = std::string(row.function) + "(" + std::to_string(row.parameter) + ", " +
                           std::to_string(row.x) + ") derivative ";
  for (int k = 0; k < 4; ++k) {
    const double tolerance = 1e-12 * std::fabs(row.f[k]) + absolute;
    check::is_close(jet[k], row.f[k], tolerance, what + std::to_string(k));
    if (k < 3) check::is_true(half[k] == jet[k], what + "does not depend on the order");
  }
  check::is_true(apply(function, row.x) == jet[0], what + "value");
}

void special_functions() {
  using namespace special;
  for (const SpecialReference& row : special_references()) {
    const std::string name = row.function;
    if (name == "log_normal_cdf") same_series(LogNormalCdf(), row, 1e-14 * (row.x > -3));
    if (name == "log_cauchy_cdf") same_series(LogCauchyCdf(), row, 0);
    if (name == "log_1m_exp_exp") same_series(Log1mExpExp(), row, 0);
    if (name == "log_expm1_ratio") same_series(LogExpm1Ratio(), row, 0);
    if (name == "log_log1p_ratio") same_series(LogLog1pRatio(), row, 0);
    if (name == "softplus") same_series(Softplus(), row, 0);
    if (name == "log_gamma_rest") same_series(LogGammaRest(), row, 1e-13 * (row.x < 2.4));
    if (name == "unit_deviance") same_series(UnitDeviance(), row, 0);
    if (name == "expm1mx") same_series(Expm1mx(), row, 0);
    // Shifting a and a + y to where the asymptotic series holds costs digits of a small difference.
    if (name == "log_rising") same_series(LogRising{row.parameter}, row, 3e-14 * row.parameter);
    if (name == "polygamma") {
      const auto p = polygamma(row.x);
      for (int k = 0; k < 3; ++k)
        check::is_close(p[k], row.f[k], 1e-13 * std::fabs(row.f[k]), "polygamma");
    }
  }
}

// ---- one row

struct Row {
  double value, s, w, w_eta;
  RowDerivatives all;
};

Row one_row(const std::string& name, const std::string& link, double y, double trials, double eta,
            double log_phi = 0.0, double shape = 0.0, bool inflated = false,
            double logit_pi = 0.0) {
  ResponseRows rows;
  rows.n = 1;
  rows.y = &y;
  rows.trials = &trials;
  auto family = family_named(name, link, rows, inflated);
  family->set_parameters(VectorXd::Constant(1, log_phi), VectorXd::Constant(inflated, logit_pi),
                         shape);
  Row out;
  out.value = family->derivatives(&eta, out.all);
  out.s = out.all.s[0];
  out.w = out.all.w[0];
  out.w_eta = out.all.w_eta[0];
  const std::string what = name + " " + link;
  double s, w;
  const double value = family->value(&eta), scored = family->score(&eta, &s, &w);
  check::is_true(
      value == out.value || std::fabs(value - out.value) <= 1e-12 * (1 + std::fabs(value)),
      what + ": value");
  check::is_true(scored == out.value || std::fabs(scored - value) <= 1e-12 * (1 + std::fabs(value)),
                 what + ": score");
  if (std::isfinite(out.value)) {
    check::is_near(s, out.s, 1e-12, name + " " + link + ": s");
    check::is_near(w, out.w, 1e-12, name + " " + link + ": W");
  }
  return out;
}

void relative(double actual, double expected, const std::string& what, double tolerance = 1e-12) {
  check::is_close(actual, expected, tolerance * std::fabs(expected), what);
}

void tails() {
  // One success at eta = -x is one failure at x.
  for (const double eta : {30.0, 300.0, 700.0}) {
    const double p = std::exp(-eta);
    const Row success = one_row("binomial", "logit", 1, 1, eta);
    relative(success.s, p, "logit, s in the upper tail");
    relative(success.w, p, "logit, W in the upper tail");
    relative(success.w_eta, -p, "logit, W_eta in the upper tail");
    const Row failure = one_row("binomial", "logit", 0, 1, -eta);
    relative(failure.s, -p, "logit, s in the lower tail");
    relative(failure.w, p, "logit, W in the lower tail");
    relative(one_row("binomial", "logit", 0, 1, eta).value, -eta, "logit, wrong tail");
    relative(one_row("poisson", "log", 0, 1, -eta).s, -p, "poisson, s in the lower tail");
    relative(one_row("poisson", "log", 3, 1, eta).w, std::exp(eta), "poisson, W in the upper tail");
    relative(one_row("nbinom2", "log", 0, 1, -eta).w, p, "nbinom2, W in the lower tail");
    relative(one_row("nbinom2", "log", 3, 1, eta).s, -1, "nbinom2, s in the upper tail");
    relative(one_row("nbinom2", "log", 3, 1, eta).w, 4 * p, "nbinom2, W in the upper tail");
    relative(one_row("nbinom2", "log", 3, 1, eta).w_eta, -4 * p, "nbinom2, W_eta above");
    relative(one_row("truncated_poisson", "log", 1, 1, -eta).s, -0.5 * p, "truncated, s below");
    relative(one_row("truncated_poisson", "log", 1, 1, -eta).w, 0.5 * p, "truncated, W below");
    relative(one_row("Gamma", "log", 1, 1, eta).w, p, "Gamma, W above");
    relative(one_row("Gamma", "log", 1, 1, -eta).w, 1 / p, "Gamma, W below");
    relative(one_row("binomial", "cloglog", 0, 1, -eta).w, p, "cloglog, W of a failure below");
    relative(one_row("binomial", "cloglog", 1, 1, -eta).w, 0.5 * p, "cloglog, W of a success");
  }
  // log Phi(-37) and its derivatives, from 150 digits: in the table of special functions
  for (const SpecialReference& row : special_references()) {
    if (std::string(row.function) != "log_normal_cdf" || row.f[3] == 0.0) continue;
    const Row success = one_row("binomial", "probit", 1, 1, row.x);
    relative(success.s, row.f[1], "probit, s");
    check::is_close(success.w, -row.f[2], 1e-12 * std::fabs(row.f[2]) + 1e-14 * (row.x > -3),
                    "probit, W");
    check::is_close(success.w_eta, -row.f[3], 1e-12 * std::fabs(row.f[3]) + 1e-14 * (row.x > -3),
                    "probit, W_eta");
    relative(one_row("binomial", "probit", 0, 1, -row.x).s, -row.f[1], "probit, s of a failure");
  }
}

// Nowhere NaN, -infinity only where there is no distribution or no finite logarithm.
void extremes() {
  const std::vector<double> etas{
      -1e308, -1e10, -800,     -745.2,    -709.9,
      -100,   -1,    -1e-300,  0.0,       1e-300,
      0.5,    1,     100,      709.5,     745,
      1e5,    1e308, infinity, -infinity, std::numeric_limits<double>::quiet_NaN()};
  for (const std::string& name : families)
    for (const std::string& link : links) {
      if (!link_applies(parse_link(link), kind_of(name))) continue;
      const MeanKind kind = kind_of(name);
      const std::vector<double> ys = kind == MeanKind::probability && name == "beta"
                                         ? std::vector<double>{0.0, 1e-8, 0.5, 1 - 1e-12}
                                     : kind == MeanKind::probability
                                         ? std::vector<double>{0, 0.5, 1}
                                         : std::vector<double>{0, 1, 40};
      for (const double eta : etas)
        for (const double y : ys)
          for (const double log_phi : {-40.0, -5.0, 0.0, 7.0, 40.0})
            for (const int inflated : {0, 1}) {
              ResponseRows rows;
              rows.n = 1;
              rows.y = &y;
              const double trials = 2.0;
              rows.trials = &trials;
              auto family = family_named(name, link, rows, inflated);
              family->set_parameters(VectorXd::Constant(1, log_phi),
                                     VectorXd::Constant(inflated, -3.0), 0.3);
              const std::string what = name + " " + link + " at " + std::to_string(eta) +
                                       ", y = " + std::to_string(y) +
                                       ", log phi = " + std::to_string(log_phi) +
                                       ", inflated = " + std::to_string(inflated);
              double l, s, w, expected;
              RowDerivatives d;
              const double value = family->value(&eta, &l);
              check::is_true(value < infinity, what + ": value");
              check::is_true(family->value(&eta) == value || std::fabs(value) < infinity,
                             what + ": the same without rows");
              family->score(&eta, &s, &w);
              family->derivatives(&eta, d);
              if (!link_feasible(parse_link(link), kind, eta))
                check::is_true(value == -infinity && l == -infinity, what + ": infeasible");
              // Beyond, derivatives overflow in the middle of a chain.
              const bool moderate =
                  std::fabs(eta) <= 100 && std::fabs(eta) > 1e-3 && std::fabs(log_phi) < 10;
              if (std::isfinite(value) && moderate) {
                check::is_true(std::isfinite(s) && std::isfinite(w), what + ": score");
                check::is_true(d.s.allFinite() && d.w.allFinite() && d.w_eta.allFinite() &&
                                   d.dispersion.l.allFinite() && d.dispersion.s.allFinite() &&
                                   d.dispersion.w.allFinite() && d.shape.l.allFinite() &&
                                   d.zero_inflation.l.allFinite() && d.zero_inflation.w.allFinite(),
                               what + ": derivatives");
              }
              family->expected_weights(&eta, &expected);
              check::is_true(expected > 0.0 && std::isfinite(expected), what + ": expected");
            }
    }
}

void limits() {
  for (const double y : {0.0, 1.0, 7.0, 60.0, 2.5})
    for (const double eta : {-3.0, 0.4, 3.0}) {
      const Row poisson = one_row("poisson", "log", y, 1, eta);
      const std::string what = " tends to the Poisson, y = " + std::to_string(y);
      for (const double log_phi : {std::log(1e10), std::log(1e13), 60.0}) {
        // the difference is of the order of its leading term in 1 / phi
        const double tolerance = (1 + y * y) * (1 + std::exp(eta) + std::exp(-eta)) *
                                     std::exp(eta - log_phi + std::fabs(eta)) +
                                 1e-13;
        for (const std::string name : {"nbinom2", "nbinom1"}) {
          const double k = name == "nbinom2" ? log_phi : -log_phi;
          const Row row = one_row(name, "log", y, 1, eta, k);
          check::is_near(row.value, poisson.value, tolerance, name + what);
          check::is_near(row.s, poisson.s, tolerance, name + what + " s");
          check::is_near(row.w, poisson.w, tolerance, name + what + " W");
          check::is_close(row.all.dispersion.l[0], 0, tolerance, name + what + " l_k");
        }
        if (y == 0.0) continue;
        const Row truncated = one_row("truncated_poisson", "log", y, 1, eta);
        check::is_near(one_row("truncated_nbinom2", "log", y, 1, eta, log_phi).value,
                       truncated.value, tolerance, "truncated" + what);
        check::is_near(one_row("truncated_nbinom1", "log", y, 1, eta, -log_phi).value,
                       truncated.value, tolerance, "truncated" + what);
      }
    }
  for (const double y : {0.0, 0.3, 1.0})
    for (const std::string link : {"logit", "probit", "cloglog"}) {
      const Row binomial = one_row("binomial", link, y, 50, 0.7);
      const Row row = one_row("betabinomial", link, y, 50, 0.7, std::log(1e13));
      check::is_near(row.value, binomial.value, 1e-9, "betabinomial tends to the binomial");
      check::is_near(row.w, binomial.w, 1e-9, "betabinomial tends to the binomial, W");
    }
  const Row gaussian = one_row("gaussian", "identity", 1.4, 1, 0.2, -0.5);
  const Row t = one_row("t", "identity", 1.4, 1, 0.2, -0.5, std::log(1e11));
  check::is_near(t.value, gaussian.value, 1e-9, "t tends to the normal");
  check::is_near(t.w, gaussian.w, 1e-9, "t tends to the normal, W");
  // d/dphi at a large precision, against the divergence of mu from y
  const Row beta = one_row("beta", "logit", 0.3, 1, std::log(3.0 / 7.0), std::log(1e8));
  check::is_near(beta.all.dispersion.l[0], 0.5, 1e-7, "beta of a large phi");
  // Gamma of a large shape at its mean: sqrt(nu / (2 pi))
  const Row gamma = one_row("Gamma", "log", 1, 1, 0, -std::log(1e10));
  check::is_near(gamma.value, 0.5 * std::log(1e10) - special::log_sqrt_2pi, 1e-9,
                 "Gamma of a large shape");
  // Tweedie with a large number of gammas: normal at its mean
  const Row tweedie = one_row("tweedie", "log", 1, 1, 0, -std::log(1e10));
  check::is_near(tweedie.value, 0.5 * std::log(1e10) - special::log_sqrt_2pi, 1e-9,
                 "tweedie of a small phi");
  for (const double log_phi : {-4.0, -4.3, -4.6, -6.0, -8.0}) {  // across the change of step
    const double h = 1e-3;
    const double a = one_row("tweedie", "log", 2, 1, 0.5, log_phi - h, 0.4).value;
    const double b = one_row("tweedie", "log", 2, 1, 0.5, log_phi + h, 0.4).value;
    check::is_near((b - a) / (2 * h),
                   one_row("tweedie", "log", 2, 1, 0.5, log_phi, 0.4).all.dispersion.l[0], 1e-4,
                   "tweedie by log phi");
  }
  // Without and with all inflation
  check::is_near(one_row("poisson", "log", 0, 1, 0.3, 0, 0, true, -800).value, -std::exp(0.3),
                 1e-13, "no inflation");
  check::is_near(one_row("poisson", "log", 0, 1, 700, 0, 0, true, 1.0).value,
                 -std::log1p(std::exp(-1.0)), 1e-13, "a zero of pure inflation");
  const Row hurdle = one_row("Gamma", "log", 0, 1, 0.3, 0.1, 0, true, 1.0);
  check::is_near(hurdle.value, -std::log1p(std::exp(-1.0)), 1e-14, "hurdle");
  check::is_true(hurdle.s == 0 && hurdle.w == 0 && hurdle.all.dispersion.l[0] == 0,
                 "hurdle: no eta");
  check::is_near(hurdle.all.zero_inflation.l[0], 1 / (1 + std::exp(1.0)), 1e-14,
                 "hurdle: by logit pi");
  check::is_true(one_row("truncated_poisson", "log", 0, 1, 0.3).value == -infinity, "no zeros");
  check::is_true(one_row("Gamma", "log", 0, 1, 0.3).value == -infinity, "Gamma has no zeros");
}

// ---- kernels against the general rows

template <class D, template <int, bool, bool> class Kernels>
void kernel_agrees(const std::string& what, Link link, bool counts, bool with_weights,
                   bool with_trials, Index n) {
  std::mt19937_64 generator(n + 7 * with_weights);
  std::normal_distribution<double> normal;
  VectorXd y(n), eta(n), weights(n), trials(n);
  for (Index i = 0; i < n; ++i) {
    eta[i] = (i % 5 == 4 ? 60.0 : 2.0) * normal(generator);
    trials[i] = with_trials ? 1.0 + generator() % 9 : 1.0;
    weights[i] = std::exp(normal(generator));
    y[i] = std::exp(normal(generator));
    if (counts) y[i] = static_cast<double>(generator() % 30);
    if (link == Link::logit) y[i] = (generator() % int(trials[i] + 1.0)) / trials[i];
  }
  if (!counts && link == Link::log)  // near the mean, where e^u - 1 - u would cancel
    for (Index i = 0; i < n; i += 3) y[i] = std::exp(eta[i]) * (1.0 + 1e-5 * normal(generator));
  ResponseRows rows;
  rows.n = n;
  rows.y = y.data();
  if (with_weights) rows.weights = weights.data();
  if (with_trials) rows.trials = trials.data();
  KernelFamily<D, Kernels> fast(rows, link);
  RowFamily<D> general(rows, link, false);
  for (const double log_phi : {-9.0, 0.3, 20.0}) {
    fast.set_parameters(VectorXd::Constant(1, log_phi), VectorXd(), 0);
    general.set_parameters(VectorXd::Constant(1, log_phi), VectorXd(), 0);
    VectorXd l(n), m(n), s(n), w(n), s2(n), w2(n);
    const double sum = general.value(eta.data(), m.data());
    check::is_near(fast.value(eta.data(), l.data()), sum, 1e-12, what + ": value with rows");
    check::is_near(fast.value(eta.data()), sum, 1e-12, what + ": value");
    check::is_near(fast.score(eta.data(), s.data(), w.data()), sum, 1e-12, what + ": score");
    general.score(eta.data(), s2.data(), w2.data());
    RowDerivatives a, b;
    check::is_near(fast.derivatives(eta.data(), a), sum, 1e-12, what + ": derivatives");
    general.derivatives(eta.data(), b);
    const auto same = [&](const VectorXd& x, const VectorXd& z, const std::string& part) {
      if (!check::is_true(x.size() == z.size(), what + ": size of " + part)) return;
      for (Index i = 0; i < x.size(); ++i)
        check::is_near(x[i], z[i], 1e-13 * (1.0 + std::fabs(eta[i])) + 1e-13, what + ": " + part);
    };
    same(l, m, "l");
    same(s, s2, "s");
    same(w, w2, "W");
    same(a.s, b.s, "s of derivatives");
    same(a.w, b.w, "W of derivatives");
    same(a.w_eta, b.w_eta, "W_eta");
    same(a.dispersion.l, b.dispersion.l, "l_k");
    same(a.dispersion.s, b.dispersion.s, "s_k");
    same(a.dispersion.w, b.dispersion.w, "W_k");
  }
  // One phi for each row: no kernel.
  const VectorXd log_phi = VectorXd::LinSpaced(n, -2, 3);
  fast.set_parameters(log_phi, VectorXd(), 0);
  general.set_parameters(log_phi, VectorXd(), 0);
  check::is_near(fast.value(eta.data()), general.value(eta.data()), 1e-12, what + ": phi by row");
}

void kernels() {
  for (const Index n : {1, 3, 8, 17, 4003, 9000})
    for (const bool weights : {false, true}) {
      const std::string what = (weights ? " weighted " : " ") + std::to_string(n);
      kernel_agrees<Binomial, LogitKernel>("logit" + what, Link::logit, true, weights, false, n);
      kernel_agrees<Binomial, LogitKernel>("logit trials" + what, Link::logit, true, weights, true,
                                           n);
      kernel_agrees<Poisson, PoissonLogKernel>("poisson" + what, Link::log, true, weights, false,
                                               n);
      kernel_agrees<Nbinom2, Nbinom2LogKernel>("nbinom2" + what, Link::log, true, weights, false,
                                               n);
      kernel_agrees<Gamma, GammaLogKernel>("Gamma" + what, Link::log, false, weights, false, n);
    }
}

// The loops for narrower registers than this processor would choose.
template <template <int, bool, bool> class Kernels>
void levels_agree(const std::string& what) {
  const Index n = 1203;
  std::mt19937_64 generator(5);
  std::normal_distribution<double> normal;
  Eigen::MatrixXd in(n, 4), first(n, 6), second(n, 6);
  for (Index i = 0; i < n; ++i)
    in.row(i) << 9.0 * normal(generator), double(generator() % 9), double(generator() % 9),
        std::exp(normal(generator));
  const auto make = [&](Eigen::MatrixXd& out) {
    rows::Rows at;
    at.n = n;
    at.eta = in.col(0).data();
    at.y = in.col(1).data();
    at.other = in.col(2).data();
    at.weights = in.col(3).data();
    at.s = out.col(0).data();
    at.w = out.col(1).data();
    at.w_eta = out.col(2).data();
    at.l_k = out.col(3).data();
    at.s_k = out.col(4).data();
    at.w_k = out.col(5).data();
    at.phi = 1.7;
    at.log_phi = std::log(1.7);
    out.setZero();
    return at;
  };
  using Kernel = Kernels<2, true, false>;
  const double narrow = rows::sum_rows<rows::Pack1, Kernel>(make(first));
  check::is_near(rows::sum_rows<rows::Pack2, Kernel>(make(second)), narrow, 1e-13, what);
  check::is_near((first - second).cwiseAbs().maxCoeff() / (1 + first.cwiseAbs().maxCoeff()), 0,
                 1e-14, what + ": two at a time");
#ifdef PARTIALPOOL_ROW_LEVELS
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) {
    check::is_near(rows::sum_avx2<Kernel>(make(second)), narrow, 1e-13, what);
    check::is_near((first - second).cwiseAbs().maxCoeff() / (1 + first.cwiseAbs().maxCoeff()), 0,
                   1e-14, what + ": four at a time");
  }
#endif
  check::is_near(rows::sum<Kernel>(make(second)), narrow, 1e-13, what);
  check::is_near((first - second).cwiseAbs().maxCoeff() / (1 + first.cwiseAbs().maxCoeff()), 0,
                 1e-14, what + ": the level of this processor");
}

void levels() {
  levels_agree<LogitKernel>("logit");
  levels_agree<PoissonLogKernel>("poisson");
  levels_agree<Nbinom2LogKernel>("nbinom2");
  levels_agree<GammaLogKernel>("Gamma");
}

// ---- starts and directions

void directions() {
  const auto direction = [](const std::string& name, const std::string& link, double y,
                            double trials = 1.0, bool inflated = false) {
    ResponseRows rows;
    rows.n = 1;
    rows.y = &y;
    rows.trials = &trials;
    return family_named(name, link, rows, inflated)->unbounded_direction(0);
  };
  for (const std::string link : {"logit", "probit", "cloglog", "cauchit"})
    for (const std::string name : {"binomial", "betabinomial"}) {
      check::is_true(direction(name, link, 1, 5) == 1, name + ": all successes");
      check::is_true(direction(name, link, 0, 5) == -1, name + ": no success");
      check::is_true(direction(name, link, 0.4, 5) == 0, name + ": some successes");
    }
  check::is_true(direction("binomial", "log", 1) == 0, "log binomial: mu = 1 at eta = 0");
  check::is_true(direction("binomial", "log", 0) == -1, "log binomial: no success");
  for (const std::string name : {"poisson", "nbinom1", "nbinom2", "tweedie"}) {
    check::is_true(direction(name, "log", 0) == -1, name + ": zero");
    check::is_true(direction(name, "log", 2) == 0, name + ": count");
    check::is_true(direction(name, "inverse", 0) == 1, name + ": zero, inverse link");
    check::is_true(direction(name, "sqrt", 0) == 0, name + ": zero, sqrt link");
    check::is_true(direction(name, "log", 0, 1, true) == -1, name + ": zero with inflation");
  }
  for (const std::string name : {"truncated_poisson", "truncated_nbinom1", "truncated_nbinom2"}) {
    check::is_true(direction(name, "log", 1) == -1, name + ": one");
    check::is_true(direction(name, "log", 2) == 0, name + ": two");
    check::is_true(direction(name, "log", 0, 1, true) == 0, name + ": zero of the hurdle");
  }
  for (const std::string name : {"gaussian", "t", "Gamma", "inverse.gaussian"})
    check::is_true(direction(name, "log", 2) == 0, name + ": interior");
  check::is_true(direction("beta", "logit", 0.5) == 0, "beta: interior");
}

void starts() {
  std::mt19937_64 generator(11);
  const Index n = 40000;
  const double mu = 3.0;
  VectorXd y(n), eta = VectorXd::Constant(n, std::log(mu)), trials = VectorXd::Constant(n, 20.0);
  const auto start = [&](const std::string& name, const std::string& link, double log_phi,
                         double tolerance) {
    ResponseRows rows;
    rows.n = n;
    rows.y = y.data();
    rows.trials = trials.data();
    const auto family = family_named(name, link, rows, false);
    check::is_close(family->start_dispersion(eta.data()), log_phi, tolerance, name + ": start");
  };
  std::gamma_distribution<double> gamma(4.0, mu / 4.0), frailty(2.0, mu / 2.0);
  for (Index i = 0; i < n; ++i) y[i] = gamma(generator);
  start("Gamma", "log", -std::log(4.0), 0.1);
  for (Index i = 0; i < n; ++i)
    y[i] = std::poisson_distribution<int>(frailty(generator))(generator);
  start("nbinom2", "log", std::log(2.0), 0.1);
  start("nbinom1", "log", std::log(1.5), 0.1);
  for (Index i = 0; i < n; ++i) y[i] = mu + 2.0 * std::normal_distribution<double>()(generator);
  start("gaussian", "log", std::log(4.0), 0.1);
  for (Index i = 0; i < n; ++i) y[i] = mu + 2.0 * std::student_t_distribution<double>(5)(generator);
  start("t", "log", std::log(4.0), 0.1);
  eta.setZero();
  std::gamma_distribution<double> half(5.0, 1.0);
  for (Index i = 0; i < n; ++i) {
    const double a = half(generator), b = half(generator);
    y[i] = a / (a + b);
  }
  start("beta", "logit", std::log(10.0), 0.1);
  for (Index i = 0; i < n; ++i) y[i] = std::binomial_distribution<int>(20, y[i])(generator) / 20.0;
  start("betabinomial", "logit", std::log(10.0), 0.1);
}

}  // namespace

int main() {
  special_functions();
  all_families();
  tails();
  extremes();
  limits();
  kernels();
  levels();
  directions();
  starts();
  return check::report();
}
