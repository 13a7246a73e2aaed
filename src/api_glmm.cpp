// Glue between R and the engine of generalised models: lists in, lists out.
#include <memory>

#include "api_engines.h"
#include "core/family.h"
#include "core/glmm_covariance.h"
#include "core/pql.h"

namespace {

Eigen::VectorXd vector_or_empty(SEXP x) {
  if (Rf_isNull(x)) return Eigen::VectorXd();
  const Rcpp::NumericVector v(x);
  return as_vector(v);
}
Eigen::MatrixXd matrix_or_empty(SEXP x, Eigen::Index n) {
  if (Rf_isNull(x)) return Eigen::MatrixXd(n, 0);
  return matrix_map(x);
}

pp::GlmmRows glmm_rows(const Rcpp::List& rows) {
  pp::GlmmRows out{model_data(rows)};
  out.y = REAL(rows["y"]);
  out.weights = numeric_or_null(rows["weights"]);
  out.trials = numeric_or_null(rows["trials"]);
  out.offset = numeric_or_null(rows["offset"]);
  out.x_dispersion = matrix_or_empty(rows["X_disp"], out.data.n);
  out.x_zero_inflation = matrix_or_empty(rows["X_zi"], out.data.n);
  return out;
}

pp::GlmmSpec glmm_spec(const Rcpp::List& model) {
  pp::GlmmSpec spec;
  spec.family = Rcpp::as<std::string>(model["family"]);
  spec.link = Rcpp::as<std::string>(model["link"]);
  const std::string integral = model["integral"];
  spec.integral.reml = Rcpp::as<bool>(model["REML"]);
  spec.integral.inner_beta = spec.integral.reml || integral == "joint";
  spec.integral.ep = integral == "ep";
  if (integral == "agq") spec.integral.nodes = Rcpp::as<int>(model["nodes"]);
  const SEXP dispersion = model["fixed_dispersion"], shape = model["fixed_shape"];
  if (!Rf_isNull(dispersion)) {
    spec.fixed_dispersion = true;
    spec.log_phi = Rcpp::as<double>(dispersion);
  }
  if (!Rf_isNull(shape)) {
    spec.fixed_shape = true;
    spec.shape = Rcpp::as<double>(shape);
  }
  spec.prior_mean = vector_or_empty(model["prior_mean"]);
  spec.prior_precision = vector_or_empty(model["prior_precision"]);
  if (model.containsElementNamed("storage"))
    spec.storage = storage_named(Rcpp::as<std::string>(model["storage"]));
  return spec;
}

pp::NewtonControl newton_control(double tolerance, int max_iterations, bool progress,
                                 double shift) {
  pp::NewtonControl control;
  control.tolerance = tolerance;
  control.max_iterations = max_iterations;
  control.monitor = [progress, shift](int iteration, double value, double decrement) {
    Rcpp::checkUserInterrupt();
    if (progress)
      Rprintf("iteration %d: criterion %.6f, at most %.2g to gain\n", iteration, value + shift,
              decrement);
  };
  return control;
}

// Estimates at the x that the engine was last evaluated at.
Rcpp::List glmm_estimate_list(pp::GlmmModel& model, const Eigen::VectorXd& x, double criterion) {
  const pp::Marginal& m = model.marginal();
  const Eigen::VectorXd shape = x.tail(model.parts().estimate_shape ? 1 : 0);
  const double penalty = model.penalty();
  return Rcpp::List::create(
      Rcpp::Named("criterion") = criterion - penalty, Rcpp::Named("penalty") = penalty,
      Rcpp::Named("theta") = wrap_vector(model.map().theta(x.head(m.n_theta()))),
      Rcpp::Named("coefficients") = wrap_vector(model.beta()),
      Rcpp::Named("dispersion") = wrap_vector(model.dispersion(x)),
      Rcpp::Named("zi") = wrap_vector(model.zero_inflation(x)),
      Rcpp::Named("shape") = wrap_vector(shape),
      Rcpp::Named("Lambda") = random_list(model.map().user_lambda(x.head(m.n_theta())), false),
      Rcpp::Named("b") = random_list(model.modes(), true),
      Rcpp::Named("storage") = std::string(model.factor().storage()));
}

// Columns whose coefficients run to infinity.
SEXP separation_list(const pp::Separation& s, const pp::Standardisation& standard) {
  if (!s.found) return R_NilValue;
  const Eigen::MatrixXd map = standard.beta_map();
  const Eigen::VectorXd direction = map * s.direction;
  Rcpp::IntegerVector columns;
  Rcpp::NumericVector signs;
  // A column's weight in the direction, in units of its own standardised scale.
  Eigen::VectorXd weight(direction.size());
  for (Eigen::Index j = 0; j < weight.size(); ++j) weight[j] = direction[j] / map.row(j).norm();
  for (Eigen::Index j = 0; j < weight.size(); ++j)
    if (std::fabs(weight[j]) > 1e-3 * weight.cwiseAbs().maxCoeff()) {
      columns.push_back(static_cast<int>(j) + 1);
      signs.push_back(direction[j] > 0.0 ? 1.0 : -1.0);
    }
  return Rcpp::List::create(Rcpp::Named("columns") = columns, Rcpp::Named("signs") = signs,
                            Rcpp::Named("kind") = s.complete ? "complete" : "quasi");
}

// Evaluates at par; the questions asked of a fit make no sense without a mode.
void stand_at(pp::GlmmModel& model, const Rcpp::NumericVector& par) {
  if (!std::isfinite(model.value(as_vector(par))))
    Rcpp::stop("the criterion is not finite at the estimates");
  model.marginal().widen_border();
}

}  // namespace

// [[Rcpp::export(rng = false)]]
SEXP glmm_create(Rcpp::List rows, Rcpp::List model) {
  auto engine = std::make_unique<GlmmEngine>();
  engine->rows = rows;
  engine->model = std::make_unique<pp::GlmmModel>(glmm_rows(rows), glmm_spec(model));
  return GlmmPtr(engine.release(), true);
}

// [[Rcpp::export(rng = false)]]
Rcpp::List glmm_rank(SEXP engine) {
  pp::GlmmModel& model = *GlmmPtr(engine)->model;
  return rank_list(model.standard(), model.ready() ? model.factor().remainder() : nullptr);
}

// [[Rcpp::export(rng = false)]]
Rcpp::List glmm_optimise(SEXP engine, Rcpp::Nullable<Rcpp::NumericVector> start, double tolerance,
                         int max_iterations, bool progress) {
  pp::GlmmModel& model = *GlmmPtr(engine)->model;
  pp::Marginal& m = model.marginal();
  const double shift = model.criterion_shift();
  m.reset_counts();
  Eigen::VectorXd given;
  if (start.isNotNull()) given = model.parameters(as_vector(Rcpp::NumericVector(start.get())));
  const pp::MarginalOptimum found =
      model.search(start.isNotNull() ? &given : nullptr,
                   newton_control(tolerance, max_iterations, progress, shift));
  const pp::Optimum& optimum = found.optimum;
  const bool failed = optimum.status == "not finite";
  Rcpp::NumericVector trace(optimum.trace.begin(), optimum.trace.end());
  const Rcpp::IntegerVector undetermined(optimum.undetermined.begin(), optimum.undetermined.end());
  const Rcpp::List convergence = Rcpp::List::create(
      Rcpp::Named("status") =
          failed && !m.failure().empty() ? "pirls: " + m.failure() : optimum.status,
      Rcpp::Named("decrement") = optimum.decrement, Rcpp::Named("evaluations") = m.evaluations(),
      Rcpp::Named("gradients") = m.gradients(), Rcpp::Named("iterations") = optimum.iterations,
      Rcpp::Named("pirls") = m.pirls_iterations(), Rcpp::Named("failures") = m.failures(),
      Rcpp::Named("min_eigenvalue") = optimum.min_eigenvalue,
      Rcpp::Named("null_sets") = null_set_list(optimum.null_sets, model.standard()),
      Rcpp::Named("undetermined") = undetermined + 1, Rcpp::Named("trace") = trace + shift);
  if (failed) return Rcpp::List::create(Rcpp::Named("convergence") = convergence);
  Rcpp::List out = glmm_estimate_list(model, optimum.x, optimum.value + shift);
  out["vcov"] = wrap_matrix(pp::GlmmCovariance(model, found).natural());
  out["separation"] = separation_list(model.separation(), model.standard());
  out["convergence"] = convergence;
  return out;
}

// [[Rcpp::export(rng = false)]]
double glmm_value(SEXP engine, Rcpp::NumericVector par) {
  return GlmmPtr(engine)->model->value(as_vector(par));
}

// [[Rcpp::export(rng = false)]]
SEXP glmm_gradient(SEXP engine, Rcpp::NumericVector par) {
  return wrap_vector(GlmmPtr(engine)->model->gradient(as_vector(par)));
}

// [[Rcpp::export(rng = false)]]
Rcpp::List glmm_conditional(SEXP engine, Rcpp::NumericVector par, bool beta_known) {
  pp::GlmmModel& model = *GlmmPtr(engine)->model;
  stand_at(model, par);
  return random_list(pp::conditional_covariance(model, beta_known), false);
}

// [[Rcpp::export(rng = false)]]
SEXP glmm_prediction(SEXP engine, Rcpp::NumericVector par, Rcpp::NumericMatrix x, Rcpp::List codes,
                     Rcpp::List z) {
  pp::GlmmModel& model = *GlmmPtr(engine)->model;
  stand_at(model, par);
  return wrap_vector(pp::prediction_variance(model, prediction_rows(x, codes, z)));
}

// [[Rcpp::export(rng = false)]]
Rcpp::List glmm_pql(Rcpp::List rows, Rcpp::List model, bool REML, bool fixed_dispersion,
                    double tolerance, int max_iterations, bool progress) {
  const pp::GlmmRows input = glmm_rows(rows);
  const pp::GlmmSpec spec = glmm_spec(model);
  pp::ResponseRows response;
  response.n = input.data.n;
  response.y = input.y;
  response.weights = input.weights;
  response.trials = input.trials;
  const std::unique_ptr<pp::Family> family =
      pp::make_family(spec.family, spec.link, response, false);
  if (!family) Rcpp::stop("unknown family or link");
  // Separation is one of the model without random effects.
  pp::GlmmRows fixed = glmm_rows(rows);
  fixed.data.terms.clear();
  fixed.data.factors.clear();
  const pp::GlmmModel alone(std::move(fixed), spec);
  pp::Pql pql(input.data, *family, input.offset, REML, fixed_dispersion);
  pp::Pql::Result found = pql.fit(newton_control(tolerance, 100, progress, 0.0), max_iterations);
  const bool failed = !found.model || found.status == "not finite" || found.status == "no variance";
  const Rcpp::IntegerVector undetermined(found.optimum.undetermined.begin(),
                                         found.optimum.undetermined.end());
  const Rcpp::List null_sets =
      found.model ? null_set_list(found.optimum.null_sets, found.model->standard()) : Rcpp::List();
  const Rcpp::List convergence = Rcpp::List::create(
      Rcpp::Named("status") = found.status, Rcpp::Named("decrement") = found.change,
      Rcpp::Named("evaluations") = found.iterations, Rcpp::Named("gradients") = found.iterations,
      Rcpp::Named("iterations") = found.iterations, Rcpp::Named("pirls") = found.iterations,
      Rcpp::Named("min_eigenvalue") = found.optimum.min_eigenvalue,
      Rcpp::Named("null_sets") = null_sets, Rcpp::Named("undetermined") = undetermined + 1,
      Rcpp::Named("trace") = Rcpp::NumericVector());
  if (failed) return Rcpp::List::create(Rcpp::Named("convergence") = convergence);
  pp::GaussianModel& lmm = *found.model;
  const double sigma = fixed_dispersion ? 1.0 : lmm.sigma();
  std::vector<Eigen::MatrixXd> lambda = lmm.map().user_lambda(found.optimum.x);
  for (Eigen::MatrixXd& l : lambda) l *= sigma;
  Eigen::VectorXd theta = lmm.map().theta(found.optimum.x);  // relative to sigma, but for rho
  Eigen::Index at = 0;
  for (const pp::UserTerm& term : input.data.terms)
    for (int i = 0; i < term.block.n_theta(); ++i, ++at)
      if (!term.block.correlated() || i + 1 < term.block.n_theta()) theta[at] *= sigma;
  return Rcpp::List::create(
      Rcpp::Named("criterion") = NA_REAL, Rcpp::Named("penalty") = 0.0,
      Rcpp::Named("theta") = wrap_vector(theta),
      Rcpp::Named("coefficients") = wrap_vector(lmm.beta()),
      Rcpp::Named("dispersion") = Rcpp::NumericVector::create(2.0 * std::log(sigma)),
      Rcpp::Named("zi") = Rcpp::NumericVector(), Rcpp::Named("shape") = Rcpp::NumericVector(),
      Rcpp::Named("Lambda") = random_list(lambda, false),
      Rcpp::Named("b") = random_list(lmm.modes(), true),
      Rcpp::Named("vcov") = wrap_matrix(sigma * sigma * lmm.vcov_unscaled()),
      Rcpp::Named("storage") = std::string(lmm.factor().storage()),
      Rcpp::Named("separation") = separation_list(alone.separation(), alone.standard()),
      Rcpp::Named("convergence") = convergence);
}
