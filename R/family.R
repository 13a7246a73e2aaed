# Which family a call means. stats::family objects are kept as they are; families of other packages
# become ours; what has no likelihood here is refused with a way out.

links_of_probabilities <- c("logit", "probit", "cloglog", "cauchit", "log")
links_of_means <- c("log", "identity", "sqrt", "inverse")

# One entry a family. `links`: the default first. `response`: what a value may be, see
# family_response(). `dispersion`: has it a parameter phi? `shape`: name of a further parameter.
# `discrete`: without a density, so that a likelihood is bounded. `inflates`: does ziformula apply?
family_traits <- list(
  binomial = list(
    links = links_of_probabilities, response = "proportion", dispersion = FALSE, discrete = TRUE,
    inflates = TRUE
  ),
  poisson = list(
    links = c("log", "identity", "sqrt"), response = "count", dispersion = FALSE, discrete = TRUE,
    inflates = TRUE
  ),
  gaussian = list(
    links = c("identity", "log", "inverse"), response = "real", dispersion = TRUE, discrete = FALSE,
    inflates = FALSE
  ),
  Gamma = list(
    links = c("inverse", "log", "identity"), response = "positive", dispersion = TRUE,
    discrete = FALSE, inflates = TRUE
  ),
  inverse.gaussian = list(
    links = c("1/mu^2", "inverse", "identity", "log"), response = "positive", dispersion = TRUE,
    discrete = FALSE, inflates = TRUE
  ),
  nbinom1 = list(
    links = links_of_means, response = "count", dispersion = TRUE, discrete = TRUE, inflates = TRUE
  ),
  nbinom2 = list(
    links = links_of_means, response = "count", dispersion = TRUE, discrete = TRUE, inflates = TRUE
  ),
  beta = list(
    links = links_of_probabilities, response = "unit", dispersion = TRUE, discrete = FALSE,
    inflates = TRUE
  ),
  tweedie = list(
    links = links_of_means, response = "not negative", dispersion = TRUE, shape = "power",
    discrete = FALSE, inflates = TRUE
  ),
  betabinomial = list(
    links = links_of_probabilities, response = "proportion", dispersion = TRUE, discrete = TRUE,
    inflates = TRUE
  ),
  t = list(
    links = c("identity", "log", "inverse"), response = "real", dispersion = TRUE, shape = "df",
    discrete = FALSE, inflates = FALSE
  ),
  truncated_poisson = list(
    links = links_of_means, response = "positive count", dispersion = FALSE, discrete = TRUE,
    inflates = TRUE
  ),
  truncated_nbinom1 = list(
    links = links_of_means, response = "positive count", dispersion = TRUE, discrete = TRUE,
    inflates = TRUE
  ),
  truncated_nbinom2 = list(
    links = links_of_means, response = "positive count", dispersion = TRUE, discrete = TRUE,
    inflates = TRUE
  )
)

traits_of <- function(family) family_traits[[family$family]]

# The `family` argument of a call, still a promise in the caller, as a family object.
as_family <- function(family) {
  tryCatch(force(family), error = function(e) {
    if (inherits(e, "partialpool_error")) {
      rlang::cnd_signal(e)
    }
    reason <- conditionMessage(e)
    pp_abort("family", c(x = "{.arg family} cannot be evaluated.", i = "{reason}"))
  })
  if (is.character(family) && length(family) == 1L && !is.na(family)) {
    family <- family_named(family)
  } else if (is.function(family)) {
    family <- call_family(family)
  }
  if (inherits(family, "pp_family")) {
    return(family)
  }
  if (!is.list(family) || !is.character(family$family) || !is.character(family$link)) {
    abort_no_family(family)
  }
  adopt_family(family)
}

abort_missing_family <- function() {
  pp_abort("family", c(
    x = "{.arg family} is missing.",
    i = "It says what kind of response the model is for:",
    "*" = "yes or no, successes and failures: {.code binomial()};",
    "*" = "counts: {.code poisson()}, or {.code nbinom2()} if they vary more;",
    "*" = "positive measurements: {.code Gamma(\"log\")}; proportions: {.code beta_family()}.",
    ">" = "For a normal response use {.fn lmm}, or {.code gaussian()}."
  ))
}

abort_no_family <- function(family) {
  pp_abort("family", c(
    x = "{.arg family} must be a family, such as {.code binomial()} or {.code \"poisson\"}.",
    i = "It is {.obj_type_friendly {family}}."
  ))
}

family_named <- function(name) {
  if (startsWith(name, "quasi")) {
    return(switch(name,
      quasibinomial = stats::quasibinomial(), quasipoisson = stats::quasipoisson(),
      list(family = name, link = "identity")
    ))
  }
  if (!name %in% names(family_traits)) {
    abort_unknown_family(name)
  }
  new_family(name, family_traits[[name]]$links[1L])
}

# binomial, glmmTMB::nbinom2, ...: functions that make a family when called without arguments.
# base::beta() and base::t() are other things.
call_family <- function(family) {
  if (identical(family, base::beta)) {
    return(new_family("beta", "logit"))
  }
  if (identical(family, base::t)) {
    return(new_family("t", "identity"))
  }
  made <- tryCatch(family(), error = function(e) NULL)
  if (is.null(made)) abort_no_family(family)
  made
}

# A family object of stats or of another package.
adopt_family <- function(family) {
  name <- family$family[1L]
  link <- link_synonym(family$link[1L])
  if (startsWith(name, "quasi")) {
    return(quasi_family(name, link))
  }
  if (startsWith(name, "Negative Binomial(")) {
    return(new_family("nbinom2", check_link("nbinom2", link), size = fixed_size(family, name)))
  }
  if (!name %in% names(family_traits)) {
    abort_unknown_family(name)
  }
  check_link(name, link)
  if (is_stats_family(family, name) && identical(link, family$link)) {
    return(family)
  }
  new_family(name, link)
}

is_stats_family <- function(family, name) {
  name %in% c("binomial", "poisson", "gaussian", "Gamma", "inverse.gaussian") &&
    inherits(family, "family") && is.function(family$linkinv) && is.function(family$dev.resids)
}

# A quasi family has a variance function and a free dispersion, no likelihood. Penalised
# quasi-likelihood asks for no more: there it is the family of that variance with phi free.
quasi_family <- function(name, link) {
  base <- switch(name, quasibinomial = "binomial", quasipoisson = "poisson")
  if (is.null(base)) {
    abort_quasi(name)
  }
  family <- new_family(base, check_link(base, link))
  family$quasi <- name
  family
}

abort_quasi <- function(name) {
  counts <- name == "quasipoisson"
  pp_abort("family", c(
    x = "The family {.val {name}} has no likelihood that could be maximised.",
    i = "It is a variance function with a free factor, not a distribution.",
    ">" = if (name == "quasibinomial") {
      "For overdispersed proportions use {.code betabinomial()}, or a random effect for each row."
    } else {
      "For overdispersed counts use {.code nbinom2()} or {.code nbinom1()}, or a random effect for
       each row."
    },
    ">" = if (name %in% c("quasibinomial", "quasipoisson")) {
      "{.code method = \"pql\"} fits it by penalised quasi-likelihood, as {.pkg MASS} does."
    }
  ))
}

# The size of a MASS::negative.binomial() family, which has it in the closure of its functions.
fixed_size <- function(family, name) {
  size <- get0(".Theta", environment(family$variance), inherits = FALSE)
  if (is.null(size)) size <- as.numeric(gsub("[^0-9.e+-]", "", name))
  size
}

# power(0.5) of stats is the square root by another name.
link_synonym <- function(link) if (identical(link, "mu^0.5")) "sqrt" else link

check_link <- function(name, link) {
  links <- family_traits[[name]]$links
  if (!is.character(link) || length(link) != 1L || !link %in% links) {
    pp_abort("family", c(
      x = "The family {.val {name}} has no link {.val {link}}.",
      i = "Its links are {.val {links}}.",
      if (is.character(link) && length(link) == 1L) suggest_name(link, links)
    ))
  }
  link
}

abort_unknown_family <- function(name) {
  known <- names(family_traits)
  pp_abort("family", c(
    x = "There is no family {.val {name}}.",
    i = "The families are {.val {known}}.",
    family_hint(name, known)
  ))
}

# Families of other packages by the names that they go by.
family_hint <- function(name, known) {
  lower <- tolower(name)
  call <- if (grepl("^neg|^nb", lower)) {
    "nbinom2()"
  } else if (grepl("^beta[ _r]", lower)) {
    "beta_family()"
  } else if (grepl("^tweedie", lower)) {
    "tweedie()"
  } else if (grepl("^(scaled t|scat|student)", lower)) {
    "t_family()"
  } else if (grepl("^z(ero|i)", lower)) {
    "poisson()` with `ziformula = ~1"
  } else if (grepl("^normal", lower)) {
    "gaussian()"
  }
  if (is.null(call)) suggest_name(name, known) else c(">" = paste0("Did you mean `", call, "`?"))
}

# Does lmm() fit this model?
is_gaussian <- function(family) family$family == "gaussian" && family$link == "identity"

# A parameter that the family holds: log phi, or the shape on the engine's scale; else NULL.
held_dispersion <- function(family) if (!is.null(family$size)) log(family$size)
held_shape <- function(family) {
  value <- switch(family$family, tweedie = family$power, t = family$df)
  if (!is.null(value)) shape_to_engine(family, value)
}

# The engine's scale of a shape has no bounds.
shape_to_engine <- function(family, value) {
  switch(family$family, tweedie = stats::qlogis(value - 1), t = log(value))
}
shape_from_engine <- function(family, value) {
  natural <- switch(family$family, tweedie = 1 + stats::plogis(value), t = exp(value))
  stats::setNames(natural, traits_of(family)$shape)
}

# What sigma() returns: phi, or its square root where the variance is proportional to phi.
dispersion_sigma <- function(family, phi) {
  roots <- c("gaussian", "Gamma", "inverse.gaussian", "tweedie", "t")
  if (family$family %in% roots || !is.null(family$quasi)) sqrt(phi) else phi
}
