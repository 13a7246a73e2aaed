#' Families beyond those of stats
#'
#' Conditional distributions of the response for [glmm()], besides `binomial()`, `poisson()`,
#' `Gamma()`, `inverse.gaussian()` and `gaussian()` of [stats::family]. Names and parameters are
#' those of 'glmmTMB', whose family objects [glmm()] takes too. `MASS::negative.binomial(theta)` is
#' taken as `nbinom2(size = theta)`.
#'
#' With mean `mu` and dispersion `phi` (estimated by maximum likelihood with all other parameters):
#'
#' | family | distribution | variance |
#' |---|---|---|
#' | `nbinom1()` | negative binomial, linear variance | `mu (1 + phi)` |
#' | `nbinom2()` | negative binomial of size `phi` | `mu (1 + mu / phi)` |
#' | `beta_family()` | beta, `0 < y < 1` | `mu (1 - mu) / (1 + phi)` |
#' | `betabinomial()` | proportion of `n` trials | `mu (1 - mu) (n + phi) / (n (1 + phi))` |
#' | `tweedie()` | compound Poisson-gamma, zeros allowed | `phi mu^power`, `1 < power < 2` |
#' | `t_family()` | Student t, scale `sqrt(phi)` | `phi df / (df - 2)` |
#'
#' The beta distribution has the shapes `mu phi` and `(1 - mu) phi`; so has that of the probability
#' in the beta-binomial. `truncated_poisson()`, `truncated_nbinom1()` and `truncated_nbinom2()` are
#' their parents given that the count is not zero; `mu` is the mean of the parent.
#' A truncated family with a `ziformula` is a hurdle model: zeros come from the second part alone.
#'
#' @param link The link function, by name: `"log"` (default), `"identity"`, `"sqrt"`, `"inverse"`
#'   for counts and positive responses; `"logit"` (default), `"probit"`, `"cloglog"`, `"cauchit"`,
#'   `"log"` for `beta_family()` and `betabinomial()`; `"identity"` (default), `"log"`, `"inverse"`
#'   for `t_family()`.
#' @param size A positive number holds the size `phi`; `NULL` (default) estimates it.
#' @param power A number between 1 and 2 holds the power; `NULL` (default) estimates it.
#' @param df A positive number holds the degrees of freedom; `NULL` (default) estimates them.
#' @return An object of class `c("pp_family", "family")`: a list with `family`, `link`, the
#'   functions `linkfun`, `linkinv`, `mu.eta` and `valideta` of [stats::make.link()], and
#'   `variance(mu, phi, ...)`, where further arguments are `trials` (`betabinomial()`), `power` or
#'   `df`; `nbinom2()` and `tweedie()` also have `dev.resids`.
#' @section Errors: A link that the family does not have and a held parameter out of its range are
#'   of class `partialpool_error_family`.
#' @references
#' Brooks ME et al. (2017). glmmTMB Balances Speed and Flexibility Among Packages for Zero-inflated
#' Generalized Linear Mixed Modeling. The R Journal 9(2), 378-400. \doi{10.32614/RJ-2017-066}
#' @examples
#' nbinom2()
#' beta_family(link = "cloglog")$link
#' t_family(df = 4)$df
#' nbinom1()$variance(mu = 2, phi = 0.5)
#' @name pp_families
#' @aliases nbinom1
NULL

#' @rdname pp_families
#' @export
nbinom1 <- function(link = "log") new_family("nbinom1", chosen_link(substitute(link), link))

#' @rdname pp_families
#' @export
nbinom2 <- function(link = "log", size = NULL) {
  new_family("nbinom2", chosen_link(substitute(link), link), size = size)
}

#' @rdname pp_families
#' @export
beta_family <- function(link = "logit") new_family("beta", chosen_link(substitute(link), link))

#' @rdname pp_families
#' @export
betabinomial <- function(link = "logit") {
  new_family("betabinomial", chosen_link(substitute(link), link))
}

#' @rdname pp_families
#' @export
tweedie <- function(link = "log", power = NULL) {
  new_family("tweedie", chosen_link(substitute(link), link), power = power)
}

#' @rdname pp_families
#' @export
t_family <- function(link = "identity", df = NULL) {
  new_family("t", chosen_link(substitute(link), link), df = df)
}

#' @rdname pp_families
#' @export
truncated_poisson <- function(link = "log") {
  new_family("truncated_poisson", chosen_link(substitute(link), link))
}

#' @rdname pp_families
#' @export
truncated_nbinom1 <- function(link = "log") {
  new_family("truncated_nbinom1", chosen_link(substitute(link), link))
}

#' @rdname pp_families
#' @export
truncated_nbinom2 <- function(link = "log") {
  new_family("truncated_nbinom2", chosen_link(substitute(link), link))
}

# The name of a link given as stats::family() takes it: a name, quoted or not, or a link object.
chosen_link <- function(expr, link) {
  known <- c(links_of_probabilities, links_of_means, "1/mu^2")
  if (is.symbol(expr) && as.character(expr) %in% known) {
    return(as.character(expr))
  }
  if (inherits(link, "link-glm")) link_synonym(link$name) else link
}

# A family object by name and link. Of the families of stats the object is theirs.
new_family <- function(name, link, size = NULL, power = NULL, df = NULL) {
  check_link(name, link)
  if (name %in% c("binomial", "poisson", "gaussian", "Gamma", "inverse.gaussian")) {
    return(getExportedValue("stats", name)(link = link))
  }
  check_held(size, "size", 0, Inf)
  check_held(power, "power", 1, 2)
  check_held(df, "df", 0, Inf)
  made <- stats::make.link(link)
  family <- list(
    family = name, link = link, linkfun = made$linkfun, linkinv = made$linkinv,
    mu.eta = made$mu.eta, valideta = made$valideta, variance = variance_function(name),
    dev.resids = deviance_function(name), size = size, power = power, df = df
  )
  structure(Filter(Negate(is.null), family), class = c("pp_family", "family"))
}

check_held <- function(value, what, low, high) {
  if (is.null(value)) {
    return(invisible())
  }
  if (!is.numeric(value) || length(value) != 1L || !isTRUE(value > low && value < high)) {
    range <- if (is.finite(high)) paste("between", low, "and", high) else "that is positive"
    pp_abort("family", c(
      x = "{.arg {what}} must be {.code NULL} or a number {range}.", i = "It is {.val {value}}."
    ))
  }
}

variance_function <- function(name) {
  force(name)
  function(mu, phi = 1, trials = 1, power = NULL, df = NULL) {
    shape <- if (is.null(power)) df else power
    distributions[[name]]$variance(list(mu = mu, phi = phi, trials = trials, shape = shape))
  }
}

# Unit deviances times weights, for the families in which they are a function of mu alone but for
# one further parameter.
deviance_function <- function(name) {
  switch(name,
    nbinom2 = function(y, mu, wt, phi) {
      2 * wt * (x_log(y, y / mu) - (y + phi) * log((y + phi) / (mu + phi)))
    },
    tweedie = function(y, mu, wt, power) {
      wt * distributions$tweedie$unit_deviance(y, list(mu = mu, shape = power))
    }
  )
}
