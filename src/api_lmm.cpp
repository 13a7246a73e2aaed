// Glue between R and the Gaussian engine: lists in, lists out.
#include <Rcpp.h>

#include <memory>

#include "core/conditional.h"
#include "core/gaussian_model.h"
#include "core/wald.h"

namespace pp = partialpool;

namespace {

pp::Structure structure_named(const std::string& name) {
  if (name == "diag") return pp::Structure::diagonal;
  if (name == "cs") return pp::Structure::compound_symmetry;
  if (name == "ar1") return pp::Structure::ar1;
  return pp::Structure::unstructured;
}

pp::Storage storage_named(const std::string& name) {
  if (name == "nested") return pp::Storage::nested;
  if (name == "sparse") return pp::Storage::sparse;
  if (name == "dense") return pp::Storage::dense;
  return pp::Storage::automatic;
}

const double* numeric_or_null(SEXP x) {
  return Rf_isNull(x) ? nullptr : REAL(x);
}

Eigen::Map<const Eigen::MatrixXd> matrix_map(SEXP x) {
  return Eigen::Map<const Eigen::MatrixXd>(REAL(x), Rf_nrows(x), Rf_ncols(x));
}

SEXP wrap_matrix(const Eigen::MatrixXd& m) {
  Rcpp::NumericMatrix out(Rcpp::no_init(static_cast<int>(m.rows()), static_cast<int>(m.cols())));
  std::copy_n(m.data(), m.size(), out.begin());
  return out;
}
SEXP wrap_vector(const Eigen::VectorXd& v) {
  return Rcpp::NumericVector(v.data(), v.data() + v.size());
}
Eigen::VectorXd as_vector(const Rcpp::NumericVector& v) {
  return Eigen::Map<const Eigen::VectorXd>(v.begin(), v.size());
}

// Evaluates at theta; the questions asked of a fit make no sense without a factor.
void stand_at(pp::GaussianModel& model, const Rcpp::NumericVector& theta) {
  if (!std::isfinite(model.value(model.parameters(as_vector(theta)))))
    Rcpp::stop("the criterion is not finite at the estimates");
}

// The engine with the R objects whose memory it borrows.
struct Engine {
  Rcpp::List rows;
  std::unique_ptr<pp::GaussianModel> model;
};
using EnginePtr = Rcpp::XPtr<Engine>;

pp::ModelData model_data(const Rcpp::List& rows) {
  pp::ModelData data;
  const SEXP x = rows["X"];
  data.n = Rf_nrows(x);
  new (&data.x) Eigen::Map<const Eigen::MatrixXd>(matrix_map(x));
  data.y = REAL(rows["y"]);
  data.weights = numeric_or_null(rows["weights"]);
  data.offset = numeric_or_null(rows["offset"]);
  const Rcpp::List terms = rows["random"];
  std::vector<const int*> seen;
  for (R_xlen_t t = 0; t < terms.size(); ++t) {
    const Rcpp::List term = terms[t];
    const int* codes = INTEGER(term["codes"]);
    const int factor = Rcpp::as<int>(term["factor"]) - 1;
    if (factor == static_cast<int>(data.factors.size())) {
      pp::GroupingFactor g;
      g.codes = codes;
      g.levels = Rf_length(term["levels"]);
      data.factors.push_back(g);
    }
    const int p = Rf_length(term["columns"]);
    pp::UserTerm user;
    user.factor = factor;
    const SEXP z = term["z"];
    if (!Rf_isNull(z)) new (&user.z) Eigen::Map<const Eigen::MatrixXd>(matrix_map(z));
    user.block = pp::CovarianceBlock(structure_named(Rcpp::as<std::string>(term["structure"])),
                                     Rcpp::as<bool>(term["hom"]), p);
    data.terms.push_back(user);
  }
  return data;
}

Rcpp::List random_list(const std::vector<Eigen::MatrixXd>& by_term, bool transpose) {
  Rcpp::List out(by_term.size());
  for (std::size_t t = 0; t < by_term.size(); ++t)
    out[t] = transpose ? wrap_matrix(by_term[t].transpose()) : wrap_matrix(by_term[t]);
  return out;
}

// Estimates at the x that the engine was last evaluated at.
Rcpp::List estimates(pp::GaussianModel& model, const Eigen::VectorXd& x, double criterion) {
  return Rcpp::List::create(
      Rcpp::Named("criterion") = criterion, Rcpp::Named("theta") = wrap_vector(model.theta(x)),
      Rcpp::Named("sigma") = model.sigma(), Rcpp::Named("coefficients") = wrap_vector(model.beta()),
      Rcpp::Named("vcov_unscaled") = wrap_matrix(model.vcov_unscaled()),
      Rcpp::Named("Lambda") = random_list(model.user_lambda(x), false),
      Rcpp::Named("b") = random_list(model.modes(), true),
      Rcpp::Named("storage") = std::string(model.profiled().factor().storage()));
}

}  // namespace

// [[Rcpp::export(rng = false)]]
SEXP engine_create(Rcpp::List rows, bool reml, std::string storage) {
  auto engine = std::make_unique<Engine>();
  engine->rows = rows;
  engine->model =
      std::make_unique<pp::GaussianModel>(model_data(rows), reml, storage_named(storage));
  return EnginePtr(engine.release(), true);
}

// Kept columns of X (1-based), aliased columns of z (term, column; 1-based), condition number,
// bytes that the factor and its inverse will take.
// [[Rcpp::export(rng = false)]]
Rcpp::List engine_rank(SEXP engine) {
  pp::GaussianModel& model = *EnginePtr(engine)->model;
  const pp::Standardisation& s = model.standard();
  const pp::Remainder* remainder = model.ready() ? model.profiled().factor().remainder() : nullptr;
  Rcpp::IntegerVector kept(s.kept().begin(), s.kept().end());
  Rcpp::IntegerMatrix aliased(static_cast<int>(s.aliased_z().size()), 2);
  for (int i = 0; i < aliased.nrow(); ++i) {
    aliased(i, 0) = s.aliased_z()[i].first + 1;
    aliased(i, 1) = s.aliased_z()[i].second + 1;
  }
  return Rcpp::List::create(Rcpp::Named("kept") = kept + 1, Rcpp::Named("aliased_z") = aliased,
                            Rcpp::Named("condition") = s.condition(),
                            Rcpp::Named("memory") = remainder ? remainder->memory() : 0.0);
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
  const Eigen::VectorXd x0 = start.isNull()
                                 ? model.start()
                                 : model.parameters(as_vector(Rcpp::NumericVector(start.get())));
  model.profiled().reset_counts();
  const pp::Optimum optimum = model.optimise(x0, control);
  const bool failed = optimum.status == "not finite" || optimum.status == "exact";

  Rcpp::List null_sets(optimum.null_sets.size());
  for (std::size_t i = 0; i < optimum.null_sets.size(); ++i) {
    const pp::NullSet& set = optimum.null_sets[i];
    const Eigen::MatrixXd combination = model.standard().z_factor(set.user_term) * set.directions;
    null_sets[i] = Rcpp::List::create(Rcpp::Named("term") = set.user_term + 1,
                                      Rcpp::Named("combination") = wrap_matrix(combination),
                                      Rcpp::Named("min_eigenvalue") = set.min_eigenvalue);
  }
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
  const Eigen::VectorXd x = model.parameters(as_vector(theta));
  const double value = model.value(x);
  if (!std::isfinite(value)) return Rcpp::List::create(Rcpp::Named("criterion") = value);
  return estimates(model, x, value);
}

// [[Rcpp::export(rng = false)]]
double engine_value(SEXP engine, Rcpp::NumericVector theta) {
  pp::GaussianModel& model = *EnginePtr(engine)->model;
  return model.value(model.parameters(as_vector(theta)));
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
  pp::PredictionRows rows;
  rows.x = matrix_map(x);
  for (R_xlen_t t = 0; t < codes.size(); ++t) {
    const Rcpp::IntegerVector code = codes[t];
    std::vector<int> level(code.size());
    for (R_xlen_t i = 0; i < code.size(); ++i) level[i] = code[i] == NA_INTEGER ? -1 : code[i] - 1;
    rows.level.push_back(std::move(level));
    const SEXP zt = z[t];
    if (Rf_isNull(zt))
      rows.z.push_back(Eigen::MatrixXd::Ones(rows.x.rows(), 1));
    else
      rows.z.push_back(matrix_map(zt));
  }
  return wrap_vector(pp::prediction_variance(model, rows));
}

// [[Rcpp::export(rng = false)]]
SEXP engine_satterthwaite_df(SEXP engine, Rcpp::NumericVector theta,
                             Rcpp::NumericMatrix contrasts) {
  pp::GaussianModel& model = *EnginePtr(engine)->model;
  stand_at(model, theta);
  pp::WaldInformation wald(model, model.parameters(as_vector(theta)));
  return wrap_vector(wald.satterthwaite(matrix_map(contrasts)));
}

// [[Rcpp::export(rng = false)]]
SEXP engine_natural_covariance(SEXP engine, Rcpp::NumericVector theta) {
  pp::GaussianModel& model = *EnginePtr(engine)->model;
  stand_at(model, theta);
  pp::WaldInformation wald(model, model.parameters(as_vector(theta)));
  return wrap_matrix(wald.natural_covariance());
}
