// Glue between R and expectation propagation with one dense kernel: lists in, lists out.
#include <memory>

#include "api_glue.h"
#include "core/family.h"
#include "core/kernel_ep.h"
#include "core/kernel_search.h"
#include "core/kernel_start.h"

namespace {

// X by its QR decomposition: columns of mean square one, and the way back to coefficients.
struct Standardised {
  Eigen::MatrixXd x, to_user;  // beta = to_user * gamma

  explicit Standardised(const Eigen::Map<const Eigen::MatrixXd>& given) {
    const Eigen::Index n = given.rows(), p = given.cols();
    x.resize(n, p);
    to_user.resize(p, p);
    if (p == 0) return;
    const double root = std::sqrt(static_cast<double>(n));
    const Eigen::HouseholderQR<Eigen::MatrixXd> qr(given);
    x = root * (qr.householderQ() * Eigen::MatrixXd::Identity(n, p));
    const Eigen::MatrixXd r = qr.matrixQR().topRows(p).triangularView<Eigen::Upper>();
    to_user = root * r.triangularView<Eigen::Upper>().solve(Eigen::MatrixXd::Identity(p, p));
  }
};

pp::KernelParameters kernel_parameters(const Rcpp::List& start, const Standardised& standard) {
  pp::KernelParameters out;
  const Eigen::VectorXd beta = as_vector(Rcpp::NumericVector(SEXP(start["beta"])));
  out.beta = beta.size()
                 ? Eigen::VectorXd(standard.to_user.triangularView<Eigen::Upper>().solve(beta))
                 : beta;
  out.scale = Rcpp::as<double>(start["scale"]);
  out.delta = Rcpp::as<double>(start["delta"]);
  out.log_phi = Rcpp::as<double>(start["log_phi"]);
  out.shape = Rcpp::as<double>(start["shape"]);
  return out;
}

pp::KernelFixed kernel_fixed(const Rcpp::List& fixed) {
  pp::KernelFixed out;
  out.beta = Rcpp::as<bool>(fixed["beta"]);
  out.scale = Rcpp::as<bool>(fixed["scale"]);
  out.delta = Rcpp::as<bool>(fixed["delta"]);
  out.dispersion = Rcpp::as<bool>(fixed["dispersion"]);
  out.shape = Rcpp::as<bool>(fixed["shape"]);
  return out;
}

Rcpp::List kernel_result(pp::KernelEp& ep, const pp::KernelOptimum& found,
                         const Standardised& standard, double shift) {
  const Rcpp::List convergence = Rcpp::List::create(
      Rcpp::Named("status") = found.status, Rcpp::Named("residual") = ep.residual(),
      Rcpp::Named("sweeps") = ep.sweeps(), Rcpp::Named("evaluations") = found.evaluations,
      Rcpp::Named("iterations") = found.iterations, Rcpp::Named("decrement") = found.decrement);
  if (found.status == "not finite") {
    const std::vector<Eigen::Index> worst = ep.worst_rows();
    Rcpp::IntegerVector rows(worst.begin(), worst.end());
    return Rcpp::List::create(Rcpp::Named("convergence") = convergence,
                              Rcpp::Named("failure") = ep.failure(),
                              Rcpp::Named("rows") = rows + 1);
  }
  // Gradient and Hessian by the user's coefficients.
  const Eigen::Index p = ep.columns(), k = found.gradient.size();
  Eigen::MatrixXd back = Eigen::MatrixXd::Identity(k, k);
  const Eigen::MatrixXd inverse =
      standard.to_user.triangularView<Eigen::Upper>().solve(Eigen::MatrixXd::Identity(p, p));
  back.topLeftCorner(p, p) = inverse.triangularView<Eigen::Upper>();
  const Eigen::VectorXd beta =
      p ? Eigen::VectorXd(standard.to_user.triangularView<Eigen::Upper>() * found.at.beta)
        : Eigen::VectorXd();
  return Rcpp::List::create(
      Rcpp::Named("value") = found.value + shift, Rcpp::Named("beta") = wrap_vector(beta),
      Rcpp::Named("scale") = found.at.scale, Rcpp::Named("delta") = found.at.delta,
      Rcpp::Named("log_phi") = found.at.log_phi, Rcpp::Named("shape") = found.at.shape,
      Rcpp::Named("gradient") = wrap_vector(back.transpose() * found.gradient),
      Rcpp::Named("hessian") = wrap_matrix(back.transpose() * found.hessian * back),
      Rcpp::Named("no_kernel") = found.no_kernel, Rcpp::Named("no_iid") = found.no_iid,
      Rcpp::Named("tau") = wrap_vector(ep.sites().tau),
      Rcpp::Named("nu") = wrap_vector(ep.sites().nu), Rcpp::Named("mean") = wrap_vector(ep.mean()),
      Rcpp::Named("variance") = wrap_vector(ep.variance()),
      Rcpp::Named("convergence") = convergence);
}

}  // namespace

// `rows`: X, offset, values and vectors of the kernel, and either y and trials with a `family` or
// the sites tau and nu (and `REML`). `start`: beta, scale, delta, log_phi and shape, NA where they
// are to be found here. With `fit` FALSE the model is evaluated there.
// [[Rcpp::export(rng = false)]]
Rcpp::List kernel_ep_fit(Rcpp::List rows, Rcpp::List model, Rcpp::List start, Rcpp::List fixed,
                         bool fit, double tolerance, int max_iterations, bool progress) {
  const Standardised standard(matrix_map(rows["X"]));
  const Eigen::Index n = standard.x.rows();
  const Eigen::VectorXd offset = as_vector(Rcpp::NumericVector(SEXP(rows["offset"])));
  const Eigen::VectorXd values = as_vector(Rcpp::NumericVector(SEXP(rows["values"])));
  pp::KernelPosterior posterior(matrix_map(rows["vectors"]), values);
  std::unique_ptr<pp::Family> family;
  if (model.containsElementNamed("family")) {
    pp::ResponseRows response;
    response.n = n;
    response.y = REAL(rows["y"]);
    response.trials = numeric_or_null(rows["trials"]);
    family = pp::make_family(Rcpp::as<std::string>(model["family"]),
                             Rcpp::as<std::string>(model["link"]), response, false);
    if (!family) Rcpp::stop("unknown family or link");
  }
  pp::KernelEp ep(posterior, standard.x, offset, family.get());
  ep.interrupt = [] { Rcpp::checkUserInterrupt(); };
  if (!family)
    ep.hold_sites(as_vector(Rcpp::NumericVector(SEXP(rows["tau"]))),
                  as_vector(Rcpp::NumericVector(SEXP(rows["nu"]))), Rcpp::as<bool>(model["REML"]));
  pp::KernelParameters at = kernel_parameters(start, standard);
  const double unit = pp::complete_start(ep, posterior, standard.x, offset, at);
  pp::KernelSearch search(ep, posterior, kernel_fixed(fixed), unit);
  pp::KernelOptimum found;
  if (fit) {
    pp::KernelControl control;
    control.tolerance = 0.5 * tolerance;
    control.max_iterations = max_iterations;
    control.monitor = [progress](int iteration, double value, double decrement) {
      Rcpp::checkUserInterrupt();
      if (progress)
        Rprintf("iteration %d: log-likelihood %.6f, at most %.2g to gain\n", iteration, value,
                decrement);
    };
    found = search.maximise(at, control);
  } else {
    search.evaluate(at, found);
  }
  // log|X'RX| is that of X as given.
  const bool reml = !family && Rcpp::as<bool>(model["REML"]);
  const double shift = reml ? standard.to_user.diagonal().array().abs().log().sum() : 0.0;
  return kernel_result(ep, found, standard, shift);
}
