# Regression tables of gtsummary.

# The fixed effects, as for lme4's fits; random parameters by `tidy_fun = tidy`.
tbl_regression.pp_fit <- function(x, ..., tidy_fun = NULL) {
  fixed <- function(x, ...) tidy(x, ..., effects = "fixed")
  NextMethod(tidy_fun = if (is.null(tidy_fun)) fixed else tidy_fun)
}
