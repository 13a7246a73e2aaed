// Glue between R and the Gaussian engine: lists in, lists out.
#include <memory>

#include "api_engines.h"

namespace {

pp::ModelData gaussian_data(const Rcpp::List& rows) {
  pp::ModelData data = model_data(rows);
  data.y = REAL(rows["y"]);
  data.weights = numeric_or_null(rows["weights"]);
  data.offset = numeric_or_null(rows["offset"]);
  return data;
}

// Estimates at the x that the engine was last evaluated at.
Rcpp::List estimates(pp::GaussianModel& model, const Eigen::VectorXd& x, double criterion) {
  return Rcpp::List::create(
      Rcpp::Named("criterion") = criterion,
      Rcpp::Named("theta") = wrap_vector(model.map().theta(x)),
      Rcpp::Named("sigma") = model.sigma(), Rcpp::Named("coefficients") = wrap_vector(model.beta()),
      Rcpp::Named("vcov_unscaled") = wrap_matrix(model.vcov_unscaled()),
      Rcpp::Named("Lambda") = random_list(model.map().user_lambda(x), false),
      Rcpp::Named("b") = random_list(model.modes(), true),
      Rcpp::Named("storage") = std::string(model.profiled().factor().storage()));
}

}  // namespace

// [[Rcpp::export(rng = false)]]
SEXP engine_create(Rcpp::List rows, bool reml, std::string storage) {
  auto engine = std::make_unique<GaussianEngine>();
  engine->rows = rows;
  engine->model =
      std::make_unique<pp::GaussianModel>(gaussian_data(rows), reml, storage_named(storage));
  return EnginePtr(engine.release(), true);
}

// [[Rcpp::export(rng = false)]]
Rcpp::List engine_rank(SEXP engine) {
  pp::GaussianModel& model = *EnginePtr(engine)->model;
  return rank_list(model.standard(),
                   model.ready() ? model.profiled().factor().remainder() : nullptr);
}

// [[Rcpp::export(rng = false)]]
Rcpp::List engine_optimise(SEXP engine, Rcpp::Nullable<Rcpp::NumericVector> start, double tolerance,
                           int max_iterations, bool progress) {
  pp::GaussianModel& model = *EnginePtr(engine)->model;
  pp::NewtonControl control;
  control.tolerance = tolerance;
  control.max_iterations = max_iterations;
  const double shift = model.criterion_shift();
  control.monitor = [&](int iteration, double value, double decrement) {
    Rcpp::checkUserInterrupt();
    if (progress)
      Rprintf("iteration %d: criterion %.6f, at most %.2g to gain\n", iteration, value + shift,
              decrement);
  };
  const Eigen::VectorXd x0 =
      start.isNull() ? model.start()
                     : model.map().parameters(as_vector(Rcpp::NumericVector(start.get())));
  model.profiled().reset_counts();
  const pp::Optimum optimum = model.optimise(x0, control);
  const bool failed = optimum.status == "not finite" || optimum.status == "exact";

  const Rcpp::List null_sets = null_set_list(optimum.null_sets, model.standard());
  const Rcpp::IntegerVector undetermined(optimum.undetermined.begin(), optimum.undetermined.end());
  Rcpp::NumericVector trace(optimum.trace.begin(), optimum.trace.end());
  const Rcpp::List convergence = Rcpp::List::create(
      Rcpp::Named("status") = optimum.status, Rcpp::Named("decrement") = optimum.decrement,
      Rcpp::Named("evaluations") = model.profiled().evaluations(),
      Rcpp::Named("gradients") = model.profiled().gradients(),
      Rcpp::Named("iterations") = optimum.iterations,
      Rcpp::Named("min_eigenvalue") = optimum.min_eigenvalue, Rcpp::Named("null_sets") = null_sets,
      Rcpp::Named("undetermined") = undetermined + 1, Rcpp::Named("trace") = trace + shift);
  if (failed) return Rcpp::List::create(Rcpp::Named("convergence") = convergence);
  Rcpp::List out = estimates(model, optimum.x, optimum.value + shift);
  out["convergence"] = convergence;
  return out;
}

// [[Rcpp::export(rng = false)]]
Rcpp::List engine_estimates(SEXP engine, Rcpp::NumericVector theta) {
  pp::GaussianModel& model = *EnginePtr(engine)->model;
  const Eigen::VectorXd x = model.map().parameters(as_vector(theta));
  const double value = model.value(x);
  if (!std::isfinite(value)) return Rcpp::List::create(Rcpp::Named("criterion") = value);
  return estimates(model, x, value);
}

// [[Rcpp::export(rng = false)]]
double engine_value(SEXP engine, Rcpp::NumericVector theta) {
  pp::GaussianModel& model = *EnginePtr(engine)->model;
  return model.value(model.map().parameters(as_vector(theta)));
}

// [[Rcpp::export(rng = false)]]
SEXP engine_theta_gradient(SEXP engine, Rcpp::NumericVector theta) {
  pp::GaussianModel& model = *EnginePtr(engine)->model;
  return wrap_vector(model.theta_gradient(as_vector(theta)));
}

// [[Rcpp::export(rng = false)]]
Rcpp::List engine_conditional(SEXP engine, Rcpp::NumericVector theta, bool beta_known) {
  pp::GaussianModel& model = *EnginePtr(engine)->model;
  stand_at(model, theta);
  return random_list(pp::conditional_covariance(model, beta_known), false);
}

// [[Rcpp::export(rng = false)]]
SEXP engine_prediction(SEXP engine, Rcpp::NumericVector theta, Rcpp::NumericMatrix x,
                       Rcpp::List codes, Rcpp::List z) {
  pp::GaussianModel& model = *EnginePtr(engine)->model;
  stand_at(model, theta);
  return wrap_vector(pp::prediction_variance(model, prediction_rows(x, codes, z)));
}
