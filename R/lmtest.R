# lmtest: tests of coefficients with our degrees of freedom, Wald and likelihood-ratio tests.

# Satterthwaite's degrees of freedom (rows minus coefficients without random effects), a z test for
# generalised models. They are those of the model's covariance also where `vcov.` is another one.
coeftest.pp_fit <- function(x, vcov. = NULL, df = NULL, ...) {
  if (is.null(df)) df <- coefficient_dfs(x)
  value <- lmtest::coeftest.default(x, vcov. = vcov., df = df, ...)
  class(value) <- c("pp_coeftest", class(value))
  value
}

coefficient_dfs <- function(fit) {
  found <- inference(fit)
  found$df(diag(length(found$coefficients)))
}

coefci.pp_fit <- function(x, parm = NULL, level = 0.95, vcov. = NULL, df = NULL, ...) {
  stats::confint(coeftest.pp_fit(x, vcov. = vcov., df = df, ...), parm, level)
}

# Each coefficient has a quantile of its own, which lmtest's method does not expect.
#' @export
confint.pp_coeftest <- function(object, parm = NULL, level = 0.95, ...) {
  check_level(level)
  estimate <- object[, 1L]
  tail <- (1 - level) / 2
  df <- rep_len(attr(object, "df"), length(estimate))
  half <- object[, 2L] * stats::qt(tail, df, lower.tail = FALSE)
  table <- cbind(estimate - half, estimate + half)
  # The column names of lmtest.
  labels <- format(100 * c(tail, 1 - tail), trim = TRUE, scientific = FALSE, digits = 3L)
  dimnames(table) <- list(rownames(object), paste(labels, "%"))
  if (is.null(parm)) table else table[parm, , drop = FALSE]
}

# Models of lmtest's arguments: fits as they are, and changes of the one before: numbers or labels
# of terms to leave out, or a formula. A formula without bars changes the fixed effects alone. A
# model without some terms is fitted to the rows of the fit, wherever its data are now.
chain_of_models <- function(object, others, env) {
  if (!length(others)) others <- list(attr(object$terms, "term.labels"))
  fits <- list(object)
  for (change in others) {
    fits <- c(fits, list(changed_model(fits[[length(fits)]], change, env)))
  }
  fits
}

changed_model <- function(fit, change, env) {
  if (is.object(change) && !inherits(change, "formula")) {
    return(change)
  }
  labels <- attr(fit$terms, "term.labels")
  if (inherits(change, "formula")) {
    left_out <- labels_left_out(fit, change)
    if (is.null(left_out)) {
      return(do.call(stats::update, list(fit, change), envir = env))
    }
    change <- left_out
  }
  if (is.numeric(change)) change <- labels[check_terms(change, length(labels))]
  if (!is.character(change) || !length(change) || !all(change %in% labels)) {
    pp_abort("argument", c(
      x = "A smaller model must be a fit, a formula, or numbers or labels of terms to leave out.",
      i = "The terms are {.code {labels}}."
    ))
  }
  smaller <- quiet_fit(fit)
  for (label in change) smaller <- fit_without(smaller, label)
  if (fit$REML) with_criterion(smaller, REML = TRUE) else smaller
}

# Labels of the terms that a change of the formula leaves out, if that is all it does.
labels_left_out <- function(fit, change) {
  if (any(c("|", "||") %in% all.names(change))) {
    return(NULL)
  }
  fixed <- stats::terms(stats::update.formula(stats::formula(fit$terms), change))
  labels <- attr(fit$terms, "term.labels")
  kept <- attr(fixed, "term.labels")
  only <- all(kept %in% labels) && length(kept) < length(labels) &&
    attr(fixed, "intercept") == attr(fit$terms, "intercept")
  if (only) setdiff(labels, kept)
}

check_terms <- function(numbers, count) {
  if (!all(numbers %in% seq_len(count))) {
    pp_abort("argument", c(
      x = "A number of a term must be between 1 and {count}.",
      i = "Given: {.val {numbers}}."
    ))
  }
  numbers
}

# Fits by REML are fitted again by ML first, with a message, as by anova().
lrtest.pp_fit <- function(object, ..., name = NULL) {
  fits <- chain_of_models(object, list(...), parent.frame())
  names(fits) <- paste("Model", seq_along(fits))
  check_same_response(fits)
  lapply(Filter(function(fit) inherits(fit, "pp_glmm"), fits), check_has_likelihood)
  restricted <- vapply(fits, function(fit) isTRUE(fit$REML) && !isFALSE(fit$fitted), NA)
  if (any(restricted)) fits <- without_reml(fits, restricted, TRUE)
  values <- lapply(fits, likelihood_of)
  df <- vapply(values, attr, 0, "df")
  loglik <- vapply(values, as.numeric, 0)
  change <- c(NA, diff(df))
  chisq <- c(NA, 2 * abs(diff(loglik)))
  p <- stats::pchisq(chisq, abs(change), lower.tail = FALSE)
  p[which(change == 0)] <- NA
  table <- data.frame(
    "#Df" = df, LogLik = loglik, Df = change, Chisq = chisq, "Pr(>Chisq)" = p,
    row.names = seq_along(fits), check.names = FALSE
  )
  structure(table,
    heading = c("Likelihood ratio test\n", describe_models(fits, name)),
    class = c("anova", "data.frame")
  )
}

describe_models <- function(fits, name) {
  if (is.null(name)) name <- function(fit) paste(deparse(stats::formula(fit)), collapse = "\n")
  numbers <- format(seq_along(fits))
  paste0("Model ", numbers, ": ", vapply(fits, name, ""), collapse = "\n")
}

# A Wald test looks at the coefficients of the larger of two models that the smaller has not. F has
# the denominator degrees of freedom of anova(), also with a covariance given.
waldtest.pp_fit <- function(object, ..., vcov = NULL, test = c("Chisq", "F"), name = NULL,
                            ddf = NULL) {
  test <- choose_option(test, c("Chisq", "F"), "test")
  fits <- suppressMessages(
    chain_of_models(object, list(...), parent.frame()), classes = "partialpool_message"
  )
  check_same_response(stats::setNames(fits, paste("Model", seq_along(fits))))
  if (length(fits) > 2L && !is.null(vcov) && !is.function(vcov)) {
    pp_abort("argument", c(
      x = "With more than two models {.arg vcov} must be a function."
    ))
  }
  rows <- lapply(seq_along(fits)[-1L], function(k) {
    wald_row(fits[[k - 1L]], fits[[k]], vcov, test, ddf)
  })
  column <- function(name) c(NA, vapply(rows, `[[`, 0, name))
  table <- data.frame(
    Res.Df = vapply(fits, function(fit) as.numeric(stats::df.residual(fit)), 0),
    Df = column("df"), statistic = column("statistic"), p = column("p"),
    row.names = seq_along(fits)
  )
  names(table)[3:4] <- c(test, sprintf("Pr(>%s)", test))
  if (test == "F") table <- cbind(table[1:2], DenDF = column("den"), table[3:4])
  structure(table,
    heading = c("Wald test\n", describe_models(fits, name)), class = c("anova", "data.frame")
  )
}

wald_row <- function(first, second, vcov, test, ddf) {
  size <- length(coef(second)) - length(coef(first))
  larger <- if (size > 0L) second else first
  smaller <- if (size > 0L) first else second
  b <- coef(larger)
  extra <- setdiff(names(b), names(coef(smaller)))
  if (size == 0L || length(extra) != abs(size)) {
    pp_abort("argument", c(
      x = "The models are not nested: the smaller one must have some of the coefficients of the
           larger.",
      ">" = "Without nesting compare them by {.fn AIC}."
    ))
  }
  at <- match(extra, names(b))
  L <- diag(length(b))[at, , drop = FALSE]
  found <- inference(larger, if (test == "Chisq") "none" else ddf)$joint(L)
  chisq <- found$chisq
  if (!is.null(vcov)) {
    V <- if (is.function(vcov)) vcov(larger) else as.matrix(vcov)
    chisq <- drop(crossprod(b[at], solve(V[at, at, drop = FALSE], b[at])))
  } else if (test == "F") {
    chisq <- found$statistic * length(at)
  }
  statistic <- if (test == "F") chisq / length(at) else chisq
  p <- if (test == "F") {
    stats::pf(statistic, length(at), found$den, lower.tail = FALSE)
  } else {
    stats::pchisq(statistic, length(at), lower.tail = FALSE)
  }
  list(df = size, statistic = statistic, den = found$den, p = p)
}
