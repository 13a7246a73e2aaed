// Glue for tests of the fixed effects and the covariance of the variance parameters.
#include "api_engines.h"
#include "core/kenward_roger.h"
#include "core/wald.h"

namespace {

SEXP wrap_array(const std::vector<Eigen::MatrixXd>& slices, Eigen::Index p) {
  Rcpp::NumericVector out(Rcpp::no_init(p * p * static_cast<R_xlen_t>(slices.size())));
  double* at = out.begin();
  for (const Eigen::MatrixXd& slice : slices) at = std::copy_n(slice.data(), slice.size(), at);
  out.attr("dim") = Rcpp::IntegerVector::create(static_cast<int>(p), static_cast<int>(p),
                                                static_cast<int>(slices.size()));
  return out;
}

}  // namespace

// [[Rcpp::export(rng = false)]]
Rcpp::List engine_wald_derivatives(SEXP engine, Rcpp::NumericVector theta) {
  pp::GaussianModel& model = *EnginePtr(engine)->model;
  const pp::WaldInformation wald(model, stand_at(model, theta));
  pp::WaldInformation::Derivatives d = wald.derivatives();
  const Eigen::Index p = d.root.rows();
  d.changes.push_back(2.0 * Eigen::MatrixXd::Identity(p, p));
  return Rcpp::List::create(
      Rcpp::Named("root") = wrap_matrix(d.root), Rcpp::Named("changes") = wrap_array(d.changes, p),
      Rcpp::Named("covariance") = wrap_matrix(d.covariance), Rcpp::Named("exact") = wald.exact());
}

// [[Rcpp::export(rng = false)]]
Rcpp::List engine_kenward_roger(SEXP engine, Rcpp::NumericVector theta, double most_columns) {
  pp::GaussianModel& model = *EnginePtr(engine)->model;
  pp::KenwardRoger method(model, stand_at(model, theta));
  const double columns = static_cast<double>(method.columns());
  if (columns > most_columns) return Rcpp::List::create(Rcpp::Named("columns") = columns);
  const pp::KenwardRoger::Result r = method.compute();
  return Rcpp::List::create(Rcpp::Named("columns") = columns,
                            Rcpp::Named("root") = wrap_matrix(r.root),
                            Rcpp::Named("adjustment") = wrap_matrix(r.adjustment),
                            Rcpp::Named("changes") = wrap_array(r.changes, r.root.rows()),
                            Rcpp::Named("covariance") = wrap_matrix(r.covariance));
}

// [[Rcpp::export(rng = false)]]
SEXP engine_natural_covariance(SEXP engine, Rcpp::NumericVector theta) {
  pp::GaussianModel& model = *EnginePtr(engine)->model;
  pp::WaldInformation wald(model, stand_at(model, theta));
  return wrap_matrix(wald.natural_covariance());
}
