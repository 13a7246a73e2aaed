#ifndef PARTIALPOOL_API_GLUE_H
#define PARTIALPOOL_API_GLUE_H

// What the glue files share: R objects as the core's types, and back.

#include <Rcpp.h>

#include <string>
#include <vector>

#include "core/block_cholesky.h"
#include "core/boundary.h"
#include "core/conditional.h"
#include "core/model_data.h"
#include "core/standardise.h"

namespace pp = partialpool;

inline pp::Structure structure_named(const std::string& name) {
  if (name == "diag") return pp::Structure::diagonal;
  if (name == "cs") return pp::Structure::compound_symmetry;
  if (name == "ar1") return pp::Structure::ar1;
  return pp::Structure::unstructured;
}

inline pp::Storage storage_named(const std::string& name) {
  if (name == "nested") return pp::Storage::nested;
  if (name == "sparse") return pp::Storage::sparse;
  if (name == "dense") return pp::Storage::dense;
  return pp::Storage::automatic;
}

inline const double* numeric_or_null(SEXP x) {
  return Rf_isNull(x) ? nullptr : REAL(x);
}

inline Eigen::Map<const Eigen::MatrixXd> matrix_map(SEXP x) {
  return Eigen::Map<const Eigen::MatrixXd>(REAL(x), Rf_nrows(x), Rf_ncols(x));
}

inline SEXP wrap_matrix(const Eigen::MatrixXd& m) {
  Rcpp::NumericMatrix out(Rcpp::no_init(static_cast<int>(m.rows()), static_cast<int>(m.cols())));
  std::copy_n(m.data(), m.size(), out.begin());
  return out;
}
inline SEXP wrap_vector(const Eigen::VectorXd& v) {
  return Rcpp::NumericVector(v.data(), v.data() + v.size());
}
inline Eigen::VectorXd as_vector(const Rcpp::NumericVector& v) {
  return Eigen::Map<const Eigen::VectorXd>(v.begin(), v.size());
}

// X and the random terms; the response is the caller's business.
inline pp::ModelData model_data(const Rcpp::List& rows) {
  pp::ModelData data;
  const SEXP x = rows["X"];
  data.n = Rf_nrows(x);
  new (&data.x) Eigen::Map<const Eigen::MatrixXd>(matrix_map(x));
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
      if (term.containsElementNamed("kernel") && !Rf_isNull(term["kernel"])) {
        const Rcpp::List kernel = term["kernel"];
        const SEXP c = kernel["loading"];
        g.loading.values = REAL(c);
        g.loading.levels = Rf_nrows(c);
        g.loading.modes = Rf_ncols(c);
      }
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

inline Rcpp::List random_list(const std::vector<Eigen::MatrixXd>& by_term, bool transpose) {
  Rcpp::List out(by_term.size());
  for (std::size_t t = 0; t < by_term.size(); ++t)
    out[t] = transpose ? wrap_matrix(by_term[t].transpose()) : wrap_matrix(by_term[t]);
  return out;
}

// Kept columns of X (1-based), aliased columns of z (term, column; 1-based), condition number,
// bytes that the factor and its inverse will take.
inline Rcpp::List rank_list(const pp::Standardisation& s, const pp::Remainder* remainder) {
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

inline Rcpp::List null_set_list(const std::vector<pp::NullSet>& null_sets,
                                const pp::Standardisation& standard) {
  Rcpp::List out(null_sets.size());
  for (std::size_t i = 0; i < null_sets.size(); ++i) {
    const pp::NullSet& set = null_sets[i];
    const Eigen::MatrixXd combination = standard.z_factor(set.user_term) * set.directions;
    out[i] = Rcpp::List::create(Rcpp::Named("term") = set.user_term + 1,
                                Rcpp::Named("combination") = wrap_matrix(combination),
                                Rcpp::Named("min_eigenvalue") = set.min_eigenvalue);
  }
  return out;
}

// Rows to predict: codes by term (NA or 0: left out) and z (NULL: an intercept). Codes beyond the
// levels of the fit are rows of the codes' attribute "loading".
inline pp::PredictionRows prediction_rows(const Rcpp::NumericMatrix& x, const Rcpp::List& codes,
                                          const Rcpp::List& z) {
  pp::PredictionRows rows;
  rows.x = matrix_map(x);
  for (R_xlen_t t = 0; t < codes.size(); ++t) {
    const Rcpp::IntegerVector code = codes[t];
    std::vector<int> level(code.size());
    for (R_xlen_t i = 0; i < code.size(); ++i) level[i] = code[i] == NA_INTEGER ? -1 : code[i] - 1;
    rows.level.push_back(std::move(level));
    const SEXP loading = Rf_getAttrib(code, Rf_install("loading"));
    rows.loading.push_back(Rf_isNull(loading) ? Eigen::MatrixXd()
                                              : Eigen::MatrixXd(matrix_map(loading)));
    const SEXP zt = z[t];
    if (Rf_isNull(zt))
      rows.z.push_back(Eigen::MatrixXd::Ones(rows.x.rows(), 1));
    else
      rows.z.push_back(matrix_map(zt));
  }
  return rows;
}

#endif
