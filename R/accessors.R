# What a fit holds, handed out under the names that stats and nlme gave it.

#' @importFrom nlme fixef
#' @export
nlme::fixef

#' Fixed effects and their covariance
#'
#' `fixef()` and `coef()` give the estimates of the fixed effects, `vcov()` their covariance matrix.
#' `coef(fit, "group")` adds the random effects to the fixed effects, group by group: the numbers
#' that `coef()` gives for a fit of lme4.
#'
#' @param object A fit, as [lmm()] or [glmm()] returns it.
#' @param component Which linear predictor of a fit by [glmm()]: `"cond"` (default) the model
#'   itself, `"disp"` the one of the logarithm of the dispersion, `"zi"` the one of the logit of the
#'   probability of an extra zero.
#' @param add.dropped `TRUE` puts the columns of the model matrix that were dropped because they
#'   were linear combinations of others back in their places, as `NA`. Default `FALSE`.
#' @param type For `coef()`: `"fixed"` (default) for the vector of fixed effects, `"group"` for one
#'   data frame per grouping factor. For `vcov()`: `"model"` (default) for the covariance that the
#'   model implies, `"sandwich"` for one that is robust to what it assumes within clusters.
#' @param full `TRUE` gives the covariance of all parameters: the fixed effects; for [glmm()] the
#'   coefficients of dispersion and zero inflation and the shape on its internal scale; the variance
#'   parameters on their natural scale (variances, covariances, for [lmm()] the residual variance).
#'   Default `FALSE`.
#' @param cluster For `vcov(type = "sandwich")`: which rows may depend on each other. The name of a
#'   grouping factor or variable of the model, a one-sided formula of such, or a vector with a value
#'   a row. Default `NULL`: the grouping factor in which all others are nested; each row, if there
#'   are no random effects. With crossed factors it must be given.
#' @param correction For `vcov(type = "sandwich")`: `"CR0"` (default) none; `"CR1"` the factor
#'   `J / (J - 1)` for J clusters; `"CR1S"` the factor `J (n - 1) / ((J - 1) (n - p))`; for a linear
#'   model also `"CR2"`, unbiased if the model is right, and `"CR3"`, near the jackknife.
#' @param complete For `vcov()`: `TRUE` keeps a row and a column of `NA` for each column that was
#'   dropped. Default `FALSE`.
#' @param ... Not used; anything given here is an error.
#' @section Robust covariance:
#' `vcov(type = "sandwich")` does not rely on the variances and the independence that the model
#' assumes within clusters, only on the independence of clusters: `H^-1 (sum of s s') H^-1`, with
#' the derivatives `s` of the log-likelihood of each cluster and its information `H`. For a linear
#' model the variance parameters are taken as given, `s = X' V^-1 r` for the rows of a cluster, and
#' `H^-1` is the covariance of the model; the numbers are those of the clubSandwich package. For a
#' generalised model `H` is the observed information of all parameters together, and the rows and
#' columns of the fixed effects are taken from the whole sandwich; `s` are exact derivatives of the
#' likelihood as the fit approximates it. It needs a likelihood (no penalised quasi-likelihood)
#' whose parameters hold the fixed effects (no `nAGQ = 0`, no `REML = TRUE`), and clusters in which
#' all random effects are nested. All of this is for many clusters: with fewer than about 40 use
#' `"CR2"`.
#' @references Bell RM, McCaffrey DF (2002). Bias reduction in standard errors for linear regression
#'   with multi-stage samples. Survey Methodology 28, 169-181. Pustejovsky JE, Tipton E (2018).
#'   Small-sample methods for cluster-robust variance estimation and hypothesis testing in fixed
#'   effects models. Journal of Business and Economic Statistics 36, 672-683.
#' @return `fixef()` and `coef(type = "fixed")`: a named numeric vector. `coef(type = "group")`: a
#'   named list of class `"coef.pp_fit"`, one data frame per grouping factor with a row per level
#'   and a column per coefficient. `vcov()`: a symmetric matrix with the names of the coefficients,
#'   in squared units of the response, or of the link for a fit by [glmm()].
#' @section Errors: A `type` or `component` that the fit has not, a `cluster` that is no variable of
#'   the model or that is missing where it is needed, and arguments that do not exist are of class
#'   `partialpool_error_argument`.
#' @examples
#' fit <- lmm(Reaction ~ Days + (Days | Subject), sleepstudy)
#' fixef(fit)
#' head(coef(fit, "group")$Subject, 3)
#' sqrt(diag(vcov(fit)))
#' sqrt(diag(vcov(fit, type = "sandwich", correction = "CR2")))
#' @name coef.pp_fit
#' @importFrom stats coef vcov
NULL

#' @rdname coef.pp_fit
#' @export
fixef.pp_fit <- function(object, add.dropped = FALSE, component = c("cond", "disp", "zi"), ...) {
  reject_dots(...)
  part <- model_part(object, component)
  if (!is.null(part)) {
    return(part$coefficients)
  }
  if (!add.dropped || length(object$aliased) == 0L) {
    return(object$coefficients)
  }
  all_columns <- rep(NA_real_, length(object$column_names))
  names(all_columns) <- object$column_names
  all_columns[names(object$coefficients)] <- object$coefficients
  all_columns
}

#' @rdname coef.pp_fit
#' @export
coef.pp_fit <- function(object, type = c("fixed", "group"),
                        component = c("cond", "disp", "zi"), ...) {
  reject_dots(...)
  type <- choose_option(type, c("fixed", "group"), "type")
  if (type == "fixed") fixef.pp_fit(object, component = component) else group_coefficients(object)
}

# What a fit has besides the model of the mean: NULL for "cond", else its dispersion or
# zero-inflation model.
model_part <- function(fit, component) {
  component <- choose_option(component, c("cond", "disp", "zi"), "component")
  if (component == "cond") {
    return(NULL)
  }
  part <- if (component == "disp") fit$dispersion else fit$zi
  if (is.null(part)) {
    what <- if (component == "disp") "dispersion model" else "zero-inflation model"
    pp_abort("argument", c(
      x = "{.arg component} is {.val {component}}, but the fit has no {what}.",
      ">" = if (component == "zi") "{.fn glmm} fits one with {.code ziformula = ~1}."
    ))
  }
  part
}

group_coefficients <- function(fit) {
  random <- ranef.pp_fit(fit, condVar = FALSE)
  fixed <- fit$coefficients
  only_random <- setdiff(unlist(lapply(random, colnames)), names(fixed))
  start <- c(stats::setNames(numeric(length(only_random)), only_random), fixed)
  tables <- lapply(random, function(b) {
    table <- matrix(start, nrow(b), length(start),
      byrow = TRUE, dimnames = list(rownames(b), names(start))
    )
    for (k in seq_along(b)) {
      column <- names(b)[k]
      table[, column] <- table[, column] + b[[k]]
    }
    as.data.frame(table)
  })
  structure(tables, class = "coef.pp_fit")
}

#' @export
print.coef.pp_fit <- function(x, ...) {
  print(unclass(x), ...)
  invisible(x)
}

#' @rdname coef.pp_fit
#' @export
vcov.pp_lmm <- function(object, full = FALSE, type = c("model", "sandwich"), cluster = NULL,
                        correction = c("CR0", "CR1", "CR1S", "CR2", "CR3"), complete = FALSE,
                        ...) {
  reject_dots(...)
  complete <- check_flag(complete, "complete")
  type <- choose_option(type, c("model", "sandwich"), "type")
  if (type == "sandwich") {
    reject_full_sandwich(full)
    return(complete_covariance(sandwich_covariance(object, cluster, correction), object, complete))
  }
  reject_cluster(cluster, missing(correction))
  fixed <- object$sigma^2 * object$vcov_unscaled
  if (!full) {
    return(complete_covariance(fixed, object, complete))
  }
  variance <- engine_parameter_covariance(engine(object), object)
  labels <- c(rownames(fixed), rownames(variance))
  joint <- matrix(0, length(labels), length(labels), dimnames = list(labels, labels))
  p <- seq_len(nrow(fixed))
  joint[p, p] <- fixed
  rest <- nrow(fixed) + seq_len(nrow(variance))
  joint[rest, rest] <- variance
  joint
}

# With the columns that were dropped from the fit, as NA, if it should be complete.
complete_covariance <- function(V, fit, complete) {
  names <- fit$column_names
  if (!complete || !length(fit$aliased)) {
    return(V)
  }
  whole <- matrix(NA_real_, length(names), length(names), dimnames = list(names, names))
  whole[rownames(V), colnames(V)] <- V
  whole
}

#' Likelihood, information criteria and sizes of a fit
#'
#' The log-likelihood of a fit at its estimates, and the counts that go with it. `AIC()` and `BIC()`
#' follow from `logLik()`. For a fit by REML, `logLik()` is the restricted log-likelihood in lme4's
#' definition, which depends on the coding of the fixed effects: compare such values only between
#' fits with the same fixed effects.
#'
#' @param object,fit A fit, as [lmm()] returns it.
#' @param REML `NULL` (default) for the criterion that was optimised; `FALSE` for the likelihood,
#'   `TRUE` for the restricted likelihood, each at the estimates of this fit.
#' @param scale Not used; part of the generic.
#' @param k The penalty per parameter, 2 by default.
#' @param ... Not used; anything given here is an error.
#' @return `logLik()`: an object of class `"logLik"` with attributes `df` (fixed effects, covariance
#'   parameters and residual variance), `nobs` and `nall` (both the number of rows fitted).
#'   `deviance()`: minus twice the log-likelihood; for a fit by REML, unless `REML` is given, the
#'   REML criterion with a warning of class `partialpool_warning_fit`. `extractAIC()`: the number of
#'   parameters and the AIC of the fit by ML. `nobs()`, `df.residual()` (rows minus parameters),
#'   `sigma()` (residual standard deviation, in units of the response): one number. For a fit by
#'   [glmm()] `sigma()` is the root of the dispersion `phi` where the variance is proportional to it
#'   (gaussian, Gamma, inverse gaussian, Tweedie, t), `phi` itself in the other families that have
#'   one (see [pp_families]), 1 in those without, and `NA` with a `dispformula` by which it differs
#'   between rows: see `predict(type = "disp")`.
#' @references Bates, Maechler, Bolker and Walker (2015), Fitting linear mixed-effects models using
#'   lme4, Journal of Statistical Software 67(1), equations 34 and 41.
#' @examples
#' fit <- lmm(Reaction ~ Days + (Days | Subject), sleepstudy)
#' logLik(fit)
#' logLik(fit, REML = FALSE)
#' AIC(fit)
#' @name logLik.pp_lmm
#' @importFrom stats logLik deviance extractAIC nobs df.residual sigma AIC BIC
NULL

#' @rdname logLik.pp_lmm
#' @export
logLik.pp_lmm <- function(object, REML = NULL, ...) {
  reject_dots(...)
  restricted <- if (is.null(REML) || is.na(REML[1L])) object$REML else isTRUE(REML)
  structure(-0.5 * criterion_value(object, restricted),
    nobs = object$n, nall = object$n, df = object$df, class = "logLik"
  )
}

#' @rdname logLik.pp_lmm
#' @export
deviance.pp_lmm <- function(object, REML = NULL, ...) {
  reject_dots(...)
  if (object$REML && is.null(REML)) {
    pp_warn("fit", c(
      "!" = "A fit by REML has no deviance: {.fn deviance} returns the REML criterion.",
      ">" = "Use {.code deviance(fit, REML = FALSE)} for the deviance at these estimates."
    ))
  }
  criterion_value(object, object$REML && !isFALSE(REML))
}

# The criterion of the fit, or the other one at the same theta: both are functions of the same
# penalised residual sum of squares and of log|RX|^2.
criterion_value <- function(fit, restricted) {
  if (restricted == fit$REML) {
    return(fit$criterion)
  }
  n <- fit$n
  p <- length(fit$coefficients)
  log_det_rx2 <- if (p == 0L) 0 else -as.numeric(determinant(fit$vcov_unscaled)$modulus)
  log_rss <- 2 * log(fit$sigma) + log(if (fit$REML) n - p else n)
  ml <- n * (1 + log(2 * pi / n) + log_rss)
  reml <- (n - p) * (1 + log(2 * pi / (n - p)) + log_rss) + log_det_rx2
  fit$criterion + if (restricted) reml - ml else ml - reml
}

#' @rdname logLik.pp_lmm
#' @export
extractAIC.pp_lmm <- function(fit, scale = 0, k = 2, ...) {
  value <- logLik.pp_lmm(refit_ml(fit))
  edf <- attr(value, "df")
  c(edf, -2 * as.numeric(value) + k * edf)
}

#' @rdname logLik.pp_lmm
#' @export
nobs.pp_fit <- function(object, ...) object$n

#' @rdname logLik.pp_lmm
#' @export
df.residual.pp_fit <- function(object, ...) object$n - object$df

#' @rdname logLik.pp_lmm
#' @export
sigma.pp_fit <- function(object, ...) object$sigma

#' The model behind a fit: formula, frame, matrices
#'
#' The pieces from which a fit was made. Nothing is evaluated again: they are stored in the fit.
#'
#' @param x,object,formula A fit, as [lmm()] or [glmm()] returns it.
#' @param component For a fit by [glmm()]: `"cond"` (default) the model itself, `"disp"` the
#'   dispersion model, `"zi"` the zero-inflation model.
#' @param fixed.only `TRUE` for the fixed-effects part alone. Default `FALSE`, but `TRUE` for
#'   `terms()`, as in lme4.
#' @param random.only `TRUE` for the random-effects part alone. Default `FALSE`.
#' @param type For `model.matrix()`: `"fixed"` (default) for `X`, `"random"` for the sparse `Z`. For
#'   `weights()`: `"prior"`, or for a fit by [glmm()] also `"working"`.
#' @param ... Not used; anything given here is an error.
#' @return `formula()`: a formula, with the environment of the one fitted. `terms()`: a terms
#'   object. `model.frame()`: a data frame of the rows fitted. `model.matrix()`: a numeric matrix
#'   with a row per observation (kept columns only), or a sparse `dgCMatrix`. `weights()`: the prior
#'   weights, one per row of the data (1 where none were given); for binomial families times the
#'   number of trials; `"working"`: those times `mu'^2 / V(mu)`, as [stats::glm()]. `family()`: a
#'   `"family"` object, [stats::gaussian()] for [lmm()].
#' @section Errors: `fixed.only` together with `random.only`, and a `component` that the fit has
#'   not, are of class `partialpool_error_argument`.
#' @examples
#' fit <- lmm(Reaction ~ Days + (Days | Subject), sleepstudy)
#' formula(fit, random.only = TRUE)
#' dim(model.matrix(fit, "random"))
#' @name model.matrix.pp_fit
#' @importFrom stats formula terms model.frame model.matrix weights family
NULL

#' @rdname model.matrix.pp_fit
#' @export
formula.pp_fit <- function(x, fixed.only = FALSE, random.only = FALSE,
                           component = c("cond", "disp", "zi"), ...) {
  part <- model_part(x, component)
  if (!is.null(part)) {
    return(part$formula)
  }
  if (missing(fixed.only) && random.only) fixed.only <- FALSE
  reject_both_parts(fixed.only, random.only)
  if (!fixed.only && !random.only) {
    return(x$formula)
  }
  if (fixed.only) {
    part <- stats::formula(x$terms)
  } else {
    bars <- split_sum(x$formula[[3L]], x$formula)$bars
    part <- make_formula(if (length(bars)) sum_of(bars) else 0, x$formula[[2L]], NULL)
  }
  environment(part) <- environment(x$formula)
  part
}

#' @rdname model.matrix.pp_fit
#' @export
terms.pp_fit <- function(x, fixed.only = TRUE, random.only = FALSE,
                         component = c("cond", "disp", "zi"), ...) {
  part <- model_part(x, component)
  if (!is.null(part)) {
    return(part$terms)
  }
  if (missing(fixed.only) && random.only) fixed.only <- FALSE
  reject_both_parts(fixed.only, random.only)
  if (fixed.only) {
    return(x$terms)
  }
  if (!random.only) {
    return(attr(x$frame, "terms"))
  }
  stats::terms(reformulas::subbars(formula.pp_fit(x, random.only = TRUE)))
}

#' @rdname model.matrix.pp_fit
#' @export
model.frame.pp_fit <- function(formula, fixed.only = FALSE, ...) {
  # Text as factors, as in lme4's frames.
  frame <- factorise(formula$frame, names(formula$frame))
  if (!fixed.only) {
    return(frame)
  }
  variables <- as.list(attr(formula$terms, "variables"))[-1L]
  frame[intersect(names(frame), vapply(variables, label_of, ""))]
}

#' @rdname model.matrix.pp_fit
#' @export
model.matrix.pp_fit <- function(object, type = c("fixed", "random"),
                                component = c("cond", "disp", "zi"), ...) {
  part <- model_part(object, component)
  if (!is.null(part)) {
    return(part$X)
  }
  type <- choose_option(type, c("fixed", "random"), "type")
  if (type == "fixed") object$X else random_matrix(object)
}

#' @rdname model.matrix.pp_fit
#' @export
weights.pp_lmm <- function(object, type = c("prior", "working"), ...) {
  choose_option(type, c("prior", "working"), "type")
  w <- if (is.null(object$weights)) rep(1, object$n) else object$weights
  stats::naresid(object$na.action, w)
}

#' @rdname model.matrix.pp_fit
#' @export
family.pp_lmm <- function(object, ...) stats::gaussian()

# Number of levels of each grouping factor, each factor once.
n_groups <- function(fit) {
  groups <- vapply(fit$random, function(term) term$group, "")
  sizes <- vapply(fit$random, function(term) length(term$levels), 0L)
  names(sizes) <- groups
  sizes[!duplicated(groups)]
}

has_random <- function(fit) length(fit$random) > 0L

# A misspelt argument must not silently give the default.
reject_dots <- function(...) {
  if (...length() == 0L) {
    return(invisible())
  }
  extra <- as.list(substitute(list(...)))[-1L]
  given <- names(extra)
  if (is.null(given)) given <- character(length(extra))
  unnamed <- !nzchar(given)
  given[unnamed] <- vapply(extra[unnamed], function(e) deparse1(e), "")
  pp_abort("argument", c(
    x = "{cli::qty(length(given))}Unknown argument{?s}: {.arg {given}}.",
    ">" = "Look for a misspelt name."
  ))
}

# match.arg() with an error of the package, which says what may be given.
choose_option <- function(value, options, name) {
  if (is.null(value) || identical(value, options)) {
    return(options[1L])
  }
  found <- if (length(value) == 1L) pmatch(as.character(value), options) else NA_integer_
  if (is.na(found)) {
    pp_abort("argument", c(
      x = "{.arg {name}} must be one of {.or {.val {options}}}.",
      i = "It is {.val {value}}."
    ))
  }
  options[found]
}

reject_both_parts <- function(fixed.only, random.only) {
  if (fixed.only && random.only) {
    pp_abort("argument", c(
      x = "{.arg fixed.only} and {.arg random.only} cannot both be {.code TRUE}.",
      ">" = "Leave both out for the whole model."
    ))
  }
}
