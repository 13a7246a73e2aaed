# parsnip: the engine "partialpool" of linear_reg(), logistic_reg() and poisson_reg().

#' Mixed models as engines of parsnip
#'
#' With the package parsnip loaded, `set_engine("partialpool")` fits [lmm()] for
#' `parsnip::linear_reg()`, and [glmm()] for `parsnip::logistic_reg()` (family binomial) and
#' `parsnip::poisson_reg()` (family Poisson), in `fit()` and in workflows. Nothing else has to be
#' attached.
#'
#' The formula has the random terms and goes to the engine as it is: no predictor is turned into
#' indicators. In a workflow it is the `formula` of `add_model()`, and the variables come by
#' `add_variables()`. Arguments of [lmm()] and [glmm()] are those of `set_engine()`, such as
#' `REML = FALSE`, `nAGQ = 9` or `family = binomial("probit")`; `poisson_reg()` takes other families
#' of counts, such as `family = nbinom2()`. Case weights are prior weights.
#'
#' Predictions for groups that were in the data use their random effects, those for new groups do
#' not: the effect of a new group is zero, its expectation. Population predictions for all are
#' `predict(fit, new_data, type = "raw", opts = list(re.form = NA))`.
#'
#' | model | types of `predict()` |
#' |---|---|
#' | `linear_reg()` | `numeric`, `conf_int` (given the random effects), `pred_int`, `raw` |
#' | `logistic_reg()` | `class`, `prob`, `conf_int` (of the probabilities), `linear_pred`, `raw` |
#' | `poisson_reg()` | `numeric`, `conf_int`, `linear_pred`, `raw` |
#'
#' `std_error = TRUE` adds standard errors to intervals. `parsnip::extract_fit_engine()` gives the
#' fit itself, with all of its methods; [strip_fit()] makes it small for deployment.
#'
#' @section Errors: Those of [lmm()] and [glmm()], see [partialpool-conditions].
#' @seealso [predict.pp_lmm()], [predict.pp_glmm()]
#' @examples
#' if (requireNamespace("parsnip", quietly = TRUE)) {
#'   model <- parsnip::set_engine(parsnip::linear_reg(), "partialpool")
#'   fit <- parsnip::fit(model, Reaction ~ Days + (Days | Subject), data = sleepstudy)
#'   predict(fit, data.frame(Days = 3, Subject = c("308", "new")))
#' }
#' @name parsnip-engines
NULL

# For .onLoad(): sets the engines when parsnip is loaded, before this package or after.
set_parsnip_engines <- function() {
  setHook(packageEvent("parsnip", "onLoad"), function(...) register_engines())
  if (isNamespaceLoaded("parsnip")) register_engines()
}

# By model: its mode, the fitting function with the arguments it has by default, and the types of
# prediction.
parsnip_engines <- list(
  linear_reg = list(
    mode = "regression", fun = "lmm", defaults = list(),
    types = c("numeric", "conf_int", "pred_int", "raw")
  ),
  logistic_reg = list(
    mode = "classification", fun = "glmm", defaults = list(family = quote(stats::binomial)),
    types = c("class", "prob", "conf_int", "linear_pred", "raw")
  ),
  poisson_reg = list(
    mode = "regression", fun = "glmm", defaults = list(family = quote(stats::poisson)),
    types = c("numeric", "conf_int", "linear_pred", "raw")
  )
)

register_engines <- function() {
  for (model in names(parsnip_engines)) {
    known <- parsnip::get_from_env(model)
    if (!"partialpool" %in% known$engine) register_engine(model, parsnip_engines[[model]])
  }
}

register_engine <- function(model, engine) {
  mode <- engine$mode
  parsnip::set_model_engine(model, mode, "partialpool")
  parsnip::set_dependency(model, "partialpool", "partialpool", mode)
  parsnip::set_encoding(model, mode, "partialpool", list(
    predictor_indicators = "none", compute_intercept = FALSE, remove_intercept = FALSE,
    allow_sparse_x = FALSE
  ))
  parsnip::set_fit(model, mode, "partialpool", list(
    interface = "formula", protect = c("formula", "data", "weights"),
    func = c(pkg = "partialpool", fun = engine$fun), defaults = engine$defaults
  ))
  for (type in engine$types) {
    parsnip::set_pred(model, mode, "partialpool", type, prediction_of_engine(engine, type))
  }
}

# How parsnip calls predict() for a type, and what it does with the result.
prediction_of_engine <- function(engine, type) {
  arguments <- list(
    object = quote(object$fit), newdata = quote(new_data), allow.new.levels = TRUE
  )
  scale <- if (type == "linear_pred") "link" else "response"
  if (engine$fun == "glmm" && type != "raw") arguments$type <- scale
  if (type %in% c("conf_int", "pred_int")) {
    arguments$interval <- if (type == "conf_int") "confidence" else "prediction"
    arguments$level <- quote(level)
    arguments$se.fit <- TRUE
  }
  after <- switch(type,
    numeric = , linear_pred = function(x, object) unname(x),
    class = function(x, object) unname(object$lvl[1L + (x >= 0.5)]),
    prob = function(x, object) class_columns(unname(x), object$lvl),
    conf_int = , pred_int = function(x, object) parsnip_interval(x, object, type)
  )
  list(pre = NULL, post = after, func = c(fun = "predict"), args = arguments)
}

# A probability is that of the second class.
class_columns <- function(p, levels) {
  as_plain_table(stats::setNames(list(1 - p, p), levels))
}

parsnip_interval <- function(x, object, type) {
  ends <- list(lower = unname(x$fit[, "lwr"]), upper = unname(x$fit[, "upr"]))
  columns <- if (object$spec$mode == "classification") {
    values <- list(1 - ends$upper, 1 - ends$lower, ends$lower, ends$upper)
    first <- paste0(c(".pred_lower_", ".pred_upper_"), object$lvl[1L])
    stats::setNames(values, c(first, paste0(c(".pred_lower_", ".pred_upper_"), object$lvl[2L])))
  } else {
    list(.pred_lower = ends$lower, .pred_upper = ends$upper)
  }
  if (isTRUE(object$spec$method$pred[[type]]$extras$std_error)) {
    columns$.std_error <- standard_errors(x, object, type)
  }
  as_plain_table(columns)
}

# Of a new observation: of the prediction and of the residual together.
standard_errors <- function(x, object, type) {
  se <- unname(x$se.fit)
  if (type == "pred_int") sqrt(se^2 + stats::sigma(object$fit)^2) else se
}

as_plain_table <- function(columns) {
  structure(columns, class = c("tbl_df", "tbl", "data.frame"),
            row.names = .set_row_names(length(columns[[1L]])))
}
