#' Criterion of a mixed model as a function of its parameters
#'
#' The second and third stage of a fit: the criterion of a [design()], with its exact gradient, and
#' its optimum. They serve those who want to look at the criterion or to drive an optimiser of their
#' own; [lmm()] and [glmm()] call the same functions.
#'
#' For a linear model the criterion is minus twice the restricted log-likelihood (REML) or
#' log-likelihood (ML), with the fixed effects and the residual variance profiled out (Bates et al.
#' 2015, equations 34 and 42). `theta` holds the covariance parameters relative to the residual
#' standard deviation, term by term: the lower triangle of the relative factor by column for an
#' unstructured term, the diagonal for `diag()`, standard deviations and then the correlation for
#' `cs()` and `ar1()`.
#'
#' For a generalised model the criterion is minus twice the log-likelihood, all constants included,
#' as `method` and `nAGQ` approximate it, plus the penalty of `prior`, a sum of squares over the
#' fixed effects, `((beta - mean) / sd)^2`; it is not profiled. Its parameters are the factors
#' `theta`, here absolute, on the scale of the link; the fixed effects (not with `nAGQ = 0` or
#' `REML = TRUE`, where they are found inside); then the coefficients of the dispersion model
#' (`disp.`), those of zero inflation (`zi.`), and `shape`: the logit of `power - 1` of a Tweedie,
#' the logarithm of `df` of a t distribution.
#'
#' @param design A `"pp_design"` made by [design()].
#' @param REML Restricted maximum likelihood (`TRUE`, default for a linear model) or maximum
#'   likelihood (`FALSE`, default for a generalised one).
#' @param method,nAGQ,prior For a generalised model, as in [glmm()]; `method` may not be `"pql"`,
#'   which has no criterion.
#' @param ... Must be empty; ignored by `print()`.
#' @return `objective()` returns a list of class `"pp_objective"`: functions `value(theta)` (one
#'   number, `Inf` where the model has no positive definite factor) and `gradient(theta)` (as long
#'   as `theta`; for a generalised model both take all parameters), `names` of these, `REML`, and
#'   `design`, with columns that are linear combinations of others taken out of `X` and of the
#'   random terms. It holds a pointer into this R session and cannot be saved.
#' @section Errors:
#' `partialpool_error_fit` if the fixed effects fit the response exactly;
#' `partialpool_error_argument`, `partialpool_error_start` for arguments of the wrong kind.
#' @references Bates D, Maechler M, Bolker B, Walker S (2015). Fitting Linear Mixed-Effects Models
#'   Using lme4. Journal of Statistical Software 67(1). \doi{10.18637/jss.v067.i01}
#' @examples
#' d <- design(Reaction ~ Days + (Days | Subject), sleepstudy)
#' f <- objective(d)
#' f$value(c(1, 0, 1))
#' f$gradient(c(1, 0, 1))
#' best <- optimum(f)
#' best$theta
#' new_fit(f, best)
#' @export
objective <- function(design, REML, ...) UseMethod("objective")

#' @rdname objective
#' @export
objective.default <- function(design, REML, ...) {
  pp_abort("argument", c(
    x = "{.arg design} must be made by {.fn design}.",
    i = "It is {.obj_type_friendly {design}}."
  ))
}

#' @rdname objective
#' @export
objective.pp_design <- function(design, REML = TRUE, ...) {
  reject_dots(...)
  engine_of(design, check_flag(REML, "REML"), "automatic", TRUE)
}

# The engine of a design; `storage` forces one of the storages of the factor (for tests).
engine_of <- function(design, REML, storage, check) {
  design$random <- number_factors(design$random)
  eng <- engine_create(engine_rows(design), REML, storage)
  rank <- engine_rank(eng)
  if (nrow(rank$aliased_z)) {
    return(engine_of(drop_aliased_z(design, rank$aliased_z), REML, storage, check))
  }
  design <- keep_columns(design, rank$kept)
  if (check && rank$condition > 1e5) warn_collinear(rank$condition)
  if (check && rank$memory > 3e9) inform_memory(rank$memory)
  names <- theta_names(design$random)
  structure(
    list(
      value = function(theta) engine_value(eng, check_theta(theta, names)),
      gradient = function(theta) {
        stats::setNames(engine_theta_gradient(eng, check_theta(theta, names)), names)
      },
      names = names, REML = REML, design = design, engine = eng
    ),
    class = "pp_objective"
  )
}

#' @param objective A `"pp_objective"`.
#' @param start Numeric vector of starting values for the parameters, or a list with an element
#'   `theta`; for a generalised model see [glmm()]. Default `NULL`: for a linear model the MIVQUE(0)
#'   estimates.
#' @param control Settings made by [pp_control()].
#' @return `optimum()` returns a list of class `"pp_optimum"` with the estimates (`theta`, `sigma`,
#'   `coefficients`, `vcov_unscaled`, `Lambda`, `b`, `criterion`) and `convergence`.
#' @rdname objective
#' @export
optimum <- function(objective, start = NULL, control = pp_control()) UseMethod("optimum")

#' @rdname objective
#' @export
optimum.pp_objective <- function(objective, start = NULL, control = pp_control()) {
  control <- as_control(control)
  if (!is.null(start)) start <- check_start(start, objective)
  found <- engine_optimise(
    objective$engine, start, control$tolerance, control$max_iterations, control$progress
  )
  check_found(found, objective, start)
  structure(found, class = "pp_optimum")
}

#' @export
#' @rdname objective
print.pp_objective <- function(x, ...) {
  cat(
    if (x$REML) "REML criterion" else "-2 log-likelihood", " of ", label_of(x$design$formula),
    "\n  theta: ", toString(x$names), "\n", sep = ""
  )
  invisible(x)
}

#' @export
#' @rdname objective
#' @param x For printing.
print.pp_optimum <- function(x, ...) {
  cat("Criterion ", format(x$criterion, digits = 10), ", ", x$convergence$status, " after ",
      x$convergence$evaluations, " evaluations\n", sep = "")
  print(x$theta)
  invisible(x)
}

check_theta <- function(theta, names) {
  if (!is.numeric(theta) || length(theta) != length(names)) {
    n <- length(names)
    pp_abort("start", c(
      x = "{.var theta} must be a numeric vector of {n} value{?s}.",
      i = if (n) "In this order: {.code {names}}."
    ))
  }
  as.numeric(theta)
}

check_start <- function(start, objective) {
  if (is.list(start)) {
    unknown <- setdiff(names(start), "theta")
    if (length(unknown) || is.null(start$theta)) {
      pp_abort("start", c(
        x = "{.arg start} must be a numeric vector or a list with the one element {.code theta}.",
        i = if (length(unknown)) "It has {.code {unknown}}; the fixed effects need no start."
      ))
    }
    start <- start$theta
  }
  start <- check_theta(start, objective$names)
  if (!all(is.finite(start))) {
    pp_abort("start", c(x = "{.arg start} must not have missing or infinite values."))
  }
  check_start_signs(
    start, objective$names, objective$design$random,
    "These are standard deviations relative to the residual one."
  )
  check_start_rho(start, objective)
}

check_start_signs <- function(theta, names, random, meaning) {
  negative <- which(theta_roles(random) == "s" & theta < 0)
  if (length(negative)) {
    bad <- names[negative]
    pp_abort("start", c(x = "{.arg start} must not be negative for {.code {bad}}.", i = meaning))
  }
}

check_start_rho <- function(start, objective) {
  random <- objective$design$random
  low <- unlist(lapply(random, function(term) {
    switch(term$structure, ar1 = -1, cs = -1 / (length(term$columns) - 1))
  }))
  at <- which(theta_roles(random) == "r")
  outside <- start[at] <= low | start[at] >= 1
  if (any(outside)) {
    bad <- objective$names[at[outside]]
    pp_abort("start", c(
      x = "{.arg start} must be inside the limits of the correlation {.code {bad}}.",
      i = "They are {signif(low[outside][1L], 3)} and 1."
    ))
  }
  start
}

# "s" standard deviation or diagonal of a factor, "c" off the diagonal, "r" correlation.
theta_roles <- function(random) {
  unlist(lapply(random, function(term) {
    p <- length(term$columns)
    if (term$structure == "us") {
      return(ifelse(sequence(p:1) == 1L, "s", "c"))
    }
    c(rep("s", if (term$hom) 1L else p), if (term$structure != "diag") "r")
  }))
}

# X without aliased columns, and their names.
keep_columns <- function(design, kept) {
  names <- colnames(design$X)
  design$column_names <- names
  design$aliased <- names[-kept]
  if (!length(kept)) design$aliased <- names
  if (length(kept) == length(names)) {
    return(design)
  }
  X <- design$X[, kept, drop = FALSE]
  attr(X, "assign") <- attr(design$X, "assign")[kept]
  attr(X, "contrasts") <- attr(design$X, "contrasts")
  design$X <- X
  aliased <- design$aliased
  pp_inform("rank", c(
    "i" = "{cli::qty(aliased)}Column{?s} of the fixed effects left out: {.code {aliased}}.",
    "i" = "{cli::qty(aliased)}{?It is a/They are} linear combination{?s} of the columns before
           {?it/them}; the fit is the same without."
  ))
  design
}

# Columns of z that the columns before them in the same term determine: the same model without.
drop_aliased_z <- function(design, aliased) {
  for (t in unique(aliased[, 1L])) {
    columns <- aliased[aliased[, 1L] == t, 2L]
    term <- design$random[[t]]
    dropped <- term$columns[columns]
    pp_inform("rank", c(
      "i" = "{cli::qty(dropped)}Column{?s} left out of the random term
             {.code {label_of(term$expr)}}: {.code {dropped}}.",
      "i" = "A linear combination of the term's other columns has no variance of its own."
    ), .envir = environment())
    term$z <- term$z[, -columns, drop = FALSE]
    term$columns <- term$columns[-columns]
    term$dropped_columns <- dropped
    if (!length(term$columns)) {
      pp_abort("random", c(
        x = "The random term {.code {label_of(term$expr)}} has no column that is not zero."
      ))
    }
    design$random[[t]] <- term
  }
  design
}

inform_memory <- function(bytes) {
  pp_inform("fit", c(
    "i" = "The crossed random effects need a dense factor and its inverse: about
           {signif(bytes / 2^30, 2)} GiB of memory.",
    ">" = "A fit with fewer levels in the smaller grouping factors needs less."
  ))
}

warn_collinear <- function(condition) {
  pp_warn("rank", c(
    "!" = "The fixed-effects columns are nearly collinear (condition number
           {signif(condition, 2)}).",
    i = "Their coefficients are huge, of opposite sign, and poorly determined.",
    ">" = "Drop or combine the predictors that carry the same information."
  ))
}

check_found <- function(found, objective, start) {
  status <- found$convergence$status
  response <- names(objective$design$frame)[1L]
  if (status == "exact") {
    pp_abort("fit", c(
      x = "The fixed effects fit the response {.var {response}} exactly: nothing is left to model.",
      i = "The residual variance is zero, and with it every standard error.",
      ">" = "Look for a copy of the response among the predictors, or for a simulated response
             without noise."
    ))
  }
  if (status == "no variance") {
    pp_abort("fit", c(
      x = "The residual variance is zero: the model fits the response {.var {response}} exactly.",
      i = "The response does not vary within the levels of the grouping factors, or less than a
           millionth as much as between them.",
      ">" = "Use one row a level and a model without that random term."
    ))
  }
  if (status == "not finite") {
    pp_abort(if (is.null(start)) "fit" else "start", c(
      x = "The criterion is not finite at the starting values.",
      ">" = if (is.null(start)) "Rescale the variables: their sizes are beyond double precision."
            else "Give a {.arg start} nearer to plausible relative standard deviations."
    ))
  }
}
