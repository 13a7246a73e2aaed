// Many responses on one design: a loop of optimisations that shares all that does not depend on the
// response.
#include <cmath>
#include <limits>

#include "api_engines.h"
#include "core/wald.h"

namespace {

const double missing = std::numeric_limits<double>::quiet_NaN();

// What all responses share, and where their results go: a column a response.
struct Results {
  Eigen::MatrixXd beta, se, df, vcov, theta, sd, f, num, den;
  Eigen::VectorXd sigma, criterion;
  Rcpp::CharacterVector status;
  Rcpp::IntegerVector evaluations;
  Rcpp::LogicalVector singular;

  Results(int p, int q, int s, int tests, int m)
      : beta(p, m),
        se(p, m),
        df(p, m),
        vcov(p * p, m),
        theta(q, m),
        sd(s, m),
        f(tests, m),
        num(tests, m),
        den(tests, m),
        sigma(m),
        criterion(m),
        status(m),
        evaluations(m),
        singular(m) {
    for (Eigen::MatrixXd* x : {&beta, &se, &df, &vcov, &theta, &sd, &f, &num, &den})
      x->setConstant(missing);
    sigma.setConstant(missing);
    criterion.setConstant(missing);
    singular.fill(NA_LOGICAL);
  }
};

// The denominator degrees of freedom for which F has the mean of the sum of squared t variables.
double combined_df(const Eigen::VectorXd& df) {
  const double lo = df.minCoeff(), hi = df.maxCoeff();
  if (df.size() == 1 || !(hi - lo >= 1e-8) || std::isinf(lo)) return df.mean();
  if (lo <= 2.0) return 2.0;
  const double excess = (df.array() / (df.array() - 2.0)).sum();
  return 2.0 * excess / (excess - static_cast<double>(df.size()));
}

// L beta = 0, and a basis of the rows of L that is safe in any units.
struct Hypothesis {
  Eigen::MatrixXd rows, basis;
};

// Combinations of rows of which the estimates are uncorrelated.
struct Directions {
  Eigen::MatrixXd l;
  double chisq = 0.0;  // in units of sigma^2
};
Directions uncorrelated(const Eigen::MatrixXd& l, const Eigen::VectorXd& beta,
                        const Eigen::MatrixXd& v, double tolerance) {
  Directions out;
  if (l.rows() == 0) return out;
  const Eigen::SelfAdjointEigenSolver<Eigen::MatrixXd> e(l * v * l.transpose());
  const Eigen::VectorXd& d = e.eigenvalues();
  const double least = tolerance * std::max(d[d.size() - 1], 0.0);
  Eigen::Index kept = 0;
  while (kept < d.size() && d[d.size() - 1 - kept] > least) ++kept;
  out.l = e.eigenvectors().rightCols(kept).transpose() * l;
  for (Eigen::Index i = 0; i < kept; ++i) {
    const double t = out.l.row(i).dot(beta);
    out.chisq += t * t / d[d.size() - kept + i];
  }
  return out;
}
Directions uncorrelated(const Hypothesis& h, const Eigen::VectorXd& beta,
                        const Eigen::MatrixXd& v) {
  Directions given = uncorrelated(h.rows, beta, v, std::sqrt(2.220446049250313e-16));
  if (given.l.rows() == h.basis.rows()) return given;
  return uncorrelated(h.basis, beta, v, 0.0);
}

// Coefficients, their tests, and those of the hypotheses, at the optimum.
void put_tests(pp::GaussianModel& model, const Eigen::VectorXd& x,
               const std::vector<Hypothesis>& hypotheses, const std::string& ddf, int j,
               Results& out) {
  const int p = static_cast<int>(out.beta.rows());
  const double sigma = model.sigma();
  const Eigen::VectorXd beta = model.beta();
  const Eigen::MatrixXd v = model.vcov_unscaled();
  const Eigen::VectorXd root = v.diagonal().cwiseSqrt();
  out.beta.col(j) = beta;
  out.se.col(j) = sigma * root;
  for (int i = 0; i < p * p; ++i) out.vcov(i, j) = sigma * v.data()[i] * sigma;

  // One call for the degrees of freedom of all directions.
  std::vector<Directions> tests;
  Eigen::Index rows = p;
  for (const Hypothesis& h : hypotheses) {
    tests.push_back(uncorrelated(h, beta / sigma, v));
    rows += tests.back().l.rows();
  }
  Eigen::MatrixXd all = Eigen::MatrixXd::Zero(rows, p);
  for (int i = 0; i < p; ++i) all(i, i) = 1.0 / root[i];
  Eigen::Index at = p;
  for (const Directions& t : tests) {
    all.middleRows(at, t.l.rows()) = t.l;
    at += t.l.rows();
  }
  // They do not depend on the size of a row: none is lost to its units.
  for (Eigen::Index i = p; i < rows; ++i) {
    const double size = (all.row(i).transpose().cwiseAbs().cwiseProduct(root)).maxCoeff();
    if (size > 0.0 && std::isfinite(size)) all.row(i) /= size;
  }
  Eigen::VectorXd df;
  if (ddf == "none") {
    df = Eigen::VectorXd::Constant(rows, std::numeric_limits<double>::infinity());
  } else if (ddf == "residual" || x.size() == 0) {
    df = Eigen::VectorXd::Constant(rows, static_cast<double>(model.data().n - p));
  } else {
    df = pp::WaldInformation(model, x).satterthwaite(all);
  }
  out.df.col(j) = df.head(p);
  at = p;
  for (std::size_t k = 0; k < tests.size(); ++k) {
    const Eigen::Index num = tests[k].l.rows();
    out.num(k, j) = static_cast<double>(num);
    if (num == 0) continue;
    out.f(k, j) = tests[k].chisq / static_cast<double>(num);
    out.den(k, j) = combined_df(df.segment(at, num));
    at += num;
  }
}

void fit_response(pp::GaussianModel& model, const pp::NewtonControl& control,
                  const std::vector<Hypothesis>& hypotheses, const std::string& ddf, int j,
                  Results& out) {
  model.profiled().reset_counts();
  const pp::Optimum best = model.optimise(model.start(), control);
  out.status[j] = best.status;
  out.evaluations[j] = static_cast<int>(model.profiled().evaluations());
  if (best.status == "not finite" || best.status == "exact" || best.status == "no variance") return;
  out.singular[j] = !best.null_sets.empty();
  out.sigma[j] = model.sigma();
  out.criterion[j] = best.value + model.criterion_shift();
  const Eigen::VectorXd theta = model.map().theta(best.x);
  if (theta.size()) out.theta.col(j) = theta;
  int s = 0;
  for (const Eigen::MatrixXd& lambda : model.map().user_lambda(best.x))
    for (Eigen::Index i = 0; i < lambda.rows(); ++i)
      out.sd(s++, j) = model.sigma() * lambda.row(i).norm();
  put_tests(model, best.x, hypotheses, ddf, j, out);
}

}  // namespace

// Fits the columns of y; the engine is left with the response it had, not evaluated.
// [[Rcpp::export(rng = false)]]
Rcpp::List responses_fit(SEXP engine, Rcpp::NumericMatrix y, Rcpp::List hypotheses, std::string ddf,
                         double tolerance, int max_iterations) {
  EnginePtr held(engine);
  pp::GaussianModel& model = *held->model;
  pp::NewtonControl control;
  control.tolerance = tolerance;
  control.max_iterations = max_iterations;
  control.monitor = [](int, double, double) { Rcpp::checkUserInterrupt(); };
  std::vector<Hypothesis> tests;
  for (R_xlen_t k = 0; k < hypotheses.size(); ++k) {
    const Rcpp::List pair = hypotheses[k];
    tests.push_back({matrix_map(pair[0]), matrix_map(pair[1])});
  }

  // The engine borrows y: whatever happens, it gets its own response back.
  struct Restore {
    GaussianEngine& engine;
    ~Restore() { engine.model->replace_response(REAL(engine.rows["y"])); }
  } restore{*held};

  const int m = y.ncol(), p = model.standard().columns();
  int sds = 0;
  for (const pp::UserTerm& t : model.data().terms) sds += static_cast<int>(t.block.size());
  const int q = static_cast<int>(model.map().theta(model.map().unit_start(0.0)).size());
  Results out(p, q, sds, static_cast<int>(tests.size()), m);
  for (int j = 0; j < m; ++j) {
    Rcpp::checkUserInterrupt();
    model.replace_response(y.begin() + static_cast<R_xlen_t>(j) * y.nrow());
    try {
      fit_response(model, control, tests, ddf, j, out);
    } catch (const std::exception& e) {
      out.status[j] = e.what();
    }
  }
  return Rcpp::List::create(
      Rcpp::Named("coefficients") = wrap_matrix(out.beta), Rcpp::Named("se") = wrap_matrix(out.se),
      Rcpp::Named("df") = wrap_matrix(out.df), Rcpp::Named("vcov") = wrap_matrix(out.vcov),
      Rcpp::Named("theta") = wrap_matrix(out.theta), Rcpp::Named("sd") = wrap_matrix(out.sd),
      Rcpp::Named("f") = wrap_matrix(out.f), Rcpp::Named("num") = wrap_matrix(out.num),
      Rcpp::Named("den") = wrap_matrix(out.den), Rcpp::Named("sigma") = wrap_vector(out.sigma),
      Rcpp::Named("criterion") = wrap_vector(out.criterion), Rcpp::Named("status") = out.status,
      Rcpp::Named("evaluations") = out.evaluations, Rcpp::Named("singular") = out.singular);
}
