// The engine of generalised models against its definition, written out with dense matrices.

#include <Eigen/Dense>
#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "check.h"
#include "ep_tests.h"
#include "glmm_covariance.h"
#include "glmm_data.h"
#include "pql.h"

namespace {

constexpr double infinity = std::numeric_limits<double>::infinity();

// ---- The definition

struct Dense {
  MatrixXd z;       // n x q, times Lambda
  double value;     // Laplace criterion
  VectorXd u, eta;  // the mode
};

// -2 log-likelihood by Laplace at par; with `reml` beta is part of the mode and integrated too.
Dense dense_laplace(const Data& d, const VectorXd& par, bool reml) {
  const pp::GlmmRows rows = d.rows();
  pp::ResponseRows response;
  response.n = d.n();
  response.y = rows.y;
  response.trials = rows.trials;
  const auto family = pp::family_named(d.family, d.link, response, false);
  int n_theta = 0;
  for (const Term& t : d.terms)
    n_theta += t.slope ? (t.structure == pp::Structure::unstructured ? 3 : 2) : 1;
  const int p = 2, q_beta = reml ? p : 0;
  if (family->has_dispersion())
    family->set_parameters(par.tail(1), VectorXd(), 0.0);
  else
    family->set_parameters(VectorXd::Zero(1), VectorXd(), 0.0);
  Dense out;
  const MatrixXd zl = dense_zl(d, par.head(n_theta));
  out.z.resize(d.n(), zl.cols() + q_beta);
  out.z << zl, d.x.leftCols(q_beta);
  VectorXd base = d.offset;
  if (!reml) base += d.x * par.segment(n_theta, p);
  VectorXd ridge = VectorXd::Ones(out.z.cols());
  ridge.tail(q_beta).setZero();
  VectorXd v = VectorXd::Zero(out.z.cols()), s(d.n()), w(d.n());
  MatrixXd m;
  double log_density = 0.0;
  for (int it = 0; it < 200; ++it) {
    const VectorXd eta = base + out.z * v;
    log_density = family->score(eta.data(), s.data(), w.data());
    m = out.z.transpose() * w.asDiagonal() * out.z;
    m.diagonal() += ridge;
    VectorXd step = m.ldlt().solve(out.z.transpose() * s - ridge.cwiseProduct(v));
    if (step.norm() > 2.0) step *= 2.0 / step.norm();
    v += step;
  }
  out.eta = base + out.z * v;
  log_density = family->score(out.eta.data(), s.data(), w.data());
  m = out.z.transpose() * w.asDiagonal() * out.z;
  m.diagonal() += ridge;
  const Eigen::LLT<MatrixXd> llt(m);
  const MatrixXd factor = llt.matrixL();
  out.value = -2.0 * log_density + v.cwiseAbs2().dot(ridge) +
              2.0 * factor.diagonal().array().log().sum() - q_beta * std::log(2.0 * M_PI);
  out.u = v;
  return out;
}

// ---- Tests

std::vector<Data> cases() {
  std::vector<Data> out;
  const std::vector<std::pair<std::string, std::string>> families = {
      {"binomial", "logit"},   {"binomial", "probit"}, {"binomial", "cloglog"},
      {"binomial", "cauchit"}, {"poisson", "log"},     {"Gamma", "log"},
      {"nbinom2", "log"}};
  for (const auto& f : families) {
    out.push_back(make_data(f.first, f.second, 70, {9}, {{0, false, us}}));
    out.push_back(make_data(f.first, f.second, 80, {9}, {{0, true, us}}));
    out.push_back(make_data(f.first, f.second, 80, {9, 5}, {{0, false, us}, {1, false, us}}));
    out.push_back(make_data(f.first, f.second, 90, {8, 6}, {{0, true, us}, {1, true, diag}}));
    out.push_back(make_data(f.first, f.second, 90, {7, 5, 4},
                            {{0, true, diag}, {1, false, us}, {2, true, us}}));
  }
  return out;
}

void test_against_dense() {
  for (const Data& d : cases()) {
    for (const bool reml : {false, true}) {
      const std::string name = d.name + (reml ? "REML " : "");
      const VectorXd par = parameters_for(d, reml);
      pp::GlmmModel model(d.rows(), spec_of(d, 1, reml));
      const Dense dense = dense_laplace(d, par, reml);
      check::is_near(model.value(par), dense.value, 1e-9, name + "criterion");
      const VectorXd g = model.gradient(par), numerical = numerical_gradient(model, par);
      for (Index i = 0; i < g.size(); ++i)
        check::is_near(g[i], numerical[i], 2e-7, name + "gradient " + std::to_string(i));
    }
  }
}

// At a variance of zero the derivative by theta is zero, the others are what they are.
void test_gradient_at_zero() {
  const Data d = make_data("poisson", "log", 80, {9, 5}, {{0, false, us}, {1, true, us}});
  VectorXd par = parameters_for(d, false);
  par.head(4).setZero();
  pp::GlmmModel model(d.rows(), spec_of(d));
  const VectorXd g = model.gradient(par), numerical = numerical_gradient(model, par);
  for (int i = 0; i < 4; ++i) check::is_close(g[i], 0.0, 1e-12, "gradient at theta = 0");
  for (int i = 4; i < 6; ++i) check::is_near(g[i], numerical[i], 1e-7, "gradient by beta");
}

void test_storages() {
  const Data d = make_data("binomial", "logit", 120, {30, 12, 6},
                           {{0, true, us}, {1, false, us}, {2, true, diag}});
  const VectorXd par = parameters_for(d, false);
  pp::GlmmSpec spec = spec_of(d);
  pp::GlmmModel reference(d.rows(), spec);
  const double value = reference.value(par);
  const VectorXd g = reference.gradient(par);
  for (const pp::Storage storage : {pp::Storage::dense, pp::Storage::sparse}) {
    spec.storage = storage;
    pp::GlmmModel model(d.rows(), spec);
    check::is_near(model.value(par), value, 1e-11, "criterion by storage");
    const VectorXd other = model.gradient(par);
    for (Index i = 0; i < g.size(); ++i)
      check::is_near(other[i], g[i], 1e-9, "gradient by storage");
  }
}

// The value does not depend on where the search for the modes began.
void test_noise() {
  for (const Data& d : cases()) {
    if (d.terms.size() != 2) continue;
    pp::GlmmModel model(d.rows(), spec_of(d));
    const VectorXd par = parameters_for(d, false);
    const double cold = model.value(par);
    const VectorXd x = model.parameters(par);
    for (int k = 0; k < 30; ++k) {
      VectorXd away = x;
      for (Index i = 0; i < x.size(); ++i) away[i] += std::pow(10.0, -k / 4.0) * normal();
      if (!std::isfinite(model.marginal().value(away))) continue;
      model.marginal().accept();
      check::is_near(model.criterion(x), cold, 1e-10, d.name + "value after a warm start");
    }
  }
}

void test_nodes() {
  for (const int k : {2, 5, 25, 61, 150, 400}) {
    const pp::HermiteGrid grid(k, 1);
    double moments[5] = {0, 0, 0, 0, 0};
    for (Index i = 0; i < grid.nodes.cols(); ++i)
      for (int m = 0; m < 5; ++m)
        moments[m] += std::exp(grid.log_weights[i]) * std::pow(grid.nodes(0, i), m);
    const std::string name = "moment of " + std::to_string(k) + " nodes";
    check::is_near(moments[0], 1.0, 1e-12, name);
    check::is_near(moments[1], 0.0, 1e-12, name);
    check::is_near(moments[2], 1.0, 1e-12, name);
    check::is_near(moments[4], k > 2 ? 3.0 : 1.0, 1e-11, name);
  }
}

// One random intercept: the integral of each level by a fine trapezoid rule.
double brute_force(const Data& d, const VectorXd& par) {
  const MatrixXd zl = dense_zl(d, par.head(1));
  pp::ResponseRows response;
  response.n = d.n();
  response.y = d.y.data();
  if (d.trials.size() > 0) response.trials = d.trials.data();
  const auto family = pp::family_named(d.family, d.link, response, false);
  family->set_parameters(family->has_dispersion() ? VectorXd(par.tail(1)) : VectorXd::Zero(1),
                         VectorXd(), 0.0);
  const VectorXd base = d.offset + d.x * par.segment(1, 2);
  VectorXd total = VectorXd::Zero(d.levels[0]), l(d.n());
  const double step = 0.01;
  for (double u = -12.0; u <= 12.0; u += step) {
    const VectorXd eta = base + zl * VectorXd::Constant(zl.cols(), u);
    family->value(eta.data(), l.data());
    VectorXd sum = VectorXd::Constant(d.levels[0], -0.5 * u * u - 0.5 * std::log(2.0 * M_PI));
    for (Index i = 0; i < d.n(); ++i) sum[d.codes[0][i] - 1] += l[i];
    total += step * sum.array().exp().matrix();
  }
  return -2.0 * total.array().log().sum();
}

void test_quadrature() {
  for (const Data& d : cases()) {
    if (d.terms.size() != 1) continue;
    const VectorXd par = parameters_for(d, false);
    if (!d.terms[0].slope) {
      pp::GlmmModel fine(d.rows(), spec_of(d, 61));
      check::is_near(fine.value(par), brute_force(d, par), 1e-9, d.name + "61 nodes");
    }
    pp::GlmmModel coarse(d.rows(), spec_of(d, 5));
    const VectorXd g = coarse.gradient(par), numerical = numerical_gradient(coarse, par);
    for (Index i = 0; i < g.size(); ++i)
      check::is_near(g[i], numerical[i], 2e-7, d.name + "gradient of 5 nodes");
  }
}

// The order of the rows and of the levels is no part of the model.
void test_search() {
  for (const Data& d : cases()) {
    if (d.terms.size() == 3) continue;
    pp::GlmmModel model(d.rows(), spec_of(d));
    const pp::MarginalOptimum found = model.search(nullptr, pp::NewtonControl());
    check::is_true(found.optimum.status == "converged", d.name + "converged");
    Data turned = d;
    for (Index i = 0; i < d.n(); ++i) {
      const Index from = d.n() - 1 - i;
      turned.x.row(i) = d.x.row(from);
      turned.slope.row(i) = d.slope.row(from);
      turned.y[i] = d.y[from];
      turned.offset[i] = d.offset[from];
      if (d.trials.size() > 0) turned.trials[i] = d.trials[from];
      for (std::size_t f = 0; f < d.codes.size(); ++f)
        turned.codes[f][i] = d.levels[f] + 1 - d.codes[f][from];
    }
    pp::GlmmModel other(turned.rows(), spec_of(turned));
    const pp::MarginalOptimum again = other.search(nullptr, pp::NewtonControl());
    check::is_close(again.optimum.value, found.optimum.value, 1e-7, d.name + "rows turned round");
    const MatrixXd covariance = pp::GlmmCovariance(model, found).natural();
    check::is_true(covariance.allFinite() && covariance.diagonal().minCoeff() >= 0.0,
                   d.name + "covariance of the parameters");
  }
}

// However a search ends, the model stands at the parameters that it gives.
void test_stopped() {
  const Data d = make_data("nbinom2", "log", 90, {9, 6}, {{0, true, us}, {1, false, us}});
  for (int limit = 0; limit < 6; ++limit) {
    pp::GlmmModel model(d.rows(), spec_of(d));
    pp::NewtonControl control;
    control.max_iterations = limit;
    const pp::MarginalOptimum found = model.search(nullptr, control);
    const std::string name = "stopped after " + std::to_string(limit) + ": ";
    check::is_true(model.marginal().x() == found.optimum.x, name + "stands at its parameters");
    const VectorXd beta = found.optimum.x.segment(model.marginal().n_theta(), 2);
    check::is_true(model.marginal().mode().beta == beta, name + "modes are those of them");
  }
}

void test_separation() {
  Data d = make_data("binomial", "logit", 60, {6}, {{0, false, us}});
  d.trials.resize(0);
  d.offset.setZero();
  for (Index i = 0; i < d.n(); ++i) d.y[i] = d.x(i, 1) > 0.3 ? 1.0 : 0.0;
  pp::GlmmModel complete(d.rows(), spec_of(d));
  check::is_true(complete.separation().found && complete.separation().complete,
                 "complete separation");
  Index farthest;
  d.x.col(1).maxCoeff(&farthest);
  d.y[farthest] = 0.0;
  pp::GlmmModel overlap(d.rows(), spec_of(d));
  check::is_true(!overlap.separation().found, "one row on the other side: no separation");
  for (Index i = 0; i < d.n(); ++i) {
    d.x(i, 1) = i % 3 == 0 ? 1.0 : 0.0;
    d.y[i] = i % 3 == 0 || i % 2 == 0 ? 1.0 : 0.0;
  }
  pp::GlmmModel quasi(d.rows(), spec_of(d));
  check::is_true(quasi.separation().found && !quasi.separation().complete, "quasi separation");
}

// Bad or extreme parameters end in a number or +infinity.
void test_extremes() {
  const Data d = make_data("poisson", "log", 80, {9}, {{0, false, us}});
  pp::GlmmModel model(d.rows(), spec_of(d));
  VectorXd par = parameters_for(d, false);
  par[0] = std::numeric_limits<double>::quiet_NaN();
  check::is_true(model.value(par) == infinity, "NaN gives infinity");
  for (const double theta : {1e-12, 1e3, 1e8})
    for (const double beta : {-50.0, 50.0, 1e4}) {
      par << theta, beta, 0.0;
      const double value = model.value(par);
      check::is_true(!std::isnan(value), "extreme parameters");
    }
}

void test_pql() {
  const Data d = make_data("poisson", "log", 120, {15}, {{0, false, us}});
  const pp::GlmmRows rows = d.rows();
  pp::ResponseRows response;
  response.n = d.n();
  response.y = rows.y;
  const auto family = pp::family_named("poisson", "log", response, false);
  pp::Pql pql(rows.data, *family, rows.offset, false, true);
  const pp::Pql::Result found = pql.fit(pp::NewtonControl(), 100);
  check::is_true(found.status == "converged", "PQL converged");
  // At its fixed point the modes maximise the penalised likelihood at the same theta and beta.
  const double theta = found.model->map().theta(found.optimum.x)[0];
  VectorXd par(3);
  par << theta, found.model->beta();
  pp::GlmmModel model(d.rows(), spec_of(d));
  model.value(par);
  const MatrixXd modes = model.modes()[0], pql_modes = found.model->modes()[0];
  check::is_close((modes - pql_modes).norm(), 0.0, 1e-6, "PQL's modes are the conditional modes");
}

}  // namespace

int main() {
  test_against_dense();
  test_gradient_at_zero();
  test_storages();
  test_noise();
  test_nodes();
  test_quadrature();
  test_search();
  test_stopped();
  test_separation();
  test_extremes();
  test_pql();
  ep_tests::run();
  return check::report();
}
