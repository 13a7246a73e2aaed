// Glue between R and the engines for profiles: the criterion along a path, from warm starts.
#include "api_engines.h"
#include "core/profile_point.h"

namespace {

Rcpp::List point_list(const pp::ProfilePoint& point) {
  return Rcpp::List::create(Rcpp::Named("value") = point.value,
                            Rcpp::Named("gradient") = wrap_vector(point.gradient));
}

}  // namespace

// [[Rcpp::export(rng = false)]]
Rcpp::List profile_gaussian(SEXP engine, Rcpp::NumericVector factors, double sigma) {
  return point_list(pp::gaussian_point(*EnginePtr(engine)->model, as_vector(factors), sigma));
}

// [[Rcpp::export(rng = false)]]
Rcpp::List profile_marginal(SEXP engine, Rcpp::NumericVector factors, Rcpp::NumericVector rest,
                            bool cold) {
  return point_list(
      pp::marginal_point(*GlmmPtr(engine)->model, as_vector(factors), as_vector(rest), cold));
}

// Holds the residual standard deviation of an engine from here on; 0 lets it go again.
// [[Rcpp::export(rng = false)]]
void engine_hold_sigma(SEXP engine, double sigma) {
  pp::GaussianModel& model = *EnginePtr(engine)->model;
  const double standard = sigma / model.standard().scale();
  model.profiled().fix_sigma2(standard * standard);
}

// A new response in an engine: the same rows, X, weights and offset.
// [[Rcpp::export(rng = false)]]
void engine_take_response(SEXP engine, Rcpp::NumericVector y) {
  GaussianEngine& e = *EnginePtr(engine);
  e.rows["y"] = y;
  e.model->replace_response(y.begin());
}
