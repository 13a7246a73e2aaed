#' One model, many responses
#'
#' Fits the same model to each of many responses ("mass-univariate"): every gene, voxel, trait or
#' simulated data set. The design is built once and only the response is replaced, in a compiled
#' loop for linear mixed models: a thousand responses take seconds. Estimates, standard errors,
#' degrees of freedom and tests are those that [lmm()] or [glmm()] give for each response alone.
#'
#' A response with missing values is fitted to its own complete rows. One that cannot be fitted
#' (constant, infinite values, no residual variance) has a status other than `"ok"`, `NA` for its
#' numbers and the cause in `message`; the others are not affected.
#'
#' With the packages 'future' and 'future.apply' installed and a plan other than sequential set by
#' the user, such as `future::plan("multisession")`, the responses are shared out between its
#' workers.
#'
#' @param formula A formula in the language of 'lme4' whose left side is a matrix, such as
#'   `cbind(y1, y2) ~ x + (1 | g)`, or any of one side if `responses` is given.
#' @param data A data frame with the variables of the formula.
#' @param responses A numeric matrix or data frame of the responses, a row for each of `data` (of
#'   the rows used, for `fit_responses()`), or the names of columns of `data`. Default `NULL`: the
#'   left side of `formula`.
#' @param family As in [glmm()].
#' @param REML,weights,offset,subset,na.action,contrasts,kernel As in [lmm()].
#' @param ddf Denominator degrees of freedom of linear mixed models: `"satterthwaite"` (default),
#'   `"residual"`, or `"none"`, which is fastest.
#' @param coding For the tests of terms, which are of type III: `"sum"` (default) or `"fitted"`, see
#'   [effects_table()].
#' @param p.adjust A method of [stats::p.adjust()] for the column `p.adjusted`. Default `"none"`.
#' @param adjust.over What p-values are adjusted together (never that of the intercept): `"all"`
#'   (default) those of all terms and responses; `"responses"` those of each term over the
#'   responses; `"terms"` those of each response over its terms.
#' @param level Coverage of the intervals. Default 0.95.
#' @param progress `TRUE` shows a progress bar. Default `FALSE`.
#' @param control Settings made by [pp_control()].
#' @param fit A fit, as [lmm()] or [glmm()] returns it, whose design is used.
#' @param ... For `glmm_responses()` arguments of [glmm()], such as `weights` (evaluated in the
#'   data); otherwise not used, and anything given here is an error.
#' @return A list of class `"pp_responses"`:
#'   \item{coefficients}{data frame, a row for each response and coefficient: `response`, `term`,
#'     `estimate`, `std.error`, `statistic`, `df`, `p.value`, `conf.low`, `conf.high`, and
#'     `p.adjusted` if asked for.}
#'   \item{terms}{data frame, a row for each response and term: `response`, `term`, `statistic` (F,
#'     or chi-square for generalised models), `df`, `df.residual`, `p.value`, and `p.adjusted`.}
#'   \item{responses}{data frame, a row for each response: `response`, `status` (`"ok"`,
#'     `"singular"`, `"not converged"`, `"separation"`, `"dropped"` or `"failed"`), `n` (rows used),
#'     `sigma`, the standard deviations of the random effects (`sd_(Intercept)|g`, ...), `criterion`
#'     (REML criterion or -2 log-likelihood), `evaluations`, `message`.}
#'   \item{vcov}{array p x p x responses: the covariance of the coefficients.}
#'
#'   `as.data.frame()` gives one of the tables, `coef()` a matrix with a row for each response.
#' @section Errors: A design that no response can be fitted to gives the errors of [lmm()];
#'   responses of another length or type are of class `partialpool_error_response`; options that do
#'   not exist of class `partialpool_error_argument`.
#' @examples
#' Y <- replicate(50, sleepstudy$Reaction + rnorm(180, sd = 10))
#' many <- lmm_responses(~ Days + (Days | Subject), sleepstudy, Y, p.adjust = "BH")
#' many
#' head(as.data.frame(many))
#' @export
lmm_responses <- function(formula, data = NULL, responses = NULL, REML = TRUE, weights, offset,
                          subset, na.action, contrasts = NULL, kernel = NULL,
                          ddf = c("satterthwaite", "residual", "none"),
                          coding = c("sum", "fitted"), p.adjust = "none",
                          adjust.over = c("all", "responses", "terms"), level = 0.95,
                          progress = FALSE, control = pp_control(), ...) {
  call <- match.call()
  reject_dots(...)
  REML <- check_flag(REML, "REML")
  control <- as_control(control)
  options <- response_options(ddf, coding, p.adjust, adjust.over, level, progress)
  model <- response_model(formula, data, responses, parent.frame())
  design_call <- call[c(1L, match(design_arguments, names(call), nomatch = 0L))]
  design_call$formula <- model$formula
  design_call$data <- model$data
  design <- design_from_call(design_call, parent.frame(), control$check)
  f <- engine_of(design, REML, "automatic", control$check)
  # The response of the design is the number of the row.
  Y <- model$Y[as.integer(design$y), , drop = FALSE]
  found <- fit_columns(f$design, Y, REML, control, options)
  new_responses(found, colnames(Y), f$design, model$label, options, REML, NULL, call)
}

design_arguments <- c("weights", "offset", "subset", "na.action", "contrasts", "kernel")

#' @rdname lmm_responses
#' @export
glmm_responses <- function(formula, data = NULL, family, responses = NULL,
                           coding = c("sum", "fitted"), p.adjust = "none",
                           adjust.over = c("all", "responses", "terms"), level = 0.95,
                           progress = FALSE, control = pp_control(), ...) {
  call <- match.call()
  family <- as_family(if (!missing(family)) family)
  options <- response_options("none", coding, p.adjust, adjust.over, level, progress)
  model <- response_model(formula, data, responses, parent.frame())
  control <- as_control(control)
  extra <- match.call(expand.dots = FALSE)$...
  extra$control <- control
  found <- fit_calls(model, family, extra, parent.frame(), options)
  new_responses(found, colnames(model$Y), found$design, model$label, options, FALSE, family, call)
}

#' @rdname lmm_responses
#' @export
fit_responses <- function(fit, responses, ddf = c("satterthwaite", "residual", "none"),
                          coding = c("sum", "fitted"), p.adjust = "none",
                          adjust.over = c("all", "responses", "terms"), level = 0.95,
                          progress = FALSE, ...) {
  reject_dots(...)
  call <- match.call()
  if (!inherits(fit, c("pp_lmm", "pp_glmm"))) {
    pp_abort("argument", c(
      x = "{.arg fit} must be a fit by {.fn lmm} or {.fn glmm}.",
      i = "It is {.obj_type_friendly {fit}}."
    ))
  }
  options <- response_options(ddf, coding, p.adjust, adjust.over, level, progress)
  Y <- response_matrix(responses, "responses")
  Y <- response_rows(Y, fit)
  if (inherits(fit, "pp_lmm")) {
    found <- fit_columns(design_of(fit), Y, fit$REML, fit$control, options)
  } else {
    found <- fit_refits(fit, Y, options)
  }
  design <- fit[c("X", "terms", "frame", "xlevels", "aliased", "random", "formula", "y")]
  new_responses(found, colnames(Y), design, "responses", options, fit$REML, fit$family, call)
}

response_options <- function(ddf, coding, p.adjust, adjust.over, level, progress) {
  check_level(level)
  list(
    ddf = choose_option(ddf, c("satterthwaite", "residual", "none"), "ddf"),
    coding = choose_option(coding, c("sum", "fitted"), "coding"),
    p.adjust = choose_option(p.adjust, unique(c("none", stats::p.adjust.methods)), "p.adjust"),
    adjust.over = choose_option(adjust.over, c("all", "responses", "terms"), "adjust.over"),
    level = level, progress = check_flag(progress, "progress")
  )
}
