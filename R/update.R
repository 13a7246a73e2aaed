# Fitting again: with a changed call, or by ML from the stored design.

#' Change a fit and fit it again
#'
#' Changes the formula or any argument of the call that made the fit, and evaluates it. Data,
#' weights and the like are looked up where `update()` is called and, when the data are not found
#' there, in the environment of the formula: an update also works outside of the function that made
#' the fit.
#'
#' @param object A fit, as [lmm()] or [glmm()] returns it.
#' @param formula. Changes to the formula; `.` stands for what was there, as in
#'   [stats::update.formula()].
#' @param ... Arguments of [lmm()] or [glmm()] to add or replace; `NULL` removes one.
#' @param evaluate `FALSE` returns the changed call. Default `TRUE`.
#' @return A fit, or a call.
#' @section Errors: An argument without a name is of class `partialpool_error_argument`.
#' @examples
#' fit <- lmm(Reaction ~ Days + (Days | Subject), sleepstudy)
#' update(fit, . ~ . - (Days | Subject) + (1 | Subject), REML = FALSE)
#' @importFrom stats update
#' @export
update.pp_fit <- function(object, formula., ..., evaluate = TRUE) {
  call <- object$call
  if (!missing(formula.)) {
    call$formula <- stats::update.formula(object$formula, formula.)
  }
  extras <- match.call(expand.dots = FALSE)$...
  if (length(extras) && (is.null(names(extras)) || !all(nzchar(names(extras))))) {
    pp_abort("argument", c(x = "Arguments to change must be named, as in {.code REML = FALSE}."))
  }
  drawn <- redraw_of(extras$data, parent.frame())
  if (!is.null(drawn)) {
    return(refit(quiet_fit(object), drawn$response))
  }
  # The name of a formula may mean nothing any more, or a function, where the call is made again.
  if (is.symbol(call$formula) && !inherits(object, "pp_matrix_lmm")) {
    call$formula <- object$formula
  }
  for (name in names(extras)) call[name] <- list(extras[[name]])
  call <- as.call(Filter(Negate(is.null), as.list(call)))
  if (!evaluate) {
    return(call)
  }
  env <- where_data_live(call, parent.frame(), environment(object$formula))
  eval(reachable(call, env), env)
}

# The fitting function is found even when the package is loaded but not attached.
reachable <- function(call, env) {
  if (is.symbol(call[[1L]]) && !exists(as.character(call[[1L]]), envir = env, mode = "function")) {
    call[[1L]] <- call("::", quote(partialpool), call[[1L]])
  }
  call
}

# The first environment in which `data` and `formula` of the call mean something. A function found
# under the name of the data (df, data, c) does not count.
where_data_live <- function(call, caller, formula_home) {
  if (is.null(formula_home) || finds_inputs(call, caller) || !finds_inputs(call, formula_home)) {
    caller
  } else {
    formula_home
  }
}

finds_inputs <- function(call, env) {
  found <- function(expr) {
    tryCatch(!is.function(eval(expr, env)), error = function(e) FALSE)
  }
  found(call$data) && found(call$formula)
}

# The ML fit of the same design.
refit_ml <- function(fit) {
  if (!fit$REML) {
    return(fit)
  }
  if (inherits(fit, "pp_kernel_fit")) {
    return(stats::update(fit, REML = FALSE))
  }
  with_criterion(fit, REML = FALSE)
}

# The other way round, for what is defined of a fit by REML only.
restricted_fit <- function(fit) {
  if (!inherits(fit, "pp_lmm") || fit$REML || !has_random(fit)) {
    return(fit)
  }
  with_criterion(quiet_fit(fit), REML = TRUE)
}

# The same design fitted by the likelihood or the restricted one, without a look at the call's data.
with_criterion <- function(fit, REML) {
  call <- fit$call
  call$REML <- REML
  if (inherits(fit, "pp_glmm")) {
    return(fit_glmm(design_of(fit), integral_of(fit), REML, fit$prior, NULL, fit$control, call))
  }
  fit_design(design_of(fit), REML = REML, control = fit$control, call = call)
}
