#' Generalised linear mixed models
#'
#' Fits a generalised linear mixed model by maximum likelihood: the response has a distribution of
#' the given family with mean `mu`, and `link(mu) = X beta + Z b + offset`, `b ~ N(0, Lambda
#' Lambda')`. The random effects are integrated out by the Laplace approximation (default), by
#' adaptive Gauss-Hermite quadrature, by expectation propagation, or bypassed by penalised
#' quasi-likelihood. All parameters, those of dispersion included, are estimated jointly, with their
#' covariance.
#'
#' The conditional modes are found by penalised iteratively reweighted least squares with step
#' control; the likelihood is maximised with its exact gradient. The Laplace approximation uses the
#' observed information. Log-likelihoods have all their constants, so that fits with different
#' `nAGQ`, families, and [stats::glm()] compare. A model without random terms is fitted as a
#' generalised linear model, through the same call; for `gaussian()` with the identity link the fit
#' is that of [lmm()], of class `"pp_lmm"`.
#'
#' Expectation propagation approximates the posterior of the random effects by the normal
#' distribution that matches the mean and the variance of every row's linear predictor, instead of
#' the curvature at the mode. It applies to every formula: crossed, nested and with slopes. With few
#' rows a level and a discrete response its likelihood is several times to hundreds of times nearer
#' to the exact one than the Laplace approximation, and its variances two to twenty times; with ten
#' rows and more a level and very large variances nothing is gained.
#' `vignette("expectation-propagation")` has the figures. A fit takes two to six times as long; with
#' a link that restricts the linear predictor, such as the identity for counts, far longer. The
#' random effects (`ranef()`) are then posterior means, not modes.
#'
#' @section Response:
#' \describe{
#'   \item{`binomial()`, `betabinomial()`}{0 and 1, logical, a factor with two levels or text of two
#'     values (the first is failure), `cbind(successes, failures)`, or a proportion with the numbers
#'     of trials as `weights`. Rows without trials are left out and counted.}
#'   \item{`poisson()`, `nbinom1()`, `nbinom2()`}{counts; `truncated_*()`: counts above zero (with a
#'     `ziformula` zeros too: a hurdle model).}
#'   \item{`Gamma()`, `inverse.gaussian()`}{positive numbers; `beta_family()`: between 0 and 1;
#'     `tweedie()`: not negative; `gaussian()`, `t_family()`: any.}
#' }
#'
#' @param formula A formula in the language of 'lme4', see [design()], or a character string that
#'   holds one.
#' @param data A data frame with the variables of the formula.
#' @param family The family of the response: an object such as `binomial("probit")` or
#'   [nbinom2()][pp_families], a function, or a name, one of `"binomial"`, `"poisson"`,
#'   `"gaussian"`, `"Gamma"`, `"inverse.gaussian"`, `"nbinom1"`, `"nbinom2"`, `"beta"`, `"tweedie"`,
#'   `"betabinomial"`, `"t"`, `"truncated_poisson"`, `"truncated_nbinom1"`, `"truncated_nbinom2"`.
#'   Families of 'glmmTMB' and `MASS::negative.binomial()` are understood. There is no default.
#'   `quasibinomial()` and `quasipoisson()` are for `method = "pql"`.
#' @param method How the random effects are integrated out: `"laplace"` (default), `"agq"`, adaptive
#'   Gauss-Hermite quadrature, `"ep"`, expectation propagation, or `"pql"`, penalised
#'   quasi-likelihood, which has no likelihood.
#' @param nAGQ Number of quadrature nodes per random effect; more than 1 means `method = "agq"`.
#'   Default 1, the Laplace approximation; 11 with `method = "agq"`. Quadrature is for one grouping
#'   factor with up to three random effects a level. 0 is the fast estimate of 'lme4', in which the
#'   fixed effects are not integrated correctly.
#' @param REML `TRUE` integrates the fixed effects out too, as restricted maximum likelihood does
#'   (Laplace approximation or penalised quasi-likelihood). Default `FALSE`.
#' @param ziformula Zero inflation: a one-sided formula for the logit of the probability of an extra
#'   zero, such as `~ 1`. Fixed effects only, no offset. Default `NULL`, or `~ 0`: none.
#' @param dispformula A one-sided formula for the logarithm of the dispersion `phi` in the families
#'   that have one (see [pp_families]). Fixed effects only, no offset. Default `NULL`: `~ 1`.
#' @param weights For `binomial()` and `betabinomial()` with a response of one column: the numbers
#'   of trials. Else prior weights, by which the log-likelihood of each row is multiplied. Evaluated
#'   in `data`. Rows of zero weight are dropped and counted. Default none.
#' @param offset A known part of the linear predictor, on the scale of the link: one value a row, or
#'   a single one. Added to `offset()` terms of the formula. Default none.
#' @inheritParams design
#' @param prior A prior of the fixed effects made by [normal_prior()], or its standard deviation.
#'   Default `NULL`: none.
#' @param start Starting values. Not needed. A numeric vector of all parameters in the order that
#'   [objective()] names, or of `theta` alone; or a list with some of the elements `theta`, `fixef`,
#'   `disp`, `zi` and `shape`.
#' @param control Settings made by [pp_control()].
#' @param ... Must be empty: an unknown argument is an error.
#' @return A fit of class `c("pp_glmm", "pp_fit")`: a plain list that can be saved. Among its
#'   elements are `coefficients` (p fixed effects), `theta` and `Lambda` (covariance factors on the
#'   scale of the link, not relative to `sigma`), `b` (conditional modes, levels x p_t, a list),
#'   `dispersion` and `zi` (models of dispersion and zero inflation with their `coefficients`, or
#'   `NULL`), `shape`, `sigma`, `vcov` (p x p), `vcov_full` (all parameters), `criterion` (-2
#'   log-likelihood), `convergence` (`status`, `decrement`, `evaluations`, `singular`, `components`,
#'   `separation`: fixed effects that run to infinity). Use the methods rather than the elements.
#' @section Notes after the fit:
#' A singular fit gives a message of class `partialpool_message_singular`, as for [lmm()]. Fixed
#' effects whose estimates are infinite (separation) are named in a warning of class
#' `partialpool_warning_separation`; they have no standard errors. A message of class
#' `partialpool_message_laplace` says where the Laplace approximation is doubtful.
#' `pp_control(check = FALSE)` turns all three off.
#' @section Errors:
#' Bad input ends in a condition of a class listed in [partialpool-conditions], which names the
#' variable and says what to do.
#' @references
#' Pinheiro JC, Bates DM (1995). Approximations to the Log-Likelihood Function in the Nonlinear
#' Mixed-Effects Model. Journal of Computational and Graphical Statistics 4, 12-35.
#' \doi{10.1080/10618600.1995.10474663}
#'
#' Breslow NE, Clayton DG (1993). Approximate Inference in Generalized Linear Mixed Models. Journal
#' of the American Statistical Association 88, 9-25. \doi{10.1080/01621459.1993.10594284}
#'
#' Minka TP (2001). Expectation Propagation for Approximate Bayesian Inference. Proceedings of the
#' Seventeenth Conference on Uncertainty in Artificial Intelligence, 362-369.
#'
#' Kristensen K, Nielsen A, Berg CW, Skaug H, Bell BM (2016). TMB: Automatic Differentiation and
#' Laplace Approximation. Journal of Statistical Software 70(5). \doi{10.18637/jss.v070.i05}
#' @examples
#' fit <- glmm(cbind(incidence, size - incidence) ~ period + (1 | herd), cbpp, binomial())
#' fit
#' summary(fit)
#'
#' # quadrature with 11 nodes
#' update(fit, nAGQ = 11)
#'
#' # expectation propagation, also where quadrature is impossible
#' update(fit, method = "ep")
#' @export
glmm <- function(formula, ...) UseMethod("glmm")

#' @rdname glmm
#' @export
glmm.formula <- function(formula, data = NULL, family, method = c("laplace", "agq", "ep", "pql"),
                         nAGQ = 1L, REML = FALSE, ziformula = NULL, dispformula = NULL, weights,
                         offset, subset, na.action, contrasts = NULL, prior = NULL, kernel = NULL,
                         start = NULL, control = pp_control(), ...) {
  call <- match.call()
  call[[1L]] <- quote(glmm)
  reject_dots(...)
  if (missing(family)) abort_missing_family()
  family <- as_family(family)
  integral <- choose_integral(method, nAGQ, missing(nAGQ))
  REML <- check_flag(REML, "REML")
  control <- as_control(control)
  prior <- as_prior(prior)
  parts <- model_parts(family, ziformula, dispformula)
  check_combination(family, integral, REML, prior, parts)
  plain <- is.null(parts$zi) && identical(parts$dispersion, 1)
  if (is_gaussian(family) && plain && is.null(prior) && integral$method != "pql") {
    return(fit_design(design_from_call(call, parent.frame(), control$check), REML, start, control,
                      call))
  }
  design <- design_from_call(call, parent.frame(), control$check, family, parts)
  fit_glmm(design, integral, REML, prior, start, control, call)
}

#' @rdname glmm
#' @export
glmm.character <- function(formula, ...) {
  call <- match.call()
  call[[1L]] <- glmm
  call$formula <- as_model_formula(formula, parent.frame())
  eval(call, parent.frame())
}

#' @rdname glmm
#' @export
glmm.default <- function(formula, ...) {
  pp_abort("formula", c(
    x = "{.arg formula} must be a formula such as {.code y ~ x + (1 | g)}.",
    i = if (missing(formula)) "It is missing." else "It is {.obj_type_friendly {formula}}."
  ))
}

# What `method` and `nAGQ` mean together: list(method, nAGQ) with method "laplace", "agq", "joint"
# (lme4's nAGQ = 0), "ep" or "pql".
choose_integral <- function(method, nAGQ, nAGQ_missing) {
  methods <- c("laplace", "agq", "ep", "pql")
  chosen <- !identical(method, methods) && !identical(method, methods[1:3]) && !is.null(method)
  method <- choose_option(if (chosen) method, methods, "method")
  if (nAGQ_missing) {
    return(list(method = method, nAGQ = if (method == "agq") 11L else 1L))
  }
  nAGQ <- check_nodes(nAGQ)
  alone <- method %in% c("ep", "pql")
  if (chosen && (alone && nAGQ != 1L || method == "laplace" && nAGQ > 1L)) {
    pp_abort("argument", c(
      x = "{.code method = \"{method}\"} and {.code nAGQ = {nAGQ}} contradict each other.",
      i = switch(method,
        ep = "Expectation propagation has no quadrature nodes to choose.",
        pql = "Penalised quasi-likelihood integrates nothing numerically.",
        "The Laplace approximation is quadrature with one node."
      ),
      ">" = "Leave one of them out."
    ))
  }
  if (chosen && method == "agq" && nAGQ == 0L) {
    pp_abort("argument", c(x = "Quadrature needs at least one node: {.arg nAGQ} is 0."))
  }
  if (!alone) method <- if (nAGQ == 0L) "joint" else if (nAGQ > 1L) "agq" else "laplace"
  list(method = method, nAGQ = nAGQ)
}

check_nodes <- function(nAGQ) {
  whole <- is.numeric(nAGQ) && length(nAGQ) == 1L && is.finite(nAGQ) && nAGQ == round(nAGQ)
  if (!whole || nAGQ < 0 || nAGQ > most_nodes) {
    pp_abort("argument", c(
      x = "{.arg nAGQ} must be a whole number: 0, 1, or more quadrature nodes, up to {most_nodes}.",
      i = "It is {.val {nAGQ}}."
    ))
  }
  as.integer(nAGQ)
}

# Of a product rule, for each level of the grouping factor.
most_nodes <- 20000

# Which integrals, families and further arguments go together.
check_combination <- function(family, integral, REML, prior, parts = NULL) {
  method <- integral$method
  if (!is.null(family$quasi) && method != "pql") abort_quasi(family$quasi)
  if (REML && method %in% c("agq", "joint", "ep")) {
    what <- if (method == "ep") "method = \"ep\"" else paste("nAGQ =", integral$nAGQ)
    pp_abort("argument", c(
      x = "{.code REML = TRUE} and {.code {what}} do not go together.",
      i = "The fixed effects are integrated out by the Laplace approximation.",
      ">" = "Leave one of them out."
    ))
  }
  if (!is.null(prior) && (REML || method == "pql")) {
    what <- if (REML) "REML = TRUE" else "method = \"pql\""
    pp_abort("argument", c(
      x = "{.arg prior} and {.code {what}} do not go together.",
      i = if (REML) "Restricted maximum likelihood integrates over fixed effects without a prior."
          else "A prior adds to a likelihood, and there is none.",
      ">" = "Leave one of them out."
    ))
  }
  if (method == "pql") check_pql(family, parts)
}

check_pql <- function(family, parts) {
  classic <- family$family %in% c("binomial", "poisson", "gaussian", "Gamma", "inverse.gaussian") ||
    !is.null(held_dispersion(family))
  if (!classic) {
    pp_abort("argument", c(
      x = "{.code method = \"pql\"} does not apply to the {.val {family$family}} family.",
      i = "It needs a variance that is a known function of the mean, up to a factor.",
      ">" = if (family$family == "nbinom2") "Hold the size, as in {.code nbinom2(size = 2)}.",
      ">" = "Use {.code method = \"laplace\"}."
    ))
  }
  if (!is.null(parts$zi) || !is.null(parts$dispersion) && !identical(parts$dispersion, 1)) {
    what <- if (is.null(parts$zi)) "dispformula" else "ziformula"
    pp_abort("argument", c(
      x = "{.arg {what}} and {.code method = \"pql\"} do not go together.",
      ">" = "Use {.code method = \"laplace\"}."
    ))
  }
}

# Quadrature is a product rule over the random effects of one level.
check_quadrature <- function(design, integral) {
  if (integral$method != "agq") {
    return(invisible())
  }
  groups <- unique(vapply(design$random, function(term) term$group, ""))
  columns <- sum(vapply(design$random, function(term) length(term$columns), 0L))
  if (length(groups) > 1L || columns > 3L) {
    pp_abort("argument", c(
      x = "Quadrature ({.code nAGQ = {integral$nAGQ}}) is for one grouping factor with up to three
           random effects a level.",
      i = if (length(groups) > 1L) "The formula has the grouping factors {.var {groups}}."
          else "The formula has {columns} random effects a level of {.var {groups}}.",
      ">" = "Use expectation propagation, {.code method = \"ep\"}, or the Laplace approximation,
             {.code nAGQ = 1}."
    ))
  }
  nodes <- as.numeric(integral$nAGQ)^columns
  if (nodes > most_nodes) {
    most <- floor(most_nodes^(1 / columns) + 1e-9)
    pp_abort("argument", c(
      x = "{.code nAGQ = {integral$nAGQ}} with {columns} random effects a level needs
           {format(nodes, big.mark = ',')} nodes a level.",
      ">" = "With {columns} random effects up to {most} nodes each are possible; 5 to 11 are mostly
             enough."
    ))
  }
}
