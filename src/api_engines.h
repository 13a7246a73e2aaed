#ifndef PARTIALPOOL_API_ENGINES_H
#define PARTIALPOOL_API_ENGINES_H

// What stands behind the external pointers that engine_create() and glmm_create() give R.

#include <memory>

#include "api_glue.h"
#include "core/gaussian_model.h"
#include "core/glmm_model.h"

// The engine with the R objects whose memory it borrows.
struct GaussianEngine {
  Rcpp::List rows;
  std::unique_ptr<pp::GaussianModel> model;
};
using EnginePtr = Rcpp::XPtr<GaussianEngine>;

struct GlmmEngine {
  Rcpp::List rows;
  std::unique_ptr<pp::GlmmModel> model;
};
using GlmmPtr = Rcpp::XPtr<GlmmEngine>;

// Evaluates at theta, for the questions asked of a fit; gives the parameters of the optimiser there.
inline Eigen::VectorXd stand_at(pp::GaussianModel& model, const Rcpp::NumericVector& theta) {
  const Eigen::VectorXd x = model.map().parameters(as_vector(theta));
  if (!std::isfinite(model.value(x))) Rcpp::stop("the criterion is not finite at the estimates");
  return x;
}

#endif
