# Methods for the car package. Its default methods would take n - p for the degrees of freedom of a
# mixed model; these ask inference(), as every test of ours does.

Anova.pp_fit <- function(mod, type = c("II", "III", 2, 3), test.statistic = c("Chisq", "F"), vcov.,
                         singular.ok, ddf = NULL, ...) {
  reject_dots(...)
  type <- choose_anova_type(type)
  test <- choose_option(test.statistic, c("Chisq", "F"), "test.statistic")
  check_has_terms(mod)
  given <- if (!missing(vcov.)) supplied_covariance(vcov., mod, test)
  inference <- car_inference(mod, test, ddf)
  V <- if (is.null(given)) inference$working else given
  assign <- attr(mod$X, "assign")
  labels <- attr(mod$terms, "term.labels")
  numbers <- seq_along(labels)
  if (type == "III" && attr(mod$terms, "intercept") == 1L) {
    labels <- c("(Intercept)", labels)
    numbers <- c(0L, numbers)
  }
  tests <- lapply(numbers, function(number) {
    L <- if (type == "II") {
      type_two_contrasts(number, assign, attr(mod$terms, "factors"), V)
    } else {
      diag(ncol(mod$X))[which(assign == number), , drop = FALSE]
    }
    car_test(inference, L, given)
  })
  anova_by_car(tests, labels, test, paste("Type", type), inference, mod)
}

choose_anova_type <- function(type) {
  if (identical(type, c("II", "III", 2, 3))) {
    return("II")
  }
  known <- c("II", "III", "2", "3")
  type <- as.character(type)
  if (length(type) != 1L || !type %in% known) {
    pp_abort("argument", c(
      x = "{.arg type} must be {.val II} or {.val III}.", i = "It is {.val {type}}.",
      ">" = "{.fn anova} has sequential tests, type I."
    ))
  }
  if (type %in% c("II", "2")) "II" else "III"
}

check_has_terms <- function(fit) {
  if (is.null(fit$terms) || is.null(attr(fit$X, "assign"))) {
    pp_abort("argument", c(
      x = "The fit was made from matrices: it has no terms to test.",
      ">" = "Test coefficients with {.fn linear_hypothesis}."
    ))
  }
}

# By Kenward-Roger, as car has it for lme4, where there is that method: for a fit by REML.
car_inference <- function(fit, test, ddf) {
  if (test == "Chisq") {
    if (!is.null(ddf)) {
      pp_abort("argument", c(x = "{.arg ddf} belongs to F tests."))
    }
    return(inference(fit, "none"))
  }
  if (!inherits(fit, "pp_lmm") && !inherits(fit, "pp_kernel_lmm")) {
    pp_abort("argument", c(
      x = "There is no F test for a generalised linear mixed model.",
      i = "The variance of the response is known given its mean.",
      ">" = "Use the chi-square test."
    ))
  }
  if (is.null(ddf) && inherits(fit, "pp_lmm")) {
    ddf <- if (fit$REML) "kenward-roger" else "satterthwaite"
  }
  inference(fit, ddf)
}

# A covariance of the fixed effects that the user brings: a matrix or a function of the fit.
supplied_covariance <- function(vcov., fit, test) {
  if (test == "F") {
    pp_warn("argument", c(
      "!" = "F tests use the covariance of their method: {.arg vcov.} is ignored."
    ))
    return(NULL)
  }
  V <- if (is.function(vcov.)) vcov.(fit) else vcov.
  V <- as.matrix(V)
  p <- length(fit$coefficients)
  if (!is.numeric(V) || !identical(dim(V), c(p, p))) {
    pp_abort("argument", c(
      x = "{.arg vcov.} must be a {p} x {p} matrix, or a function of the fit that gives one."
    ))
  }
  unname(V)
}

# The coefficients of a term, adjusted for those of the terms that contain it: contrasts that are
# uncorrelated with them.
type_two_contrasts <- function(number, assign, factors, V) {
  others <- setdiff(seq_len(ncol(factors)), number)
  containing <- Filter(function(other) contains_term(factors, other, number), others)
  own <- which(assign == number)
  above <- which(assign %in% containing)
  identity <- diag(length(assign))
  if (!length(own) || !length(above)) {
    return(identity[own, , drop = FALSE])
  }
  whole <- identity[c(own, above), , drop = FALSE]
  conjugate_complement(whole, identity[above, , drop = FALSE], V)
}

# list(statistic, num, den, p) of L beta = rhs; `given`: a covariance that is not that of the fit.
car_test <- function(inference, L, given, rhs = 0) {
  if (nrow(L) == 0L) {
    return(list(statistic = NA_real_, chisq = NA_real_, num = 0, den = NA_real_))
  }
  if (is.null(given)) {
    return(inference$joint(L, if (any(rhs != 0)) particular_solution(L, rhs) else 0))
  }
  value <- L %*% inference$coefficients - rhs
  chisq <- sum(value * solve(L %*% given %*% t(L), value))
  list(statistic = chisq / nrow(L), chisq = chisq, num = nrow(L), den = Inf)
}

anova_by_car <- function(tests, labels, test, type, inference, fit) {
  df <- column_of(tests, "num")
  if (test == "Chisq") {
    chisq <- column_of(tests, "chisq")
    table <- data.frame(Chisq = chisq, Df = df, p = stats::pchisq(chisq, df, lower.tail = FALSE))
    table$p[df == 0] <- NA
    names(table)[3L] <- "Pr(>Chisq)"
    kind <- "Wald chisquare tests"
  } else {
    f <- column_of(tests, "statistic")
    den <- column_of(tests, "den")
    table <- data.frame(
      F = f, Df = df, Df.res = den, p = stats::pf(f, pmax(df, 1), den, lower.tail = FALSE)
    )
    names(table)[4L] <- "Pr(>F)"
    kind <- paste("Wald F tests with", ddf_title(inference$ddf))
  }
  row.names(table) <- labels
  structure(table,
    heading = c(
      paste0("Analysis of Deviance Table (", type, " ", kind, ")\n"),
      paste("Response:", label_of(fit$terms[[2L]]))
    ),
    class = c("anova", "data.frame")
  )
}

ddf_title <- function(ddf) {
  switch(ddf,
    "kenward-roger" = "Kenward-Roger df", satterthwaite = "Satterthwaite df",
    residual = "residual df", none = "infinite df"
  )
}

linearHypothesis.pp_fit <- function(model, hypothesis.matrix, rhs = NULL, vcov. = NULL,
                                    test = c("Chisq", "F"), singular.ok = FALSE, verbose = FALSE,
                                    ddf = NULL, ...) {
  reject_dots(...)
  test <- choose_option(test, c("Chisq", "F"), "test")
  given <- if (!is.null(vcov.)) supplied_covariance(vcov., model, test)
  inference <- car_inference(model, test, ddf)
  names <- names(inference$coefficients)
  read <- read_car_hypothesis(hypothesis.matrix, rhs, names, model)
  if (verbose) print_car_hypothesis(read, inference$coefficients)
  result <- car_test(inference, read$L, given, read$rhs)
  heading <- c(
    "\nLinear hypothesis test:", car::printHypothesis(read$L, read$rhs, names), "",
    if (!is.null(model$formula)) {
      paste0("Model 1: restricted model\nModel 2: ", label_of(model$formula))
    },
    if (is.null(given)) "" else "\nNote: Coefficient covariance matrix supplied.\n"
  )
  car_hypothesis_table(result, test, heading)
}

read_car_hypothesis <- function(hypothesis, rhs, names, fit) {
  if (is.character(hypothesis)) {
    L <- car::makeHypothesis(names, hypothesis, rhs)
    if (is.null(dim(L))) L <- t(L)
    p <- ncol(L)
    return(list(
      L = matrix(L[, -p], nrow(L), p - 1L, dimnames = list(hypothesis, names)), rhs = L[, p]
    ))
  }
  L <- if (is.null(dim(hypothesis))) t(hypothesis) else hypothesis
  if (!is.numeric(L) || ncol(L) != length(names)) {
    pp_abort("argument", c(
      x = "{.arg hypothesis.matrix} must have {length(names)} columns, one a coefficient.",
      i = if (length(fit$aliased)) "Columns that were dropped from the fit have none."
    ))
  }
  list(L = L, rhs = if (is.null(rhs)) numeric(nrow(L)) else rep_len(rhs, nrow(L)))
}

print_car_hypothesis <- function(read, beta) {
  cat("\nHypothesis matrix:\n")
  print(read$L)
  cat("\nRight-hand-side vector:\n")
  print(read$rhs)
  cat("\nEstimated linear function (hypothesis.matrix %*% coef - rhs)\n")
  print(drop(read$L %*% beta - read$rhs))
  cat("\n")
}

car_hypothesis_table <- function(result, test, heading) {
  df <- result$num
  if (test == "Chisq") {
    p <- stats::pchisq(result$chisq, df, lower.tail = FALSE)
    table <- data.frame(Df = c(NA, df), Chisq = c(NA, result$chisq), p = c(NA, p))
    names(table)[3L] <- "Pr(>Chisq)"
  } else {
    table <- data.frame(
      Res.Df = c(result$den + df, result$den), Df = c(NA, df), F = c(NA, result$statistic),
      p = c(NA, result$p)
    )
    names(table)[4L] <- "Pr(>F)"
  }
  row.names(table) <- c("1", "2")
  structure(table, heading = heading, class = c("anova", "data.frame"))
}

# Normal quantiles, as for other models there.
deltaMethod.pp_fit <- function(object, g., vcov. = stats::vcov(object),
                               parameterNames = names(object$coefficients), ...,
                               envir = parent.frame()) {
  estimates <- stats::setNames(object$coefficients, parameterNames)
  V <- if (is.function(vcov.)) vcov.(object) else vcov.
  car::deltaMethod(estimates, g., as.matrix(V), ..., envir = envir)
}

# The intervals of confint(), with the estimates beside them.
Confint.pp_fit <- function(object, estimate = TRUE, level = 0.95, ...) {
  intervals <- if (inherits(object, "pp_kernel_fit")) {
    stats::confint(object, level = level, ...)
  } else {
    names <- names(object$coefficients)
    stats::confint(object, parm = names, level = level, method = "wald", ...)
  }
  if (estimate) cbind(Estimate = object$coefficients, intervals) else intervals
}

matchCoefs.pp_fit <- function(model, pattern, ...) {
  grep(pattern, names(model$coefficients), value = TRUE)
}

S.pp_fit <- function(object, brief = FALSE, KR = FALSE, ...) {
  if (KR) summary(object, ddf = "kenward-roger", ...) else summary(object, ...)
}

# Its default method draws rows, as if there were no groups.
Boot.pp_fit <- function(object, ...) {
  pp_abort("argument", c(
    x = "{.fn Boot} of {.pkg car} would resample single rows, which depend on each other here.",
    ">" = "Use {.fn bootstrap}, which draws from the model or whole groups."
  ))
}
