#' Linear mixed models
#'
#' Fits a linear mixed model by restricted maximum likelihood (default) or maximum likelihood:
#' `y = X beta + Z b + offset + e`, with `b ~ N(0, sigma^2 Lambda Lambda')` and
#' `e ~ N(0, sigma^2 / weights)`.
#'
#' The criterion is profiled over the fixed effects and the residual variance and minimised over the
#' covariance parameters by a Newton method with the analytic gradient and the average information
#' (Gilmour, Thompson & Cullis 1995) from MIVQUE(0) starting values, on cross-products that are
#' formed once: an iteration costs nothing in the number of rows. Variables are standardised
#' inside, so their units do not matter. Estimates on the boundary (a variance of zero, a
#' correlation of one) are exact and certified; a message names them.
#'
#' @param formula A formula in the language of 'lme4', see [design()]: fixed effects, and random
#'   terms such as `(1 | g)`, `(x | g)`, `(x || g)`, `(1 | a/b)`, with `us()`, `diag()`, `cs()` or
#'   `ar1()` around a term for its covariance structure. A formula without random terms is fitted as
#'   a linear model, with a message. Or a numeric matrix or data frame with a column a feature, see
#'   the section on matrices.
#' @param data A data frame with the variables of the formula.
#' @param REML Restricted maximum likelihood (`TRUE`, default) or maximum likelihood (`FALSE`).
#' @inheritParams design
#' @param start Numeric vector of starting values for the relative covariance parameters `theta`,
#'   or a list with an element `theta`. Not needed: the default, `NULL`, is MIVQUE(0).
#' @param control Settings made by [pp_control()].
#' @param ... Must be empty: an unknown argument is an error.
#' @return A fit of class `c("pp_lmm", "pp_fit")`: a plain list that can be saved. Among its
#'   elements are `coefficients` (p fixed effects), `theta` (relative covariance parameters),
#'   `Lambda` and `b` (a list each, one element a random term: relative factor p_t x p_t, and
#'   conditional modes, levels x p_t), `sigma`, `criterion` (REML criterion or -2 log-likelihood),
#'   `convergence` (`status`, `decrement`: what the criterion could still gain, `evaluations`,
#'   `singular`, `components`), `frame`, `X`, `y`. Use the methods rather than the elements:
#'   [summary()][summary.pp_lmm], [fixef()], [ranef()], [VarCorr()], [vcov()], [predict()],
#'   [simulate()], [anova()], [update()], [refit()], [plot()], and others.
#'
#'   With several responses on the left of the formula, `cbind(y1, y2) ~ ...` or a matrix, the
#'   result of [lmm_responses()].
#' @section Errors:
#' Bad input ends in a condition of a class listed in [partialpool-conditions], which names the
#' variable and says what to do. A singular fit gives a message of class
#' `partialpool_message_singular`, columns left out one of class `partialpool_message_rank`.
#' @references
#' Bates D, Maechler M, Bolker B, Walker S (2015). Fitting Linear Mixed-Effects Models Using lme4.
#' Journal of Statistical Software 67(1). \doi{10.18637/jss.v067.i01}
#'
#' Gilmour AR, Thompson R, Cullis BR (1995). Average Information REML: An Efficient Algorithm for
#' Variance Parameter Estimation in Linear Mixed Models. Biometrics 51, 1440-1450.
#' \doi{10.2307/2533274}
#' @examples
#' fit <- lmm(Reaction ~ Days + (Days | Subject), sleepstudy)
#' fit
#' summary(fit)
#'
#' # uncorrelated random effects, maximum likelihood
#' lmm(Reaction ~ Days + (Days || Subject), sleepstudy, REML = FALSE)
#' @export
lmm <- function(formula, ...) UseMethod("lmm")

#' @rdname lmm
#' @export
lmm.formula <- function(formula, data = NULL, REML = TRUE, weights, offset, subset, na.action,
                        contrasts = NULL, kernel = NULL, start = NULL, control = pp_control(),
                        ...) {
  call <- match.call()
  call[[1L]] <- quote(lmm)
  reject_dots(...)
  REML <- check_flag(REML, "REML")
  control <- as_control(control)
  if (has_matrix_response(call, parent.frame())) {
    return(lmm_of_responses(call, control, parent.frame()))
  }
  design <- design_from_call(call, parent.frame(), control$check)
  if (!length(design$random)) {
    pp_inform("random", c(
      "i" = "The formula has no random terms: this is a linear model, as {.fn lm} fits it.",
      ">" = "For a random intercept by {.code g} add {.code (1 | g)}."
    ))
  }
  fit_design(design, REML, start, control, call)
}

#' @rdname lmm
#' @export
lmm.character <- function(formula, ...) {
  call <- match.call()
  call[[1L]] <- lmm
  call$formula <- as_model_formula(formula, parent.frame())
  eval(call, parent.frame())
}

#' @rdname lmm
#' @export
lmm.default <- function(formula, ...) {
  pp_abort("formula", c(
    x = "{.arg formula} must be a formula such as {.code y ~ x + (1 | g)}.",
    i = if (missing(formula)) "It is missing." else "It is {.obj_type_friendly {formula}}.",
    ">" = "A matrix of features goes with a response: {.code lmm(X, y, random_effect)}."
  ))
}
