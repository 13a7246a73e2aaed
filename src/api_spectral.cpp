// Glue between R and the models of one kernel that a rotation makes diagonal.
#include <Rcpp.h>

#include <cmath>
#include <string>
#include <vector>

#include "core/matrix_normal.h"
#include "core/spectral.h"

namespace pp = partialpool;
using Eigen::MatrixXd;
using Eigen::VectorXd;

namespace {

Eigen::Map<const MatrixXd> matrix_of(const Rcpp::NumericMatrix& m) {
  return Eigen::Map<const MatrixXd>(m.begin(), m.nrow(), m.ncol());
}
VectorXd vector_of(const Rcpp::NumericVector& v) {
  return Eigen::Map<const VectorXd>(v.begin(), v.size());
}
SEXP to_r(const MatrixXd& m) {
  Rcpp::NumericMatrix out(Rcpp::no_init(static_cast<int>(m.rows()), static_cast<int>(m.cols())));
  std::copy_n(m.data(), m.size(), out.begin());
  return out;
}
SEXP to_r_vector(const VectorXd& v) {
  return Rcpp::NumericVector(v.data(), v.data() + v.size());
}

pp::SpectralModel spectral_model(const Rcpp::NumericMatrix& vectors,
                                 const Rcpp::NumericVector& values, const Rcpp::NumericMatrix& x,
                                 const Rcpp::NumericVector& y, bool reml) {
  return pp::SpectralModel(matrix_of(vectors), vector_of(values), matrix_of(x), vector_of(y), reml);
}

Rcpp::List joint_list(const pp::SpectralModel::Joint& joint) {
  return Rcpp::List::create(Rcpp::Named("logLik") = joint.log_likelihood,
                            Rcpp::Named("gradient") = to_r_vector(joint.gradient),
                            Rcpp::Named("hessian") = to_r(joint.hessian));
}

}  // namespace

// The fit: a scale below zero and a NULL beta are free, and so is a delta that is NA.
// [[Rcpp::export(rng = false)]]
Rcpp::List spectral_fit(Rcpp::NumericMatrix vectors, Rcpp::NumericVector values,
                        Rcpp::NumericMatrix x, Rcpp::NumericVector y, bool reml,
                        Rcpp::Nullable<Rcpp::NumericVector> beta, double scale, double delta) {
  const pp::SpectralModel model = spectral_model(vectors, values, x, y, reml);
  if (!model.full_rank()) return Rcpp::List::create(Rcpp::Named("status") = "rank");
  pp::SpectralModel::Held held;
  if (beta.isNotNull()) {
    held.beta = true;
    held.beta_value = vector_of(Rcpp::NumericVector(beta.get()));
  }
  held.scale = scale;
  // Below this the residual of y on X is rounding.
  if (!held.beta && scale < 0.0 && !(model.relative_residual() > 1e-13))
    return Rcpp::List::create(Rcpp::Named("status") = "exact");
  pp::SpectralModel::Optimum found;
  if (std::isnan(delta)) {
    found = model.optimise(held);
  } else {
    found.point = model.profile(model.internal_logit(delta), held);
    found.evaluations = 1;
    if (!std::isfinite(found.point.value)) found.status = "not finite";
  }
  const pp::SpectralModel::Point& at = found.point;
  Rcpp::List out = Rcpp::List::create(
      Rcpp::Named("status") = found.status, Rcpp::Named("unbounded") = found.unbounded,
      Rcpp::Named("evaluations") = found.evaluations, Rcpp::Named("minima") = found.minima);
  if (!std::isfinite(at.value)) return out;
  const pp::SpectralModel::Joint joint = model.joint(at);
  out["logLik"] = -0.5 * at.value;
  out["beta"] = to_r_vector(model.beta(at));
  out["scale"] = model.scale(at);
  out["delta"] = model.delta(at);
  out["v0"] = model.kernel_variance(at);
  out["v1"] = model.iid_variance(at);
  out["decrement"] = at.curvature > 0.0 ? at.slope * at.slope / at.curvature : 0.0;
  out["gradient"] = to_r_vector(joint.gradient);
  out["hessian"] = to_r(joint.hessian);
  out["vcov"] = to_r(model.vcov(at));
  return out;
}

// The log-likelihood at given parameters, its gradient and Hessian in (beta, log scale, logit
// delta), and the covariance of the best beta there.
// [[Rcpp::export(rng = false)]]
Rcpp::List spectral_at(Rcpp::NumericMatrix vectors, Rcpp::NumericVector values,
                       Rcpp::NumericMatrix x, Rcpp::NumericVector y, bool reml,
                       Rcpp::NumericVector beta, double scale, double delta) {
  const pp::SpectralModel model = spectral_model(vectors, values, x, y, reml);
  if (!model.full_rank()) return Rcpp::List::create(Rcpp::Named("status") = "rank");
  const pp::SpectralModel::Joint joint = model.joint(vector_of(beta), scale, delta);
  if (!std::isfinite(joint.log_likelihood))
    return Rcpp::List::create(Rcpp::Named("status") = "not finite");
  Rcpp::List out = joint_list(joint);
  pp::SpectralModel::Held held;
  held.scale = scale;
  out["vcov"] = to_r(model.vcov(model.profile(model.internal_logit(delta), held)));
  out["status"] = "not fitted";
  return out;
}

namespace {

pp::MatrixNormalModel traits_model(const Rcpp::NumericMatrix& vectors,
                                   const Rcpp::NumericVector& values, const Rcpp::NumericMatrix& x,
                                   const Rcpp::NumericMatrix& y, bool reml) {
  return pp::MatrixNormalModel(matrix_of(vectors), vector_of(values), matrix_of(x), matrix_of(y),
                               reml);
}

std::string fault(const pp::MatrixNormalModel& model) {
  return !model.full_rank() ? "rank" : model.exact() ? "exact" : "";
}

Rcpp::List traits_value(const pp::MatrixNormalModel& model,
                        const pp::MatrixNormalModel::Value& value) {
  return Rcpp::List::create(Rcpp::Named("logLik") = -0.5 * value.criterion,
                            Rcpp::Named("B") = to_r(model.coefficients(value.b)),
                            Rcpp::Named("by_C0") = to_r(-0.5 * model.user_by_c0(value.by_c0)),
                            Rcpp::Named("by_C1") = to_r(-0.5 * model.user_derivative(value.by_c1)),
                            Rcpp::Named("vcov") = to_r(model.vcov(value)));
}

}  // namespace

// [[Rcpp::export(rng = false)]]
Rcpp::List traits_fit(Rcpp::NumericMatrix vectors, Rcpp::NumericVector values,
                      Rcpp::NumericMatrix x, Rcpp::NumericMatrix y, bool reml, int rank,
                      double tolerance, int max_iterations) {
  const pp::MatrixNormalModel model = traits_model(vectors, values, x, y, reml);
  const std::string bad = fault(model);
  if (!bad.empty()) return Rcpp::List::create(Rcpp::Named("status") = bad);
  const pp::MatrixNormalModel::Optimum found =
      model.optimise(rank, tolerance, max_iterations, [] { Rcpp::checkUserInterrupt(); });
  if (!std::isfinite(found.value)) return Rcpp::List::create(Rcpp::Named("status") = "not finite");
  MatrixXd f, l;
  model.unpack(found.x, rank, f, l);
  const pp::MatrixNormalModel::Value value = model.evaluate(f * f.transpose(), l * l.transpose());
  Rcpp::List out = traits_value(model, value);
  out["status"] = found.status;
  out["C0"] = to_r(model.c0(f));
  out["C1"] = to_r(model.c1(l));
  const Eigen::SelfAdjointEigenSolver<MatrixXd> e0(f * f.transpose()), e1(l * l.transpose());
  // In internal coordinates, where the traits together have unit covariance.
  out["shares0"] = to_r_vector(e0.eigenvalues());
  out["shares1"] = to_r_vector(e1.eigenvalues());
  out["vcov_full"] = to_r(model.vcov_full(found.x, rank, model.vcov(value)));
  out["decrement"] = found.decrement;
  out["iterations"] = found.iterations;
  out["evaluations"] = found.evaluations;
  out["starts"] = found.starts;
  return out;
}

// Value and derivatives at given covariances; at the best B where `b` is NULL.
// [[Rcpp::export(rng = false)]]
Rcpp::List traits_at(Rcpp::NumericMatrix vectors, Rcpp::NumericVector values, Rcpp::NumericMatrix x,
                     Rcpp::NumericMatrix y, bool reml, Rcpp::NumericMatrix c0,
                     Rcpp::NumericMatrix c1, Rcpp::Nullable<Rcpp::NumericMatrix> b) {
  const pp::MatrixNormalModel model = traits_model(vectors, values, x, y, reml);
  const std::string bad = fault(model);
  if (!bad.empty()) return Rcpp::List::create(Rcpp::Named("status") = bad);
  MatrixXd held;
  if (b.isNotNull()) held = model.internal_coefficients(matrix_of(Rcpp::NumericMatrix(b.get())));
  const pp::MatrixNormalModel::Value value =
      model.evaluate(model.internal_c0(matrix_of(c0)), model.to_internal(matrix_of(c1)),
                     b.isNotNull() ? &held : nullptr);
  if (!std::isfinite(value.criterion))
    return Rcpp::List::create(Rcpp::Named("status") = "not finite");
  Rcpp::List out = traits_value(model, value);
  out["status"] = "not fitted";
  return out;
}

// V^-1 (Y - X B), n x t.
// [[Rcpp::export(rng = false)]]
SEXP traits_weighted(Rcpp::NumericMatrix vectors, Rcpp::NumericVector values,
                     Rcpp::NumericMatrix residuals, Rcpp::NumericMatrix c0,
                     Rcpp::NumericMatrix c1) {
  return to_r(pp::MatrixNormalModel::weighted_residuals(
      matrix_of(vectors), vector_of(values), matrix_of(residuals), matrix_of(c0), matrix_of(c1)));
}

// Sets of columns of g end at `ends` (1-based, increasing, the last one ncol(g)).
// [[Rcpp::export(rng = false)]]
Rcpp::List traits_scan(Rcpp::NumericMatrix vectors, Rcpp::NumericVector values,
                       Rcpp::NumericMatrix x, Rcpp::NumericMatrix y, Rcpp::NumericMatrix c0,
                       Rcpp::NumericMatrix c1, Rcpp::NumericMatrix g, Rcpp::IntegerVector ends) {
  const pp::MatrixNormalModel model = traits_model(vectors, values, x, y, false);
  const pp::MatrixNormalModel::Value value =
      model.evaluate(model.internal_c0(matrix_of(c0)), model.to_internal(matrix_of(c1)));
  const pp::MatrixNormalModel::Scan scan = model.scan(
      matrix_of(vectors), value, matrix_of(g), std::vector<Eigen::Index>(ends.begin(), ends.end()));
  Rcpp::NumericVector log_likelihood(scan.rss.size());
  for (Eigen::Index i = 0; i < scan.rss.size(); ++i)
    log_likelihood[i] = model.scaled_log_likelihood(value, scan.rss[i]);
  return Rcpp::List::create(
      Rcpp::Named("effects") = to_r(scan.effects), Rcpp::Named("se") = to_r(scan.se),
      Rcpp::Named("rss") = to_r_vector(scan.rss), Rcpp::Named("logLik") = log_likelihood,
      Rcpp::Named("null_rss") = scan.null_rss,
      Rcpp::Named("null_logLik") = model.scaled_log_likelihood(value, scan.null_rss));
}
