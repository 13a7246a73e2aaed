# Checks of counts: do they vary more or less than their family says, and how many zeros are there?

check_dispersion <- function(fit) {
  over <- overdispersion(fit)
  if (is.null(over)) {
    return(NULL)
  }
  ratio <- over[["ratio"]]
  p <- stats::pchisq(over[["statistic"]], over[["df"]], lower.tail = FALSE)
  text <- sprintf("Pearson chi-square over its degrees of freedom %.3g", ratio)
  if (ratio > 1.2 && p < 0.01) {
    other <- if (fit$family$family == "poisson") "family = nbinom2()" else "family = betabinomial()"
    return(finding("dispersion", if (ratio > 2) "problem" else "note", text,
      paste0("the responses vary more than the family allows: try ", other)))
  }
  under <- underdispersion(fit, over[["statistic"]])
  if (under[["ratio"]] < 0.7 && under[["z"]] < -3) {
    return(finding("dispersion", "note",
      sprintf("Pearson chi-square over n less the trace of the hat matrix %.3g", under[["ratio"]]),
      paste("the responses vary less than the family says, and standard errors are too large: try",
            underdispersed_step(fit))))
  }
  finding("dispersion", "ok", text)
}

# c(ratio, z): Pearson's chi-square over n less the effective number of parameters, and its distance
# from one in standard deviations. Given the mean the square of a Pearson residual has two and the
# excess kurtosis as its variance.
underdispersion <- function(fit, statistic) {
  df <- fit$n - sum(leverages(fit))
  p <- fitted_parameters(fit)
  kurtosis <- if (fit$family$family == "poisson") {
    1 / p$mu
  } else {
    spread <- p$mu * (1 - p$mu)
    (1 - 6 * spread) / (p$trials * spread)
  }
  c(ratio = statistic / df, z = (statistic - df) / sqrt(sum(2 + kurtosis) * df / fit$n))
}

underdispersed_step <- function(fit) {
  quasi <- if (fit$family$family == "poisson") "quasipoisson()" else "quasibinomial()"
  paste0("family = ", quasi, " with method = \"pql\"")
}

counts_with_zeros <- c("poisson", "nbinom1", "nbinom2")

# c(seen, expected, z) of the number of zeros given the fitted parameters, or NULL.
count_zeros <- function(fit) {
  if (!fit$family$family %in% counts_with_zeros || !is.null(fit$family$quasi)) {
    return(NULL)
  }
  zero <- response_cdf(distribution_of(fit), numeric(fit$n), fitted_parameters(fit))
  seen <- sum(fit$y == 0)
  expected <- sum(zero)
  c(seen = seen, expected = expected, z = (seen - expected) / sqrt(sum(zero * (1 - zero))))
}

check_zeros <- function(fit) {
  zeros <- count_zeros(fit)
  if (is.null(zeros)) {
    return(NULL)
  }
  seen <- zeros[["seen"]]
  expected <- zeros[["expected"]]
  text <- sprintf("%d seen, %.*f expected", as.integer(seen), if (expected < 10) 1L else 0L,
                  expected)
  far <- is.finite(zeros[["z"]]) && abs(zeros[["z"]]) > 3
  if (far && seen > 1.1 * expected) {
    family <- if (fit$family$family == "poisson") "family = nbinom2(), then " else ""
    step <- if (is.null(fit$zi)) "ziformula = ~ 1" else "predictors in ziformula"
    return(finding("zeros", "note", text, paste0("more zeros than the model has: try ", family,
                                                 step)))
  }
  if (far && seen < 0.9 * expected) {
    return(finding("zeros", "note", text,
      "fewer zeros than the model has: were some not recorded? Look at truncated_poisson()"))
  }
  finding("zeros", "ok", text)
}
