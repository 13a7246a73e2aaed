# DHARMa: residuals scaled by simulations. Its generics ask a fit for responses, predictions and
# refits; as_dharma() builds its object from our simulate().

#' Simulated residuals by the package DHARMa
#'
#' Draws responses from the fit and hands them to `DHARMa::createDHARMa()`: for each row, the share
#' of simulated responses below the one observed. If the model holds these scaled residuals are
#' uniform, whatever the family. The result goes into all tests and plots of DHARMa:
#' `plot()`, `testDispersion()`, `testZeroInflation()`, `recalculateResiduals()`.
#'
#' `DHARMa::simulateResiduals(fit)` works too, with all of its arguments (`refit = TRUE` included);
#' it warns that it does not know the class of the fit. From version 0.5.0 on it draws, by default,
#' given the estimated random effects, as `re.form = NULL` does here; earlier versions draw new
#' random effects, which is the default here. With the same seed and the same random effects both
#' give the same residuals, and those of a fit of lme4 with the same estimates.
#'
#' @param fit A fit, as [lmm()], [glmm()], [kernel_lmm()] or [kernel_glmm()] returns it.
#' @param nsim Number of simulated responses, at least 2. Default 250.
#' @param seed A seed for the random number generator, whose state is put back afterwards. Default
#'   123, as in DHARMa; `NULL` goes on from the present state.
#' @param re.form Random effects to condition on, see [simulate.pp_lmm()]: `NA` (default) draws all
#'   anew, `NULL` keeps the estimated ones, a formula those it names. A kernel model draws anew.
#' @param integerResponse `TRUE` for a response of whole numbers, `FALSE` for a continuous one. The
#'   default, `NULL`, is what the family says.
#' @param ... Further arguments of `DHARMa::createDHARMa()`, such as `method` and `rotation`.
#' @return An object of class `"DHARMa"`; `scaledResiduals` has n numbers between 0 and 1,
#'   `simulatedResponse` is an n x nsim matrix, with successes where the response has trials.
#' @section Errors: `partialpool_error_argument` if DHARMa is not installed, for a fit that cannot
#'   be simulated from, and for `re.form` with a kernel model. Prior weights of a fit by [glmm()]
#'   that are not trials give a warning of class `partialpool_warning_weights`.
#' @references Dunn and Smyth (1996), Randomized quantile residuals, Journal of Computational and
#'   Graphical Statistics 5, 236-244. Hartig (2024), DHARMa: Residual Diagnostics for Hierarchical
#'   Regression Models, R package.
#' @seealso [simulate.pp_glmm()], [residuals.pp_glmm()] for quantile residuals without simulations.
#' @examples
#' if (requireNamespace("DHARMa", quietly = TRUE)) {
#'   fit <- glmm(cbind(incidence, size - incidence) ~ period + (1 | herd), cbpp, binomial)
#'   res <- as_dharma(fit, nsim = 100)
#'   DHARMa::testDispersion(res, plot = FALSE)
#' }
#' @export
as_dharma <- function(fit, nsim = 250, seed = 123, re.form = NA, integerResponse = NULL, ...) {
  check_simulable(fit)
  nsim <- check_count(nsim, "nsim")
  if (nsim < 2L) {
    pp_abort("argument", c(x = "{.arg nsim} must be at least 2: residuals compare simulations."))
  }
  if (!requireNamespace("DHARMa", quietly = TRUE)) {
    pp_abort("argument", c(
      x = "{.fn as_dharma} needs the package {.pkg DHARMa}, which is not installed.",
      ">" = "{.code residuals(fit, \"quantile\")} of a fit by {.fn glmm} needs no other package."
    ))
  }
  warn_simulated_weights(fit)
  fit <- with_rows_left_out(fit)
  whole <- if (is.null(integerResponse)) has_whole_response(fit) else integerResponse
  # The state after the draws goes on to DHARMa, which breaks ties at random.
  result <- with_seed(seed, {
    drawn <- simulated_numbers(fit, nsim, re.form)
    DHARMa::createDHARMa(
      drawn, observed_numbers(fit), population_means(fit),
      integerResponse = check_flag(whole, "integerResponse"), seed = NULL, ...
    )
  })
  result$fittedModel <- fit
  result$modelClass <- class(fit)[1L]
  result$fittedFixedEffects <- coef(fit)
  result$fittedResiduals <- unname(stats::residuals(fit, type = "response"))
  result
}

check_simulable <- function(fit) {
  if (!inherits(fit, "pp_fit") || inherits(fit, "pp_kernel_traits")) {
    pp_abort("argument", c(
      x = "{.arg fit} must be a fit of one response by {.fn lmm}, {.fn glmm}, {.fn kernel_lmm} or
           {.fn kernel_glmm}.",
      i = "It is {.obj_type_friendly {fit}}."
    ))
  }
}

# DHARMa's objects have one row for each row used in the fit.
with_rows_left_out <- function(fit) {
  if (inherits(fit$na.action, "exclude")) class(fit$na.action) <- "omit"
  fit
}

# Responses as numbers: 0 or 1 for two classes, successes where there are trials.
observed_numbers <- function(fit) counted_successes(unname(as.vector(fit$y)), fit$trials)

counted_successes <- function(y, trials) if (is.null(trials)) y else round(y * trials)

simulated_numbers <- function(fit, nsim, re.form) {
  if (inherits(fit, "pp_kernel_fit")) {
    reject_conditioning(re.form)
    drawn <- stats::simulate(fit, nsim)
  } else {
    drawn <- stats::simulate(fit, nsim, re.form = re.form)
  }
  classes <- if (is.null(fit$frame)) NULL else response_values(fit$frame[[1L]])
  numbers <- vapply(drawn, response_number, numeric(fit$n), classes, fit$trials)
  matrix(numbers, fit$n, dimnames = list(NULL, names(drawn)))
}

# One simulated response as numbers, like observed_numbers().
response_number <- function(value, classes, trials) {
  if (is.matrix(value)) {
    return(as.numeric(value[, 1L]))
  }
  if (is.factor(value) || is.character(value)) {
    values <- if (is.factor(value)) levels(value) else classes
    return(counted_successes(as.numeric(value != values[1L]), trials))
  }
  counted_successes(as.numeric(value), trials)
}

reject_conditioning <- function(re.form) {
  if (!identical(re.form, NA) && !identical(re.form, ~0)) {
    pp_abort("argument", c(
      x = "A kernel model is simulated with a new latent variable: {.arg re.form} must be
           {.code NA}."
    ))
  }
}

# Without random effects, as DHARMa asks of every model, so that nothing of a row's own residual is
# in its prediction.
population_means <- function(fit) {
  if (inherits(fit, "pp_kernel_fit")) {
    mean <- prior_mean(fit)
    return(unname(if (is.null(fit$family)) mean else fit$family$linkinv(mean)))
  }
  if (inherits(fit, "pp_glmm")) {
    unname(stats::predict(fit, re.form = NA, type = "response"))
  } else {
    unname(stats::predict(fit, re.form = NA))
  }
}

has_whole_response <- function(fit) {
  if (is.null(fit$family) || is.null(fit$family$family)) FALSE else traits_of(fit$family)$discrete
}

# Methods ----------------------------------------------------------------------------------------

# DHARMa gives `simulateREs` from version 0.5.0 on. Where it is not given, as by its likelihood
# ratio test and by earlier versions, random effects are drawn anew.
getSimulations.pp_fit <- function(object, nsim = 1, simulateREs = NULL,
                                  type = c("normal", "refit"), ...) {
  type <- choose_option(type, c("normal", "refit"), "type")
  re.form <- form_to_simulate(simulateREs, ...)
  warn_simulated_weights(object)
  object <- with_rows_left_out(object)
  if (type == "normal") {
    return(simulated_numbers(object, nsim, re.form))
  }
  if (inherits(object, "pp_kernel_fit")) {
    reject_conditioning(re.form)
    return(stats::simulate(object, nsim))
  }
  stats::simulate(object, nsim, re.form = re.form)
}

form_to_simulate <- function(simulateREs, re.form = NA, ...) {
  reject_dots(...)
  if (is.null(simulateREs)) {
    return(re.form)
  }
  known <- c("conditional", "unconditional", "user-specified")
  simulateREs <- choose_option(simulateREs, known, "simulateREs")
  if (simulateREs != "user-specified" && !missing(re.form)) {
    pp_abort("argument", c(
      x = "{.arg re.form} goes with {.code simulateREs = \"user-specified\"} only."
    ))
  }
  if (simulateREs == "conditional") NULL else re.form
}

# Weights of a linear model are in the variance that is drawn from, trials are drawn.
warn_simulated_weights <- function(fit) {
  if (inherits(fit, "pp_glmm") && !is.null(fit$weights)) {
    pp_warn("weights", c(
      "!" = "Prior weights multiply log densities: the simulations are without them."
    ))
  }
}

getSimulations.pp_kernel_fit <- function(object, nsim = 1, simulateREs = NULL,
                                         type = c("normal", "refit"), ...) {
  check_simulable(object)
  # DHARMa's default asks for what there is not.
  if (identical(simulateREs[1L], "conditional")) {
    pp_inform("kernel", c(
      i = "The simulations draw the latent variable of the kernel model anew, not given the data."
    ))
    simulateREs <- "unconditional"
  }
  getSimulations.pp_fit(object, nsim, simulateREs, type, ...)
}

getObservedResponse.pp_fit <- function(object, ...) {
  check_simulable(object)
  observed_numbers(object)
}

getFitted.pp_fit <- function(object, ...) population_means(with_rows_left_out(object))

getFixedEffects.pp_fit <- function(object, ...) coef(object)

getResiduals.pp_fit <- function(object, ...) {
  unname(stats::residuals(with_rows_left_out(object), type = "response"))
}

getPearsonResiduals.pp_fit <- function(object, ...) {
  unname(stats::residuals(with_rows_left_out(object), type = "pearson"))
}

# Hundreds of refits do not tell each of its own singular fit.
getRefit.pp_fit <- function(object, newresp, ...) refit(quiet_fit(object), newresp)

getRefit.pp_kernel_fit <- function(object, newresp, ...) stats::update(object, y = newresp)

getFamily.pp_fit <- function(object, ...) stats::family(object)

getData.pp_kernel_fit <- function(object, ...) {
  data.frame(object$X, check.names = FALSE)
}
