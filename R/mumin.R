# MuMIn: model selection and averaging. Of a fit it asks the terms of the formula, how to write the
# call of a smaller model, and the coefficients; all random terms stay in every model.

# Terms of the fixed effects as MuMIn describes them, with the random terms as they are written:
# also those with a double bar or a covariance structure, which its default would not tell from
# fixed ones.
getAllTerms.pp_fit <- function(x, intercept = FALSE, offset = TRUE, ...) {
  warn_reml_selection(x, ..., rank_arguments = get0("rankArgs", parent.frame(), inherits = FALSE))
  value <- MuMIn::getAllTerms(x$terms, intercept = intercept, offset = offset)
  bars <- split_sum(x$formula[[3L]], x$formula)$bars
  if (length(bars)) {
    attr(value, "random.terms") <- vapply(bars, bar_label, "")
    random <- Reduce(function(sum, bar) call("+", sum, in_parentheses(bar)), bars, quote(.))
    attr(value, "random") <- make_formula(random, quote(.), environment(x$formula))
  }
  value
}

getAllTerms.pp_kernel_fit <- function(x, ...) abort_no_terms()

bar_label <- function(bar) label_of(without_parentheses(bar))

without_parentheses <- function(expr) {
  while (is.call(expr) && identical(expr[[1L]], quote(`(`))) expr <- expr[[2L]]
  expr
}

# A bar alone stands in parentheses; a structure, as in diag(x | g), has its own.
in_parentheses <- function(bar) {
  bar <- without_parentheses(bar)
  if (as.character(bar[[1L]])[1L] %in% c("|", "||")) call("(", bar) else bar
}

# MuMIn warns of this for the classes it knows. Only dredge() hands the data over.
warn_reml_selection <- function(fit, data = NULL, ..., rank_arguments) {
  if (!is.null(data) && isTRUE(fit$REML) && !isFALSE(rank_arguments$REML)) {
    pp_warn("fit", c(
      "!" = "The fit is by REML: such likelihoods of different fixed effects cannot be compared.",
      ">" = "Use {.code dredge(update(fit, REML = FALSE))}, or {.code REML = FALSE} in
             {.fn dredge}."
    ))
  }
}

# The formula of a smaller model. Starting values are those of the random terms, which stay.
makeArgs.pp_fit <- function(obj, termNames, opt, ...) {
  opt$gmCall$start <- NULL
  value <- NextMethod(opt = opt)
  random <- opt$random
  if (!is.null(random)) value$formula <- stats::update.formula(value$formula, random)
  environment(value$formula) <- environment(obj$formula)
  value
}

makeArgs.pp_kernel_fit <- function(obj, ...) abort_no_terms()

abort_no_terms <- function() {
  pp_abort("argument", c(
    x = "A kernel model has no formula: there are no terms to choose from.",
    ">" = "{.fn lmm} and {.fn glmm} take a formula and, as {.arg kernel}, the covariance of a
           grouping factor."
  ))
}

# MuMIn takes the degrees of freedom into standard errors and intervals of averages: those of the
# coefficients, not rows minus parameters. Infinite ones, of normal tests, are NA for it.
coefTable.pp_fit <- function(model, ...) {
  reject_dots(...)
  found <- inference(model)
  p <- length(found$coefficients)
  df <- found$df(diag(p))
  df[!is.finite(df)] <- NA_real_
  structure(
    cbind(
      Estimate = unname(found$coefficients), "Std. Error" = sqrt(diag(found$vcov)), df = df
    ),
    dimnames = list(names(found$coefficients), c("Estimate", "Std. Error", "df")),
    class = c("coefTable", "matrix")
  )
}

# One row for each way to bring the variance of the distribution to the scale of the link, as MuMIn
# names them. Of binomial responses MuMIn means the proportion of successes: its variance is that of
# one trial, which is r_squared()'s, over the mean number of trials. `null` is not needed.
r.squaredGLMM.pp_fit <- function(object, null, envir = NULL, pj2014 = FALSE, ...) {
  reject_dots(...)
  if (check_flag(pj2014, "pj2014")) {
    pp_abort("argument", c(
      x = "{.code pj2014 = TRUE}, an older formula, is not available.",
      ">" = "A random effect for each row in the model counts as residual variance."
    ))
  }
  methods <- squared_methods(object)
  rows <- lapply(methods, function(method) {
    v <- attr(r_squared(object, method), "variance")
    own <- names(v) == "residual"
    v[own] <- v[own] / average_trials(object)
    c(R2m = v[[1L]], R2c = sum(v[!own])) / sum(v)
  })
  rows <- do.call(rbind, rows)
  rownames(rows) <- if (length(methods) > 1L) unlist(methods)
  rows
}

r.squaredGLMM.pp_kernel_fit <- function(object, ...) abort_no_variance_parts(object)

squared_methods <- function(fit) {
  if (!inherits(fit, "pp_glmm")) {
    return(list(NULL))
  }
  link <- fit$family$link
  proportion <- traits_of(fit$family)$response == "proportion"
  if (proportion && link %in% c("logit", "probit", "cloglog")) {
    list("theoretical", "delta")
  } else if (link == "log" && !proportion) {
    list("delta", "lognormal", "trigamma")
  } else {
    list(NULL)
  }
}

average_trials <- function(fit) if (is.null(fit$trials)) 1 else mean(fit$trials)
