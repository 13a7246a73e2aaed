# A fit without its rows: small, for predictions elsewhere.

#' A small fit for predictions
#'
#' Takes out of a fit all that has the length of the data, and the environments that its formulas
#' drag along. What is left predicts, prints and summarises as before, in a file whose size does
#' not depend on the number of rows.
#'
#' These work as before: `print()`, `summary()` (with the arguments given here), `predict()` for
#' new data, with new groups too, `simulate()` for new data, [fixef()], [coef()], [VarCorr()],
#' `vcov()`, `sigma()`, `logLik()`, `AIC()`, `nobs()`, `formula()`, `family()`,
#' `ranef(condVar = FALSE)`, `update()` where the data of the call are. What needs the rows is an
#' error that says so: predictions for the rows of the fit, standard errors and intervals of
#' predictions, residuals, tests with degrees of freedom, [refit()], [profile()], plots.
#'
#' Objects that a formula uses and that are not in the data, such as knots or a function of your
#' own, are kept. The package butcher finds the same: `butcher::butcher(fit)`,
#' `butcher::axe_data(fit)`, `butcher::axe_fitted(fit)`, `butcher::axe_env(fit)` and
#' `butcher::axe_call(fit)`, which takes out data written into the call.
#'
#' @param fit A fit, as [lmm()] or [glmm()] returns it.
#' @param ... Arguments of [summary()][summary.pp_lmm], such as `ddf`: its result is kept.
#' @return A fit of class `"pp_stripped"` and the classes of `fit`.
#' @section Errors: `partialpool_error_argument` for what is no such fit, and whenever something is
#'   asked of a stripped fit that it does not have.
#' @examples
#' fit <- lmm(Reaction ~ Days + (Days | Subject), sleepstudy)
#' small <- strip_fit(fit)
#' predict(small, data.frame(Days = 3, Subject = "308"))
#' c(object.size(fit), object.size(small))
#' try(residuals(small))
#' @export
strip_fit <- function(fit, ...) {
  check_strippable(fit)
  if (inherits(fit, "pp_stripped")) {
    return(fit)
  }
  without_environments(without_rows(fit, ...))
}

check_strippable <- function(fit) {
  if (!inherits(fit, c("pp_lmm", "pp_glmm"))) {
    pp_abort("argument", c(
      x = "{.arg fit} must be a fit by {.fn lmm} or {.fn glmm}.",
      i = "It is {.obj_type_friendly {fit}}.",
      ">" = if (inherits(fit, "pp_kernel_fit")) {
        "A kernel model predicts from its rows: none can be left out."
      }
    ))
  }
}

# Elements that are asked for by `$` but not there any more.
row_elements <- c("X", "y", "frame", "weights", "offset", "trials")

# Matrices and the model frame keep their columns, without rows: new data are checked by them.
without_rows <- function(fit, ...) {
  if (inherits(fit, "pp_stripped")) {
    return(fit)
  }
  stored <- summary(fit, ...)
  stored$random <- NULL
  # Five numbers have themselves as quantiles.
  stored$residuals <- stats::quantile(stored$residuals, na.rm = TRUE, names = FALSE)
  fit <- unclass_keeping(fit)
  list <- fit$list
  list$summary <- stored
  list$X <- list$X[0L, , drop = FALSE]
  list$frame <- frame_without_rows(list$frame, list$random)
  list$inner <- NULL
  for (name in c("y", "weights", "offset", "trials")) {
    if (!is.null(list[[name]])) list[[name]] <- list[[name]][0L]
  }
  list$random <- lapply(list$random, term_without_rows)
  for (part in c("dispersion", "zi")) {
    if (!is.null(list[[part]]$X)) list[[part]]$X <- list[[part]]$X[0L, , drop = FALSE]
  }
  if (!is.null(list$na.action)) list$na.action <- NULL
  list$call <- call_without_values(list$call)
  list$summary$call <- list$call
  structure(list, class = c("pp_stripped", fit$class))
}

unclass_keeping <- function(fit) list(list = unclass(fit), class = oldClass(fit))

term_without_rows <- function(term) {
  term$codes <- integer()
  if (!is.null(term$z)) term$z <- term$z[0L, , drop = FALSE]
  term
}

# The levels of grouping factors stand in the random terms.
frame_without_rows <- function(frame, random) {
  terms <- attr(frame, "terms")
  frame <- frame[0L, , drop = FALSE]
  parts <- unlist(lapply(random, function(term) all.vars(term$group_expr)))
  used <- unlist(lapply(random, function(term) names(term$z_xlevels)))
  for (name in setdiff(intersect(parts, names(frame)), c(used, names(frame)[1L]))) {
    if (is.factor(frame[[name]])) frame[[name]] <- factor(character())
  }
  structure(frame, terms = terms, na.action = NULL)
}

# A data frame that was written into the call, as do.call() does, is as large as the data.
call_without_values <- function(call) {
  for (name in setdiff(names(call), c("", "formula"))) {
    value <- call[[name]]
    if (!is.language(value) && utils::object.size(value) > 1000) call[[name]] <- as.name(name)
  }
  call
}

# Environments --------------------------------------------------------------------------------

# Formulas and terms get an environment that has only what they use.
without_environments <- function(fit) {
  class <- oldClass(fit)
  fit <- unclass(fit)
  small <- small_environment(fit)
  for (name in c("formula", "terms")) fit[[name]] <- in_environment(fit[[name]], small)
  attr(fit$frame, "terms") <- in_environment(attr(fit$frame, "terms"), small)
  for (part in c("dispersion", "zi")) {
    for (name in c("formula", "terms")) {
      if (!is.null(fit[[part]][[name]])) {
        fit[[part]][[name]] <- in_environment(fit[[part]][[name]], small)
      }
    }
  }
  fit$random <- lapply(fit$random, term_in_environment, small)
  fit$call[] <- lapply(fit$call, in_environment, small)
  if (!is.null(fit$summary)) {
    fit$summary$formula <- in_environment(fit$summary$formula, small)
    fit$summary$call <- fit$call
  }
  structure(fit, class = class)
}

in_environment <- function(x, environment) {
  if (inherits(x, "terms")) {
    attr(x, ".Environment") <- environment
  } else if (inherits(x, "formula")) {
    environment(x) <- environment
  }
  x
}

term_in_environment <- function(term, environment) {
  if (!is.null(term$z_terms)) term$z_terms <- in_environment(term$z_terms, environment)
  term
}

# What the formulas name and is defined where they were written, but neither a column of the data
# nor something that every session has.
small_environment <- function(fit) {
  home <- environment(fit$formula)
  small <- new.env(parent = globalenv())
  if (is.null(home)) {
    return(small)
  }
  mentioned <- unique(unlist(lapply(
    list(fit$formula, fit$zi$formula, fit$dispersion$formula, fit$call$offset), all.names
  )))
  variables <- c(names(fit$frame), all.vars(fit$formula[[2L]]), row_variables(fit, home))
  for (name in setdiff(mentioned, variables)) {
    found <- where_defined(name, home)
    if (!is.null(found)) assign(name, get(name, envir = found, inherits = FALSE), envir = small)
  }
  small
}

# Variables of the rows that were found where the formula was written, not in the data.
row_variables <- function(fit, home) {
  names <- all.vars(fit$formula)
  names[vapply(names, function(name) {
    where <- where_defined(name, home)
    !is.null(where) && NROW(get(name, envir = where, inherits = FALSE)) >= fit$n
  }, NA)]
}

# The environment, up to the global one and without it, in which a name is defined.
where_defined <- function(name, env) {
  while (!identical(env, globalenv()) && !identical(env, emptyenv()) && !isNamespace(env) &&
           !identical(env, baseenv())) {
    if (exists(name, envir = env, inherits = FALSE)) {
      return(env)
    }
    env <- parent.env(env)
  }
  NULL
}

# Methods ----------------------------------------------------------------------------------------

#' @export
`$.pp_stripped` <- function(x, name) {
  if (name %in% row_elements) abort_stripped()
  .subset2(x, name)
}

#' @export
`[[.pp_stripped` <- function(x, i, ...) {
  if (is.character(i) && length(i) == 1L && i %in% row_elements) abort_stripped()
  .subset2(x, i)
}

abort_stripped <- function(hint = NULL) {
  pp_abort("argument", c(
    x = "The fit was made small by {.fn strip_fit}: the rows that this needs are not in it.",
    ">" = if (is.null(hint)) "Use the whole fit, or make it again by {.fn update}." else hint
  ))
}

# The fit as methods for new data see it.
with_empty_rows <- function(fit) {
  class(fit) <- setdiff(class(fit), "pp_stripped")
  fit
}

#' @export
print.pp_stripped <- function(x, ...) {
  print(with_empty_rows(x), ...)
  cat("Made small by strip_fit(): without the rows of the data\n")
  invisible(x)
}

#' @export
summary.pp_stripped <- function(object, ddf = NULL, correlation = FALSE, ...) {
  reject_dots(...)
  value <- .subset2(object, "summary")
  value$random <- .subset2(object, "random")
  if (!is.null(ddf) && !identical(choose_ddf(ddf), value$ddf)) {
    abort_stripped(sprintf(
      "Its summary was made by {.fn strip_fit}, which takes {.code ddf = \"%s\"}.", choose_ddf(ddf)
    ))
  }
  if (correlation && is.null(value$correlation)) value$correlation <- stats::cov2cor(value$vcov)
  value
}

#' @export
predict.pp_stripped <- function(object, newdata = NULL, ..., se.fit = FALSE, interval = "none") {
  if (is.null(newdata)) abort_stripped("Give {.arg newdata}.")
  if (isTRUE(se.fit) || !identical(interval[1L], "none")) {
    abort_stripped("Predictions have no standard errors without the rows of the data.")
  }
  stats::predict(with_empty_rows(object), newdata, ...)
}

#' @export
simulate.pp_stripped <- function(object, nsim = 1, seed = NULL, ..., newdata = NULL) {
  if (is.null(newdata)) abort_stripped("Give {.arg newdata}.")
  stats::simulate(with_empty_rows(object), nsim, seed, ..., newdata = newdata)
}

#' @export
terms.pp_stripped <- function(x, fixed.only = TRUE, random.only = FALSE, ...) {
  stats::terms(with_empty_rows(x), fixed.only = fixed.only, random.only = random.only, ...)
}

#' @export
components.pp_stripped <- function(object, ...) abort_stripped()

# For what reads all elements at once.
check_has_rows <- function(fit) {
  if (inherits(fit, "pp_stripped")) abort_stripped()
}

#' @export
ranef.pp_stripped <- function(object, condVar = TRUE, ...) {
  if (condVar) abort_stripped("Use {.code condVar = FALSE}.")
  ranef(with_empty_rows(object), condVar = FALSE, ...)
}

# A Wald test with normal quantiles is possible without rows.
inference.pp_stripped <- function(fit, ddf = NULL) {
  if (!identical(ddf, "none") && inherits(fit, "pp_lmm")) {
    abort_stripped("{.code summary(fit)} has the tests of the coefficients; {.code ddf = \"none\"}
                    gives normal tests.")
  }
  inference(with_empty_rows(fit), ddf)
}

#' @export
update.pp_stripped <- function(object, formula., ..., evaluate = TRUE) {
  arguments <- match.call()
  arguments[[1L]] <- quote(stats::update)
  arguments$object <- with_empty_rows(object)
  eval(arguments, parent.frame())
}
