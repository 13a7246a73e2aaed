#ifndef PARTIALPOOL_TESTS_EP_TESTS_H
#define PARTIALPOOL_TESTS_EP_TESTS_H

// Expectation propagation over sparse random effects against its definition with dense matrices.

#include <Eigen/Dense>
#include <cmath>
#include <string>
#include <vector>

#include "check.h"
#include "glmm_data.h"

namespace ep_tests {
namespace {

// Tilted moments of one row by brute force.
struct Moments {
  double log_z, mean, variance;
};
class DenseEp {
 public:
  DenseEp(const Data& d, const VectorXd& par) : d_(d), rows_(d.rows()) {
    pp::ResponseRows response;
    response.n = d.n();
    response.y = rows_.y;
    response.trials = rows_.trials;
    family_ = pp::family_named(d.family, d.link, response, false);
    int n_theta = 0;
    for (const Term& t : d.terms)
      n_theta += t.slope ? (t.structure == pp::Structure::unstructured ? 3 : 2) : 1;
    if (family_->has_dispersion())
      family_->set_parameters(par.tail(1), VectorXd(), 0.0);
    else
      family_->set_parameters(VectorXd::Zero(1), VectorXd(), 0.0);
    const MatrixXd zl = dense_zl(d, par.head(n_theta));
    sigma_ = zl * zl.transpose();
    origin_ = d.offset + d.x * par.segment(n_theta, 2);
  }

  double log_z() {
    const Index n = d_.n();
    VectorXd tau = VectorXd::Zero(n), nu = VectorXd::Zero(n);
    MatrixXd v;
    VectorXd m, vc(n), mc(n);
    std::vector<Moments> tilted;
    for (int sweep = 0; sweep < 400; ++sweep) {
      // (Sigma^-1 + T)^-1 without an inverse of Sigma
      const MatrixXd system = MatrixXd::Identity(n, n) + sigma_ * tau.asDiagonal();
      v = system.partialPivLu().solve(sigma_);
      m = v * nu;
      for (Index i = 0; i < n; ++i) {
        vc[i] = v(i, i) / (1.0 - v(i, i) * tau[i]);
        mc[i] = (m[i] - v(i, i) * nu[i]) / (1.0 - v(i, i) * tau[i]);
      }
      tilted = moments(mc, vc);
      double change = 0.0;
      for (Index i = 0; i < n; ++i) {
        const double t = 1.0 / tilted[i].variance - 1.0 / vc[i];
        const double u = tilted[i].mean / tilted[i].variance - mc[i] / vc[i];
        change = std::max(change, std::fabs(t - tau[i]) + std::fabs(u - nu[i]));
        tau[i] += 0.7 * (t - tau[i]);
        nu[i] += 0.7 * (u - nu[i]);
      }
      if (change < 1e-13) break;
    }
    // log Z = log int N(r; 0, Sigma) prod Zhat_i s_i(r_i) / (int s_i cavity_i)
    const MatrixXd system = MatrixXd::Identity(n, n) + sigma_ * tau.asDiagonal();
    double out = -0.5 * std::log(system.determinant()) + 0.5 * nu.dot(v * nu);
    for (Index i = 0; i < n; ++i) {
      const double a = 1.0 + tau[i] * vc[i];
      out += tilted[i].log_z + 0.5 * std::log(a) -
             (2.0 * mc[i] * nu[i] + vc[i] * nu[i] * nu[i] - tau[i] * mc[i] * mc[i]) / (2.0 * a);
    }
    return out;
  }

 private:
  std::vector<Moments> moments(const VectorXd& mc, const VectorXd& vc) const {
    const int nodes = 1601;
    const double half = 14.0;
    const Index n = d_.n();
    MatrixXd log_f(n, nodes);
    VectorXd eta(n), l(n);
    for (int k = 0; k < nodes; ++k) {
      const double t = -half + 2.0 * half * k / (nodes - 1);
      eta = origin_ + mc + t * vc.cwiseSqrt();
      family_->value(eta.data(), l.data());
      log_f.col(k) = l.array() - 0.5 * t * t;
    }
    std::vector<Moments> out(n);
    for (Index i = 0; i < n; ++i) {
      const double top = log_f.row(i).maxCoeff(), sd = std::sqrt(vc[i]);
      double s0 = 0.0, s1 = 0.0, s2 = 0.0;
      for (int k = 0; k < nodes; ++k) {
        const double f = std::exp(log_f(i, k) - top), t = -half + 2.0 * half * k / (nodes - 1);
        s0 += f;
        s1 += f * t;
      }
      for (int k = 0; k < nodes; ++k) {
        const double t = -half + 2.0 * half * k / (nodes - 1) - s1 / s0;
        s2 += std::exp(log_f(i, k) - top) * t * t;
      }
      out[i] = {top + std::log(s0 * 2.0 * half / (nodes - 1) / std::sqrt(2.0 * M_PI)),
                mc[i] + sd * s1 / s0, vc[i] * s2 / s0};
    }
    return out;
  }

  const Data& d_;
  const pp::GlmmRows rows_;
  std::unique_ptr<pp::Family> family_;
  MatrixXd sigma_;
  VectorXd origin_;
};

pp::GlmmSpec ep_spec(const Data& d) {
  pp::GlmmSpec spec = spec_of(d);
  spec.integral.ep = true;
  return spec;
}

std::vector<Data> cases() {
  std::vector<Data> out;
  const std::vector<std::pair<std::string, std::string>> families = {
      {"binomial", "logit"}, {"binomial", "probit"}, {"binomial", "cloglog"},
      {"poisson", "log"},    {"Gamma", "log"},       {"nbinom2", "log"}};
  for (const auto& f : families) {
    out.push_back(make_data(f.first, f.second, 40, {9}, {{0, true, us}}));
    out.push_back(make_data(f.first, f.second, 50, {9, 5}, {{0, false, us}, {1, false, us}}));
    out.push_back(make_data(f.first, f.second, 60, {7, 5, 4},
                            {{0, true, diag}, {1, false, us}, {2, true, us}}));
  }
  return out;
}

void test_against_dense() {
  for (const Data& d : cases()) {
    const VectorXd par = parameters_for(d, false);
    pp::GlmmModel model(d.rows(), ep_spec(d));
    check::is_near(model.value(par), -2.0 * DenseEp(d, par).log_z(), 1e-9, d.name + "EP value");
    const VectorXd g = model.gradient(par), numerical = numerical_gradient(model, par);
    for (Index i = 0; i < g.size(); ++i)
      check::is_near(g[i], numerical[i], 2e-7, d.name + "EP gradient " + std::to_string(i));
  }
}

// Without random effects it is the likelihood of a generalised linear model.
void test_without_effects() {
  const Data d = make_data("poisson", "log", 80, {9, 5}, {{0, false, us}, {1, true, us}});
  VectorXd par = parameters_for(d, false);
  par.head(4).setZero();
  pp::GlmmModel laplace(d.rows(), spec_of(d)), ep(d.rows(), ep_spec(d));
  check::is_near(ep.value(par), laplace.value(par), 1e-12, "EP at theta = 0");
  const VectorXd g = ep.gradient(par), numerical = numerical_gradient(ep, par);
  for (int i = 0; i < 4; ++i) check::is_close(g[i], 0.0, 1e-12, "EP gradient at theta = 0");
  for (int i = 4; i < 6; ++i) check::is_near(g[i], numerical[i], 1e-7, "EP gradient by beta");
}

// The value does not depend on the sites that the search comes with.
void test_path() {
  const Data d = make_data("binomial", "logit", 120, {30, 12}, {{0, true, us}, {1, false, us}});
  const VectorXd par = parameters_for(d, false);
  pp::GlmmModel model(d.rows(), ep_spec(d));
  const VectorXd x = model.parameters(par);
  const double cold = model.criterion(x);
  pp::Marginal& m = model.marginal();
  for (int k = 1; k <= 10; ++k) {
    VectorXd away = x;
    away.array() += 0.3 * k * normal();
    m.value(away);
    m.accept();
    check::is_close(model.criterion(x), cold, 1e-11 * std::fabs(cold), "EP from other sites");
  }
}

void test_search() {
  for (const Data& d :
       {make_data("binomial", "probit", 300, {30, 12}, {{0, false, us}, {1, false, us}}),
        make_data("poisson", "log", 200, {20}, {{0, true, us}}),
        make_data("nbinom2", "log", 200, {20}, {{0, false, us}})}) {
    pp::GlmmModel model(d.rows(), ep_spec(d));
    const pp::MarginalOptimum found = model.search(nullptr, pp::NewtonControl());
    check::is_true(found.optimum.status == "converged",
                   d.name + "EP search: " + found.optimum.status);
    const VectorXd g = model.marginal().gradient(model.marginal().lambda_gradient());
    check::is_close(g.norm(), 0.0, 1e-4, d.name + "EP gradient at the optimum");
  }
}

}  // namespace

inline void run() {
  generator.seed(seed);
  test_against_dense();
  test_without_effects();
  test_path();
  test_search();
}

}  // namespace ep_tests

#endif
