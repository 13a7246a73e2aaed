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

#endif
